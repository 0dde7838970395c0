"""Runs a sample for a benchmark."""

import json
import os
import subprocess
import sys
import tempfile


def run(sample, flags):
    """The figures of a run that shows nothing; ends the benchmark if the sample fails."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        done = subprocess.run([sample, "--quiet", "--json", file.name, *flags], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{os.path.basename(sys.argv[0])}: {sample} ended with {done.returncode}: {done.stderr.strip()}")
        return json.load(open(file.name, encoding="utf-8"))
