"""electricity: it learns, on one node and on two; on real data where TENSAIR_DATA has it."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

PROGRAM = pathlib.Path(os.environ.get("TENSAIR_BUILD_DIR", "build/release"), "samples", "electricity")
REAL = os.environ.get("TENSAIR_DATA")


def accuracy(*flags, folder=None):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TENSAIR_")}
    if folder:
        environment["TENSAIR_DATA"] = folder
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([PROGRAM, "--json", file.name, *map(str, flags)], check=True, capture_output=True, timeout=100, env=environment)
        return json.loads(pathlib.Path(file.name).read_text())["prequential_accuracy"]


class Electricity(unittest.TestCase):
    def test_a_market_that_is_made_up(self):
        for nodes in 1, 2:
            self.assertGreater(accuracy("--local", nodes), 0.9)

    @unittest.skipUnless(REAL and pathlib.Path(REAL, "drift", "elec.csv").is_file(), "TENSAIR_DATA has no drift/elec.csv")
    def test_the_real_one(self):
        self.assertGreaterEqual(accuracy(folder=REAL), 0.9)

    def test_a_file_that_is_not_there(self):
        run = subprocess.run([PROGRAM, "--data", "/no/such.csv"], capture_output=True, text=True, timeout=100)
        self.assertEqual(run.returncode, 1, run)
        self.assertRegex(run.stderr, r"^electricity: [^\n]*such\.csv[^\n]*\n$")


if __name__ == "__main__":
    unittest.main()
