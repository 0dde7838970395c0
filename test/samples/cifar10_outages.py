# ctest: timeout 180 serial
"""Nodes of the cifar10 sample that hear nothing of each other for a while, or for too long."""

import json
import re
import signal
import unittest

from _cifar10 import ENDLESS, IMAGES, SampleTest, poll, resident_bytes, text_of, write_data
from _machines import TOKEN, Machines, namespaces_are_allowed

# Seconds: far less than the defaults, far more than a machine stands still for.
HEARTBEAT, SILENCE, OUTAGE = 0.2, 1.5, 5
PATIENCE = ["--heartbeat", HEARTBEAT, "--silence", SILENCE, "--outage", OUTAGE]
TOO_LONG = 30  # for the end that an outage brings
ADDRESSES = [("10.77.0.1", 7700), ("10.77.0.2", 7700)]
ESTABLISHED = "01"


def connections(node):
    """The ports of node 1's ends of connections with node 0's listening port, as node 1 knows them."""
    with open(f"/proc/{node.process.pid}/net/tcp") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    port = f":{ADDRESSES[0][1]:04X}"
    return {row[1] for row in rows if row[2].endswith(port) and row[3] == ESTABLISHED}


@unittest.skipUnless(namespaces_are_allowed(), "this machine allows no network namespaces")
class Cuts(SampleTest):
    """Nodes on machines of their own, one of which is cut off."""

    def setUp(self):
        super().setUp()
        self.data = write_data(self.path("data"))
        self.figures = self.path("figures.json")
        self.machines = Machines(self, 2, mbits=100)

    def start_both(self, *flags):
        """Nodes that train, and the connection they have."""
        nodes = [self.start("--data", self.data, "--nodes", text_of(ADDRESSES), "--rank", rank, *PATIENCE, *flags,
                            environment={"TENSAIR_TOKEN": TOKEN}, command=self.machines.command(rank)) for rank in range(2)]
        nodes[0].wait_for_line("epoch 1 ")
        self.assertTrue(poll(lambda: len(connections(nodes[1])) == 1, TOO_LONG), nodes[1])
        return nodes, connections(nodes[1])

    def test_a_cut_that_ends_in_time_costs_nothing(self):
        epochs = 40
        nodes, first = self.start_both("--batch", 32, "--epochs", epochs, "--json", self.figures)
        self.machines.cut(1)
        # Longer than a node may be silent: the connection has been given up.
        self.assertTrue(poll(lambda: not connections(nodes[1]) & first, TOO_LONG), nodes[1])
        for node in nodes:
            self.assertTrue(node.is_running(), node)
        self.machines.mend(1)
        for node in nodes:
            node.wait(90)
            self.assert_succeeded(node)
        with open(self.figures) as file:
            figures = json.load(file)
        self.assertEqual(figures["images"], epochs * IMAGES)
        self.assertGreater(figures["test_accuracy"][-1], 0.6)

    def test_a_cut_that_lasts_too_long_ends_both(self):
        nodes, _ = self.start_both(*ENDLESS)
        self.machines.cut(1)
        for rank, node in enumerate(nodes):
            node.wait(TOO_LONG)
            self.assert_failed(node, rf"\bnode {1 - rank}\b", re.escape(text_of(ADDRESSES[1 - rank:2 - rank])), rf"within {OUTAGE} s", code=1)


class Standstill(SampleTest):
    def test_a_node_that_stops_reading_is_given_up(self):
        data = write_data(self.path("data"))
        for victim in 0, 1:
            with self.subTest(victim=victim):
                nodes = self.start_nodes(2, "--data", data, *ENDLESS, *PATIENCE)
                nodes[0].wait_for_line("epoch 2 ")
                other = nodes[1 - victim]
                resident = [resident_bytes(other)]
                nodes[victim].process.send_signal(signal.SIGSTOP)

                def has_ended():
                    resident.append(resident_bytes(other))
                    return not other.is_running()

                ended = poll(has_ended, TOO_LONG)
                nodes[victim].process.kill()
                nodes[victim].wait(5)
                self.assertTrue(ended, other)
                self.assert_failed(other, rf"\bnode {victim}\b", rf"within {OUTAGE} s", code=1)
                self.assertLess(max(resident) - resident[0], 32_000_000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
