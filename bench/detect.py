#!/usr/bin/env python3
"""How many lines a second samples/detect takes on one core, for each of its detectors.

    bench/detect.py [--lines N] [--runs N] [--quick] [--json FILE]

Lines are errors, 0 or 1, at a rate of 0.2, read from a pipe; the time is that of the whole run. Medians. `cat` beside it is the least that
reading them takes. Asked for are 10 M; KSWIN's values cost a microsecond each.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def seconds(command, file):
    begin = time.perf_counter()
    with open(file, "rb") as lines, subprocess.Popen(["cat"], stdin=lines, stdout=subprocess.PIPE) as source:
        subprocess.run(command, stdin=source.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", default=str(ROOT / "build" / "release" / "samples" / "detect"))
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one run of fewer lines")
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.runs, arguments.lines = 1, 5_000_000
    names = json.loads(subprocess.run([arguments.sample, "--list", "--json"], check=True, capture_output=True).stdout)
    draw = random.Random(1)
    some = "".join("1\n" if draw.random() < 0.2 else "0\n" for _ in range(100_000)).encode()
    taken = {}
    with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as few:
        for _ in range(arguments.lines // 100_000):
            file.write(some)
        file.flush()
        few.write(some * 2)
        few.flush()
        for _ in range(arguments.runs):
            for name in ["cat", *names]:
                slow = name == "kswin"
                lines = 200_000 if slow else arguments.lines
                command = ["cat"] if name == "cat" else [arguments.sample, name]
                taken.setdefault(name, []).append(lines / seconds(command, (few if slow else file).name) / 1e6)
    print(f"{'detect':<16}{'M lines/s':>10}")
    rows = []
    for name, all_of_it in taken.items():
        value = statistics.median(all_of_it)
        print(f"{name:<16}{value:>10.1f}")
        rows.append({"workload": f"detect {name}", "system": "limit" if name == "cat" else "tensair", "value": value, "unit": "M lines/s", "of_limit": None})
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
