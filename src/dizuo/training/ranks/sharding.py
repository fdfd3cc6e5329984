"""Weights, gradients and optimizer states spread over ranks (FSDP2), and put together again.

    shard           a network -> the same network, each rank holding 1/N of every parameter
    gathered        a rank's parts -> whole tensors on rank 0
    local_part      whole tensors -> a rank's parts
    total_norm      of gradients, sharded or not

`torch.distributed.fsdp.fully_shard` (Zhao et al. 2023, "PyTorch FSDP", in its per-parameter form on DTensor) gathers
the parameters of a module when its forward begins and scatters their gradients when its backward ends. Each transformer
block is one such module. Embedding, final norm and output layer belong to a module of ours around the whole model,
`GatheringModule`, whose forward is a whole pass: log-probabilities are computed from the output layer's weight without
calling it, and a tied output layer must be gathered together with its embedding.

The native tree forward calls no module's forward, so nothing would gather its weights: sharded models run hosted or
padded. Gradients are summed over ranks, not averaged. The sharded parameters are the float32 masters; in bfloat16 the
gathered copies are cast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from dizuo.training.building.network import Network
from dizuo.training.ranks.group import Ranks
from dizuo.trees import Runner

__all__ = ["GatheringModule", "compute_norm", "gather_whole", "is_sharded", "shard", "take_local_parts"]

T = TypeVar("T")


class GatheringModule(nn.Module):
    """The module around a model whose forward is a pass of any kind, so that its weights are whole for all of it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, work: Callable[[], T]) -> T:
        """Do a pass; tensors among what it returns start the backward."""
        return work()


def shard(network: Network, runner: Runner, ranks: Ranks, *, bfloat16: bool = False) -> None:
    """Spread a network's parameters over the ranks, and make the runner's passes gather them; not undone.

    Args:
        network: on every rank with the same weights. Its `parameters` become sharded ones under the same names. A head
            on the last states stays whole on every rank.
        runner: hosted or padded.
        ranks: more than one.
        bfloat16: gather the weights in bfloat16.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    assert runner.choice.backend != "native", "nothing would gather the weights of the native forward"
    mesh = init_device_mesh(ranks.device.type, (ranks.world,))
    # Inputs stay as they are: autocast casts them where products want it, and rotary angles keep their precision.
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bfloat16 else None, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    for block in _blocks(runner.base):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    gate = GatheringModule(network.module)
    fully_shard(gate, mesh=mesh, mp_policy=policy)
    for part in gate.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
    sharded = dict(network.module.named_parameters())
    for name in network.parameters.keys() & sharded.keys():
        network.parameters[name] = sharded[name]
    runner.use_shard_gate(gate, ranks.device)


def _blocks(base: Any) -> list[nn.Module]:
    """Return the transformer blocks: what transformers itself never splits between devices."""
    names = set(base._no_split_modules or ())
    return [part for part in base.modules() if type(part).__name__ in names]


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is a rank's part of a larger one."""
    if type(tensor) in (Tensor, nn.Parameter) or not torch.distributed.is_available():
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def gather_whole(tensors: Mapping[str, Tensor], *, ranks: Ranks) -> dict[str, Tensor]:
    """Return whole tensors: what is sharded comes to rank 0's main memory, tensor by tensor, and to no other rank's.

    Where something is sharded all ranks must call this; rank 0 gets everything, the others what is not sharded.
    """
    gathered: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not is_sharded(tensor):
            gathered[name] = tensor
            continue
        whole = cast(Any, tensor).full_tensor()
        if ranks.first:
            gathered[name] = whole.detach().cpu()
    return gathered


def take_local_parts(tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return whole tensors cut as those of the same name are; no rank asks another, since all have the whole."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    local_parts: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        wanted = like.get(name)
        if isinstance(wanted, DTensor):
            whole = tensor.to(wanted.device)
            local_parts[name] = distribute_tensor(whole, wanted.device_mesh, wanted.placements, src_data_rank=None)
        else:
            local_parts[name] = tensor
    return local_parts


def compute_norm(gradients: Sequence[Tensor]) -> float:
    """Return the L2 norm of gradients, of which some may be sharded; all ranks must ask."""
    whole = [gradient for gradient in gradients if not is_sharded(gradient)]
    parts = [gradient for gradient in gradients if is_sharded(gradient)]
    norm = torch.nn.utils.get_total_norm(whole) if whole else torch.zeros(())
    if not parts:
        return float(norm)
    over = cast(Any, torch.nn.utils.get_total_norm(parts)).full_tensor()
    return float(torch.linalg.vector_norm(torch.stack([norm.to(over.device), over])))
