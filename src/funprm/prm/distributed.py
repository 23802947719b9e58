"""The processes that train one model together, as `torchrun` or `accelerate launch` start them.

Every process (rank) knows the same programs and holds the same model; each computes its share of
a batch, and sums over all ranks are the same numbers everywhere, so all take the same steps.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from funprm.errors import ConfigError, TrainingError

T = TypeVar("T")

TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for the others: longer than one of them loads, saves, or computes features;
the launcher ends all ranks much sooner where one of them fails."""


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process among those that train together; alone by default: nothing is exchanged."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This rank's part of a list that all ranks have, in its order; may be empty.

        Item i goes to rank i modulo size: batches are sorted by length, so shares cost the same.
        """
        return items if self.size == 1 else items[self.rank :: self.size]

    def join(self, share: Sequence[T]) -> list[T]:
        """The whole list, of which every rank gives what became of its `share`."""
        if self.size == 1:
            return list(share)
        parts: list[list[T]] = [[] for _ in range(self.size)]
        with _others():
            dist.all_gather_object(parts, list(share))
        whole: list[T] = [item for part in parts for item in part]
        for rank, part in enumerate(parts):
            whole[rank :: self.size] = part
        return whole

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors of one type and device by their sums over all ranks, in one exchange."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _others():
            dist.all_reduce(flat)
        for tensor, part in zip(
            tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True
        ):
            tensor.copy_(part.view_as(tensor))

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all ranks, in their order.

        Args:
            rows: [R, columns]; R may differ between ranks, and be 0.
        """
        if self.size == 1:
            return rows
        counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(self.size)]
        with _others():
            dist.all_gather(counts, torch.full_like(counts[0], len(rows)))
            padded = rows.new_zeros(int(torch.cat(counts).max()), rows.shape[1])
            padded[: len(rows)] = rows
            parts = [torch.empty_like(padded) for _ in counts]
            dist.all_gather(parts, padded)
        return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])

    def barrier(self) -> None:
        """Returns when all ranks have come here."""
        if self.size > 1:
            with _others():
                dist.barrier()


def current() -> ProcessGroup:
    """The group that this process has joined; alone if none."""
    if dist.is_available() and dist.is_initialized():
        return ProcessGroup(dist.get_rank(), dist.get_world_size())
    return ProcessGroup()


@contextmanager
def joined(*, gpu: bool) -> Iterator[None]:
    """Joins the group of processes that a launcher started, and leaves it at the end.

    Gradients on a GPU are summed by NCCL, all else by Gloo. `cuda` and `auto` mean the GPU of this
    rank's number on its machine.

    Args:
        gpu: whether GPUs are used, where there are some.

    Raises:
        ConfigError: no launcher's variables, nobody at the address, or too few GPUs.
    """
    gpu = gpu and torch.cuda.is_available()
    if gpu:
        local, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= count:
            raise ConfigError(
                f"process {local} of this machine has no GPU, there are {count}: expected at most "
                "one process per GPU; launch fewer, or set train.device = 'cpu'"
            )
        torch.cuda.set_device(local)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=TIMEOUT)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"WORLD_SIZE is {os.environ.get('WORLD_SIZE')}, but the processes do not find each "
            f"other ({str(error).splitlines()[0]}): launch by torchrun or accelerate, or unset it"
        ) from error
    yield
    # Not after an error: leaving would wait for the others, who wait for this one.
    dist.destroy_process_group()


@contextmanager
def _others() -> Iterator[None]:
    """Says in one line that another rank is gone."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        raise TrainingError(
            f"another process of this training ended or hangs ({reason}): its own message "
            "says why; the same command goes on from the last checkpoint"
        ) from error
