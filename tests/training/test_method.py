"""The protocol holds for methods that train pairs and for those that read the last state, in both layouts."""

import importlib
from dataclasses import dataclass

import pytest
import torch
from training_samples import Rows, write_model

from dizuo import models
from dizuo.data.rendering import conversations
from dizuo.records import Message, Origin, Preference
from dizuo.training import TrainOptions, plan, preference_pairs
from dizuo.training.building.build import build_network
from dizuo.training.building.network import Network
from dizuo.training.method import Loss, Method
from dizuo.training.methods import METHODS
from dizuo.training.stepping.stepper import Stepper
from dizuo.training.tokens.batching import cut_blocks
from dizuo.training.tokens.tokenizing import Faults, Rules, tokenize
from dizuo.trees import Runner


@dataclass(frozen=True)
class PairOptions:
    beta: float = 0.1


def pair_sequences(example, task, tokenizer, options):
    answers = [example.chosen[-1].content, example.rejected[-1].content]
    return conversations.render_completions(tokenizer, example.prompt, answers)


def pair_loss(outputs, batch, options):
    sums = preference_pairs.sum_logprobs(outputs).float()
    pairs = int(batch.group[-1]) + 1
    assert batch.member.tolist() == [0, 1] * pairs, "chosen and rejected stand together"
    margin = sums[0::2] - sums[1::2]
    return Loss(-torch.nn.functional.logsigmoid(options.beta * margin).sum(), float(pairs))


PAIRS = Method(Options=PairOptions, kinds=("preference",), sequences=pair_sequences, loss=pair_loss)


def head_loss(outputs, batch, options):
    assert outputs.last.shape[0] == len(batch.sequences)
    return Loss(outputs.last[:, :5].exp().sum(), float(len(batch.sequences)))


LAST = Method(Options=PairOptions, kinds=("preference",), sequences=pair_sequences, loss=head_loss, needs_last=True)


def preferences(count):
    words = ["card", "pin", "transfer pending", "top up by bank account", "money"]
    return [
        Preference(
            (Message("user", f"where is my {words[n % 5]} {n}"),),
            (Message("assistant", words[(n + 1) % 5]),),
            (Message("assistant", f"{words[(n + 2) % 5]} {words[n % 3]}"),),
            origin=Origin("pairs.jsonl", n + 1),
        )
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def model(spec):
    return models.load(spec)


@pytest.fixture(scope="module")
def planned(spec, data, tmp_path_factory):
    return plan(spec, data, out=tmp_path_factory.mktemp("runs") / "run", options=TrainOptions(), measure=False)


@pytest.fixture(scope="module")
def store(spec, tmp_path_factory):
    rows = Rows(train=preferences(12), validation=[], task=None).write(tmp_path_factory.mktemp("pairs")).train
    rules = Rules(PAIRS, PairOptions(), "pairs", None, models.load_tokenizer(spec), 256, "refuse")
    faults = Faults()
    made = tokenize(rows, tmp_path_factory.mktemp("tokens") / "train", rules=rules, faults=faults)
    assert not faults.lines()
    return made


def step(planned, model, store, method, *, budget, layout):
    network = build_network(planned, model)
    try:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in network.parameters.values():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        stepper = Stepper(
            network,
            Runner(network.module, layout=layout),
            method=method,
            method_options=PairOptions(),
            budget=budget,
            max_grad_norm=1.0,
            weight_decay=0.0,
        )
        figures = stepper.accumulate(store, list(range(12)))
        return figures, torch.cat([parameter.grad.flatten() for parameter in network.parameters.values()])
    finally:
        network.release()


@pytest.mark.parametrize("method", [PAIRS, LAST], ids=["pairs", "last state"])
def test_loss_and_gradient_depend_on_neither_blocks_nor_layout(planned, model, store, method):
    whole, flat = step(planned, model, store, method, budget=10**6, layout="padded")
    for budget, layout in ((10**6, "tree"), (120, "tree"), (1, "tree"), (200, "padded"), (1, "padded")):
        figures, gradient = step(planned, model, store, method, budget=budget, layout=layout)
        assert figures.loss == pytest.approx(whole.loss, abs=1e-5)
        assert figures.grad_norm == pytest.approx(whole.grad_norm, rel=1e-5, abs=1e-6)
        assert float((gradient - flat).abs().max()) < 1e-5 * float(flat.norm())


@pytest.mark.parametrize("layout", ["tree", "padded"])
def test_a_loss_on_states_may_leave_the_output_layer_without_a_gradient(planned, store, layout, tmp_path):
    model = models.load(models.inspect(write_model(tmp_path / "untied", tied=False)))
    network = Network(model, adapter="full", rank=1, alpha=1.0, dropout=0.0, targets="all-linear", seed=0)
    stepper = Stepper(
        network,
        Runner(network.module, layout=layout),
        method=LAST,
        method_options=PairOptions(),
        budget=4096,
        max_grad_norm=1.0,
        weight_decay=0.0,
    )
    figures = stepper.accumulate(store, [0, 1, 2])
    assert figures.grad_norm > 0
    assert [name for name, parameter in network.parameters.items() if parameter.grad is None] == ["lm_head.weight"]


def test_a_pair_is_never_cut_apart(store):
    assert store.num_sequences == 2 * len(store) == 24
    for part in cut_blocks(store, range(12), budget=1, layout="tree"):
        batch = store.batch(part)
        assert batch.group.tolist() == [0, 0]
        assert batch.member.tolist() == [0, 1]
        assert batch.example.tolist() == store.rows[part].tolist()


def test_the_two_answers_of_a_pair_share_their_prompt(planned, model, store):
    figures, _ = step(planned, model, store, PAIRS, budget=10**6, layout="tree")
    assert figures.packed_tokens < 0.6 * figures.tokens


def test_every_method_in_the_folder_keeps_the_protocol():
    for name, method in METHODS.all().items():
        assert method.kinds
        assert method.name == name
        method.Options()
        assert callable(method.sequences)
        assert callable(method.loss)
        doc = importlib.import_module(f"dizuo.training.methods.{name}").__doc__
        assert doc
        assert "References:" in doc
