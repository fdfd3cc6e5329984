"""Processes that train one model together: who they are, and what they tell each other.

A rank is one process with its own device. `join()` makes the ranks that a launcher (torchrun, Slurm) started one group;
a process that nobody launched is `ALONE`, for which everything here costs nothing, so the loop is written once.

Gradients are summed here, in flat buckets, and not by `DistributedDataParallel`: its hooks hang on the forward of the
module it wraps, and the native tree forward reads the weights without ever calling a module's forward. It would also
average over ranks where a step's loss is normalised by the tokens of all of them.

What decides (losses, weights, whether to stop) is gathered in double precision and summed in the order of the ranks by
every one of them, so that all hold the same bits and none turns another way.

A rank that stops says why before it leaves, and leaving closes its connections: the others end at once, with that
reason. `TIMEOUT` is only for a rank that lives and does not answer; it must outlast the longest thing that one rank
does alone (an evaluation, writing a checkpoint).
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import Any, NoReturn, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dizuo.errors import DizuoError, TrainingError

__all__ = ["ALONE", "RankLost", "Ranks", "is_launched", "join", "read_rank"]

T = TypeVar("T")

TIMEOUT = 30 * 60.0
"""Seconds after which a rank that lives but does not answer is given up."""
ANSWER = 2.0
"""Seconds in which ranks that live are expected to say so after a connection was lost."""
FAREWELL = 0.1
"""Seconds that threads of an ended group are given to let go of what they hold."""
BUCKET_BYTES = 25 << 20
"""Gradients summed by one message; 25 MiB is where PyTorch's own bucketing levels off (Li et al. 2020, figure 7)."""
FAILED = "dizuo/failed"
LOST = ("connection closed", "connection reset", "broken pipe", "timed out", "gloo", "nccl", "socket", "recvvalue")
"""What the errors of a lost connection say, in lower case."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """A group of ranks as one of them sees it."""

    rank: int = 0
    world: int = 1
    local_world: int = 1
    """Ranks on this machine: they share its threads."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is rank 0, the one that writes files and tells the watcher."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """Return every rank's value, in the order of the ranks; values are pickled."""
        if self.world == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def from_first(self, work: Callable[[], T]) -> T:
        """Return what rank 0 gets from a piece of work that only it does; an error there is raised everywhere."""
        if self.world == 1:
            return work()
        import torch.distributed as dist

        told: list[Any] = [None]
        if self.first:
            try:
                told = [(work(), None)]
            except DizuoError as error:
                dist.broadcast_object_list([(None, (type(error), error.message, error.details, error.hint))], src=0)
                raise
        dist.broadcast_object_list(told, src=0)
        value, fault = told[0]
        if fault is not None:
            kind, message, details, hint = fault
            raise kind(message, details=details, hint=hint)
        result: T = value
        return result

    def sums(self, values: Sequence[float]) -> list[float]:
        """Return the sums over ranks, in double precision, the same bits on every rank."""
        return [math.fsum(column) for column in zip(*self.gather(list(values)), strict=True)]

    def sum_array(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the element-wise sum over ranks, in the order of the ranks."""
        return np.sum(self.gather(values), axis=0, dtype=np.float64) if self.world > 1 else values

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add up every parameter's `grad` over ranks, in place; a rank without one contributes zeros.

        Args:
            parameters: the same ones in the same order on every rank, none of them sharded.
        """
        if self.world == 1:
            return
        import torch.distributed as dist

        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        running = []
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            # Asynchronous: the next bucket is copied while this one travels.
            running.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
        for bucket, flat, handle in running:
            handle.wait()
            start = 0
            for gradient in bucket:
                gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
                start += gradient.numel()

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Refuse to go on where a rank's facts are not rank 0's.

        Raises:
            TrainingError: on every rank, naming the ranks and what differs.
        """
        everyone = self.gather(dict(facts))
        details = [
            f"rank {rank}: {name} is {own.get(name, 'nothing')}, {everyone[0].get(name, 'nothing')} on rank 0"
            for rank, own in enumerate(everyone)
            for name in sorted(everyone[0].keys() | own.keys())
            if own.get(name) != everyone[0].get(name)
        ]
        if details:
            raise TrainingError(
                "the ranks do not train the same thing",
                details=details,
                hint="give every rank the same run folder and install the same versions everywhere",
            )


ALONE = Ranks()
"""The group of a process that trains by itself."""


def is_launched() -> bool:
    """Whether a launcher started this process as one of several ranks."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def read_rank() -> int:
    """Return the rank that the launcher gave this process; 0 without one."""
    return int(os.environ.get("RANK", "0"))


@contextlib.contextmanager
def join(*, device: str = "cpu", timeout: float = TIMEOUT) -> Iterator[Ranks]:
    """Make the launched processes one group for the time of the context.

    Args:
        device: `cpu` (messages over gloo) or `cuda` (nccl for gradients; each rank takes the GPU of its local rank).
        timeout: seconds after which a rank that lives but does not answer is given up.

    Yields:
        This process's place among the ranks; `ALONE` where `launched()` is false.

    Raises:
        RankLost: another rank stopped (its reason and number are named), was killed, or did not answer.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    own = torch.device(device, local) if device == "cuda" else torch.device(device)
    if device == "cuda":
        torch.cuda.set_device(own)
    if not is_launched():
        yield Ranks(device=own)
        return
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    limit = timedelta(seconds=timeout)
    # A GPU's kernel cannot be interrupted, and an exception would wait for it: there SIGTERM ends the process at once.
    with _farewell(), _ended_by_launcher() if device == "cpu" else contextlib.nullcontext():
        try:
            store, rank, world = next(rendezvous("env://", timeout=limit))
        except _Ended:
            raise RankLost("the launcher ended this rank before it met the others") from None
        ranks = Ranks(rank, world, int(os.environ.get("LOCAL_WORLD_SIZE", world)), own)
        try:
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
                store=PrefixStore("group", store),
                rank=rank,
                world_size=world,
                timeout=limit,
                device_id=own if device == "cuda" else None,
            )
            yield ranks
        except _Ended:
            raise _lost(ranks, store, "the launcher ended this rank") from None
        except RuntimeError as error:
            if not any(text in str(error).lower() for text in LOST):
                _say(store, rank, f"{type(error).__name__}: {error}")
                raise
            raise _lost(ranks, store, str(error).splitlines()[0][:200]) from error
        except BaseException as error:
            _say(store, rank, error.message if isinstance(error, DizuoError) else f"{type(error).__name__}: {error}")
            raise
        finally:
            # The message is in the store by now: whoever sees the connection close will find it.
            if dist.is_initialized():
                dist.destroy_process_group()


@contextlib.contextmanager
def _farewell() -> Iterator[None]:
    """Wait for the threads of a group that has ended.

    gloo's threads drop their reference to a message's tensors after the message has arrived, and need the interpreter
    for it; if that is ending by then, C++ aborts the process (SIGABRT, "terminate called without an active exception",
    in one of nine ranks here). A group's destructor joins its threads; modules that FSDP2 sharded hold the group, and
    hang together in cycles. Where a traceback still holds them, a thread is given the time to come to its end.

    It comes last, when a launcher's SIGTERM can no longer take the place of the reason why this rank ends.
    """
    try:
        yield
    finally:
        gc.collect()
        time.sleep(FAREWELL)


class RankLost(TrainingError):
    """Another rank stopped; the reason is that one's, not this one's."""


class _Ended(BaseException):
    """SIGTERM: a launcher ends its ranks when one of them fails."""


@contextlib.contextmanager
def _ended_by_launcher() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that a rank ends with a reason and lets go of its files."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except BaseException:
        # It ends by itself now, and is not to be cut off before it has said why.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
    signal.signal(signal.SIGTERM, before)


def _say(store: Any, rank: int, message: str) -> None:
    """Leave a reason where the other ranks look for one."""
    with contextlib.suppress(RuntimeError):  # the store is gone: so is rank 0's machine
        store.set(f"{FAILED}/{rank}", message)


def _lost(ranks: Ranks, store: Any, what: str) -> RankLost:
    """Return the error of a rank that lost the others, naming those that stopped."""
    others = [rank for rank in range(ranks.world) if rank != ranks.rank]
    silent: list[int] = []
    told: dict[int, str] = {}
    try:
        store.set(f"dizuo/here/{ranks.rank}", "")
        until = time.monotonic() + ANSWER
        while True:
            told = {r: store.get(f"{FAILED}/{r}").decode() for r in others if store.check([f"{FAILED}/{r}"])}
            silent = [r for r in others if r not in told and not store.check([f"dizuo/here/{r}"])]
            if told or not silent or len(others) == 1 or time.monotonic() > until:
                break
            time.sleep(0.05)
    except _Ended:
        pass  # the launcher's patience is over: say what is known
    except RuntimeError:
        silent = silent or [0]  # rank 0 keeps the store where no launcher does
    if told:
        rank, message = min(told.items())
        return RankLost(f"rank {rank} stopped: {message}", hint="the last whole checkpoint is kept; start again")
    names = ", ".join(map(str, silent or others))
    return RankLost(
        f"rank {names} ended without a word, as a killed process does ({what})"
        if len(silent or others) == 1
        else f"one of the ranks {names} ended without a word, as a killed process does ({what})",
        hint="the last whole checkpoint is kept; look for what killed it (often memory), and start again",
    )


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Cut tensors, in their order, into runs of one dtype and device of about `BUCKET_BYTES`."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        alike = not bucket or (tensor.dtype, tensor.device) == (bucket[0].dtype, bucket[0].device)
        if bucket and (not alike or size + tensor.nbytes > BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket
