"""What the tests of the cifar10 sample share: small data, commands and their output, and the search for orphans.

Commands write to files, so that none waits for a full pipe, and carry a mark in their environment, by which every process that
they have started is found again in /proc, also after the launcher is gone.
"""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import uuid

SAMPLE = os.path.join(os.environ.get("TENSAIR_BUILD_DIR", "build/release"), "samples", "cifar10")
MARK = "TEST_OF_CIFAR10"
PARAMETERS = 122_570
IMAGES = 257  # to train on, unless a test says otherwise: a prime, so that no number of nodes and no batch divides it
ENDLESS = ["--epochs", 1_000_000, "--lr", 1e-6, "--batch", 32]  # flags of a run that somebody must end

ERROR = re.compile(r"^(\[\d+\] )?(cifar10|tensair): \S.*$")
# What a run that goes well may say on stderr.
NOISE = re.compile(r"^(\[\d+\] )?(\d+/\d+ images  .*|no --data and no TENSAIR_DATA: training on generated images .*)$")
CRASH = re.compile(r"terminate called|what\(\):|Traceback|Aborted|core dumped|Segmentation fault|Assertion|Sanitizer|runtime error")


def clean_environment(**changes):
    """This process's, without what would tell a sample where its data are or which node it is."""
    start = ("TENSAIR_", "OMPI_", "SLURM_")
    names = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(start) and k not in names}
    environment.setdefault("OMP_NUM_THREADS", "1")
    environment.update(changes)
    return environment


def image(rng, label, noise):
    """3,073 bytes: a colour for each label, under `noise` (0 to 1) of random levels."""
    planes = []
    for factor in (7, 3, 1):
        level = 40 + 175 * (label * factor % 10) / 9
        table = bytes(int(level * (1 - noise) + value * noise) for value in range(256))
        planes.append(rng.randbytes(1024).translate(table))
    return bytes([label]) + b"".join(planes)


def write_data(folder, train=(130, 127), test=100, noise=0.3, wrong_labels=0.0, seed=1):
    """A folder in CIFAR-10's binary layout, which a network learns in a few steps. Returns its path."""
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(seed)
    files = [(f"data_batch_{i}.bin", count) for i, count in enumerate(train, 1)] + [("test_batch.bin", test)]
    for name, count in files:
        records = []
        for i in range(count):
            record = image(rng, i % 10, noise)
            if rng.random() < wrong_labels:
                record = bytes([rng.randrange(10)]) + record[1:]
            records.append(record)
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"".join(records))
    return folder


def free_addresses(count):
    """`count` addresses that nobody listens on.

    Below the range from which the kernel takes the ports of outgoing connections: none of those can take one of these meanwhile.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first_ephemeral = int(file.read().split()[0])
    low, high = (10_000, first_ephemeral) if first_ephemeral > 12_000 else (1024, 65_536)
    addresses = []
    while len(addresses) < count:
        address = ("127.0.0.1", random.randrange(low, high))
        with socket.socket() as probe:
            try:
                probe.bind(address)
            except OSError:
                continue
        if address not in addresses:
            addresses.append(address)
    return addresses


def text_of(addresses):
    return ",".join(f"{host}:{port}" for host, port in addresses)


def poll(condition, seconds):
    """Whether `condition` holds within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)


def environment_of(process):
    try:
        with open(f"/proc/{process}/environ", "rb") as file:
            entries = file.read().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def resident_bytes(node):
    """Of its memory; 0 of one that has ended."""
    with open(f"/proc/{node.process.pid}/status") as file:
        found = re.search(r"VmRSS:\s+(\d+)", file.read())
    return 1024 * int(found[1]) if found else 0


class Run:
    """A command that has been started."""

    def __init__(self, case, arguments, environment, stderr=None, command=()):
        self.case = case
        self.arguments = [*command, SAMPLE, *map(str, arguments)]
        self._files = [tempfile.TemporaryFile(dir=case.folder) for _ in range(2)]
        for file in self._files:
            case.addCleanup(file.close)
        self.process = subprocess.Popen(self.arguments, env=environment, stdin=subprocess.DEVNULL, stdout=self._files[0],
                                        stderr=self._files[1] if stderr is None else stderr)

    def _read(self, file):
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")

    @property
    def stdout(self):
        return self._read(self._files[0])

    @property
    def stderr(self):
        return self._read(self._files[1])

    @property
    def errors(self):
        """The lines on stderr that tell of something wrong: all but the usual ones."""
        return [line for line in self.stderr.splitlines() if not NOISE.match(line)]

    def is_running(self):
        return self.process.poll() is None

    def wait(self, seconds):
        """Its exit code; one that has not ended in time is killed, and fails the test."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.case.fail(f"it did not end within {seconds} s{self}")

    def wait_for_line(self, pattern, seconds=60):
        """Waits until it has printed a line on stdout that has `pattern` in it."""
        poll(lambda: re.search(pattern, self.stdout) or not self.is_running(), seconds)
        if not re.search(pattern, self.stdout):
            self.case.fail(f"it did not print «{pattern}»{self}")

    def __str__(self):
        return f"\n  command: {' '.join(self.arguments)}\n  stdout: {self.stdout!r}\n  stderr: {self.stderr!r}"


class SampleTest(unittest.TestCase):
    """Each test has a folder of its own, and fails if a process that it has started is still there at its end."""

    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tensair-cifar10-")
        self.mark = uuid.uuid4().hex
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def tearDown(self):
        poll(lambda: not self.processes(), 3)
        left = self.processes()
        for process in left:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.assertEqual(left, [], "these processes were left behind")

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, *arguments, environment=None, stderr=None, command=()):
        """Starts the sample, or a command that starts it."""
        return Run(self, arguments, clean_environment(**{MARK: self.mark}, **(environment or {})), stderr, command)

    def run_to_end(self, *arguments, seconds=60, **options):
        run = self.start(*arguments, **options)
        run.wait(seconds)
        return run

    def start_nodes(self, count, *arguments, addresses=None):
        """Nodes of one cluster, each started by itself."""
        addresses = addresses or free_addresses(count)
        return [self.start(*arguments, "--nodes", text_of(addresses), "--rank", rank) for rank in range(count)]

    def processes(self, rank=None):
        """All that this test has started and that run, or those which are this node."""
        found = []
        for process in filter(str.isdigit, os.listdir("/proc")):
            environment = environment_of(process)
            if environment.get(MARK) != self.mark or int(process) == os.getpid():
                continue
            if rank is None or environment.get("TENSAIR_RANK") == str(rank):
                found.append(int(process))
        return found

    def assert_succeeded(self, run):
        self.assertEqual(run.process.returncode, 0, run)
        self.assertEqual(run.errors, [], run)

    def assert_failed(self, run, *words, code=None, lines=1):
        """It has ended with an exit code of failure and with `lines` error lines, each with all `words` (regular expressions)."""
        if code is None:
            self.assertNotEqual(run.process.returncode, 0, run)
            self.assertGreater(run.process.returncode, 0, f"a signal ended it{run}")
        else:
            self.assertEqual(run.process.returncode, code, run)
        self.assertIsNone(CRASH.search(run.stderr + run.stdout), run)
        self.assertEqual(len(run.errors), lines, f"not {lines} line(s) of error{run}")
        for line in run.errors:
            self.assertRegex(line, ERROR, run)
            for word in words:
                self.assertRegex(line, word, run)


class Training(SampleTest):
    """Each test has small data of its own, too."""

    def setUp(self):
        super().setUp()
        self.data = write_data(self.path("data"))

    def train(self, *arguments, **options):
        """Trains on the small images; returns the command and its figures."""
        file = self.path("figures.json")
        run = self.run_to_end("--data", self.data, "--batch", 32, "--json", file, *arguments, **options)
        self.assert_succeeded(run)
        with open(file) as text:
            return run, json.load(text)
