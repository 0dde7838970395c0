"""What the tests of the sentiment sample share."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(os.environ.get("TENSAIR_BUILD_DIR", "build/release"), "samples", "sentiment")


class SentimentTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tensair-sentiment-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def run_sample(self, *flags, data_folder=None, seconds=100, terminal=False):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TENSAIR_")}
        if data_folder:
            environment["TENSAIR_DATA"] = data_folder
        if terminal:
            environment["TENSAIR_TERMINAL"] = "1"
        return subprocess.run([PROGRAM, *map(str, flags)], capture_output=True, timeout=seconds, env=environment, text=True)

    def figures(self, *flags, **given):
        """Those of a run that goes well."""
        run = self.run_sample(*flags, "--quiet", "--json", self.path("figures.json"), **given)
        self.assertEqual(run.returncode, 0, run)
        with open(self.path("figures.json")) as file:
            return json.load(file)

    def refuse(self, *flags, words=(), code=1):
        """A run that ends with one line of error that has all words (regular expressions)."""
        run = self.run_sample(*flags)
        self.assertEqual(run.returncode, code, run)
        lines = [line for line in run.stderr.splitlines() if not line.startswith("no --data")]
        self.assertEqual(len(lines), 1, run)
        for word in ("^sentiment: ", *words):
            self.assertRegex(lines[0], word)
