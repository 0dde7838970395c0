#!/usr/bin/env python3
"""How samples/electricity learns River's electricity market: accuracy and rate, beside what it must reach and others.

    bench/electricity.py [--data FILE] [--runs N] [--quick] [--json FILE]

Prints medians. Each row is predicted before it is learnt; a row's rate is of the whole run, one node with one worker.
Without --data and $TENSAIR_DATA/drift/elec.csv there is nothing to compare with, and it says so.
"""

import argparse
import csv
import json
import os
import pathlib
import statistics
import sys

from sample import run

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Found on this data by others' programs, not run here.
OTHERS = {"River, logistic regression by SGD": (0.895, 80_000), "MOA, adaptive random forest of ten": (0.891, 3_000)}
LEAST, RATE = 0.90, 100_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=str(pathlib.Path(os.environ.get("TENSAIR_DATA", "/nonexistent"), "drift", "elec.csv")))
    parser.add_argument("--sample", default=str(ROOT / "build" / "release" / "samples" / "electricity"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one run")
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.runs = 1
    if not pathlib.Path(arguments.data).is_file():
        sys.exit("electricity: there are no rows. Give --data elec.csv, or set TENSAIR_DATA.")
    with open(arguments.data, encoding="utf-8") as file:
        labels = [float(row["class"]) for row in csv.DictReader(file)]
    some = [run(arguments.sample, ["--data", arguments.data, "--threads", "1"]) for _ in range(arguments.runs)]
    accuracy = statistics.median(one["prequential_accuracy"] for one in some)
    rate = statistics.median(len(labels) / one["run_seconds"] for one in some)
    same = sum(one == other for one, other in zip(labels, labels[1:])) / len(labels)
    rows = [("tensair", accuracy, rate), ("the last label again", same, None), *((name, *figures) for name, figures in OTHERS.items())]
    print(f"{'electricity':<38}{'accuracy':>9}{'rows/s':>10}")
    for name, value, speed in rows:
        print(f"{name:<38}{value:>9.4f}{f'{speed:.0f}' if speed else '':>10}")
    print(f"{'tensair must reach':<38}{LEAST:>9.4f}{RATE:>10.0f}")
    if arguments.json:
        rows = [{"workload": "electricity", "system": name, "value": value, "unit": unit, "of_limit": None}
                for name, *figures in rows for value, unit in zip(figures, ("prequential accuracy", "rows/s")) if value is not None]
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
