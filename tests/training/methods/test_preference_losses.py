"""Losses of preference methods against closed forms, and against numbers that TRL and torchtune publish."""

import math

import numpy as np
import pytest
import torch
from closed_forms import (
    CHOSEN,
    CHOSEN_BEFORE,
    REJECTED,
    REJECTED_BEFORE,
    batch_of,
    outputs_of,
    paired,
    paired_rows,
)

from dizuo.errors import PlanError
from dizuo.training.methods import METHODS, dpo, kto, orpo, simpo


def each_dpo(options):
    """Return the loss of each of torchtune's pairs, alone in its block."""
    now, before = paired_rows(CHOSEN, REJECTED), paired(CHOSEN_BEFORE, REJECTED_BEFORE)
    out = []
    for pair in range(3):
        here = slice(2 * pair, 2 * pair + 2)
        found = dpo.loss(outputs_of(now[here]), batch_of(2, reference=before[here]), options)
        assert found.weight == 1.0
        out.append(float(found.total.detach()))
    return out


def test_dpo_gives_the_values_that_torchtune_publishes():
    # Δ = [0, 10, 20] and β = 0.1: −log σ of 0, 1 and 2.
    assert each_dpo(dpo.Options(beta=0.1)) == pytest.approx([0.693147, 0.313262, 0.126928], abs=1e-6)


def test_the_hinge_gives_the_values_that_torchtune_publishes():
    assert each_dpo(dpo.Options(beta=0.1, loss="hinge")) == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("beta", [0.1, 0.5, 2.0])
def test_the_hinge_ends_where_beta_times_the_margin_is_one(beta):
    delta = torch.tensor([-3.0, 0.0, 0.4, 4.0, 1 / beta, 11.0], dtype=torch.float64)
    found = dpo.pair_losses(delta, dpo.Options(beta=beta, loss="hinge"))
    assert found.tolist() == pytest.approx([max(0.0, 1 - beta * value) for value in delta.tolist()], abs=1e-12)


def test_ipo_gives_equation_17():
    # One token per answer, so means are sums: (Δ − 1 / 2β)² with β = 0.1, Δ = [0, 10, 20].
    assert each_dpo(dpo.Options(beta=0.1, loss="ipo")) == pytest.approx([25.0, 25.0, 225.0], abs=1e-3)


def test_ipo_takes_means_over_tokens():
    outputs = outputs_of([[-1.0, -2.0, -3.0], [-4.0]])
    found = dpo.loss(outputs, batch_of(2, reference=[-9.0, -5.0]), dpo.Options(beta=0.5, loss="ipo"))
    # (−6 + 9)/3 − (−4 + 5)/1 = 0, and 1 / 2β = 1.
    assert float(found.total.detach()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 0.3])
def test_label_smoothing_mixes_both_directions(epsilon):
    expected = [
        -(1 - epsilon) * math.log(1 / (1 + math.exp(-x))) - epsilon * math.log(1 / (1 + math.exp(x)))
        for x in (0.0, 1.0, 2.0)
    ]
    assert each_dpo(dpo.Options(beta=0.1, label_smoothing=epsilon)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 0.3])
def test_robust_dpo_is_unbiased_under_the_noise_it_assumes(epsilon):
    """Of pairs that are swapped with probability ε, the expected robust loss is the clean pairs' DPO loss."""
    options = dpo.Options(beta=0.1, loss="robust", label_smoothing=epsilon)
    delta = torch.tensor([0.0, 10.0, -20.0, 3.0], dtype=torch.float64)
    mixed = (1 - epsilon) * dpo.pair_losses(delta, options) + epsilon * dpo.pair_losses(-delta, options)
    assert torch.allclose(mixed, dpo.pair_losses(delta, dpo.Options(beta=0.1)), atol=1e-12)


def test_dpo_sums_over_the_tokens_of_an_answer_and_takes_no_mean():
    outputs = outputs_of([[-1.0, -2.0, -3.0], [-4.0, -1.0]])
    found = dpo.loss(outputs, batch_of(2, reference=[-10.0, -2.0]), dpo.Options(beta=0.1))
    delta = (-6 + 10) - (-5 + 2)
    assert float(found.total.detach()) == pytest.approx(math.log1p(math.exp(-0.1 * delta)), abs=1e-6)
    figures = {name: float(value) for name, value in found.figures.items()}
    assert figures == pytest.approx({"accuracy": 1.0, "margin": 0.7, "chosen_reward": 0.4, "rejected_reward": -0.3})


def test_dpo_of_long_answers_keeps_what_float32_sums_would_lose():
    """4,000 tokens of −2.5 nats: a float32 sum is wrong in the third decimal, and β carries it into the loss."""
    rows = [[-2.5000002] * 4000, [-2.4999998] * 4000]
    exact = [sum(float(torch.tensor(value)) for value in row) for row in rows]
    found = dpo.loss(outputs_of(rows), batch_of(2, reference=exact), dpo.Options(beta=1.0))
    assert float(found.total.detach()) == pytest.approx(math.log(2), abs=1e-9)


@pytest.mark.parametrize(("gained", "accuracy"), [(0.0, 0.5), (9e-4, 0.5), (-9e-4, 0.5), (2e-3, 1.0), (-2e-3, 0.0)])
def test_pairs_that_are_level_up_to_rounding_count_half(gained, accuracy):
    found = dpo.loss(outputs_of([[-1.0], [-1.0]]), batch_of(2, reference=[-1.0 - gained, -1.0]), dpo.Options())
    assert float(found.figures["accuracy"]) == accuracy
    rows = {"targets": np.array([[1.0]], np.float32), "context": torch.tensor([0.0, 1.0], dtype=torch.float64)}
    found = kto.loss(outputs_of([[-1.0]]), batch_of(1, members=1, reference=[-1.0 - gained], **rows), kto.Options())
    assert float(found.figures["accuracy"]) == accuracy


def test_simpo_gives_the_values_that_torchtune_publishes():
    # β = 2, γ = 0.5: d = 2 · [−0.4, 20, 20] − 0.5 = [−1.3, 39.5, 39.5].
    rows = paired_rows(CHOSEN, REJECTED)
    found = [
        float(simpo.loss(outputs_of(rows[i : i + 2]), batch_of(2), simpo.Options(beta=2.0, gamma=0.5)).total.detach())
        for i in (0, 2, 4)
    ]
    expected = [math.log1p(math.exp(1.3)), math.log1p(math.exp(-39.5)), math.log1p(math.exp(-39.5))]
    assert found == pytest.approx(expected, abs=1e-6)


def test_simpo_takes_means_over_tokens():
    found = simpo.loss(outputs_of([[-1.0, -3.0], [-4.0, -4.0, -1.0]]), batch_of(2), simpo.Options(beta=2.0, gamma=1.0))
    assert float(found.total.detach()) == pytest.approx(math.log1p(math.exp(-(2 * (-2 + 3) - 1))), abs=1e-6)


def test_orpo_gives_equations_3_to_7():
    rows = [[-0.5, -1.5], [-2.0, -1.0, -3.0]]
    found = orpo.loss(outputs_of(rows), batch_of(2), orpo.Options(weight=0.25))
    chosen, rejected = math.exp(-1.0), math.exp(-2.0)
    ratio = (chosen / (1 - chosen)) / (rejected / (1 - rejected))
    expected = 1.0 + 0.25 * math.log1p(1 / ratio)
    assert float(found.total.detach()) == pytest.approx(expected, abs=1e-6)
    assert float(found.figures["nll"]) == pytest.approx(1.0)
    assert float(found.figures["margin"]) == pytest.approx(math.log(ratio), abs=1e-6)


def test_orpo_stays_finite_where_the_model_is_certain():
    found = orpo.loss(outputs_of([[0.0, 0.0], [-90.0]]), batch_of(2), orpo.Options())
    found.total.backward()
    assert math.isfinite(float(found.total.detach()))


# torchtune's KTO case: log-probabilities as above, mismatched answers' log ratios with a negative mean.
MISMATCHED, MISMATCHED_BEFORE = [-1.0, 0.25, 1.0], [0.4, 0.2, -0.2]


def kto_of(options, context):
    ratios = torch.tensor(
        [a - b for a, b in zip(CHOSEN + REJECTED, CHOSEN_BEFORE + REJECTED_BEFORE)], dtype=torch.float64
    )
    wanted = torch.tensor([True] * 3 + [False] * 3)
    return kto.row_losses(ratios, wanted, context, options)


def test_kto_gives_the_values_that_torchtune_publishes():
    sums = kto.before(
        outputs_of([[value] for value in MISMATCHED]),
        batch_of(3, members=1, reference=MISMATCHED_BEFORE),
        kto.Options(),
    )
    assert sums.tolist() == pytest.approx([-0.15, 3.0], abs=1e-6)
    kl = (sums[0] / sums[1]).clamp(min=0)
    assert kto_of(kto.Options(beta=0.1), kl).tolist() == pytest.approx(
        [0.5, 0.4975, 0.5225, 0.5, 0.2709, 0.1101], abs=1e-4
    )


@pytest.mark.parametrize(
    ("weights", "expected"),
    [((1.0, 1.0), 0.4772096276283264), ((1.33, 1.0), 0.566311240196228), ((1.0, 1.5), 0.5808119177818298)],
)
def test_kto_gives_what_trl_computes_with_a_positive_kl(weights, expected):
    """TRL's values, pinned by unsloth_zoo (tests/test_mlx_kto_loss.py) for log-probabilities drawn by numpy, seed 0."""
    draw = np.random.default_rng(0)
    now, before = ([draw.normal(-8, 2, 3), draw.normal(-9, 2, 2), draw.normal(-8.5, 2, 5)] for _ in range(2))
    ratios = [
        torch.from_numpy(a.astype(np.float32).astype(np.float64) - b.astype(np.float32)) for a, b in zip(now, before)
    ]
    kl = ratios[2].mean().clamp(min=0)
    assert float(kl) == pytest.approx(0.31288090348243713, abs=1e-6)
    options = kto.Options(beta=0.1, desirable_weight=weights[0], undesirable_weight=weights[1])
    wanted = torch.tensor([True] * 3 + [False] * 2)
    found = kto.row_losses(torch.cat(ratios[:2]), wanted, kl, options)
    assert float(found.mean()) == pytest.approx(expected, abs=1e-7)


def test_extreme_log_probabilities_stay_finite():
    """The numbers of TRL's own test of finiteness."""
    now, before = paired([410.0, 0.1], [810.5, 0.2]), paired([-610.0, -0.1], [110.6, 0.5])
    for loss in ("sigmoid", "ipo", "hinge"):
        outputs = outputs_of([[value] for value in now])
        found = dpo.loss(outputs, batch_of(4, reference=before), dpo.Options(loss=loss))
        found.total.backward()
        assert math.isfinite(float(found.total.detach()))
        assert torch.isfinite(outputs.logprobs.grad).all()


@pytest.mark.parametrize(("summed", "kl"), [(-3.0, 0.0), (-0.15, 0.0), (0.0, 0.0), (1.5, 0.5)])
def test_the_kl_term_of_kto_is_never_below_nothing(summed, kl):
    """Equation 8 has max(0, ...): the mismatched answers may well have become less likely than they were."""
    batch = batch_of(
        2,
        members=1,
        reference=[-1.5, -1.0],
        targets=np.array([[1.0], [0.0]], np.float32),
        context=torch.tensor([summed, 3.0], dtype=torch.float64),
    )
    found = kto.loss(outputs_of([[-1.0], [-2.0]]), batch, kto.Options(beta=0.5))
    wanted, unwanted = 0.5 - kl, kl + 1.0  # r is 0.5 of the wanted answer and -1 of the other
    expected = sum(1 - 1 / (1 + math.exp(-0.5 * ahead)) for ahead in (wanted, unwanted))
    assert float(found.total.detach()) == pytest.approx(expected, abs=1e-6)
    assert float(found.figures["kl"]) / found.weight == pytest.approx(kl)


def test_kto_sends_no_gradient_through_the_kl_term():
    outputs = outputs_of([[-1.0], [-2.0]])
    batch = batch_of(
        2,
        members=1,
        reference=[-1.5, -1.0],
        targets=np.array([[1.0], [0.0]], np.float32),
        context=torch.tensor([0.8, 2.0], dtype=torch.float64),
    )
    found = kto.loss(outputs, batch, kto.Options(beta=0.5))
    found.total.backward()
    sigma = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    right, wrong = sigma(0.5 * (0.5 - 0.4)), sigma(0.5 * (0.4 + 1.0))
    assert float(found.total.detach()) == pytest.approx(2 - right - wrong, abs=1e-6)
    expected = [-0.5 * right * (1 - right), 0.5 * wrong * (1 - wrong)]
    assert outputs.logprobs.grad.tolist() == pytest.approx(expected, abs=1e-6)
    assert float(found.figures["kl"]) / found.weight == pytest.approx(0.4)
    assert found.figures["desirable_reward"][1] == 1.0
    assert float(found.figures["undesirable_reward"][0]) == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("method", "options", "reason"),
    [
        ("dpo", {"beta": 0.0}, "beta must be above 0, not 0.0"),
        ("dpo", {"loss": "sigmoit"}, "loss must be one of sigmoid, robust, ipo, hinge, not 'sigmoit' (did you mean"),
        ("dpo", {"label_smoothing": 0.5}, "label_smoothing must be from 0 to below 0.5, not 0.5"),
        ("dpo", {"loss": "ipo", "label_smoothing": 0.1}, "label_smoothing is 0.1, which loss: ipo does not have"),
        ("dpo", {"loss": "robust"}, "loss: robust needs label_smoothing, the share of pairs that are the wrong way"),
        ("kto", {"desirable_weight": 0.0}, "desirable_weight must be above 0, not 0.0"),
        ("orpo", {"weight": -1.0}, "weight must be at least 0, not -1.0"),
        ("simpo", {"gamma": -1.0}, "gamma must be at least 0, not -1.0"),
        ("simpo", {"beta": float("nan")}, "beta must be above 0, not nan"),
        ("pretrain", {"window": 4}, "window must be a whole number of tokens, at least 8, not 4"),
        ("pretrain", {"window": 64, "overlap": 32}, "overlap must be from 0 to below half of window (64), not 32"),
    ],
)
def test_options_that_mean_nothing_are_refused(method, options, reason):
    with pytest.raises(PlanError) as caught:
        METHODS.load(method).Options(**options)
    assert reason in str(caught.value)


@pytest.mark.parametrize("method", ["dpo", "kto", "orpo", "simpo"])
def test_rates_are_lower_for_larger_models_and_ten_times_higher_for_adapters(method):
    rates = METHODS.load(method).rates

    def rate(adapter, parameters):
        return rates.peak(adapter=adapter, parameters=parameters)

    sizes = [135_000_000, 500_000_000, 2_000_000_000, 8_000_000_000]
    assert [rate("lora", size) for size in sizes] == sorted((rate("lora", s) for s in sizes), reverse=True)
    for size in sizes:
        assert rate("lora", size) == pytest.approx(10 * rate("full", size))
        assert rate("dora", size) == rate("lora", size)
