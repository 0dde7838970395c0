"""CIFAR-10 with a parameter server over torch.distributed.rpc: N workers of one thread each, who never wait for each other.

    parameter_server.py --data FOLDER --ranks N --epochs N [--seed N] [--pids FILE]

The server steps with each gradient as it comes, and answers with its parameters. It has a process of its own, which mostly waits.
"""

import os
import threading

import torch
from torch.distributed import rpc

import common


class Server:
    """The one copy of the parameters. It also says which batch comes next: who is free takes it, as in tensair."""

    def __init__(self, arguments):
        torch.manual_seed(arguments.seed)
        self.network = common.Network().to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3, fused=True)
        self.lock = threading.Lock()
        (_, self.labels), self.test = common.images(arguments.data)
        self.telling = common.Telling()
        self.due = self.images = len(self.labels)
        self.batches = self.images // arguments.batch * arguments.epochs
        self.next = 0

    def step(self, gradients, count):
        """(parameters, number of the next batch or None)"""
        with self.lock:
            if gradients is not None:
                for parameter, gradient in zip(self.network.parameters(), gradients):
                    parameter.grad = gradient
                self.optimizer.step()
                self.telling.trained(count)
                if self.telling.images >= self.due - count:
                    self.due += self.images
                    self.telling.tested(lambda: common.accuracy(self.network, self.test))
            else:
                self.telling.begin()
            batch = self.next if self.next < self.batches else None
            self.next += 1
            return [parameter.detach().clone() for parameter in self.network.parameters()], batch


server = None


def step(gradients, count):
    return server.step(gradients, count)


def work(rank, arguments, port):
    global server
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1")
    torch.set_num_threads(1)
    options = rpc.TensorPipeRpcBackendOptions(num_worker_threads=4, rpc_timeout=600)
    if rank == 0:
        server = Server(arguments)
        rpc.init_rpc("server", rank=0, world_size=arguments.ranks + 1, rpc_backend_options=options)
        rpc.shutdown()
        print(server.telling.line("parameter server, torch.distributed.rpc"), flush=True)
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {(rank - 1) % os.cpu_count()})
    (pixels, labels), _ = common.images(arguments.data)
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=arguments.ranks + 1, rpc_backend_options=options)
    if arguments.pids:
        with open(f"{arguments.pids}.{rank - 1}", "w", encoding="utf-8") as file:
            file.write(str(os.getpid()))
    network = common.Network().to(memory_format=torch.channels_last)
    order = torch.Generator().manual_seed(arguments.seed)
    shuffles = [torch.randperm(len(labels), generator=order) for _ in range(arguments.epochs)]
    an_epoch = len(labels) // arguments.batch
    parameters, batch = rpc.rpc_sync("server", step, (None, 0))
    while batch is not None:
        begin = batch % an_epoch * arguments.batch
        mine = shuffles[batch // an_epoch][begin:begin + arguments.batch]
        with torch.no_grad():
            for own, new in zip(network.parameters(), parameters):
                own.copy_(new)
        network.zero_grad()
        torch.nn.functional.cross_entropy(network(pixels[mine]), labels[mine]).backward()
        gradients = [parameter.grad for parameter in network.parameters()]
        parameters, batch = rpc.rpc_sync("server", step, (gradients, arguments.batch))
    rpc.shutdown()


if __name__ == "__main__":
    options = common.arguments()
    torch.multiprocessing.spawn(work, (options, common.free_port()), options.ranks + 1)
