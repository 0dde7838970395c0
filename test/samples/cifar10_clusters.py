# ctest: timeout 180 serial
"""The cifar10 sample as others start it: under Open MPI, from a cluster file, and on machines (network namespaces) of its own."""

import json
import os
import shutil
import subprocess
import unittest

from _cifar10 import IMAGES, SampleTest, free_addresses, poll, write_data

TOKEN = "a secret of the tests, long enough"


def namespaces_are_allowed():
    """Whether this process may make network namespaces and links between them, with a limit on their rate."""
    if not all(map(shutil.which, ("ip", "tc", "unshare", "nsenter"))):
        return False
    script = "ip link add veth0 type veth peer name veth1 && tc qdisc add dev veth0 root tbf rate 1mbit burst 10kb latency 10ms"
    return subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True).returncode == 0


class Machines:
    """Network namespaces, each with an address of its own, 10.77.0.1 and up, behind links of so many Mbit/s and one bridge."""

    def __init__(self, case, count, mbits):
        self.holders = []
        case.addCleanup(self.close)
        self.switch = self._namespace()
        self._in(self.switch, "ip link add switch type bridge && ip link set switch up")
        self.machines = [self._namespace() for _ in range(count)]
        for i, machine in enumerate(self.machines, 1):
            self._in(self.switch, f"ip link add port{i} type veth peer name eth0 netns {machine} && "
                                  f"ip link set port{i} master switch up && "
                                  f"tc qdisc add dev port{i} root tbf rate {mbits}mbit burst 256kb latency 100ms")
            self._in(machine, f"ip addr add 10.77.0.{i}/24 dev eth0 && ip link set eth0 up && ip link set lo up && "
                              f"tc qdisc add dev eth0 root tbf rate {mbits}mbit burst 256kb latency 100ms")

    def _namespace(self):
        holder = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
        self.holders.append(holder)
        own = os.readlink("/proc/self/ns/net")
        assert poll(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own, 10)
        return holder.pid

    @staticmethod
    def _in(namespace, script):
        subprocess.run(["nsenter", "--net", "-t", str(namespace), "sh", "-c", script], check=True)

    def command(self, machine):
        return ["nsenter", "--net", "-t", str(self.machines[machine])]

    def close(self):
        for holder in self.holders:
            holder.kill()
            holder.wait()


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

    def cluster_file(self, addresses):
        file = self.path("cluster.json")
        with open(file, "w") as out:
            json.dump({"nodes": [{"address": address, "workers": 1, "labels": [f"node {i}"]} for i, address in enumerate(addresses)]}, out)
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
