"""Machines of their own for nodes of a test: network namespaces, where they are allowed."""

import os
import shutil
import subprocess

from _cifar10 import poll

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

    def cut(self, machine):
        """From now on nothing that it sends arrives, nor what is sent to it; nobody is told."""
        self._in(self.switch, f"ip link set port{machine + 1} nomaster")

    def mend(self, machine):
        self._in(self.switch, f"ip link set port{machine + 1} master switch")

    def command(self, machine):
        return ["nsenter", "--net", "-t", str(self.machines[machine])]

    def close(self):
        for holder in self.holders:
            holder.kill()
            holder.wait()
