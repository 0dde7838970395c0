"""What the rivals' programs have in common: their flags, and how much memory they took."""

import argparse


def flags():
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", required=True)
    parser.add_argument("--save", required=True)
    for name in "--dim", "--epochs", "--threads", "--seed":
        parser.add_argument(name, type=int, required=True)
    return parser.parse_args()


def peak_memory():
    """In bytes; this process's own, unlike what getrusage begins with: its parent's."""
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
