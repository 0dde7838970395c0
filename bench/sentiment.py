#!/usr/bin/env python3
"""How samples/sentiment follows 27,689 tweets of Sentiment140: accuracy, labels used and rate, beside what it must reach.

    bench/sentiment.py [--data FILE] [--runs N] [--nodes N] [--quick] [--json FILE]
    bench/sentiment.py --unseen      # the same settings on tweets, changes and a stream that they were not chosen on
    bench/sentiment.py --choose      # what other settings come to on the first 5,000 tweets, on which they were chosen
    bench/sentiment.py --scale       # two nodes beside one, in turns, each node on a core of its own: rate, accuracy and decisions

Prints medians. Without --data and $TENSAIR_DATA/tweets there is nothing to compare with, and it says so.

Recovery: after so many tweets behind a swap of labels the accuracy over the next 500 is less than two points below that on the same
tweets in a run without swaps. The stream's own level moves by up to four points in a thousand tweets, so that the level before is no measure.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile

from sample import run

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEEN = 5_000  # tweets that the settings were chosen on
# Of the best among hashed bags of words with logistic regression and MOA's or River's detectors, tuned in hindsight.
OTHERS = {"as they came": (0.789, 0.780), "labels swapped once": (0.746, 0.746), "swapped every 5,000": (0.713, 0.740)}
# Flags; where labels swap; what must be reached when training always, and automatically with at most so many labels.
STREAMS = {
    "as they came": ([], [], 0.80, 0.78, 10_000),
    "labels swapped once": (["--swap-at", "13845"], [13_845], 0.785, 0.76, 8_000),
    "swapped every 5,000": (["--swap-every", "5000"], range(5_000, 27_689, 5_000), 0.765, 0.75, 14_000),
}


def default_data():
    files = sorted(pathlib.Path(os.environ.get("TENSAIR_DATA", "/nonexistent"), "tweets").glob("*.csv"))
    return str(files[0]) if files else None


def middle(some, name):
    return statistics.median(one[name] for one in some)


def accuracy_between(figures, begin, end):
    """Of the tweets from one place to another, as near as it was measured."""
    right = [(0, 0), *map(tuple, figures["right"])]
    (first, before), (last, after) = (min(right, key=lambda one: abs(one[0] - place)) for place in (begin, end))
    return (after - before) / max(last - first, 1)


def recovered_after(figures, without, swap, points=0.02, step=250, over=500):
    """Tweets from a swap to where the accuracy over the next ones is near that of a run without swaps."""
    for after in range(0, 5_000, step):
        begin, end = swap + after, swap + after + over
        if accuracy_between(figures, begin, end) >= accuracy_between(without, begin, end) - points:
            return after
    return 5_000


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.runs = 1 if arguments.quick else arguments.runs
        self.rows = []

    def figures(self, *flags, data=None):
        common = ["--data", str(data or self.arguments.data), "--local", str(self.arguments.nodes)]
        return [run(self.arguments.sample, [*common, *map(str, flags)]) for _ in range(self.runs)]

    def keep(self, workload, **values):
        for unit, value in values.items():
            self.rows.append({"workload": workload, "system": "tensair", "value": value, "unit": unit.replace("_", " "), "of_limit": None})

    def streams(self):
        print(f"{'stream':<22}{'training':<12}{'accuracy':>9}{'must':>7}{'others':>8}{'labels':>8}{'at most':>9}{'tweets/s':>10}"
              f"{'drifts':>8}{'recovered after':>17}")
        without = {}
        for stream, (flags, swaps, least_always, least_automatic, most) in STREAMS.items():
            for how in "always", "reset", "automatic":
                some = self.figures("--adapt", how, *flags)
                without.setdefault(how, some[0])
                accuracy, labels, rate = (middle(some, name) for name in ("prequential_accuracy", "labels_used", "tweets_per_s"))
                drifts = statistics.median(len(one["drifts"]) for one in some)
                automatic = how == "automatic"
                least = least_automatic if automatic else least_always if how == "always" else ""
                others = OTHERS[stream][automatic] if how != "reset" else ""
                slowest = [statistics.median(recovered_after(one, without[how], swap) for one in some) for swap in swaps]
                print(f"{stream:<22}{how:<12}{accuracy:>9.4f}{least:>7}{others:>8}{labels:>8.0f}{most if automatic else '':>9}{rate:>10.0f}"
                      f"{drifts:>8.0f}  {' '.join(f'{one:.0f}' for one in slowest)}", flush=True)
                self.keep(f"{stream}, {how}", prequential_accuracy=accuracy, labels=labels)
                self.keep(f"{stream}, {how}", **{"tweets/s": rate})
                if slowest:
                    self.keep(f"{stream}, {how}, slowest recovery (at most 1,000)", tweets=max(slowest))
        rate = middle(self.figures("--adapt", "never"), "tweets_per_s")
        print(f"{'as they came':<22}{'never':<12}{'':>9}{'':>7}{'':>8}{0:>8}{'':>9}{rate:>10.0f}")
        self.keep("as they came, never", **{"tweets/s": rate})
        self.false_alarms()

    def false_alarms(self):
        """Signals before the one change that the stream has of itself: from 17 June on, no tweet is positive."""
        change = 22_358
        for how in "always", "automatic":
            some = self.figures("--adapt", how)
            for of in "loss", "classes":
                count = statistics.median(sum(drift["of"] == of and drift["index"] < change for drift in one["drifts"]) for one in some)
                print(f"as they came, {how}: {count:.0f} signals of OPTWIN in the {of} of the first {change:,} tweets, {count * 10_000 / change:.2f} in 10,000"
                      " (at most 1)")
                self.keep(f"as they came, {how}, false alarms in the {of}", in_10_000=count * 10_000 / change)

    def unseen(self, folder):
        text = pathlib.Path(self.arguments.data).read_bytes().splitlines(keepends=True)
        header = [line for line in text[:1] if b"text" in line.lower()]
        tail = folder / "tail.csv"
        tail.write_bytes(b"".join([*header, *text[len(header) + SEEN:]]))
        streams = {f"from tweet {SEEN:,} on": (tail, []), "…, swapped at 2,345": (tail, ["--swap-at", 2_345]), "…, swapped every 3,000": (tail, ["--swap-every", 3_000]),
                   "…, swapped every 7,000": (tail, ["--swap-every", 7_000]), "…, swapped at odd places": (tail, ["--swap-at", "1500,2900,8100,16300"])}
        print(f"{'stream':<28}{'training':<12}{'accuracy':>9}{'labels':>8}{'drifts':>8}")
        for stream, (data, flags) in streams.items():
            for how in "always", "automatic":
                some = self.figures("--adapt", how, *flags, data=data)
                accuracy, labels = middle(some, "prequential_accuracy"), middle(some, "labels_used")
                print(f"{stream:<28}{how:<12}{accuracy:>9.4f}{labels:>8.0f}{statistics.median(len(one['drifts']) for one in some):>8.0f}", flush=True)
                self.keep(f"{stream}, {how}", prequential_accuracy=accuracy, labels=labels)

    def choose(self, folder):
        text = pathlib.Path(self.arguments.data).read_bytes().splitlines(keepends=True)
        head = folder / "head.csv"
        head.write_bytes(b"".join(text[:SEEN + 1]))
        changes = {"as they came": [], "swapped half-way": ["--swap-at", 2_500], "every 1,000": ["--swap-every", 1_000]}
        print(f"{'first 5,000 tweets':<22}" + "".join(f"{name:>26}" for name in changes) + "   always, automatic (labels)")
        for flags in [], ["--rho", 0.3], ["--rho", 0.8], ["--class-rho", 1], ["--class-rho", 2], ["--batch", 16], ["--batch", 64]:
            line = f"{' '.join(map(str, flags)) or 'as it is':<22}"
            for change in changes.values():
                always, automatic = (self.figures("--adapt", how, *flags, *change, data=head) for how in ("always", "automatic"))
                line += f"{middle(always, 'prequential_accuracy'):>10.4f}{middle(automatic, 'prequential_accuracy'):>8.4f} {'(%.0f)' % middle(automatic, 'labels_used'):>7}"
            print(line, flush=True)

    def on_cores(self, nodes, *flags):
        """The figures of a run of so many nodes, each with one worker and a core of its own."""
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            hosts = []
            for _ in range(nodes):
                with socket.create_server(("127.0.0.1", 0)) as free:
                    hosts.append(f"127.0.0.1:{free.getsockname()[1]}")
            command = [self.arguments.sample, "--quiet", "--threads", "1", "--data", self.arguments.data, *map(str, flags)]
            if nodes > 1:
                command += ["--nodes", ",".join(hosts)]
            running = [subprocess.Popen(["taskset", "-c", str(rank), *command, *(["--rank", str(rank)] if nodes > 1 else []),
                                         *(["--json", file.name] if rank == 0 else [])], stdout=subprocess.DEVNULL) for rank in range(nodes)]
            if any([one.wait() for one in running]):
                sys.exit("sentiment: a node failed")
            return json.load(open(file.name, encoding="utf-8"))

    def scale(self):
        print(f"{'stream':<22}{'training':<12}{'replicas':>9}{'accuracy: 1':>12}{'2 nodes':>9}{'labels: 1':>11}{'2 nodes':>9}{'tweets/s: 1':>12}"
              f"{'2 nodes':>9}{'times':>7}  decisions of two nodes")
        for stream, (flags, *_) in STREAMS.items():
            for how, replicas in ("never", 0), ("always", 0), ("automatic", 0), ("automatic", 1):
                if how == "never" and flags:
                    continue
                both = {1: [], 2: []}
                for _ in range(self.runs):
                    for nodes, some in both.items():
                        some.append(self.on_cores(nodes, "--adapt", how, "--replicas", replicas, *flags))
                value = {nodes: [middle(some, name) for name in ("prequential_accuracy", "labels_used", "tweets_per_s")] for nodes, some in both.items()}
                far = max(apart(one["switches"], two["switches"]) for one, two in zip(both[1], both[2]))
                same = "" if how != "automatic" else "others" if far is OTHER else f"the same, at most {far} tweets apart"
                print(f"{stream:<22}{how:<12}{replicas or 'all':>9}" + "".join(f"{value[1][k]:>{w}.{d}f}{value[2][k]:>9.{d}f}" for k, w, d in ((0, 12, 4), (1, 11, 0), (2, 12, 0)))
                      + f"{value[2][2] / value[1][2]:>7.2f}  {same}", flush=True)
                self.keep(f"{stream}, {how}, {replicas or 'all'} replicas, two nodes of one", **{"times the rate": value[2][2] / value[1][2]})


OTHER = float("inf")


def apart(one, other):
    """How many tweets are between the same decisions of two runs, at most; OTHER if they are not the same."""
    if [(a["training"], a["why"]) for a in one] != [(b["training"], b["why"]) for b in other]:
        return OTHER
    return max((abs(a["index"] - b["index"]) for a, b in zip(one, other)), default=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=default_data())
    parser.add_argument("--sample", default=str(ROOT / "build" / "release" / "samples" / "sentiment"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one run of each")
    parser.add_argument("--unseen", action="store_true", help="other tweets and changes than the settings were chosen on")
    parser.add_argument("--choose", action="store_true", help="other settings, on the tweets they were chosen on")
    parser.add_argument("--scale", action="store_true", help="two nodes beside one")
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args()
    if not arguments.data:
        sys.exit("sentiment: there are no tweets. Give --data Sentiment140's file, or set TENSAIR_DATA.")
    bench = Bench(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.choose:
            bench.choose(pathlib.Path(folder))
        elif arguments.scale:
            bench.scale()
        elif arguments.unseen:
            bench.unseen(pathlib.Path(folder))
        else:
            bench.streams()
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(bench.rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
