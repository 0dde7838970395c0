"""CIFAR-10 on two nodes of one thread each: tensair, PyTorch's DDP over Gloo, and a parameter server; in turns, medians.

    bench/peers/run.sh cifar10 [--data FOLDER] [--epochs N] [--repetitions N] [--slow F] [--only SYSTEM] [--json FILE]

--slow F makes the second node F times slower: it is stopped for all but 1/F of each 40 ms, as a machine that others use would be.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SAMPLE = os.path.join(ROOT, "build", "release", "samples", "cifar10")
PERIOD = 0.04


class Brake:
    """Slows a process down by a factor, until it ends."""

    def __init__(self, find, factor):
        self._find, self._factor = find, factor
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        process = None
        while not self._over.is_set() and process is None:
            time.sleep(0.01)
            process = self._find()
        with contextlib.suppress(ProcessLookupError):
            while not self._over.is_set():
                os.kill(process, signal.SIGSTOP)
                time.sleep(PERIOD * (1 - 1 / self._factor))
                os.kill(process, signal.SIGCONT)
                time.sleep(PERIOD / self._factor)


def pid_in(path):
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        return int(file.read())
    return None


def second_node_of(launcher):
    """The process that is node 1 of a tensair launcher."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError, ValueError):
        for pid in map(int, subprocess.run(["pgrep", "-P", str(launcher)], capture_output=True, text=True, check=True).stdout.split()):
            with open(f"/proc/{pid}/environ", "rb") as file:
                if b"TENSAIR_RANK=1" in file.read().split(b"\0"):
                    return pid
    return None


def braked(command, find, slow, environment):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    with Brake(lambda: find(process.pid), slow) if slow > 1 else contextlib.nullcontext():
        out, errors = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{command[1]} ended with {process.returncode}: {errors.strip()[-2000:]}")
    return out


def run_peer(script, arguments, seed, environment):
    with tempfile.TemporaryDirectory() as folder:
        pids = os.path.join(folder, "pid")
        command = [sys.executable, os.path.join(HERE, script), "--data", arguments.data, "--epochs", arguments.epochs, "--seed", seed, "--pids", pids]
        out = braked([str(part) for part in command], lambda _: pid_in(f"{pids}.1"), arguments.slow, environment)
        return json.loads(out.strip().splitlines()[-1])


def run_tensair(arguments, seed, environment):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [SAMPLE, "--quiet", "--local", 2, "--data", arguments.data, "--epochs", arguments.epochs, "--seed", seed, "--json", file.name]
        braked([str(part) for part in command], second_node_of, arguments.slow, environment)
        figures = json.load(open(file.name, encoding="utf-8"))
    an_epoch = figures["images"] // arguments.epochs
    return {
        "system": "tensair",
        "images_per_s": float(figures["images_per_s"]),
        "time_to_accuracy": figures["time_to_accuracy"],
        "curve": [(an_epoch * (i + 1), None, accuracy) for i, accuracy in enumerate(figures["test_accuracy"])],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("TENSAIR_DATA")
    parser.add_argument("--data", default=data and os.path.join(data, "cifar10"))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--slow", type=float, default=1)
    parser.add_argument("--only", choices=["tensair", "ddp", "parameter_server"])
    parser.add_argument("--json")
    arguments = parser.parse_args()
    if not arguments.data or not os.path.isdir(arguments.data):
        sys.exit("cifar10: no images: give --data a folder with CIFAR-10's binary files, or set TENSAIR_DATA")
    if not os.path.exists(SAMPLE):
        sys.exit("cifar10: build samples/cifar10 first: scripts/demo.sh does")
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    sides = {
        "tensair": lambda seed: run_tensair(arguments, seed, environment),
        "ddp": lambda seed: run_peer("ddp.py", arguments, seed, environment),
        "parameter_server": lambda seed: run_peer("parameter_server.py", arguments, seed, environment),
    }
    results = {name: [] for name in sides if arguments.only in (None, name)}
    for seed in range(1, arguments.repetitions + 1):
        for name, runs in results.items():
            runs.append(sides[name](seed))
    slow = f", one {arguments.slow:g} × slower" if arguments.slow > 1 else ""
    print(f"CIFAR-10, two nodes of one thread{slow}, {arguments.epochs} epochs, medians of {arguments.repetitions}")
    print(f"  {'':<42}{'images/s':>10}{'of tensair':>12}{'s to 60 %':>11}{'accuracy':>10}")
    own = statistics.median(run["images_per_s"] for run in results["tensair"]) if "tensair" in results else None
    rows = []
    for runs in results.values():
        times = [run["time_to_accuracy"] for run in runs]
        row = {
            "system": runs[0]["system"],
            "images_per_s": statistics.median(run["images_per_s"] for run in runs),
            "time_to_accuracy": statistics.median(times) if None not in times else None,
            "accuracy": statistics.median(run["curve"][-1][2] for run in runs),
            "curves": [run["curve"] for run in runs],
        }
        rows.append(row)
        share = f"{row['images_per_s'] / own:.2f}" if own else "-"
        reached = f"{row['time_to_accuracy']:.1f}" if row["time_to_accuracy"] else "never"
        print(f"  {row['system']:<42}{row['images_per_s']:>10.0f}{share:>12}{reached:>11}{100 * row['accuracy']:>9.1f}%")
    for row in rows:
        print(f"  accuracy by epoch, {row['system']}: {' '.join(f'{100 * point[2]:.0f}' for point in row['curves'][0])}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
