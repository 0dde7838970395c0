#!/usr/bin/env python3
"""How samples/sentiment follows 27,689 tweets of Sentiment140: accuracy, labels used and rate, beside what it must reach.

    bench/sentiment.py [--data FILE] [--runs N] [--nodes N] [--quick] [--json FILE]

Prints medians. Without --data and $TENSAIR_DATA/tweets there is nothing to compare with, and it says so.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys

from sample import run

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Of the best among hashed bags of words with logistic regression and MOA's or River's detectors, tuned in hindsight.
OTHERS = {"as they came": (0.789, 0.780), "labels swapped once": (0.746, 0.746), "swapped every 5,000": (0.713, 0.740)}
# Flags; what must be reached when training always, and automatically with at most so many labels.
STREAMS = {
    "as they came": ([], 0.80, 0.78, 10_000),
    "labels swapped once": (["--swap-at", "13845"], 0.785, 0.76, 8_000),
    "swapped every 5,000": (["--swap-every", "5000"], 0.765, 0.75, 14_000),
}


def default_data():
    files = sorted(pathlib.Path(os.environ.get("TENSAIR_DATA", "/nonexistent"), "tweets").glob("*.csv"))
    return str(files[0]) if files else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=default_data())
    parser.add_argument("--sample", default=str(ROOT / "build" / "release" / "samples" / "sentiment"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one run of each")
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args()
    if not arguments.data:
        sys.exit("sentiment: there are no tweets. Give --data Sentiment140's file, or set TENSAIR_DATA.")
    runs = 1 if arguments.quick else arguments.runs
    rows = []
    print(f"{'stream':<22}{'training':<12}{'accuracy':>9}{'must':>7}{'others':>8}{'labels':>8}{'at most':>9}{'tweets/s':>10}{'drifts':>8}")
    for stream, (flags, least_always, least_automatic, most) in STREAMS.items():
        for how in "always", "reset", "automatic":
            some = [run(arguments.sample, ["--data", arguments.data, "--local", str(arguments.nodes), "--adapt", how, *flags])
                    for _ in range(runs)]
            middle = lambda name: statistics.median(one[name] for one in some)
            accuracy, labels, rate = middle("prequential_accuracy"), middle("labels_used"), middle("tweets_per_s")
            drifts = statistics.median(len(one["drifts"]) for one in some)
            automatic = how == "automatic"
            least = least_automatic if automatic else least_always if how == "always" else ""
            others = OTHERS[stream][automatic] if how != "reset" else ""
            print(f"{stream:<22}{how:<12}{accuracy:>9.4f}{least:>7}{others:>8}{labels:>8.0f}{most if automatic else '':>9}{rate:>10.0f}"
                  f"{drifts:>8.0f}", flush=True)
            for value, unit in (accuracy, "prequential accuracy"), (labels, "labels"), (rate, "tweets/s"):
                rows.append({"workload": f"{stream}, {how}", "system": "tensair", "value": value, "unit": unit, "of_limit": None})
    rate = statistics.median(
        run(arguments.sample, ["--data", arguments.data, "--local", str(arguments.nodes), "--adapt", "never"])["tweets_per_s"]
        for _ in range(runs))
    print(f"{'as they came':<22}{'never':<12}{'':>9}{'':>7}{'':>8}{0:>8}{'':>9}{rate:>10.0f}")
    rows.append({"workload": "as they came, never", "system": "tensair", "value": rate, "unit": "tweets/s", "of_limit": None})
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
