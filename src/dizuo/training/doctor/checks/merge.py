"""An adapter and the weights that it is merged into answer alike, through the files that are deployed."""

from __future__ import annotations

import numpy as np
import torch

from dizuo.models import merging
from dizuo.models.loading import load_module
from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.training.planning import machine

BOUND = 1e-6
"""Allowed KL(adapter ‖ merged) in nats per token, the mean over the sample, in float32."""
SEQUENCES = 4


@torch.no_grad()
def check(subject: Subject) -> Finding:
    """Merge the adapter, write it, read it back, and compare whole distributions at every token."""
    if subject.options.adapter == "full":
        return skipped("full training has no adapter")
    if subject.options.quantize != "none":
        return skipped(f"the base is in {subject.options.quantize} here, and is merged in float32")
    network = subject.network
    size = sum(parameter.numel() * parameter.element_size() for parameter in subject.model.module.parameters())
    if machine.available_memory() < 2.5 * size:
        return skipped(f"a second copy of the weights ({size / 1e9:.1f} GB) does not fit beside the first")
    from transformers import AutoModelForCausalLM

    with_adapter = [_distributions(network.module, ids) for ids in _ids(subject)]
    folder = subject.folder / "merged"
    merging.save_merged(network.module, folder, replace=True)
    merged = load_module(AutoModelForCausalLM, folder, dtype=torch.float32)
    untrained = _untrained(subject)
    pairs = [(ours, _distributions(merged, ids)) for ours, ids in zip(with_adapter, _ids(subject), strict=True)]
    mean = _mean_kl(pairs)
    moved = _mean_kl([(ours, base) for ours, base in zip(with_adapter, untrained, strict=True)])
    measured = f"KL {mean:.1e} nats per token (allowed {BOUND:.0e}); without the adapter it would be {moved:.1e}"
    if mean <= BOUND < moved:
        return green(measured)
    if moved <= BOUND:
        return red(
            measured,
            meaning="The adapter changes nothing that can be measured, so merging it could not be checked.",
            hint="choose other targets for the adapter: these layers have no say in the answers",
        )
    return red(
        measured,
        meaning="The model that is deployed is not the one that was trained.",
        hint="deploy the adapter beside its base, and report the model",
    )


def _ids(subject: Subject) -> list[torch.Tensor]:
    count = min(SEQUENCES, subject.batch.num_sequences)
    return [torch.from_numpy(subject.batch.ids(number).astype(np.int64))[None] for number in range(count)]


def _untrained(subject: Subject) -> list[torch.Tensor]:
    module = subject.network.module
    with module.disable_adapter():
        return [_distributions(module, ids) for ids in _ids(subject)]


def _distributions(module: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    logits = module(input_ids=ids.to(next(module.parameters()).device), use_cache=False).logits[0]
    return torch.log_softmax(logits.float(), -1).cpu()


def _mean_kl(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    sums = [float((p.exp() * (p - q)).sum()) for p, q in pairs]
    return sum(sums) / sum(len(p) for p, _ in pairs)


CHECK = Check(title="merged weights answer as the adapter does", trap=5, check=check)
