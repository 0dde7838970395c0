# ctest: timeout 180 serial
"""The cifar10 sample as others start it: under Open MPI, from a cluster file, and on machines (network namespaces) of its own."""

import json
import os
import shutil
import unittest

from _cifar10 import ENDLESS, IMAGES, SampleTest, free_addresses, write_data
from _machines import TOKEN, Machines, namespaces_are_allowed


class Clusters(SampleTest):
    def setUp(self):
        super().setUp()
        self.data = write_data(self.path("data"))
        self.figures = self.path("figures.json")

    def flags(self):
        return ["--data", self.data, "--batch", 32, "--epochs", 2, "--json", self.figures]

    def assert_trained(self, nodes):
        with open(self.figures) as file:
            figures = json.load(file)
        self.assertEqual(figures["images"], 2 * IMAGES)
        self.assertEqual(len(figures["per_node"]), nodes)
        for node in figures["per_node"]:
            self.assertGreater(node["bytes_sent_delta"], 0, node)

    def cluster_file(self, addresses, workers=None):
        file = self.path("cluster.json")
        workers = workers or [1] * len(addresses)
        nodes = [{"address": address, "workers": workers[i], "labels": [f"node {i}"]} for i, address in enumerate(addresses)]
        with open(file, "w") as out:
            json.dump({"nodes": nodes}, out)
        return file

    @unittest.skipUnless(shutil.which("mpirun"), "no mpirun here")
    def test_under_mpirun(self):
        mpirun = ["mpirun", "-n", "3", "--oversubscribe", "--bind-to", "none"]
        if os.geteuid() == 0:
            mpirun.append("--allow-run-as-root")
        port = free_addresses(1)[0][1]
        run = self.start(*self.flags(), environment={"TENSAIR_PORT": str(port)}, command=mpirun)
        run.wait(90)
        self.assertEqual(run.process.returncode, 0, run)
        self.assert_trained(3)

    def test_as_torchrun_starts_it(self):
        port = free_addresses(1)[0][1]
        nodes = [self.start(*self.flags(), environment={"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3",
                                                        "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
                 for rank in range(3)]
        for node in nodes:
            node.wait(90)
            self.assert_succeeded(node)
        self.assert_trained(3)

    def test_a_node_has_as_many_workers_as_the_cluster_file_says(self):
        def threads(*workers):
            """Of each node of a run that goes on."""
            addresses = free_addresses(len(workers))
            file = self.cluster_file([f"127.0.0.1:{port}" for _, port in addresses], workers)
            nodes = [self.start("--data", self.data, *ENDLESS, "--cluster", file, "--rank", rank) for rank in range(len(workers))]
            nodes[0].wait_for_line("epoch 1 ")
            counts = [len(os.listdir(f"/proc/{node.process.pid}/task")) for node in nodes]
            for node in nodes:
                node.process.terminate()
            for node in nodes:
                node.wait(30)
                self.assert_succeeded(node)
            return counts

        few, many = threads(1, 1), threads(2, 8)
        self.assertEqual([many[0] - few[0], many[1] - few[1]], [1, 7])

    def test_from_a_cluster_file(self):
        file = self.cluster_file([f"127.0.0.1:{port}" for _, port in free_addresses(2)])
        nodes = [self.start(*self.flags(), "--cluster", file, "--rank", rank) for rank in range(2)]
        for node in nodes:
            node.wait(60)
            self.assert_succeeded(node)
        self.assert_trained(2)

    def test_a_cluster_file_on_one_machine(self):
        file = self.cluster_file(["machine-a:7700", "machine-b:7700"])
        run = self.run_to_end(*self.flags(), "--cluster", file, "--local", 2)
        self.assert_succeeded(run)
        self.assert_trained(2)

    @unittest.skipUnless(namespaces_are_allowed(), "this machine allows no network namespaces")
    def test_on_machines_of_their_own(self):
        machines = Machines(self, 3, mbits=100)
        file = self.cluster_file([f"10.77.0.{i}:7700" for i in (1, 2, 3)])
        nodes = [self.start(*self.flags(), "--cluster", file, "--rank", rank, environment={"TENSAIR_TOKEN": TOKEN}, command=machines.command(rank))
                 for rank in range(3)]
        for node in nodes:
            node.wait(90)
            self.assert_succeeded(node)
        self.assert_trained(3)

    @unittest.skipUnless(namespaces_are_allowed(), "this machine allows no network namespaces")
    def test_no_token_on_a_network(self):
        file = self.cluster_file(["10.77.0.1:7700", "10.77.0.2:7700"])
        run = self.run_to_end(*self.flags(), "--cluster", file, "--rank", 0)
        self.assert_failed(run, "token", code=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
