"""scripts/setup.sh, on systems that are made up: programs of the tests' own stand for all that would change this machine.

A system is a folder of programs, the only one on the PATH: those that the script itself needs, and stand-ins that note how they were
called. So nothing is installed, nothing is fetched, and nobody need be root.
"""

import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.environ.get("TENSAIR_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHELL = ("bash", "sed", "grep", "head", "cat", "dirname", "env", "mkdir", "touch", "rm", "cp", "chmod")

# Every one of them begins with a note of its call.
STAND_INS = {
    "dpkg-query": 'case "$*" in *libtorch*) exit 1 ;; esac\nwhile read -r package; do printf "ii \\t%s\\n" "$package"; done <"$SYSTEM/installed"',
    "apt-get": 'install=\nfor word in "$@"; do case $word in -*) ;; install) install=1 ;; *) [ -z "$install" ] || echo "$word" >>"$SYSTEM/installed" ;; esac; done',
    "apt-cache": "",
    "sudo": '"$@"',
    "c++": 'cat >/dev/null\ncase "$*" in *" -E "*) echo preprocessed ;; esac',
    "python3": """case "$*" in
  *"-m venv"*) for folder in "$@"; do :; done; mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python" ;;
  *"install"*torch*) torch=${0%/bin/python}/lib/python3.11/site-packages/torch/share/cmake/Torch; mkdir -p "$torch"; touch "$torch/TorchConfig.cmake" ;;
esac""",
}
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'


class Setup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tensair-setup-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.makedirs(self.path("project/scripts"))
        shutil.copy(os.path.join(ROOT, "scripts", "setup.sh"), self.path("project/scripts"))
        os.mkdir(self.path("bin"))
        for name in SHELL:
            os.symlink(shutil.which(name), self.path(f"bin/{name}"))
        open(self.path("installed"), "w").close()

    def path(self, name):
        return os.path.join(self.folder, name)

    def have(self, *names, **bodies):
        """Puts stand-ins on the system."""
        for name, body in {**{name: STAND_INS.get(name, "") for name in names}, **bodies}.items():
            with open(self.path(f"bin/{name}"), "w") as file:
                file.write(f'#!{shutil.which("bash")}\necho "${{0##*/}} $*" >>"$SYSTEM/calls"\n{body}\n')
            os.chmod(self.path(f"bin/{name}"), 0o755)

    def set_up(self, *arguments, release=DEBIAN, **environment):
        """Runs the script; returns it, and the calls that it has made."""
        with open(self.path("os-release"), "w") as file:
            file.write(release)
        open(self.path("calls"), "w").close()
        run = subprocess.run([self.path("bin/bash"), self.path("project/scripts/setup.sh"), *arguments], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=60, cwd=self.folder,
                             env={"PATH": self.path("bin"), "SYSTEM": self.folder, "OS_RELEASE": self.path("os-release"), **environment})
        with open(self.path("calls")) as file:
            return run, file.read().splitlines()

    def changes(self, calls):
        return [call for call in calls if call.startswith(("apt-get", "sudo")) or " -m " in call]

    def test_the_second_time_there_is_nothing_to_do(self):
        self.have("dpkg-query", "apt-get", "apt-cache", "sudo", "c++", "python3")
        for flags in ["--torch=none"], [], ["--tests"], ["--torch=wheel", "--optional"]:
            with self.subTest(flags=flags):
                run, calls = self.set_up(*flags)
                self.assertEqual((run.returncode, run.stderr), (0, ""), run)
                self.assertNotEqual(self.changes(calls), [])
                run, calls = self.set_up(*flags)
                self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "setup: ready\n", ""), run)
                self.assertEqual(self.changes(calls), [])

    def test_only_what_is_missing_is_installed(self):
        self.have("dpkg-query", "apt-get", "apt-cache", "sudo")
        self.set_up("--torch=none")
        with open(self.path("installed")) as file:
            packages = file.read().split()
        for package in "g++", "cmake", "ninja-build", "libfmt-dev", "catch2":
            self.assertIn(package, packages)
        with open(self.path("installed"), "w") as file:
            file.write("\n".join(package for package in packages if package not in ("cmake", "libfmt-dev")) + "\n")
        run, calls = self.set_up("--torch=none")
        self.assertEqual((run.returncode, run.stdout), (0, "setup: installing cmake libfmt-dev\nsetup: ready\n"), run)
        self.assertRegex([call for call in calls if call.startswith("apt-get")][-1], r" install .*-y cmake libfmt-dev$")

    def test_packages_that_cannot_be_installed(self):
        self.have("dpkg-query", "apt-cache", "sudo", **{"apt-get": 'case "$*" in *install*) exit 100 ;; esac'})
        run, _ = self.set_up("--torch=none")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"^setup: apt-get could not install: g\+\+ cmake .*\n$")

    def test_an_unknown_system_is_told_the_packages(self):
        release = 'NAME="Plan 9 from Bell Labs"\nID=plan9\n'
        for have, lacking in ((), ["c++", "cmake", "ninja", "git", "xz"]), (("apt-get", "dpkg-query", "git", "xz"), ["c++", "cmake", "ninja"]):
            with self.subTest(have):
                self.have(*have)
                run, calls = self.set_up(release=release)
                self.assertEqual((run.returncode, run.stdout), (1, ""), run)
                lines = run.stderr.splitlines()
                self.assertIn("not a Debian-like system", lines[0])
                self.assertEqual(lines[1:-1], [f"  {name}" for name in lacking])
                for package in "g++", "cmake", "ninja-build", "libboost1.81-dev", "libfmt-dev", "libssl-dev", "catch2", "python3-venv":
                    self.assertIn(f" {package} ", lines[-1] + " ")
                self.assertEqual(self.changes(calls), [])

    def test_an_unknown_system_is_told_the_libraries(self):
        self.have("cmake", "ninja", "git", "xz", **{"c++": "cat >/dev/null\nexit 1"})
        run, _ = self.set_up(release="ID=plan9\n")
        self.assertEqual(run.returncode, 1, run)
        for library in "Boost >= 1.81", "fmt >= 9", "OpenSSL", "CLI11", "nlohmann-json", "Catch2":
            self.assertIn(f"\n  {library}", run.stderr)

    def test_an_unknown_system_that_has_all_is_as_good_as_any(self):
        self.have("cmake", "ninja", "git", "xz", "c++")
        run, calls = self.set_up("--torch=none", release="ID=plan9\n")
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "setup: ready\n", ""), run)
        self.assertEqual(self.changes(calls), [])

    def test_a_libtorch_that_is_given_is_taken(self):
        self.have("cmake", "ninja", "git", "xz", "c++")
        os.makedirs(self.path("torch/share/cmake/Torch"))
        folder = self.path("torch/share/cmake/Torch")
        run, _ = self.set_up(release="ID=plan9\n", Torch_DIR=folder)
        self.assertEqual((run.returncode, run.stderr), (1, f"setup: Torch_DIR={folder} has no TorchConfig.cmake\n"))
        open(os.path.join(folder, "TorchConfig.cmake"), "w").close()
        for environment in {"Torch_DIR": folder}, {"CMAKE_PREFIX_PATH": f"/nowhere:{self.path('torch')}"}:
            run, calls = self.set_up(release="ID=plan9\n", **environment)
            self.assertEqual((run.returncode, run.stdout), (0, f"setup: LibTorch: the one given, {folder}\nsetup: ready\n"), run)
            self.assertEqual(self.changes(calls), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
