# ctest: timeout 180
"""Bad files, flags and numbers: the cifar10 sample says it in one line that helps, and exits with a failure's code."""

import itertools
import os
import re
import time
import unittest

from _cifar10 import SampleTest, free_addresses, text_of, write_data

RECORD = 3073


class Data(SampleTest):
    """Files that are not what they should be."""

    def refuse(self, folder, *words, flags=(), lines=1):
        run = self.run_to_end("--data", folder, *flags, seconds=20)
        # The last sentence says what to do.
        self.assert_failed(run, r"^(\[\d\] )?cifar10: ", *words, r"(Give|Unpack|Check|Name|Download) .*\.$", code=1, lines=lines)
        self.assertEqual(run.stdout, "", run)

    def data_with(self, file, change):
        """A good folder but for one file, which `change` makes of the good one's bytes."""
        folder = write_data(self.path("data"), train=(20, 20), test=10)
        path = os.path.join(folder, file)
        with open(path, "rb") as good:
            content = good.read()
        with open(path, "wb") as bad:
            bad.write(change(content))
        return folder, re.escape(path)

    def test_a_truncated_file(self):
        for file in "data_batch_2.bin", "test_batch.bin":
            folder, path = self.data_with(file, lambda content: content[:-1])
            self.refuse(folder, path, "truncated")

    def test_a_file_of_another_size(self):
        # CIFAR-100's records have one byte more.
        folder, path = self.data_with("data_batch_1.bin", lambda content: content + bytes(20))
        self.refuse(folder, path, str(RECORD))

    def test_an_empty_file(self):
        folder, path = self.data_with("data_batch_1.bin", lambda content: b"")
        self.refuse(folder, path, "empty")

    def test_a_label_over_9(self):
        folder, path = self.data_with("data_batch_2.bin", lambda content: content[: 4 * RECORD] + b"\x0a" + content[4 * RECORD + 1 :])
        self.refuse(folder, path, "label", r"\b10\b", r"record 5\b")

    def test_an_empty_directory(self):
        os.mkdir(self.path("empty"))
        self.refuse(self.path("empty"), re.escape(self.path("empty")), "data_batch")

    def test_an_empty_directory_on_three_local_nodes(self):
        os.mkdir(self.path("empty"))
        began = time.monotonic()
        self.refuse(self.path("empty"), re.escape(self.path("empty")), flags=["--local", 3], lines=3)
        self.assertLess(time.monotonic() - began, 10)

    def test_a_directory_that_does_not_exist(self):
        self.refuse(self.path("missing"), re.escape(self.path("missing")), "does not exist")

    def test_a_file_in_place_of_the_directory(self):
        write_data(self.path("data"), train=(10,), test=10)
        path = self.path("data/data_batch_1.bin")
        self.refuse(path, re.escape(path), "not a directory")

    def test_no_test_images(self):
        folder = write_data(self.path("data"), train=(10,), test=10)
        os.remove(os.path.join(folder, "test_batch.bin"))
        self.refuse(folder, re.escape(folder), "test_batch.bin")

    def test_a_directory_in_place_of_a_file(self):
        folder = write_data(self.path("data"), train=(10,), test=10)
        os.mkdir(os.path.join(folder, "data_batch_2.bin"))
        self.refuse(folder, r"data_batch_2\.bin")


class CommandLine(SampleTest):
    """Flags that do not exist, and values that cannot be."""

    def setUp(self):
        super().setUp()
        self.data = write_data(self.path("data"), train=(20,), test=10)

    def refuse(self, cases):
        for flags, words in cases:
            with self.subTest(" ".join(map(str, flags))):
                run = self.run_to_end("--data", self.data, *flags, seconds=10)
                self.assert_failed(run, *words, code=2)
                self.assertEqual(run.stdout, "", run)

    def test_unknown_flags(self):
        self.refuse([
            (["--epoch", 3], ["--epoch", "Did you mean --epochs"]),
            (["--nonsense"], ["--nonsense"]),
            (["--no-such=3"], ["--no-such"]),
            (["stray"], ["stray"]),
            (["-x"], ["-x"]),
        ])

    def test_values_of_its_own_flags(self):
        self.refuse([
            (["--epochs", "three"], ["--epochs", "three"]),
            (["--epochs", -1], ["epochs", "-1"]),
            (["--epochs", 99_999_999_999], ["--epochs", "99999999999"]),
            (["--epochs"], ["--epochs"]),
            (["--epochs="], ["--epochs"]),
            (["--batch", 0], ["batch", r"\b0\b"]),
            (["--batch", -8], ["batch", "-8"]),
            (["--batch", 1.5], ["--batch", "1.5"]),
            (["--replicas", -1], ["replicas", "-1"]),
            (["--replicas", 99_999], ["replicas", "99999"]),
            (["--optimizer", "lion"], ["--optimizer", "lion", "adam", "sgd"]),
            (["--exchange", "votes"], ["--exchange", "votes", "updates", "gradients"]),
            (["--compress-deltas", "zip"], ["--compress-deltas", "zip", "none", "fp16", "bf16", "top_k"]),
            (["--every", 0], ["every", r"\b0\b"]),
            (["--patience", -0.1], ["--patience", r"from 0 to 1\b", r"-0\.1"]),
            (["--patience", 1.5], ["--patience", r"from 0 to 1\b", r"1\.5"]),
            (["--patience", "endless"], ["--patience", "endless"]),
            (["--patience", "nan"], ["--patience", "nan"]),
            (["--drift", -1], ["--drift", "from 0", "-1"]),
            (["--drift", "often"], ["--drift", "often"]),
            (["--anticipate=perhaps"], ["--anticipate", "perhaps"]),
            (["--intra-op", 0], ["--intra-op", "from 1", r"\b0\b"]),
            (["--lr", "fast"], ["--lr", "fast"]),
            (["--lr", "nan"], ["--lr", "nan"]),
            (["--lr", -0.1], ["lr", "-0.1"]),
        ])

    def test_values_of_every_program_s_flags(self):
        a, b = (text_of([address]) for address in free_addresses(2))
        self.refuse([
            (["--local", 0], ["--local", "0"]),
            (["--local", "two"], ["--local", "two"]),
            (["--local", 2, "--rank", 0], ["--local", "--rank"]),
            (["--local", 2, "--nodes", a], ["--local", "--nodes"]),
            (["--rank", 0], ["--rank"]),
            (["--nodes", f"{a},{b}"], ["--nodes", "rank"]),
            (["--nodes", f"{a},{b}", "--rank", 2], ["--rank", "2"]),
            (["--nodes", f"{a},{a}", "--rank", 0], [re.escape(a)]),
            (["--nodes", f"localhost,{a}", "--rank", 0], ["localhost", "port"]),
            (["--nodes", f"localhost:70000,{a}", "--rank", 0], ["70000"]),
            (["--seed", -1], ["--seed", "-1"]),
            (["--threads", -1], ["--threads", "-1"]),
            (["--connect-deadline", 0], ["--connect-deadline", "0"]),
            (["--explain=pdf"], ["--explain", "pdf"]),
            (["--overlay", "ring"], ["--overlay", "ring", "mesh", "tree"]),
        ])

    def test_a_profile_that_is_none(self):
        texts = {"absent": None, "a folder": None, "empty": "", "no JSON": "profile", "of nothing": "{}", "half of one": '{"seconds": 1, "busy_seconds": {}}',
                 "of negative times": '{"seconds": 1, "busy_seconds": {"read": -1}, "bytes": {}}',
                 "of no time": '{"seconds": 0, "busy_seconds": {}, "bytes": {}}',
                 "of another program": '{"seconds": 1, "busy_seconds": {"map #77": 0.5}, "bytes": {}}'}
        for what, text in texts.items():
            file = self.path(what)
            if what == "a folder":
                os.mkdir(file)
            elif text is not None:
                with open(file, "w") as out:
                    out.write(text)
            self.refuse([(["--use-profile", file], ["profile", r"(with --profile|Profile a longer one)\.$"])])
        for file in self.path("absent"), self.path("of another program"):
            run = self.run_to_end("--data", self.data, "--use-profile", file, "--local", 2, seconds=20)
            self.assert_failed(run, "profile", code=2, lines=2)  # of each node

    def test_a_bad_flag_is_found_before_any_node_is_started(self):
        run = self.run_to_end("--local", 3, "--batch", "many", seconds=10)
        self.assert_failed(run, "--batch", code=2)

    def test_the_error_starts_with_the_program_s_name(self):
        run = self.run_to_end("--nonsense", seconds=10)
        self.assert_failed(run, "^cifar10: ", code=2)

    def test_files_that_cannot_be_written(self):
        for flag in "--json", "--save", "--profile":
            with self.subTest(flag):
                path = self.path("missing/file")
                run = self.run_to_end("--data", self.data, "--epochs", 1, flag, path, seconds=20)
                self.assert_failed(run, re.escape(path), code=2)  # before anything is trained


class Numbers(SampleTest):
    def test_parameters_that_are_no_numbers_any_more(self):
        data = write_data(self.path("data"))
        # With the one rate the first step leads to a loss that is none, with the other to parameters that are none.
        rates = {1e30: ["not finite"], 1e300: ["parameters that are not finite", r"\bstep 1\b", r"\bbatch 1\b"]}
        for (rate, words), (flags, lines) in itertools.product(rates.items(), (([], 1), (["--local", 2], 2))):
            with self.subTest(rate=rate, flags=flags):
                run = self.run_to_end("--data", data, "--optimizer", "sgd", "--lr", rate, *flags)
                # A node that stops because of another one repeats what that one said.
                self.assert_failed(run, *words, r"\bstep \d+", r"\bbatch \d+", r"\bnode \d+", code=1, lines=lines)
                self.assertNotIn("final", run.stdout, run)


if __name__ == "__main__":
    unittest.main(verbosity=2)
