"""What the PyTorch sides share: TensAIR's network for CIFAR-10, its images, and how its training is told."""

import argparse
import glob
import json
import os
import socket
import time

import numpy
import torch

RECORD = 3073  # a label, then 32 × 32 red, green and blue values


def arguments():
    """Of both sides' command lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pids", help="where each rank writes its process's number: FILE.RANK")
    return parser.parse_args()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Network(torch.nn.Module):
    """Of samples/cifar10, with its (Keras's) initialisation."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 32, 3)
        self.conv2 = torch.nn.Conv2d(32, 64, 3)
        self.conv3 = torch.nn.Conv2d(64, 64, 3)
        self.dense1 = torch.nn.Linear(1024, 64)
        self.dense2 = torch.nn.Linear(64, 10)
        for parameter in self.parameters():
            if parameter.dim() == 1:
                torch.nn.init.zeros_(parameter)
            else:
                torch.nn.init.xavier_uniform_(parameter)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.nn.functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.conv3(x)).flatten(1)
        return self.dense2(torch.relu(self.dense1(x)))


def read(files):
    """Pixels [N, 3, 32, 32] in [0, 1], channels last as PyTorch is quickest with, and labels [N]."""
    records = numpy.concatenate([numpy.fromfile(file, dtype=numpy.uint8).reshape(-1, RECORD) for file in files])
    pixels = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255
    return pixels.contiguous(memory_format=torch.channels_last), torch.from_numpy(records[:, 0].astype(numpy.int64))


def images(folder):
    """(train, test), each pixels and labels."""
    return read(sorted(glob.glob(os.path.join(folder, "data_batch_*.bin")))), read([os.path.join(folder, "test_batch.bin")])


def accuracy(network, test):
    network.eval()
    with torch.no_grad():
        right = sum((network(test[0][i:i + 500]).argmax(1) == test[1][i:i + 500]).sum().item() for i in range(0, len(test[1]), 500))
    network.train()
    return right / len(test[1])


class Telling:
    """Images and test accuracy as training goes on; the time that testing takes is not counted."""

    def __init__(self, goal=0.6):
        self.images = 0
        self.seconds = 0.0
        self.curve = []  # (images, seconds, accuracy)
        self.time_to_accuracy = None
        self.goal = goal
        self._since = time.perf_counter()

    def begin(self):
        """Training begins now, unless it has."""
        if not self.images:
            self._since = time.perf_counter()

    def trained(self, count):
        self.images += count

    def tested(self, measure):
        self.seconds += time.perf_counter() - self._since
        value = measure()
        self.curve.append((self.images, round(self.seconds, 3), round(value, 4)))
        if value >= self.goal and self.time_to_accuracy is None:
            self.time_to_accuracy = round(self.seconds, 3)
        self._since = time.perf_counter()

    def line(self, system):
        return json.dumps({
            "system": system,
            "images": self.images,
            "seconds": round(self.seconds, 3),
            "images_per_s": round(self.images / self.seconds, 1),
            "time_to_accuracy": self.time_to_accuracy,
            "curve": self.curve,
        })
