"""The vocabulary projection against the whole matrix of log-probabilities."""

import pytest
import torch

from dizuo.trees import head
from dizuo.trees.head import HeadForm, selected_logprobs

FORMS = {"plain": {}, "scaled": {"scale": 0.25}, "capped": {"softcap": 5.0}, "both": {"scale": 0.5, "softcap": 3.0}}
# Rows 0, 8 and 19 predict several tokens, as where answers part; one of them twice the same.
ROW = [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, *range(9, 19), 19, 19]


def drawn(dtype, *, biased):
    generator = torch.Generator().manual_seed(1)
    hidden, weight = (torch.randn(n, 16, generator=generator).to(dtype) for n in (20, 31))
    bias = torch.randn(31, generator=generator).to(dtype) if biased else None
    token = torch.randint(0, 31, (len(ROW),), generator=generator)
    token[-1] = token[-2]
    return hidden, weight, bias, torch.tensor(ROW), token


def whole(hidden, weight, bias, row, token, form):
    logits = hidden @ weight.T + (0 if bias is None else bias)
    logits = logits * form.scale
    if form.softcap:
        logits = form.softcap * torch.tanh(logits / form.softcap)
    return torch.log_softmax(logits, -1)[row, token]


@pytest.mark.parametrize("keep_bytes", [0, head.KEEP_BYTES], ids=["computed again", "kept"])
@pytest.mark.parametrize(
    ("biased", "trained"),
    [
        (False, "nothing"), (False, "weight"),
        (True, "nothing"), (True, "weight"), (True, "bias"), (True, "weight and bias"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", FORMS)
def test_values_and_gradients_are_those_of_the_whole_matrix(form, biased, trained, keep_bytes, monkeypatch):
    monkeypatch.setattr(head, "CHUNK_ROWS", 7)
    monkeypatch.setattr(head, "KEEP_BYTES", keep_bytes)
    form = HeadForm(**FORMS[form])
    hidden, weight, bias, row, token = drawn(torch.float64, biased=biased)
    leaves = [hidden.requires_grad_(), weight.requires_grad_("weight" in trained)]
    if bias is not None:
        leaves.append(bias.requires_grad_("bias" in trained))
    upstream = torch.randn(len(ROW), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = []
    for function in (selected_logprobs, lambda *a, row_E, token_E, form: whole(*a, row_E, token_E, form)):
        values = function(hidden, weight, bias, row_E=row, token_E=token, form=form)
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        found.append([values.detach(), *torch.autograd.grad((values * upstream).sum(), wanted)])
    for mine, theirs in zip(*found, strict=True):
        assert (mine - theirs).abs().max() < 1e-12


def test_a_frozen_projection_in_bfloat16_has_the_gradient_of_a_trained_one():
    hidden, weight, _, row, token = drawn(torch.float32, biased=False)
    half = hidden.bfloat16().requires_grad_()
    found = []
    for trained in (False, True):
        projection = weight.clone().requires_grad_(trained)
        values = selected_logprobs(half, projection, None, row_E=row, token_E=token, form=HeadForm())
        found.append(torch.autograd.grad(values.sum(), half)[0].float())
    assert torch.nn.functional.cosine_similarity(found[0].flatten(), found[1].flatten(), dim=0) > 0.9999


def test_what_a_frozen_projection_keeps_does_not_grow_with_the_vocabulary():
    kept = []
    for size in (100, 10_000):
        hidden = torch.randn(40, 8, requires_grad=True)
        row, token = torch.arange(40), torch.arange(40)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept[-1].append(t.nbytes) or t, lambda t: t):
            kept.append([])
            selected_logprobs(hidden, torch.randn(size, 8), None, row_E=row, token_E=token, form=HeadForm())
    assert sum(kept[0]) == sum(kept[1]) > 0


def test_without_a_gradient_nothing_is_computed_for_one():
    hidden, weight, bias, row, token = drawn(torch.float64, biased=True)
    values = selected_logprobs(hidden, weight, bias, row_E=row, token_E=token, form=HeadForm())
    assert not values.requires_grad
    assert (values - whole(hidden, weight, bias, row, token, HeadForm())).abs().max() < 1e-12
