# ctest: timeout 300 serial
"""Whatever is wrong, the cifar10 sample says it in one line that helps, exits with a failure's code, and leaves no process behind."""

import os
import re
import select
import signal
import socket
import struct
import time
import unittest

from _cifar10 import SampleTest, free_addresses, poll, text_of, write_data

RECORD = 3073
ENDLESS = ["--epochs", 1_000_000, "--lr", 1e-6, "--batch", 32]
MAGIC = b"tensair\n"
VERSION = 1


def address_text(address):
    return f"{address[0]}:{address[1]}"


def preface(version=VERSION):
    """What a caller says first; the same in every version of the protocol."""
    return MAGIC + struct.pack("<II", version, 0)


def hello(rank, nodes, plan, plan_bytes=None):
    return preface() + struct.pack("<iiII", rank, nodes, len(plan) if plan_bytes is None else plan_bytes, 0) + plan


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


def read_hello(connection):
    """(version, rank, nodes, plan) of a node of this version."""
    assert read_exactly(connection, 8) == MAGIC
    version, _ = struct.unpack("<II", read_exactly(connection, 8))
    rank, nodes, plan_bytes, _ = struct.unpack("<iiII", read_exactly(connection, 16))
    return version, rank, nodes, read_exactly(connection, plan_bytes)


def read_verdict(connection):
    """(accepted, text)"""
    accepted, reason, remedy, _ = struct.unpack("<HHHH", read_exactly(connection, 8))
    return accepted, read_exactly(connection, reason + remedy).decode()


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


class Data(SampleTest):
    """Files that are not what they should be."""

    def refuse(self, folder, *words):
        for flags, lines in ([], 1), (["--local", 2], 2):
            with self.subTest(flags=flags):
                run = self.run_to_end("--data", folder, *flags, seconds=20)
                # The last sentence says what to do.
                self.assert_failed(run, *words, r"(Give|Unpack|Check|Name|Download) .*\.$", code=1, lines=lines)
                self.assertEqual(run.stdout, "", run)

    def data_with(self, file, change):
        """A good folder but for one file, which `change` makes of the good one's bytes."""
        folder = write_data(self.path("data"), train=(20, 20), test=10)
        path = os.path.join(folder, file)
        with open(path, "rb") as good:
            content = good.read()
        with open(path, "wb") as bad:
            bad.write(change(content))
        return folder, re.escape(path)

    def test_a_truncated_file(self):
        for file in "data_batch_2.bin", "test_batch.bin":
            folder, path = self.data_with(file, lambda content: content[:-1])
            self.refuse(folder, path, "truncated")

    def test_a_file_of_another_size(self):
        # CIFAR-100's records have one byte more.
        folder, path = self.data_with("data_batch_1.bin", lambda content: content + bytes(20))
        self.refuse(folder, path, str(RECORD))

    def test_an_empty_file(self):
        folder, path = self.data_with("data_batch_1.bin", lambda content: b"")
        self.refuse(folder, path, "empty")

    def test_a_label_over_9(self):
        folder, path = self.data_with("data_batch_2.bin", lambda content: content[: 4 * RECORD] + b"\x0a" + content[4 * RECORD + 1 :])
        self.refuse(folder, path, "label", r"\b10\b", r"record 5\b")

    def test_an_empty_directory(self):
        os.mkdir(self.path("empty"))
        self.refuse(self.path("empty"), re.escape(self.path("empty")), "data_batch")

    def test_a_directory_that_does_not_exist(self):
        self.refuse(self.path("missing"), re.escape(self.path("missing")), "does not exist")

    def test_a_file_in_place_of_the_directory(self):
        write_data(self.path("data"), train=(10,), test=10)
        path = self.path("data/data_batch_1.bin")
        self.refuse(path, re.escape(path), "not a directory")

    def test_no_test_images(self):
        folder = write_data(self.path("data"), train=(10,), test=10)
        os.remove(os.path.join(folder, "test_batch.bin"))
        self.refuse(folder, re.escape(folder), "test_batch.bin")

    def test_a_directory_in_place_of_a_file(self):
        folder = write_data(self.path("data"), train=(10,), test=10)
        os.mkdir(os.path.join(folder, "data_batch_2.bin"))
        self.refuse(folder, r"data_batch_2\.bin")


class CommandLine(SampleTest):
    """Flags that do not exist, and values that cannot be."""

    def setUp(self):
        super().setUp()
        self.data = write_data(self.path("data"), train=(20,), test=10)

    def refuse(self, cases):
        for flags, words in cases:
            with self.subTest(" ".join(map(str, flags))):
                run = self.run_to_end("--data", self.data, *flags, seconds=10)
                self.assert_failed(run, *words, code=2)
                self.assertEqual(run.stdout, "", run)

    def test_unknown_flags(self):
        self.refuse([
            (["--epoch", 3], ["--epoch", "Did you mean --epochs"]),
            (["--nonsense"], ["--nonsense"]),
            (["--no-such=3"], ["--no-such"]),
            (["stray"], ["stray"]),
            (["-x"], ["-x"]),
        ])

    def test_values_of_its_own_flags(self):
        self.refuse([
            (["--epochs", "three"], ["--epochs", "three"]),
            (["--epochs", -1], ["epochs", "-1"]),
            (["--epochs", 99_999_999_999], ["--epochs", "99999999999"]),
            (["--epochs"], ["--epochs"]),
            (["--epochs="], ["--epochs"]),
            (["--batch", 0], ["batch", r"\b0\b"]),
            (["--batch", -8], ["batch", "-8"]),
            (["--batch", 1.5], ["--batch", "1.5"]),
            (["--replicas", -1], ["replicas", "-1"]),
            (["--replicas", 99_999], ["replicas", "99999"]),
            (["--optimizer", "lion"], ["--optimizer", "lion", "adam", "sgd"]),
            (["--exchange", "votes"], ["--exchange", "votes", "updates", "gradients"]),
            (["--lr", "fast"], ["--lr", "fast"]),
            (["--lr", "nan"], ["--lr", "nan"]),
            (["--lr", -0.1], ["lr", "-0.1"]),
        ])

    def test_values_of_every_program_s_flags(self):
        a, b = map(address_text, free_addresses(2))
        self.refuse([
            (["--local", 0], ["--local", "0"]),
            (["--local", "two"], ["--local", "two"]),
            (["--local", 2, "--rank", 0], ["--local", "--rank"]),
            (["--local", 2, "--nodes", a], ["--local", "--nodes"]),
            (["--rank", 0], ["--rank"]),
            (["--nodes", f"{a},{b}"], ["--nodes", "rank"]),
            (["--nodes", f"{a},{b}", "--rank", 2], ["--rank", "2"]),
            (["--nodes", f"{a},{a}", "--rank", 0], [re.escape(a)]),
            (["--nodes", f"localhost,{a}", "--rank", 0], ["localhost", "port"]),
            (["--nodes", f"localhost:70000,{a}", "--rank", 0], ["70000"]),
            (["--seed", -1], ["--seed", "-1"]),
            (["--threads", -1], ["--threads", "-1"]),
            (["--connect-deadline", 0], ["--connect-deadline", "0"]),
            (["--explain=pdf"], ["--explain", "pdf"]),
        ])

    def test_a_bad_flag_is_found_before_any_node_is_started(self):
        run = self.run_to_end("--local", 3, "--batch", "many", seconds=10)
        self.assert_failed(run, "^cifar10: .*--batch", code=2)

    def test_files_that_cannot_be_written(self):
        for flag in "--json", "--save":
            with self.subTest(flag):
                path = self.path("missing/file")
                run = self.run_to_end("--data", self.data, "--epochs", 1, flag, path, seconds=20)
                self.assert_failed(run, re.escape(path), code=1)


class Numbers(SampleTest):
    def test_parameters_that_are_no_numbers_any_more(self):
        data = write_data(self.path("data"))
        for flags, lines in ([], 1), (["--local", 2], 2):
            with self.subTest(flags=flags):
                run = self.run_to_end("--data", data, "--optimizer", "sgd", "--lr", 1e30, *flags)
                # A node that stops because of another one repeats what that one said.
                self.assert_failed(run, r"\bstep \d+", r"\bbatch \d+", r"\bnode \d+", "not finite|NaN", code=1, lines=lines)
                self.assertNotIn("final", run.stdout, run)


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
                self.assert_failed(node, re.escape(address_text(self.addresses[rank])), "in use", f"node {rank}", code=1)

    def test_an_address_of_another_machine(self):
        node = self.start_node(0, addresses=[("192.0.2.1", 7700), self.addresses[1]])
        self.end(node, seconds=10)
        self.assert_failed(node, "192.0.2.1:7700", code=1)

    def test_a_host_that_has_no_address(self):
        node = self.start_node(1, addresses=[("no-such-host.invalid", 7700), self.addresses[1]])
        self.end(node, seconds=25)
        self.assert_failed(node, "no-such-host.invalid", code=1)

    def test_a_peer_that_never_comes(self):
        for rank in 0, 1:
            with self.subTest(rank=rank):
                missing = 1 - rank
                began = time.monotonic()
                node = self.start_node(rank, "--connect-deadline", 0.5)
                self.end(node, seconds=10)
                self.assertLess(time.monotonic() - began, 3)
                self.assert_failed(node, rf"\bnode {missing}\b", re.escape(address_text(self.addresses[missing])), r"0\.5 s", code=1)

    def test_all_that_are_missing_are_named(self):
        addresses = free_addresses(4)
        nodes = [self.start_node(rank, "--connect-deadline", 2, addresses=addresses) for rank in (0, 2)]
        self.end(*nodes)
        for node in nodes:
            self.assert_failed(node, *(re.escape(address_text(addresses[rank])) for rank in (1, 3)), code=1)

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
            read_hello(connection)
            accepted, text = read_verdict(connection)
            self.assertEqual(accepted, 0)
            self.assertRegex(text, r"version.*\b1\b.*\b4711\b")
        self.end(node)
        self.assert_failed(node, r"version", r"\b1\b", r"\b4711\b", code=1)

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
        self.assert_failed(node, r"\bnode 0\b", re.escape(address_text(self.addresses[0])), "not a tensair node", code=1)

    def test_a_node_that_fails_before_it_comes_does_not_keep_the_others_waiting_in_local_mode(self):
        os.mkdir(self.path("empty"))
        began = time.monotonic()
        run = self.run_to_end("--data", self.path("empty"), "--local", 3, seconds=20)
        self.assertLess(time.monotonic() - began, 10)
        self.assert_failed(run, "data_batch", code=1, lines=3)


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
            "a frame of an oversized length": struct.pack("<IBBHIIQ", 0xFFFFFFFF, 3, 0, 0, 0, 0, 0xFFFFFFFFFFFFFFFF),
            "a hello with an oversized plan": hello(1, 2, b"", plan_bytes=0xFFFFFFFF),
            "a hello of an impossible rank": hello(-5, 2, b""),
            "a hello of an impossible number of nodes": hello(1, -2, b""),
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
        half_frame = self.call(addresses[0], hello(1, 2, b"operator 0", plan_bytes=1000)[:40])
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

    def test_while_the_run_is_on(self):
        addresses = free_addresses(2)
        common = ["--data", self.data, "--batch", 32, "--epochs", 60, "--nodes", text_of(addresses)]
        nodes = [self.start(*common, "--rank", rank, "--json", self.path("figures.json")) for rank in range(2)]
        nodes[0].wait_for_line("epoch 1 ")
        for address in addresses:
            self.call(address, hello(1, 2, b"operator 0", plan_bytes=1000)[:40])
            self.call(address, b"")
            self.call(address, hello(1, 2, b""))  # would be refused with the rendezvous still on
            self.call(address, preface(version=4711))
            self.assert_all_hung_up(address)
        self.assertTrue(all(node.is_running() for node in nodes), "the run was too short for this test")
        for node in nodes:
            node.wait(60)
            self.assert_succeeded(node)

    def test_a_false_node_that_speaks_nonsense_once_it_was_let_in(self):
        nonsense = {
            "a piece of an oversized length": struct.pack("<IBBHIIQ", 0xFFFFFFFF, 3, 0, 0, 0, 0, 0xFFFFFFFF),
            "a message of an oversized length": struct.pack("<IBBHIIQ", 8, 1, 0, 0, 0, 0, 1 << 62) + bytes(8),
            "a message nobody receives": struct.pack("<IBBHIIQ", 8, 3, 0, 0, 4711, 0, 8) + bytes(8),
            "half a frame": struct.pack("<IBBHIIQ", 8, 3, 0, 0, 0, 0, 8) + bytes(4),
        }
        plan = None
        for what, data in nonsense.items():
            with self.subTest(what):
                addresses = free_addresses(2)
                node = self.start("--data", self.data, *ENDLESS, "--nodes", text_of(addresses), "--rank", 0)
                if plan is None:  # a refused node is told what it should have said
                    with connect(addresses[0]) as connection:
                        connection.sendall(hello(1, 2, b""))
                        plan = read_hello(connection)[3]
                    node.wait(10)
                    self.assert_failed(node, "pipelines differ", code=1)
                    node = self.start("--data", self.data, *ENDLESS, "--nodes", text_of(addresses), "--rank", 0)
                with connect(addresses[0]) as connection:
                    connection.sendall(hello(1, 2, plan))
                    read_hello(connection)
                    self.assertEqual(read_verdict(connection)[0], 1)
                    connection.sendall(struct.pack("<HHHH", 1, 0, 0, 0) + data)
                node.wait(10)
                self.assert_failed(node, r"\bnode 1\b", re.escape(address_text(addresses[1])), code=1)


class Losses(SampleTest):
    """Nodes that go away in the middle of a run."""

    def setUp(self):
        super().setUp()
        self.data = write_data(self.path("data"))

    def start_local(self, count):
        """The launcher of a run without end, and its nodes' processes, which are training."""
        run = self.start("--data", self.data, *ENDLESS, "--local", count)
        run.wait_for_line(r"^\[0\] epoch 1 ")
        nodes = [self.processes(rank) for rank in range(count)]
        self.assertEqual([len(processes) for processes in nodes], [1] * count)
        return run, [process for processes in nodes for process in processes]

    def test_a_node_that_is_killed(self):
        for count, victim in (2, 0), (2, 1), (3, 2), (3, 0):
            with self.subTest(nodes=count, victim=victim):
                nodes = self.start_nodes(count, "--data", self.data, *ENDLESS)
                nodes[0].wait_for_line("epoch 1 ")
                nodes[victim].process.kill()
                began = time.monotonic()
                nodes[victim].wait(5)
                others = [node for rank, node in enumerate(nodes) if rank != victim]
                for node in others:
                    node.wait(10)
                self.assertLess(time.monotonic() - began, 5)
                for node in others:
                    self.assert_failed(node, rf"\bnode {victim}\b", code=1)

    def test_a_local_node_that_is_killed(self):
        for victim in 0, 1:
            with self.subTest(victim=victim):
                launcher, nodes = self.start_local(3)
                os.kill(nodes[victim], signal.SIGKILL)
                began = time.monotonic()
                launcher.wait(10)
                self.assertLess(time.monotonic() - began, 5)
                # The launcher's line for the one that could not say it, and one of each of the others.
                self.assert_failed(launcher, rf"\bnode {victim}\b", lines=3)
                self.assertTrue(poll(lambda: not self.processes(), 3), "orphans")

    def test_a_launcher_that_is_killed(self):
        launcher, nodes = self.start_local(3)
        self.assertEqual(len(self.processes()), 4)
        launcher.process.kill()
        launcher.wait(5)
        self.assertTrue(poll(lambda: not self.processes(), 5), f"orphans of {nodes}: {self.processes()}")

    def test_signals_to_the_launcher_end_all(self):
        for number in signal.SIGINT, signal.SIGTERM:
            with self.subTest(number.name):
                launcher, _ = self.start_local(3)
                launcher.process.send_signal(number)
                code = launcher.wait(5)
                self.assertNotEqual(code, 0, launcher)
                self.assertTrue(poll(lambda: not self.processes(), 3), "orphans")
                self.assertNotRegex(launcher.stdout + launcher.stderr, "terminate called|Traceback|Aborted", launcher)
                # Whoever stops it knows why it stops: nothing needs to be said, and no node need complain of another's end.
                self.assertLessEqual(len(launcher.errors), 1, launcher)

    def test_a_signal_to_a_lone_node_ends_it(self):
        run = self.start("--data", self.data, *ENDLESS)
        run.wait_for_line("epoch 1 ")
        run.process.send_signal(signal.SIGTERM)
        self.assertNotEqual(run.wait(5), 0)
        self.assertEqual(run.errors, [], run)

    def test_a_node_that_dies_while_the_others_still_come_together(self):
        addresses = free_addresses(3)
        nodes = [self.start("--data", self.data, *ENDLESS, "--nodes", text_of(addresses), "--rank", rank) for rank in (0, 1)]
        # Both are linked when node 0's port has an established connection of node 1.
        poll(lambda: self.is_linked(addresses[0]), 10)
        nodes[1].process.kill()
        began = time.monotonic()
        nodes[1].wait(5)
        nodes[0].wait(10)
        self.assertLess(time.monotonic() - began, 5)
        self.assert_failed(nodes[0], r"\bnode 1\b", code=1)

    @staticmethod
    def is_linked(address):
        local = f"0100007F:{address[1]:04X}"
        with open("/proc/net/tcp") as file:
            return any(line.split()[1] == local and line.split()[3] == "01" for line in file.readlines()[1:])


if __name__ == "__main__":
    unittest.main(verbosity=2)
