# ctest: timeout 300
"""What else the cifar10 sample does for its flags, and what it shows meanwhile."""

import json
import os
import pty
import re
import threading
import unittest

from _cifar10 import ENDLESS, IMAGES, Training, poll, write_data


class CommandLine(Training):
    def test_local_nodes_put_their_rank_before_each_line(self):
        run, _ = self.train("--epochs", 1, "--local", 2)
        for line in (run.stdout + run.stderr).splitlines():
            self.assertRegex(line, r"^\[0\] ", run)

    def test_the_options_that_speed_it_up_can_be_turned_off(self):
        def train(*flags):
            run, figures = self.train("--epochs", 4, *flags)
            self.assertEqual(figures["images"], 4 * IMAGES, run)
            self.assertGreater(figures["test_accuracy"][-1], 0.3, run)
            return float(re.findall(r"test loss (\S+)", run.stdout)[0])

        # They change how a step is computed, not what: after an epoch of 9 steps only rounding tells them apart.
        plain = train()
        for flag in "--no-channels-last", "--no-fused", "--no-keep-memory", "--intra-op=2", "--no-flat-optimizer", "--threads=1":
            with self.subTest(flag):
                self.assertAlmostEqual(train(flag), plain, delta=0.01)
        self.assertAlmostEqual(train("--optimizer", "sgd", "--no-flat-optimizer"), train("--optimizer", "sgd"), delta=0.01)

    def test_they_do_what_they_say(self):
        def of_a_run(*flags):
            """(threads, page faults of three epochs) of one that goes on."""
            run = self.start("--data", self.data, *ENDLESS, "--threads", 1, *flags)
            faults = []
            for epoch in 3, 6:
                run.wait_for_line(f"epoch {epoch} ")
                with open(f"/proc/{run.process.pid}/stat") as file:
                    faults.append(int(file.read().rpartition(")")[2].split()[7]))
            threads = len(os.listdir(f"/proc/{run.process.pid}/task"))
            run.process.kill()
            run.process.wait()
            return threads, faults[1] - faults[0]

        # LibTorch's own operations, and so their memory; the sample's fused ones need little.
        threads, faults = of_a_run("--no-fused", "--batch", 128)
        freed = of_a_run("--no-fused", "--batch", 128, "--no-keep-memory")[1]
        self.assertLess(10 * faults, freed)
        self.assertGreaterEqual(of_a_run("--intra-op", 3)[0], threads + 2)

    def test_replicas_learn_whether_they_wait_and_anticipate_or_not(self):
        for flags in ["--patience", 0, "--no-anticipate"], ["--patience", 1]:
            with self.subTest(flags=flags):
                run, figures = self.train("--epochs", 12, "--local", 2, *flags)
                self.assertEqual(figures["images"], 12 * IMAGES, run)
                self.assertGreater(figures["test_accuracy"][-1], 0.6, run)

    def test_explain_prints_the_plan_and_runs_nothing(self):
        file = self.path("figures.json")
        elsewhere = "192.0.2.1:7700,192.0.2.2:7700"
        for flags in ["--explain"], ["--explain=dot", "--local", 3], ["--explain", "--nodes", elsewhere, "--rank", 1]:
            with self.subTest(flags=flags):
                run = self.run_to_end("--data", self.data, "--json", file, *flags, seconds=20)
                self.assert_succeeded(run)
                self.assertEqual(run.stderr, "", run)
                for word in "source", "batch", "train", "validate", "cnn":
                    self.assertIn(word, run.stdout, run)
                self.assertNotIn("test accuracy", run.stdout, run)
                self.assertFalse(os.path.exists(file))

    def test_a_run_is_planned_by_the_profile_of_another(self):
        profile = self.path("profile.json")
        for flags in [], ["--local", 2]:
            with self.subTest(flags=flags):
                self.train("--epochs", 2, "--profile", profile, *flags)
                with open(profile) as file:
                    found = json.load(file)
                # Every image goes from the source to where it is trained on.
                pixels = 2 * IMAGES * 3 * 32 * 32
                self.assertTrue(any(pixels <= of_edge <= 8 * pixels for of_edge in found["bytes"].values()), found)
                self.assertGreater(found["seconds"], 0)
                self.assertLessEqual({"train", "validate", "batch"}, {title.split()[0] for title in found["busy_seconds"]})
                run, figures = self.train("--epochs", 2, "--use-profile", profile, "--local", 2)
                self.assertEqual(figures["images"], 2 * IMAGES, run)

    def test_help_names_every_flag(self):
        run = self.run_to_end("--help", seconds=20)
        self.assert_succeeded(run)
        self.assertEqual(run.stderr, "")
        for flag in ("data", "epochs", "drift", "batch", "replicas", "optimizer", "lr", "exchange", "every", "compress-deltas", "patience",
                     "load", "save", "intra-op",  # its own, then every program's
                     "local", "nodes", "cluster", "rank", "explain", "json", "overlay", "profile", "use-profile", "threads", "seed",
                     "compress", "device", "connect-deadline", "heartbeat", "silence", "outage", "token-file", "help"):
            self.assertRegex(run.stdout, rf"(?m)^  --{flag}\b[^-]")
        for flag in "anticipate", "channels-last", "fused", "keep-memory", "flat-optimizer", "quiet":
            self.assertRegex(run.stdout, rf"(?m)^  --\[no-\]{flag} ")
        # And none is forgotten here.
        self.assertEqual(len(re.findall(r"(?m)^  --", run.stdout)), 33 + 6)

    def test_progress_is_a_line_where_stderr_is_no_terminal(self):
        run, _ = self.train("--epochs", 1)
        self.assertNotRegex(run.stderr, r"\r|\x1b", run)
        for word in f"{IMAGES}/{IMAGES} images", "/s", "loss", "accuracy", "staleness":
            self.assertIn(word, run.stderr, run)

    def test_quiet_shows_no_progress(self):
        for flags in [], ["--local", 2]:
            run, _ = self.train("--epochs", 1, "--quiet", *flags)
            self.assertEqual(run.stderr, "", run)

    def test_progress_is_a_bar_on_a_terminal(self):
        for flags in [], ["--local", 2]:
            with self.subTest(flags=flags):
                run, shown = self.train_on_terminal("--epochs", 30, *flags)
                self.assertEqual(run.process.returncode, 0, shown)
                self.assertIn("\r", shown)
                for word in r"\[=+ *\]", r"/s", r"loss \d", r"accuracy \d", r"staleness \d", r"\d:\d\d left", rf"{30 * IMAGES}/{30 * IMAGES} images":
                    self.assertRegex(shown, word)
                run, shown = self.train_on_terminal("--epochs", 2, "--quiet", *flags)
                self.assertEqual((run.process.returncode, shown), (0, ""))

    def train_on_terminal(self, *arguments):
        here, there = pty.openpty()
        shown = []

        def read():
            try:
                while part := os.read(here, 4096):
                    shown.append(part.decode(errors="replace"))
            except OSError:
                pass  # EIO: nobody has the terminal open any more

        reader = threading.Thread(target=read)
        reader.start()
        try:
            run = self.start("--data", self.data, "--batch", 32, *arguments, stderr=there)
            os.close(there)
            run.wait(60)
            poll(lambda: not self.processes(), 3)
        finally:
            reader.join(10)
            os.close(here)
        return run, "".join(shown)

    def test_data_is_found_through_the_environment(self):
        write_data(self.path("all/cifar10"), train=(64,), test=20)
        file = self.path("figures.json")
        run = self.run_to_end("--epochs", 1, "--json", file, environment={"TENSAIR_DATA": self.path("all")})
        self.assert_succeeded(run)
        with open(file) as text:
            self.assertEqual(json.load(text)["images"], 64)


if __name__ == "__main__":
    unittest.main(verbosity=2)
