# ctest: timeout 180 serial
"""Nodes of the cifar10 sample that should not, or do not, come together, and strangers who talk to their ports."""

import json
import os
import re
import select
import socket
import struct
import time
import unittest

from _cifar10 import ENDLESS, SampleTest, free_addresses, poll, resident_bytes, text_of, write_data

MAGIC = b"tensair\n"
VERSION = 2


def preface(version=VERSION):
    """What a caller says first; the same in every version of the protocol."""
    return MAGIC + struct.pack("<II", version, 0)


def opening(rank, version=VERSION):
    """Of a node without a token."""
    return preface(version) + struct.pack("<iI", rank, 0) + bytes(32)


def hello(rank, nodes, plan, plan_bytes=None):
    return struct.pack("<iiIIQQQ", rank, nodes, len(plan) if plan_bytes is None else plan_bytes, 0, 1, 0, 0) + plan


def greeting(rank, nodes, plan, plan_bytes=None):
    return opening(max(rank, 0)) + hello(rank, nodes, plan, plan_bytes)


def crc32c(data):
    """Castagnoli's polynomial, reversed."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(piece, flags, lane, channel, message, payload=b""):
    """A header with the right checksums, whatever else it says, and what follows it."""
    def header(check):
        return struct.pack("<IBBHIIQ", piece, flags, lane, check, channel, crc32c(payload), message)
    return header(crc32c(header(0)) & 0xFFFF) + payload


def connect(address, seconds=10):
    """A connection to a node that is, or soon will be, listening."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = socket.create_connection(address, timeout=5)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if connection.getsockname() != connection.getpeername():  # a connection to itself
            return connection
        connection.close()


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError(f"the connection was closed after {data!r}")
        data += part
    return data


def read_opening(connection):
    """The version of a node of this or another version, and its rank."""
    assert read_exactly(connection, 8) == MAGIC
    version, _ = struct.unpack("<II", read_exactly(connection, 8))
    rank, _ = struct.unpack("<iI", read_exactly(connection, 8))
    read_exactly(connection, 32)
    return version, rank


def read_hello(connection):
    """(rank, nodes, plan) of a node of this version."""
    rank, nodes, plan_bytes, _, _, _, _ = struct.unpack("<iiIIQQQ", read_exactly(connection, 40))
    return rank, nodes, read_exactly(connection, plan_bytes)


def read_verdict(connection):
    """(accepted, text)"""
    accepted, reason, remedy, _ = struct.unpack("<HHHH", read_exactly(connection, 8))
    return accepted, f"{read_exactly(connection, reason).decode()}. {read_exactly(connection, remedy).decode()}"


def is_closed(connection, seconds):
    """Whether the peer closes the connection in time; what it says before is skipped."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([connection], [], [], left)[0]:
            return False
        try:
            if not connection.recv(4096):
                return True
        except OSError:
            return True
    return False


class Rendezvous(SampleTest):
    """Nodes that should not, or do not, come together."""

    def setUp(self):
        super().setUp()
        self.data = write_data(self.path("data"))
        self.addresses = free_addresses(2)

    def start_node(self, rank, *flags, addresses=None):
        return self.start("--data", self.data, "--batch", 32, "--epochs", 2, "--nodes", text_of(addresses or self.addresses), "--rank", rank,
                          *flags)

    def end(self, *nodes, seconds=30):
        for node in nodes:
            node.wait(seconds)

    def test_a_port_in_use(self):
        for rank in 0, 1:
            with self.subTest(rank=rank), socket.socket() as holder:
                holder.bind(self.addresses[rank])
                holder.listen()
                node = self.start_node(rank)
                self.end(node, seconds=10)
                self.assert_failed(node, re.escape(text_of([self.addresses[rank]])), "in use", f"node {rank}", code=1)

    def test_an_address_of_another_machine(self):
        token = self.path("token")
        with open(token, "w") as file:
            file.write("a secret of the tests, long enough")
        node = self.start_node(0, "--token-file", token, addresses=[("192.0.2.1", 7700), self.addresses[1]])
        self.end(node, seconds=10)
        self.assert_failed(node, "192.0.2.1:7700", code=1)

    def test_a_host_that_has_no_address(self):
        node = self.start_node(1, addresses=[("no..such", 7700), self.addresses[1]])
        self.end(node, seconds=10)
        self.assert_failed(node, r"no\.\.such", code=1)

    def test_a_peer_that_never_comes(self):
        for rank in 0, 1:
            with self.subTest(rank=rank):
                missing = 1 - rank
                began = time.monotonic()
                node = self.start_node(rank, "--connect-deadline", 0.5)
                self.end(node, seconds=10)
                self.assertLess(time.monotonic() - began, 3)
                self.assert_failed(node, rf"\bnode {missing}\b", re.escape(text_of([self.addresses[missing]])), r"0\.5 s", code=1)

    def test_all_that_are_missing_are_named(self):
        addresses = free_addresses(4)
        nodes = [self.start_node(rank, "--connect-deadline", 2, addresses=addresses) for rank in (0, 2)]
        self.end(*nodes)
        for node in nodes:
            self.assert_failed(node, *(re.escape(text_of([addresses[rank]])) for rank in (1, 3)), code=1)

    def test_a_peer_of_another_pipeline(self):
        here, there = self.start_node(0), self.start_node(1, "--replicas", 4)
        self.end(here, there)
        for node in here, there:
            self.assert_failed(node, "pipelines differ", "model «cnn», 4 replicas", r"model «cnn»(?!, 4)", code=1)

    def test_peers_whose_flags_do_not_fit_together(self):
        # Nodes that exchange different things, or shuffle differently, spoil the training and nobody would notice.
        for flags, words in (["--exchange", "gradients"], ["updates", "gradients"]), (["--seed", 2], ["seed"]), (["--epochs", 3], ["epochs"]):
            with self.subTest(flags=flags):
                here, there = self.start_node(0), self.start_node(1, *flags)
                self.end(here, there)
                for node in here, there:
                    self.assert_failed(node, *words, code=1)

    def test_a_peer_that_knows_of_another_number_of_nodes(self):
        here, there = self.start_node(0), self.start_node(1, addresses=self.addresses + free_addresses(1))
        self.end(here, there)
        for node in here, there:
            self.assert_failed(node, "numbers? of nodes", r"\b2\b", r"\b3\b", code=1)

    def test_a_peer_of_another_protocol_version(self):
        node = self.start_node(0)
        with connect(self.addresses[0]) as connection:
            connection.sendall(preface(version=4711))
            self.assertEqual(read_opening(connection)[0], VERSION)
        self.end(node)
        self.assert_failed(node, r"version", rf"\b{VERSION}\b", r"\b4711\b", code=1)

    def test_a_peer_that_is_no_node(self):
        with socket.socket() as other:
            other.bind(self.addresses[0])
            other.listen()
            node = self.start_node(1, "--connect-deadline", 1)
            deadline = time.monotonic() + 1.5
            while (left := deadline - time.monotonic()) > 0 and select.select([other], [], [], left)[0]:
                connection = other.accept()[0]
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.end(node)
        self.assert_failed(node, r"\bnode 0\b", re.escape(text_of(self.addresses[:1])), "not a tensair node", code=1)


def sockets_of(node):
    folder = f"/proc/{node.process.pid}/fd"
    count = 0
    for entry in os.listdir(folder):
        try:
            count += os.readlink(os.path.join(folder, entry)).startswith("socket:")
        except FileNotFoundError:
            pass  # closed meanwhile
    return count


class Strangers(SampleTest):
    """What is sent to the listening port by somebody who is no node costs its connection, and nothing else."""

    def setUp(self):
        super().setUp()
        self.data = write_data(self.path("data"))
        self.open = []

    def tearDown(self):
        for connection in self.open:
            connection.close()
        super().tearDown()

    def call(self, address, data):
        connection = connect(address)
        self.open.append(connection)
        try:
            connection.sendall(data)
        except OSError:
            pass  # it has been hung up on already
        return connection

    def assert_all_hung_up(self, address):
        said = {
            "garbage": os.urandom(4096),
            "a frame of an oversized length": frame(0xFFFFFFFF, 3, 0, 0, 0xFFFFFFFFFFFFFFFF),
            "a hello with an oversized plan": greeting(1, 2, b"", plan_bytes=0xFFFFFFFF),
            "a hello of an impossible rank": greeting(-5, 2, b""),
            "a hello of an impossible number of nodes": greeting(1, -2, b""),
            "a web browser": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        }
        calls = {what: self.call(address, data) for what, data in said.items()}
        for what, connection in calls.items():
            self.assertTrue(is_closed(connection, 3), f"still open: {what}")
        self.call(address, b"").close()

    def test_while_the_nodes_come_together(self):
        addresses = free_addresses(2)
        common = ["--data", self.data, "--batch", 32, "--epochs", 2, "--nodes", text_of(addresses)]
        first = self.start(*common, "--rank", 0)
        half_frame = self.call(addresses[0], greeting(1, 2, b"operator 0", plan_bytes=1000)[:70])
        silent = self.call(addresses[0], b"")
        self.assert_all_hung_up(addresses[0])
        crowd = [self.call(addresses[0], MAGIC) for _ in range(100)]
        # Half a hello is not waited for without end.
        for connection in half_frame, silent:
            self.assertTrue(is_closed(connection, 15))
        self.assertTrue(first.is_running(), first)
        second = self.start(*common, "--rank", 1)
        for node in first, second:
            node.wait(60)
            self.assert_succeeded(node)
        self.assertEqual(len(crowd), 100)

    def test_a_crowd_costs_few_sockets_and_little_memory_for_a_few_seconds(self):
        addresses = free_addresses(2)
        common = ["--data", self.data, "--batch", 32, "--epochs", 2, "--nodes", text_of(addresses)]
        first = self.start(*common, "--rank", 0, "--connect-deadline", 120)

        def call_in_vain():
            """Once it has been read, those in front of it have been let in."""
            self.assertTrue(is_closed(self.call(addresses[0], b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 10), "not read")

        half = greeting(1, 2, b"x" * 60_000)[:-1]  # each may cost as much
        call_in_vain()
        sockets, resident = sockets_of(first), resident_bytes(first)
        for says, most in (b"", 4_000_000), (half, 4_000_000 + 64 * len(half)):
            with self.subTest(bytes=len(says)):
                began = time.monotonic()
                crowd = [self.call(addresses[0], says) for _ in range(300)]
                call_in_vain()
                self.assertLessEqual(sockets_of(first) - sockets, 70)
                self.assertLessEqual(resident_bytes(first) - resident, most)
                for connection in crowd:
                    self.assertTrue(is_closed(connection, 20), "still open")
                self.assertGreaterEqual(time.monotonic() - began, 4.9)
                self.assertLess(time.monotonic() - began, 15)
                self.assertTrue(poll(lambda: sockets_of(first) <= sockets, 5))
        second = self.start(*common, "--rank", 1)
        for node in first, second:
            node.wait(60)
            self.assert_succeeded(node)

    def test_while_the_run_is_on(self):
        addresses = free_addresses(2)
        common = ["--data", self.data, "--batch", 32, "--epochs", 60, "--nodes", text_of(addresses)]
        nodes = [self.start(*common, "--rank", rank, "--json", self.path("figures.json")) for rank in range(2)]
        nodes[0].wait_for_line("epoch 1 ")
        for address in addresses:
            self.call(address, greeting(1, 2, b"operator 0", plan_bytes=1000)[:70])
            self.call(address, b"")
            self.call(address, greeting(1, 2, b""))  # would be refused with the rendezvous still on
            self.call(address, preface(version=4711))
            self.assert_all_hung_up(address)
        self.assertTrue(all(node.is_running() for node in nodes), "the run was too short for this test")
        for node in nodes:
            node.wait(60)
            self.assert_succeeded(node)
        with open(self.path("figures.json")) as file:
            turned_away = json.load(file)["turned_away"]
        told = {why.split(":")[0].split(".")[0]: count for why, count in turned_away.items()}  # of both nodes
        self.assertEqual(told["the protocol versions differ"], 2, turned_away)
        self.assertEqual(told["the pipelines differ"], 1, turned_away)
        self.assertEqual(told["both have rank 1"], 1, turned_away)
        self.assertGreaterEqual(told["it is gone before it has said who it is"], 2, turned_away)

    def test_half_a_hello_while_the_run_is_on_is_not_waited_for_without_end(self):
        addresses = free_addresses(2)
        nodes = self.start_nodes(2, "--data", self.data, *ENDLESS, addresses=addresses)
        nodes[0].wait_for_line("epoch 1 ")
        whole = greeting(1, 2, b"operator 0", plan_bytes=1000)
        calls = [self.call(address, part) for address in addresses for part in (whole[:70], whole[:20], b"")]
        for connection in calls:
            self.assertTrue(is_closed(connection, 15), "still open")
        for node in nodes:
            self.assertTrue(node.is_running(), node)  # else its end has closed them
            node.process.terminate()
        for node in nodes:
            node.wait(30)

    def start_first(self, addresses, *flags):
        """Node 0 of an endless run."""
        return self.start("--data", self.data, *ENDLESS, "--nodes", text_of(addresses), "--rank", 0, *flags)

    def plan_of(self, nodes):
        """What nodes of an endless run must agree on: a refused node is told what it should have said."""
        addresses = free_addresses(nodes)
        node = self.start_first(addresses)
        with connect(addresses[0]) as connection:
            connection.sendall(greeting(1, nodes, b""))
            read_opening(connection)
            plan = read_hello(connection)[2]
        node.wait(10)
        self.assert_failed(node, "pipelines differ", code=1)
        return plan

    def join_as_node_1(self, addresses, plan, then=b""):
        """A false node that node 0 lets in; what it says `then` comes with its consent."""
        connection = connect(addresses[0])
        self.open.append(connection)
        connection.sendall(greeting(1, len(addresses), plan))
        read_opening(connection)
        read_hello(connection)
        self.assertEqual(read_verdict(connection)[0], 1)
        connection.sendall(struct.pack("<HHHH", 1, 0, 0, 0) + then)
        return connection

    def test_a_false_node_that_speaks_nonsense_once_it_was_let_in(self):
        nonsense = {
            "a piece of an oversized length": frame(0xFFFFFFFF, 3, 0, 0, 0xFFFFFFFF),
            "a message of an oversized length": frame(8, 1, 0, 0, 1 << 62, bytes(8)),
            "a message nobody receives": frame(8, 3, 0, 4711, 8, bytes(8)),
            "a header with a wrong checksum": struct.pack("<IBBHIIQ", 8, 3, 0, 0, 0, 0, 8) + bytes(8),
            "a piece with a wrong checksum": frame(8, 3, 0, 0, 8, b"checksum")[:24] + b"checkout",
        }
        plan = self.plan_of(2)
        for what, data in nonsense.items():
            with self.subTest(what):
                addresses = free_addresses(2)
                node = self.start_first(addresses)
                with self.join_as_node_1(addresses, plan, data):
                    node.wait(10)
                self.assert_failed(node, r"\bnode 1\b", re.escape(text_of(addresses[1:])), code=1)

    def test_a_node_that_sends_half_a_frame_once_it_was_let_in(self):
        plan = self.plan_of(2)
        whole = frame(8, 3, 0, 0, 8, bytes(8))
        for part in whole[:10], whole[:-1]:
            for end in "falls silent", "hangs up":
                with self.subTest(end=end, bytes=len(part)):
                    addresses = free_addresses(2)
                    node = self.start_first(addresses, "--silence", 1, "--heartbeat", 0.1, "--outage", 0.5)
                    connection = self.join_as_node_1(addresses, plan, part)
                    if end == "hangs up":
                        connection.close()
                    node.wait(10)
                    self.assert_failed(node, r"\bnode 1\b", re.escape(text_of(addresses[1:])), code=1)

    def test_a_node_that_dies_while_the_others_still_come_together(self):
        plan = self.plan_of(3)
        addresses = free_addresses(3)
        node = self.start_first(addresses)
        self.join_as_node_1(addresses, plan).close()
        # Far sooner than the deadline at which the third node would be missed.
        node.wait(10)
        self.assert_failed(node, r"\bnode 1\b", code=1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
