"""CIFAR-10 with PyTorch's DistributedDataParallel over Gloo: so many ranks of one thread each; rank 0 prints one JSON line.

    ddp.py --data FOLDER --ranks N --epochs N [--seed N] [--pids FILE]
"""

import os

import torch

import common

torch.set_num_threads(1)


def train(rank, arguments, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), OMP_NUM_THREADS="1")
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {rank % os.cpu_count()})
    torch.distributed.init_process_group("gloo", rank=rank, world_size=arguments.ranks)
    if arguments.pids:
        with open(f"{arguments.pids}.{rank}", "w", encoding="utf-8") as file:
            file.write(str(os.getpid()))
    torch.manual_seed(arguments.seed)
    network = torch.nn.parallel.DistributedDataParallel(common.Network().to(memory_format=torch.channels_last))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    (pixels, labels), test = common.images(arguments.data)
    order = torch.Generator().manual_seed(arguments.seed)
    torch.distributed.barrier()
    telling = common.Telling()
    each = arguments.batch * arguments.ranks
    for _ in range(arguments.epochs):
        shuffled = torch.randperm(len(labels), generator=order)
        for begin in range(0, len(labels) - each + 1, each):
            mine = shuffled[begin + rank * arguments.batch:begin + (rank + 1) * arguments.batch]
            loss = torch.nn.functional.cross_entropy(network(pixels[mine]), labels[mine])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            telling.trained(each)
        telling.tested(lambda: common.accuracy(network.module, test) if rank == 0 else 0)
        torch.distributed.barrier()
    if rank == 0:
        print(telling.line("PyTorch DDP, Gloo"), flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    options = common.arguments()
    torch.multiprocessing.spawn(train, (options, common.free_port()), options.ranks)
