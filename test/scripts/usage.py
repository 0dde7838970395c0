"""What the scripts say of themselves and to a wrong command line. None of it sets anything up or builds."""

import os
import subprocess
import unittest

ROOT = os.environ.get("TENSAIR_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Usage(unittest.TestCase):
    def run_script(self, name, *arguments):
        return subprocess.run(["bash", os.path.join(ROOT, "scripts", name), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=30)

    def assert_one_line(self, run, *words):
        self.assertEqual((run.returncode, run.stdout, run.stderr.count("\n")), (1, "", 1), run)
        for word in words:
            self.assertIn(word, run.stderr)

    def test_help_is_the_comment_at_its_top(self):
        for name, flags in {"setup.sh": ["--torch=auto|wheel|debian|none", "--optional", "--tests", "idempotent"],
                            "demo.sh": ["[SAMPLE] [FLAGS]", "cifar10 --local 2"],
                            "test.sh": ["--preset P", "CTEST FLAGS", "release (default), debug, asan or tsan"]}.items():
            for flag in "--help", "-h":
                with self.subTest(name, flag=flag):
                    run = self.run_script(name, flag)
                    self.assertEqual((run.returncode, run.stderr), (0, ""), run)
                    self.assertIn(f"scripts/{name} [", run.stdout)
                    for word in flags:
                        self.assertIn(word.lower(), run.stdout.lower())
                    for line in "#", "set -e":
                        self.assertNotIn(line, run.stdout)

    def test_an_unknown_sample(self):
        samples = sorted(name for name in os.listdir(os.path.join(ROOT, "samples")) if os.path.isdir(os.path.join(ROOT, "samples", name)))
        self.assertIn("cifar10", samples)
        for name in "cifar", "CMakeLists.txt":
            run = self.run_script("demo.sh", name)
            self.assert_one_line(run, f"demo: no sample '{name}'; there are: {' '.join(samples)}")

    @unittest.skipIf(os.path.exists(os.path.join(ROOT, "CMakeUserPresets.json")), "with presets of the user's own, CMake says it")
    def test_an_unknown_preset(self):
        for flags, name in (["--preset", "fast"], "fast"), (["--preset=fast"], "fast"), (["--preset", "base"], "base"), (["--preset"], ""):
            with self.subTest(flags):
                self.assert_one_line(self.run_script("test.sh", *flags), f"test: no preset '{name}'; there are: asan debug release tsan")

    def test_an_unknown_argument_of_setup(self):
        for argument in "--torch=best", "--nonsense", "all":
            self.assert_one_line(self.run_script("setup.sh", argument), f"setup: unknown argument '{argument}'", "--help")


if __name__ == "__main__":
    unittest.main(verbosity=2)
