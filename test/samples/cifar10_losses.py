# ctest: timeout 180 serial
"""Nodes of the cifar10 sample that go away in the middle of a run: the others stop soon and say why, and none is left behind."""

import json
import os
import re
import signal
import socket
import time
import unittest

from _cifar10 import ENDLESS, SampleTest, free_addresses, poll, text_of, write_data


def listens(address):
    with socket.socket() as caller:
        return caller.connect_ex(address) == 0


class Losses(SampleTest):
    """Nodes that go away in the middle of a run."""

    def setUp(self):
        super().setUp()
        self.data = write_data(self.path("data"))

    def start_local(self, count, *arguments):
        """The launcher of a run without end, and its nodes' processes, which are training."""
        run = self.start("--data", self.data, *ENDLESS, "--local", count, *arguments)
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
                # Node 0 was training. Another may not have met the victim yet, and hear of the end of somebody who has.
                for node in others:
                    self.assert_failed(node, r"\bnode \d\b", code=1)
                told = [re.search(rf"\bnode {victim}\b", node.stderr) for node in others]
                self.assertTrue(all(told) if count == 2 else any(told), others[0])

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

    def assert_drained(self, run, figures):
        self.assertEqual(run.wait(30), 0, run)
        self.assertEqual(run.errors, [], run)
        with open(figures) as file:
            self.assertGreater(json.load(file)["images"], 0, run)

    def test_a_signal_to_the_launcher_drains_all(self):
        for number in signal.SIGINT, signal.SIGTERM:
            with self.subTest(number.name):
                figures = self.path(f"{number.name}.json")
                launcher, _ = self.start_local(3, "--json", figures)
                launcher.process.send_signal(number)
                self.assert_drained(launcher, figures)

    def test_a_signal_to_one_node_drains_all(self):
        figures = self.path("figures.json")
        nodes = self.start_nodes(2, "--data", self.data, *ENDLESS, "--json", figures)
        nodes[0].wait_for_line("epoch 1 ")
        nodes[1].process.send_signal(signal.SIGTERM)
        self.assert_drained(nodes[0], figures)
        self.assertEqual(nodes[1].wait(10), 0, nodes[1])
        self.assertEqual(nodes[1].errors, [], nodes[1])

    def test_a_signal_while_the_nodes_come_together_ends_a_node(self):
        # There is nothing to drain yet.
        for number in signal.SIGINT, signal.SIGTERM:
            for rank in 0, 1:
                with self.subTest(number.name, rank=rank):
                    addresses = free_addresses(2)
                    with socket.socket() as other:
                        other.bind(addresses[1 - rank])
                        other.listen()
                        node = self.start("--data", self.data, "--nodes", text_of(addresses), "--rank", rank)
                        if rank == 1:  # it calls
                            other.accept()[0].close()
                        else:
                            self.assertTrue(poll(lambda: listens(addresses[0]), 30))
                        node.process.send_signal(number)
                        node.wait(10)
                    self.assert_failed(node, "while the nodes were coming together", "interrupted", code=1)

    def test_a_signal_to_a_lone_node_drains_it(self):
        figures = self.path("figures.json")
        run = self.start("--data", self.data, *ENDLESS, "--json", figures)
        run.wait_for_line("epoch 1 ")
        run.process.send_signal(signal.SIGTERM)
        self.assert_drained(run, figures)


if __name__ == "__main__":
    unittest.main(verbosity=2)
