"""Drawing one token: what may be drawn, how often, and logits that nothing can be drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from engine_models import tiny

from dizuo.engines import GenerateRequest, Sampling, generate_all
from dizuo.engines.kinds.embedded.sampling import draw
from dizuo.errors import ModelError

NAN, INF = float("nan"), float("inf")


class Fixed:
    """A generator that always draws the same number."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0), Sampling(temperature=1.0, top_k=3)])
@pytest.mark.parametrize("row", [[NAN] * 10, [0.0, NAN, 1.0], [0.0, INF, 1.0], [-INF] * 4], ids=str)
def test_logits_that_are_not_finite_are_refused_not_answered(row: list[float], sampling: Sampling) -> None:
    with pytest.raises(ModelError, match="not finite"):
        draw(torch.tensor(row), sampling, np.random.default_rng(0))


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("top", [{}, {"top_p": 0.99}, {"top_k": 4}])
def test_a_masked_token_is_never_drawn(temperature: float, top: dict[str, Any]) -> None:
    logits_V = torch.tensor([-INF, 1.0, -INF, 0.9, -INF])
    sampling = Sampling(temperature=temperature, **top)
    drawn = {draw(logits_V, sampling, np.random.default_rng(seed)) for seed in range(40)}
    assert drawn == ({1} if temperature == 0 else {1, 3})


@pytest.mark.parametrize("temperature", [1e-310, 5e-324, 1e-100, 1e-9])
@pytest.mark.parametrize("top", [{}, {"top_p": 0.9}, {"top_k": 3}])
def test_a_tiny_temperature_takes_the_largest_logit(temperature: float, top: dict[str, Any]) -> None:
    logits_V = torch.tensor([3.0, 12.5, 12.499, -7.0, 1.0])
    assert draw(logits_V, Sampling(temperature=temperature, **top), np.random.default_rng(1)) == 1


@pytest.mark.parametrize(("top_k", "top_p"), [(1000, 0.9), (600, 0.5), (513, 0.999), (40, 0.9), (0, 0.9), (0, 0.3)])
def test_the_nucleus_is_cut_from_the_mass_that_top_k_leaves(top_k: int, top_p: float) -> None:
    generator = torch.Generator().manual_seed(0)
    # Steep enough that the first 512 hold 0.96 of the whole mass, flat enough that the others matter.
    logits_V = 3 * torch.randn(5000, generator=generator)
    order = torch.argsort(logits_V, descending=True).tolist()
    p = torch.softmax(logits_V.double()[order[: top_k or 5000]], 0)
    size = int((torch.cumsum(p, 0) - p < top_p).sum())
    # Candidates lie in the order of their probability, so the largest number that can come up draws the last one.
    sampling = Sampling(temperature=1.0, top_k=top_k, top_p=top_p)
    assert order.index(draw(logits_V, sampling, Fixed(1 - 1e-12))) + 1 == size  # type: ignore[arg-type]
    assert draw(logits_V, sampling, Fixed(0.0)) == order[0]  # type: ignore[arg-type]


def test_draws_come_as_often_as_they_are_likely() -> None:
    logits_V = torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    random = np.random.default_rng(0)
    drawn = [draw(logits_V, Sampling(temperature=1.0), random) for _ in range(4000)]
    assert np.bincount(drawn) / 4000 == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.03)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_broken_model_ends_the_request_with_the_reason(engine_of: Any, temperature: float) -> None:
    module = tiny("llama")
    with torch.no_grad():
        module.lm_head.weight.fill_(NAN)
    (answer,) = generate_all(engine_of(module), [GenerateRequest([5, 6], Sampling(4, temperature=temperature))])
    assert (answer.finish, answer.ids) == ("error", ())
    assert "not finite" in answer.error
