#!/usr/bin/env python3
"""What compressing deltas costs and saves: samples/cifar10 on two nodes of this machine, once a way and seed, in turns.

    bench/compression.py [--data FOLDER] [--epochs N] [--seeds N] [--nodes N] [--json FILE]

Prints bytes a step, test accuracy and images/s, medians over the seeds; real CIFAR-10 where --data (or $TENSAIR_DATA) has it.
"""

import argparse
import json
import os
import statistics

from sample import run

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WAYS = {
    "float32": [],
    "fp16": ["--compress-deltas", "fp16"],
    "bf16": ["--compress-deltas", "bf16"],
    "top 1 %": ["--compress-deltas", "top_k"],
    "float32, every 4 steps": ["--every", "4"],
    "fp16, every 4 steps": ["--compress-deltas", "fp16", "--every", "4"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("TENSAIR_DATA")
    parser.add_argument("--data", default=data and os.path.join(data, "cifar10"))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    sample = os.path.join(ROOT, "build", "release", "samples", "cifar10")
    common = ["--epochs", arguments.epochs, "--local", arguments.nodes]
    if arguments.data:
        common += ["--data", arguments.data]
    figures = {way: [] for way in WAYS}
    for seed in range(1, arguments.seeds + 1):
        for way, flags in WAYS.items():
            figures[way].append(run(sample, [str(flag) for flag in [*common, "--seed", seed, *flags]]))
    rows = []
    for way, runs in figures.items():
        steps = [sum(model["steps"] for node in one["per_node"] for model in node["models"].values()) for one in runs]
        sent = [sum(node["bytes_sent_delta"] for node in one["per_node"]) / count for one, count in zip(runs, steps)]
        rows.append({
            "system": way,
            "bytes_a_step": statistics.median(sent),
            "test_accuracy": statistics.median(100 * one["test_accuracy"][-1] for one in runs),
            "images_per_s": statistics.median(float(one["images_per_s"]) for one in runs),
        })
    what = "CIFAR-10" if arguments.data else "generated images"
    print(f"{what}, {arguments.nodes} nodes, {arguments.epochs} epochs, {arguments.seeds} seeds")
    print(f"  {'':<24}{'bytes a step':>14}{'share':>8}{'accuracy':>10}{'images/s':>10}")
    for row in rows:
        share = row["bytes_a_step"] / rows[0]["bytes_a_step"]
        print(f"  {row['system']:<24}{row['bytes_a_step']:>14,.0f}{share:>8.3f}{row['test_accuracy']:>9.1f}%{row['images_per_s']:>10.0f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
