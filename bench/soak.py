#!/usr/bin/env python3
"""Whether anything grows in samples/word2vec on a stream that does not end: its memory, sampled for an hour.

    bench/soak.py [--minutes M] [--nodes N] [--vocab ROWS] [--json FILE]

Lines come over TCP as fast as they are read. Half of their words are always the same 20,000, by Zipf's law; the others are drawn from 20,000
that are replaced by new ones every minute or so, one after the other, so that words enter the vocabulary and leave it all the time, and the
sketch that counts the rest is full. Prints the median resident memory of each tenth of the time. Nothing grows if the last tenth is not above the
third by more than 4 MB a node: by then all tables, queues and the allocator's pools have had what they need.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = pathlib.Path(os.environ.get("TENSAIR_BUILD_DIR", ROOT / "build" / "release"), "samples", "word2vec")
STAYING, PASSING, LINE = 20_000, 20_000, 20
NEW_EACH_BLOCK = 40
ALLOWED_MB = 4


def blocks():
    draw = random.Random(1)
    staying = [f"word{i}" for i in range(STAYING)]
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(STAYING)))
    passing = [f"new{i}" for i in range(PASSING)]
    come = PASSING
    while True:
        words = draw.choices(staying, cum_weights=weights, k=10_000) + draw.choices(passing, k=10_000)
        draw.shuffle(words)
        yield "".join(" ".join(words[i : i + LINE]) + "\n" for i in range(0, len(words), LINE)).encode()
        for _ in range(NEW_EACH_BLOCK):
            passing[come % PASSING] = f"new{come}"
            come += 1


def serve(server, until, sent):
    connection, _ = server.accept()
    with connection:
        for block in blocks():
            if time.monotonic() >= until:
                return
            connection.sendall(block)
            sent[0] += 20_000


def resident_mb(pid):
    """Of a process and those that it has started: the one with the most."""
    found = []
    for one in [pid, *children(pid)]:
        try:
            text = pathlib.Path(f"/proc/{one}/status").read_text()
            found.append(int(text.split("VmRSS:")[1].split()[0]) / 1024)
        except (OSError, IndexError):
            pass  # it has just ended
    return max(found, default=None)


def children(pid):
    try:
        return [int(one) for one in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--vocab", type=int, default=20_000)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()

    server = socket.create_server(("127.0.0.1", 0))
    until = time.monotonic() + 60 * arguments.minutes
    sent = [0]
    sender = threading.Thread(target=serve, args=(server, until, sent), daemon=True)
    sender.start()
    with tempfile.TemporaryDirectory() as folder:
        figures = pathlib.Path(folder, "figures.json")
        command = [PROGRAM, "--quiet", "--tcp", f"127.0.0.1:{server.getsockname()[1]}", "--dim", "50", "--vocab", str(arguments.vocab),
                   "--horizon", "2000000", "--evaluate", "none", "--local", str(arguments.nodes), "--json", figures]
        program = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        samples = []
        while program.poll() is None and time.monotonic() < until:
            time.sleep(min(2, 0.6 * arguments.minutes))
            if (now := resident_mb(program.pid)) is not None:
                samples.append(now)
        if program.wait(timeout=300) != 0 or len(samples) < 10:
            sys.exit(f"soak: the program ended with {program.returncode} after {len(samples)} samples")
        learnt = json.loads(figures.read_text())["words"]
    tenths = [statistics.median(samples[len(samples) * i // 10 : len(samples) * (i + 1) // 10]) for i in range(10)]
    grown = tenths[-1] - tenths[2]
    print(f"word2vec for {arguments.minutes:g} minutes, {arguments.nodes} node(s), {arguments.vocab} rows: {sent[0]:,} words sent, {learnt:,} learnt from")
    print("resident memory, MB, by tenths of the time: " + " ".join(f"{one:.1f}" for one in tenths))
    print(f"from the third to the last: {grown:+.1f} MB ({ALLOWED_MB} allowed): {'nothing grows' if grown <= ALLOWED_MB else 'it grows'}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"minutes": arguments.minutes, "nodes": arguments.nodes, "words": learnt, "mb": tenths}))
    return 0 if grown <= ALLOWED_MB else 1


if __name__ == "__main__":
    sys.exit(main())
