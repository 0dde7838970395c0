#!/usr/bin/env python3
"""What replicas cost in accuracy: samples/cifar10 on one, two and four nodes of this machine, as many images each, in turns.

    bench/accuracy.py [--data FOLDER] [--nodes N[:BATCH]...] [--epochs N] [--seeds N] [--json FILE]

4:64 is four nodes with batches of 64 images; without a number batches are the sample's.

Prints test accuracy after each epoch, medians over the seeds, and how far the last one is from one node's; real CIFAR-10
where --data (or $TENSAIR_DATA) has it.
"""

import argparse
import json
import os
import statistics

from sample import run

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("TENSAIR_DATA")
    parser.add_argument("--data", default=data and os.path.join(data, "cifar10"))
    parser.add_argument("--nodes", nargs="+", default=["1", "2", "4", "4:64"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("flags", nargs="*", help="after --: flags of the sample, for all runs")
    arguments = parser.parse_args()
    sample = os.path.join(ROOT, "build", "release", "samples", "cifar10")
    common = ["--epochs", arguments.epochs, *arguments.flags]
    if arguments.data:
        common += ["--data", arguments.data]
    runs = {nodes: [] for nodes in arguments.nodes}
    for seed in range(1, arguments.seeds + 1):
        for nodes in arguments.nodes:
            count, _, batch = nodes.partition(":")
            flags = [*common, *(["--batch", batch] if batch else []), "--local", count, "--seed", seed]
            runs[nodes].append(run(sample, [str(flag) for flag in flags]))
    rows = []
    for nodes, each in runs.items():
        accuracy = [statistics.median(100 * epoch for epoch in epochs) for epochs in zip(*(one["test_accuracy"] for one in each))]
        rows.append({
            "nodes": nodes,
            "test_accuracy": accuracy,
            "last_of_each_seed": [100 * one["test_accuracy"][-1] for one in each],
            "images_per_s": statistics.median(float(one["images_per_s"]) for one in each),
        })
    what = "CIFAR-10" if arguments.data else "generated images"
    print(f"{what}, {arguments.epochs} epochs, {arguments.seeds} seeds: test accuracy in %, medians")
    epochs = "".join(f"{'epoch ' + str(epoch + 1):>10}" for epoch in range(arguments.epochs))
    print(f"  {'nodes':<8}{epochs}{'to one':>10}{'images/s':>10}")
    for row in rows:
        accuracies = "".join(f"{accuracy:>10.1f}" for accuracy in row["test_accuracy"])
        behind = row["test_accuracy"][-1] - rows[0]["test_accuracy"][-1]
        print(f"  {row['nodes']:<8}{accuracies}{behind:>+10.1f}{row['images_per_s']:>10.0f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
