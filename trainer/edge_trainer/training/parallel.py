"""Several processes that train one network: who this process is, and what they agree on. Alone, it does nothing.

Started by `torchrun`, which says by environment variables how many there are; gloo on processors, nccl where every
process has a GPU. Gradients are averaged by torch's DistributedDataParallel.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@contextmanager
def together() -> Iterator[None]:
    """Join the processes that torchrun started; alone where it started none, or they have joined already."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or distributed.is_initialized():
        yield
        return
    on_gpus = torch.cuda.is_available() and torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
    if on_gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.set_default_device("cuda")
    distributed.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """Number of this process, from 0; process 0 alone writes files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def gathered(own: Mapping[str, T]) -> dict[str, T]:
    """What every process found, in every process; their keys differ."""
    if not distributed.is_initialized():
        return dict(own)
    told: list[Any] = [None] * count()
    distributed.all_gather_object(told, dict(own))
    return {key: value for part in told for key, value in part.items()}


def wrapped(module: nn.Module) -> nn.Module:
    """The module with gradients averaged over the processes; itself where there is one process."""
    if not distributed.is_initialized():
        return module
    # An objective of weight 0 leaves its part of the network without a gradient.
    return DistributedDataParallel(module, find_unused_parameters=True)


def agreed(value: float) -> float:
    """Process 0's value in every process: all must stop at the same step."""
    if not distributed.is_initialized():
        return value
    told: list[Any] = [value]
    distributed.broadcast_object_list(told, src=0)
    return float(told[0])


def by_the_first(work: Callable[[], T]) -> T | None:
    """What process 0 finds or writes while the others wait; None in these."""
    found = work() if rank() == 0 else None
    wait()
    return found


def wait() -> None:
    """Until every process is here."""
    if distributed.is_initialized():
        distributed.barrier()
