"""The gradient of a step is that of its sequences, whatever the blocks and the layout."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo import models
from dizuo.errors import TrainingError
from dizuo.training import TrainOptions, plan
from dizuo.training.building.build import build_network, build_stepper, explain_out_of_memory
from dizuo.training.stepping.figures import Figures
from dizuo.training.tokens.batching import Stream, count_packed, cut_blocks, find_worst_block
from dizuo.training.tokens.tokenizing import TokenStore
from dizuo.trees import Sequences, build


@pytest.fixture(scope="module")
def model(spec):
    return models.load(spec)


@pytest.fixture(scope="module")
def planned(spec, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return plan(spec, data, out=out, options=TrainOptions(batch_size=8, epochs=1, dtype="float32"), measure=False)


@pytest.fixture(scope="module")
def store(planned):
    return TokenStore(planned.folder / "tokens" / "train")


def stepper_for(planned, model, **values):
    changed = planned.with_use(replace(planned.use, **values))
    network = build_network(changed, model)
    return network, build_stepper(changed, network)


def gradient(planned, model, store, examples, **values):
    network, stepper = stepper_for(planned, model, **values)
    before = {name: value.clone() for name, value in network.weights().items()}
    try:
        # B is zero at first, which would leave A without a gradient and the test half blind.
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in network.parameters.values():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        figures = stepper.accumulate(store, examples)
        return figures, torch.cat([parameter.grad.flatten() for parameter in network.parameters.values()])
    finally:
        if values.get("adapter") == "full":
            network.load_weights(before)
        network.release()


def one_by_one(planned, model, store, examples):
    """Σ CE / Σ tokens from transformers' own logits, a sequence at a time: written without our code on purpose."""
    network, _ = stepper_for(planned, model)
    try:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in network.parameters.values():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        network.module.set_attn_implementation("eager")
        total, count = torch.zeros(()), 0
        means = []
        for example in examples:
            ids = torch.from_numpy(store.ids(example).astype(np.int64))
            trained = torch.from_numpy(store.weights(example).copy()).bool()
            logits = network.module(input_ids=ids[None], use_cache=False).logits[0, :-1]
            losses = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")[trained[1:]]
            means.append(float(losses.detach().mean()))
            total, count = total + losses.sum(), count + len(losses)
        (total / count).backward()
        flat = torch.cat([parameter.grad.flatten() for parameter in network.parameters.values()])
        return float(total.detach() / count), flat, means
    finally:
        network.release()


def test_a_step_equals_its_sequences_one_at_a_time(planned, model, store):
    assert len(set(store.lengths.tolist())) > 5, "the lengths must be ragged"
    examples = [3, 7, 11, 12, 20, 25, 30, 39]
    expected, flat, means = one_by_one(planned, model, store, examples)
    figures, ours = gradient(planned, model, store, examples)
    assert figures.loss == pytest.approx(expected, abs=1e-5)
    assert figures.grad_norm == pytest.approx(float(flat.norm()), abs=1e-5)
    assert float((ours - flat).abs().max()) < 1e-5 * float(flat.norm())
    # A mean of means would be caught: it is further away than the tolerance.
    assert abs(np.mean(means) - expected) > 1e-3


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_shape_of_the_blocks_changes_neither_loss_nor_gradient(planned, model, store, adapter):
    rng = np.random.default_rng(0)
    drifts, norm_drifts = [], []
    for _ in range(6):
        examples = rng.choice(len(store), 8, replace=False).tolist()
        whole, flat = gradient(planned, model, store, examples, adapter=adapter)
        size = count_packed([store.ids(e) for e in examples])
        for budget, layout in ((size // 2, "tree"), (size // 4, "tree"), (1, "tree"), (10**6, "padded"), (1, "padded")):
            backend = "native" if layout == "tree" else "padded"
            cut, cut_flat = gradient(
                planned,
                model,
                store,
                examples,
                adapter=adapter,
                tokens_per_block=max(budget, 1),
                layout=layout,
                backend=backend,
            )
            assert cut.loss == pytest.approx(whole.loss, abs=1e-5)
            assert cut.grad_norm == pytest.approx(whole.grad_norm, rel=1e-5, abs=1e-5)
            assert float((cut_flat - flat).abs().max()) < 1e-5 * float(flat.norm())
            assert cut.tokens == whole.tokens
            drifts.append(cut.loss - whole.loss)
            norm_drifts.append(cut.grad_norm - whole.grad_norm)
    # A wrong normalisation errs to one side; rounding does not.
    assert abs(np.mean(drifts)) < 1e-6
    assert abs(np.mean(norm_drifts)) < 1e-5


def test_validation_loss_is_token_weighted_over_the_whole_split(planned, model, store):
    network, stepper = stepper_for(planned, model)
    try:
        losses = {size: stepper.evaluate(store, batch_size=size).loss for size in (1, 7, 40)}
    finally:
        network.release()
    expected, _, _ = one_by_one_without_noise(planned, model, store)
    for loss in losses.values():
        assert loss == pytest.approx(expected, abs=1e-5)


def one_by_one_without_noise(planned, model, store):
    total, count = 0.0, 0
    model.module.set_attn_implementation("eager")
    with torch.no_grad():
        for example in range(len(store)):
            ids = torch.from_numpy(store.ids(example).astype(np.int64))
            trained = torch.from_numpy(store.weights(example).copy()).bool()
            logits = model.module(input_ids=ids[None], use_cache=False).logits[0, :-1]
            losses = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")[trained[1:]]
            total, count = total + float(losses.sum()), count + len(losses)
    return total / count, None, None


def test_dropout_is_off_wherever_the_model_is_only_read(planned, model, store):
    found = []
    for dropout in (0.0, 0.5):
        network, stepper = stepper_for(planned, model, dropout=dropout, layout="padded", backend="padded")
        try:
            generator = torch.Generator().manual_seed(5)
            with torch.no_grad():
                for parameter in network.parameters.values():  # B is zero at first, and dropout would not show
                    parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
            trained = stepper.accumulate(store, [3, 7, 11, 12]).loss  # turns dropout on
            validation = stepper.evaluate(store, batch_size=40).loss
            stepper.accumulate(store, [3])
            reference = stepper.log_probabilities(store, [3, 7, 11, 12])
        finally:
            network.release()
        found.append((trained, validation, reference))
    (plain, validation, reference), (dropped, other_validation, other_reference) = found
    assert abs(dropped - plain) > 1e-3
    assert other_validation == validation
    np.testing.assert_array_equal(other_reference, reference)
    assert np.isfinite(reference[[3, 7, 11, 12]]).all()


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_decay_shrinks_matrices_and_leaves_norms_and_biases_alone(planned, model, adapter):
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    network, stepper = stepper_for(planned, model, adapter=adapter, weight_decay=0.5)
    try:
        started = {name: value.clone() for name, value in network.weights().items()}
        for parameter in network.parameters.values():
            parameter.grad = torch.zeros_like(parameter)
        stepper.apply(Figures(0.0, 0.0, 0, 0, 0.0), learning_rate=0.1)
        for name, parameter in network.parameters.items():
            kept = 1 - 0.1 * 0.5 if parameter.ndim >= 2 else 1.0
            torch.testing.assert_close(parameter.detach(), started[name] * kept, rtol=1e-6, atol=0)
        kinds = {parameter.ndim for parameter in network.parameters.values()}
    finally:
        network.release()
        model.module.load_state_dict(before)
    assert kinds == ({1, 2} if adapter == "full" else {2})


def test_gradients_are_clipped_to_the_norm_after_normalisation(planned, model, store):
    network, stepper = stepper_for(planned, model, max_grad_norm=0.01)
    try:
        figures = stepper.accumulate(store, [0, 1, 2])
        seen = []
        step = stepper.optimizer.step
        stepper.optimizer.step = lambda: (
            seen.append(float(torch.nn.utils.get_total_norm([p.grad for p in network.parameters.values()]))),
            step(),
        )
        stepper.apply(figures, learning_rate=1e-3)
    finally:
        network.release()
    assert figures.grad_norm > 0.01
    assert seen == [pytest.approx(0.01, rel=1e-4)]


def test_weights_without_a_gradient_stop_the_run_at_its_first_step(planned, model, store):
    network, stepper = stepper_for(planned, model)
    try:
        forward = stepper.runner.forward

        def without(sequences, **options):
            # As a forward that leaves an adapter out: its output still counts, its weights do not.
            for name, parameter in network.parameters.items():
                parameter.requires_grad_("layers.0.self_attn.k_proj" not in name)
            return forward(sequences, **options)

        stepper.runner.forward = without
        with pytest.raises(TrainingError) as caught:
            stepper.accumulate(store, [0, 1, 2])
    finally:
        network.release()
    assert str(caught.value) == (
        "2 of 28 trained weights got no gradient: the model's forward does not use them\n"
        "  base_model.model.model.layers.0.self_attn.k_proj.lora_A.default.weight\n"
        "  base_model.model.model.layers.0.self_attn.k_proj.lora_B.default.weight\n"
        "\n"
        "hint: set layout to padded, or choose other targets"
    )


@pytest.mark.parametrize(
    ("work", "raised", "message"),
    [
        (lambda: torch.empty(1 << 50), TrainingError, "out of memory with 4,096 tokens per block"),
        (lambda: raising(torch.OutOfMemoryError("HIP out of memory")), TrainingError, "out of memory with 4,096"),
        (lambda: raising(MemoryError()), TrainingError, "out of memory with 4,096 tokens per block"),
        (lambda: torch.zeros(1).expand(4).add_(1), RuntimeError, "single memory location"),
        (lambda: raising(ValueError("memory")), ValueError, "memory"),
    ],
    ids=["cpu", "device", "python", "another fault that says memory", "another kind"],
)
def test_only_running_out_of_memory_is_called_so(planned, work, raised, message):
    with pytest.raises(raised, match=message):
        explain_out_of_memory(work, tokens_per_block=planned.use.tokens_per_block)


def raising(error):
    raise error


def test_a_planned_network_leaves_the_model_as_it_was(planned, model):
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    network, _ = stepper_for(planned, model)
    network.release()
    after = model.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 39), min_size=1, max_size=20), st.integers(1, 900), st.sampled_from(["tree", "padded"]))
def test_blocks_are_a_partition_that_keeps_the_budget(store, examples, budget, layout):
    parts = cut_blocks(store, examples, budget=budget, layout=layout)
    assert sorted(example for part in parts for example in part) == sorted(examples)
    for part in parts:
        ids = [store.ids(example) for example in part]
        size = count_packed(ids) if layout == "tree" else len(ids) * max(map(len, ids))
        assert size <= budget or len(part) == 1


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=8))
def test_packed_size_is_the_number_of_the_trees_tokens(rows):
    tree = build(Sequences.of((row, [0.0] + [1.0] * (len(row) - 1)) for row in [*rows, [0, 1]]))
    assert count_packed([np.array(row, np.int32) for row in [*rows, [0, 1]]]) == len(tree)


def test_the_worst_block_is_as_large_as_any_step(store):
    worst = find_worst_block(store, batch_size=8, budget=10**6, layout="padded")
    assert max(len(store.ids(e)) for e in worst) == store.lengths.max()
    stream = Stream(len(store), batch_size=8, total=400, seed=1)
    for step in range(1, 51):
        assert sum(len(store.ids(e)) for e in stream.examples(step)) <= sum(len(store.ids(e)) for e in worst)


def test_every_row_is_seen_once_per_epoch_in_an_order_of_its_own():
    stream = Stream(40, batch_size=16, total=100, seed=3)
    seen = [example for step in range(1, stream.num_steps + 1) for example in stream.examples(step)]
    assert stream.num_steps == 7
    assert len(seen) == 100
    assert sorted(seen[:40]) == sorted(seen[40:80]) == list(range(40))
    assert seen[:40] != seen[40:80]
    assert seen == [e for step in range(1, 8) for e in Stream(40, batch_size=16, total=100, seed=3).examples(step)]
    assert Stream(40, batch_size=16, total=100, seed=3).examples(6) == stream.examples(6), "no step needs those before"
