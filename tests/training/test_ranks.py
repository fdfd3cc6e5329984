"""How a step is shared out among ranks, and what a lone process makes of ranks; no processes are started here."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_samples import Rows, labelled

from dizuo import models
from dizuo.errors import TrainingError
from dizuo.training import TrainOptions, plan
from dizuo.training.building.build import build_network, build_stepper
from dizuo.training.ranks.drift import refuse_drift
from dizuo.training.ranks.group import ALONE, BUCKET_BYTES, Ranks, _buckets, is_launched, join
from dizuo.training.resuming import seed_step
from dizuo.training.tokens.batching import Stream, take_share
from dizuo.training.tokens.tokenizing import TokenStore
from dizuo.trees import count_packed


@pytest.fixture(scope="module")
def model(spec):
    return models.load(spec)


@pytest.fixture(scope="module")
def planned(spec, tmp_path_factory):
    data = Rows(train=labelled(60), validation=[]).write(tmp_path_factory.mktemp("data60"))
    out = tmp_path_factory.mktemp("runs") / "run"
    options = TrainOptions(batch_size=8, epochs=1, alpha=640.0, dtype="float32")
    return plan(spec, data, out=out, options=options, measure=False)


@pytest.fixture(scope="module")
def store(planned):
    return TokenStore(planned.folder / "tokens" / "train")


@settings(max_examples=60, deadline=None)
@given(data=st.data(), world=st.integers(1, 7), layout=st.sampled_from(["tree", "padded"]))
def test_every_example_of_a_step_is_some_ranks_and_only_one_s(store, data, world, layout):
    examples = data.draw(st.lists(st.integers(0, len(store) - 1), min_size=1, max_size=20))  # a row may occur twice
    shares = [take_share(store, examples, rank=rank, world=world, layout=layout) for rank in range(world)]
    assert sorted(example for own in shares for example in own) == sorted(examples)


@settings(max_examples=60, deadline=None)
@given(
    num_rows=st.integers(1, 60),
    batch_size=st.integers(1, 20),
    epochs=st.floats(0.3, 2.5),
    cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    worlds=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
)
def test_a_run_that_is_cut_twice_and_goes_on_with_other_ranks_loses_and_repeats_no_row(
    store, num_rows, batch_size, epochs, cuts, worlds
):
    total = max(1, round(epochs * num_rows))

    def stream():
        return Stream(num_rows, batch_size=batch_size, total=total, seed=5)

    num_steps = stream().num_steps
    ends = [*sorted(round(cut * num_steps) for cut in cuts), num_steps]
    seen = []
    for end, world in zip(ends, worlds, strict=True):
        begun_anew = stream()
        for step in range(len(seen) + 1, end + 1):
            rows = begun_anew.examples(step)
            shares = [take_share(store, rows, rank=rank, world=world, layout="tree") for rank in range(world)]
            assert sorted(row for own in shares for row in own) == sorted(rows)
            seen.append(rows)
    whole = stream()
    assert seen == [whole.examples(step) for step in range(1, num_steps + 1)]
    times = Counter(row for rows in seen for row in rows)
    assert sum(times.values()) == total
    assert {times[row] for row in range(num_rows)} <= {total // num_rows, -(-total // num_rows)}


@pytest.mark.parametrize("layout", ["tree", "padded"])
def test_ranks_get_about_equally_many_tokens_not_rows(store, layout):
    examples = list(range(48))

    def size(own):
        sequences = [store.ids(number) for example in own for number in store.sequences_of(example)]
        return count_packed(sequences) if layout == "tree" else sum(len(ids) for ids in sequences)

    for world in (2, 3, 4):
        sizes = [size(take_share(store, examples, rank=rank, world=world, layout=layout)) for rank in range(world)]
        assert max(sizes) - min(sizes) <= 2 * int(store.lengths.max())
        rows = [len(take_share(store, examples, rank=rank, world=world, layout=layout)) for rank in range(world)]
        if layout == "padded":
            assert max(rows) > min(rows), "the lengths are ragged, so equal tokens are not equal rows"


def test_a_shared_prefix_is_computed_by_few_ranks(spec, tmp_path):
    """Two long instructions, rows alternating: each rank gets the rows of one, and computes no other instruction."""
    from dizuo.records import Chat, Message, Origin

    long = {name: " ".join([name, *["please tell me about my card and my pin"] * 4]) for name in ("card", "transfer")}
    rows = [
        Chat(
            (
                Message("system", long["card" if n % 2 else "transfer"]),
                Message("user", f"{n}"),
                Message("assistant", "ok"),
            ),
            origin=Origin("chat.jsonl", n + 1),
        )
        for n in range(16)
    ]
    data = Rows(train=rows, validation=[], task=None).write(tmp_path / "data")
    made = plan(spec, data, out=tmp_path / "run", options=TrainOptions(batch_size=16, epochs=1), measure=False)
    store = TokenStore(made.folder / "tokens" / "train")
    whole = count_packed([store.ids(example) for example in range(16)])
    shares = [take_share(store, list(range(16)), rank=rank, world=2, layout="tree") for rank in range(2)]
    together = sum(count_packed([store.ids(example) for example in own]) for own in shares)
    assert together <= whole + 10, "dealing rows out in turn would compute both instructions twice"
    dealt = sum(count_packed([store.ids(example) for example in range(rank * 8, rank * 8 + 8)]) for rank in range(2))
    assert dealt > whole + 50


@pytest.mark.parametrize("world", [2, 3, 16])
def test_the_shares_of_a_step_add_up_to_its_gradient(planned, model, store, world):
    """What each rank computes, added up here in one process: the sums that ranks exchange are those of the whole."""
    examples = [3, 7, 11, 12, 20, 25, 30, 39]
    network = build_network(planned, model)
    try:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in network.parameters.values():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        stepper = build_stepper(planned, network)
        whole = stepper.accumulate(store, examples)
        flat = torch.cat([parameter.grad.flatten() for parameter in network.parameters.values()])
        total = weight = 0.0
        summed = torch.zeros_like(flat)
        means = []
        for rank in range(world):
            own = take_share(store, examples, rank=rank, world=world, layout="tree")
            if not own:
                continue
            figures = stepper.accumulate(store, own)
            tokens = sum(float(store.weights(example).sum()) for example in own)
            total, weight = total + figures.loss * tokens, weight + tokens
            summed += tokens * torch.cat([parameter.grad.flatten() for parameter in network.parameters.values()])
            means.append(figures.loss)
    finally:
        network.release()
    assert total / weight == pytest.approx(whole.loss, abs=1e-5)
    assert float((summed / weight - flat).abs().max()) < 1e-5 * float(flat.norm())
    # The mean of the ranks' means, which averaging gradients amounts to, is further away than the tolerance.
    assert abs(np.mean(means) - whole.loss) > 1e-3


def test_a_process_that_nobody_launched_is_alone():
    assert not is_launched()
    with join() as ranks:
        assert (ranks.rank, ranks.world, ranks.first) == (0, 1, True)
        assert ranks.gather(3) == [3]
        assert ranks.from_first(lambda: 4) == 4
        assert ranks.sums([0.5, 2.0]) == [0.5, 2.0]
        ranks.agree({"the plan": "sha256:x"})
    assert Ranks() == ALONE


def test_buckets_hold_every_tensor_once_and_are_of_one_kind():
    tensors = [torch.zeros(1 << 20), torch.zeros(7), torch.zeros(3, dtype=torch.float64), torch.zeros(8 << 20)]
    buckets = list(_buckets(tensors))
    assert [id(tensor) for bucket in buckets for tensor in bucket] == [id(tensor) for tensor in tensors]
    for bucket in buckets:
        assert len({tensor.dtype for tensor in bucket}) == 1
        assert len(bucket) == 1 or sum(tensor.nbytes for tensor in bucket) <= BUCKET_BYTES
    assert [len(bucket) for bucket in buckets] == [2, 1, 1]


def test_what_a_rank_draws_depends_on_seed_step_and_rank_alone():
    def drawn(*place):
        torch.rand(3)
        seed_step(*place)
        return torch.rand(4).tolist()

    assert drawn(0, 5, 1) == drawn(0, 5, 1)
    others = [drawn(*place) for place in ((0, 5, 0), (0, 6, 1), (1, 5, 1), (5, 0, 1))]
    assert all(other != drawn(0, 5, 1) for other in others)


@pytest.mark.parametrize("apart", [0.0, 0.5, -0.5, 0.9, 1.1, -1.1, 2.0, 1e5])
def test_weights_of_ranks_may_differ_by_1e_minus_5_of_themselves_given_a_fake_group(apart):
    class Fake(Ranks):
        def gather(self, value):
            return [value, value, {**value, "b": value["b"] * (1 + apart * 1e-5)}]

    weights = {name: torch.nn.Parameter(torch.full((2, 3), size)) for name, size in (("a", 0.0), ("b", -50.0))}
    if abs(apart) <= 1:
        refuse_drift(weights, ranks=Fake(0, 3), step=7)
        return
    with pytest.raises(TrainingError) as caught:
        refuse_drift(weights, ranks=Fake(0, 3), step=7)
    assert str(caught.value) == (
        "rank 2 has other weights than rank 0 after step 7\n"
        f"  b: Σ|w| is {300 * (1 + apart * 1e-5):.9g}, 300 on rank 0\n"
        "\n"
        "hint: the last whole checkpoint is kept; check the machines' memory and library versions"
    )


def test_ranks_that_differ_are_named_with_what_differs_given_a_fake_group():
    class Fake(Ranks):
        def gather(self, value):
            return [value, {**value, "the plan": "sha256:other"}, {**value, "torch": "2.0.0"}]

    with pytest.raises(TrainingError) as caught:
        Fake(0, 3).agree({"the plan": "sha256:mine", "torch": "2.13.0"})
    assert str(caught.value) == (
        "the ranks do not train the same thing\n"
        "  rank 1: the plan is sha256:other, sha256:mine on rank 0\n"
        "  rank 2: torch is 2.0.0, 2.13.0 on rank 0\n"
        "\n"
        "hint: give every rank the same run folder and install the same versions everywhere"
    )
