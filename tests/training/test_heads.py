"""Heads on the last state: their losses in closed form, in every layout and with every kind of adapter."""

import dataclasses
import importlib
import json
import math

import numpy as np
import pytest
import torch
from test_method import PAIRS, PairOptions, preferences
from test_resume import Killed, assert_same_bits, result, stop_after
from torch.nn import functional as F
from training_samples import LABELS, Rows, labelled

from dizuo import models
from dizuo.data import Task
from dizuo.data.rendering.last_token import render_conversation, render_question
from dizuo.errors import PlanError
from dizuo.models import quantization
from dizuo.records import Labelled, Message, Origin, Preference
from dizuo.training import TrainOptions, plan, train
from dizuo.training.building.build import build_network
from dizuo.training.stepping.stepper import Stepper
from dizuo.training.tokens.token_store import TokenStore
from dizuo.training.tokens.tokenizing import Faults, Rules, tokenize
from dizuo.trees import Runner

bitsandbytes = pytest.mark.skipif(
    quantization.find_fault("nf4") is not None, reason=str(quantization.find_fault("nf4"))
)
MANY = Task("classification", instruction="Name all.", labels=tuple(sorted(LABELS)), multi_label=True)
NUMBERS = Task("classification", instruction="How long is it?", labels=("1", "2"))


def several(count):
    return [
        dataclasses.replace(row, labels=tuple(sorted({*row.labels, LABELS[number % 4]}))[: 1 + number % 2])
        for number, row in enumerate(labelled(count))
    ]


def numbers(count):
    return [dataclasses.replace(row, labels=(f"{len(row.text) / 4}",)) for row in labelled(count)]


CASES = {
    "classification": ("classification", labelled, Rows().task, {}, math.log(4)),
    "several labels": ("classification", several, MANY, {}, math.log(2)),
    "regression": ("regression", numbers, NUMBERS, {}, 1.0),
    "reward": ("reward", preferences, Task("preference"), {}, math.log(2)),
    "weighted": (
        "classification",
        labelled,
        Rows().task,
        {"class_weights": "balanced", "label_smoothing": 0.1},
        math.log(4),
    ),
    "huber, text": ("regression", numbers, NUMBERS, {"error": "huber", "huber_delta": 0.5, "form": "text"}, None),
    "centred": ("reward", preferences, Task("preference"), {"center": 0.01}, math.log(2)),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory, spec):
    """Plans by case, each made once."""
    known = {}

    def make(case, **options):
        key = (case, *sorted(options.items()))
        if key not in known:
            method, rows, task, own, _ = CASES[case]
            root = tmp_path_factory.mktemp("heads")
            data = Rows(train=rows(24), validation=rows(6), task=task).write(root / "data")
            own_options = importlib.import_module(f"dizuo.training.methods.{method}").Options(**own)
            wanted = TrainOptions(method=method, batch_size=8, **{"epochs": 1.0, **options})
            known[key] = plan(spec, data, out=root / "run", options=wanted, method_options=own_options, measure=False)
        return known[key]

    return make


def stepper_of(planned, model, *, layout, budget=10**6, noise=0.05, adapter=None, method=None):
    """Return (network, stepper), the trained weights moved off their start; B and the head begin at zero."""
    from dizuo.training.methods import METHODS

    changed = planned
    if adapter is not None:
        changed = planned.with_use(dataclasses.replace(planned.use, adapter=adapter))
    network = build_network(changed, model)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in network.parameters.items():
            scale = network.head.scale if name == "score.weight" else 1.0
            parameter.add_(torch.randn(parameter.shape, generator=generator) * (noise / scale))
    found = method or METHODS.load(planned.use.method)
    options = PairOptions() if method else planned.method_options
    return network, Stepper(
        network,
        Runner(network.module, layout=layout),
        method=found,
        method_options=options,
        budget=budget,
        max_grad_norm=1.0,
        weight_decay=0.0,
    )


def step(planned, model, *, store=None, **how):
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    network, stepper = stepper_of(planned, model, **how)
    store = store or TokenStore(planned.folder / "tokens" / "train")
    try:
        figures = stepper.accumulate(store, list(range(min(12, len(store)))))
        gradients = [p.grad.flatten() for p in network.parameters.values() if p.grad is not None]
        return figures, torch.cat(gradients)
    finally:
        network.release()
        if how.get("adapter") == "full":
            model.module.load_state_dict(before)


@pytest.fixture(scope="module")
def model(spec):
    return models.load(spec)


@pytest.mark.parametrize("layout", ["tree", "padded"])
@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][4] is not None])
def test_the_first_loss_is_that_of_a_guess_that_knows_nothing(made, model, case, layout):
    """ln K for one label, ln 2 for yes or no and for a pair; a standardised number has variance 1."""
    planned = made(case)
    network, stepper = stepper_of(planned, model, layout=layout, noise=0.0)
    try:
        figures = stepper.evaluate(TokenStore(planned.folder / "tokens" / "train"), batch_size=100)
    finally:
        network.release()
    assert figures.loss == pytest.approx(CASES[case][4], abs=2e-6)
    if case == "reward":
        assert figures.also == {"accuracy": 0.5, "margin": 0.0}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_depend_on_neither_blocks_nor_layout(made, model, case):
    planned = made(case)
    whole, flat = step(planned, model, layout="padded")
    assert float(flat.norm()) > 1e-3
    for budget, layout in ((10**6, "tree"), (90, "tree"), (1, "padded")):
        figures, gradient = step(planned, model, budget=budget, layout=layout)
        assert figures.loss == pytest.approx(whole.loss, abs=1e-5)
        assert figures.also == pytest.approx(whole.also, abs=1e-5)
        assert float((gradient - flat).abs().max()) < 1e-5 * float(flat.norm())


KINDS = [
    ("lora", "none"),
    ("dora", "none"),
    ("rslora", "none"),
    ("full", "none"),
    pytest.param("lora", "nf4", marks=bitsandbytes),
    ("lora", "int8"),
    pytest.param("dora", "nf4", marks=bitsandbytes),
]


@pytest.mark.parametrize("loss", ["sft", "pairs", "classification"])
@pytest.mark.parametrize(("adapter", "quantize"), KINDS)
def test_every_kind_of_adapter_has_the_same_gradient_in_every_layout(
    made, spec, data, tmp_path, adapter, quantize, loss
):
    model = models.load(spec, quantize=quantize)
    store, method = None, None
    if loss != "classification":
        planned = plan(spec, data, out=tmp_path / "run", options=TrainOptions(epochs=1), measure=False)
    else:
        planned = made("classification")
    if loss == "pairs":
        method = PAIRS
        rows = Rows(train=preferences(8), validation=[], task=None).write(tmp_path / "pairs").train
        rules = Rules(PAIRS, PairOptions(), "pairs", None, model.tokenizer, 256, "refuse")
        store = tokenize(rows, tmp_path / "tokens", rules=rules, faults=Faults())
    how = {"store": store, "adapter": adapter, "method": method}
    whole, flat = step(planned, model, layout="padded", **how)
    figures, gradient = step(planned, model, layout="tree", **how)
    assert figures.packed_tokens < whole.tokens, "nothing was shared"
    assert figures.loss == pytest.approx(whole.loss, abs=1e-5)
    assert float((gradient - flat).abs().max()) < 1e-5 * float(flat.norm())


def scores_of(planned, model, rows):
    """[n, K] the head's outputs, a sequence at a time through transformers' own modules."""
    network, _ = stepper_of(planned, model, layout="padded")
    store = TokenStore(planned.folder / "tokens" / "train")
    try:
        states = []
        for sequence in range(rows):
            ids = torch.from_numpy(store.ids(sequence).astype(np.int64))[None]
            states.append(network.module.get_base_model().model(input_ids=ids).last_hidden_state[0, -1])
        return network.head(torch.stack(states)).detach(), store.targets
    finally:
        network.release()


def test_the_losses_are_those_of_torch_on_single_sequences(made, model):
    scores, targets = scores_of(made("weighted"), model, 12)
    chosen = torch.from_numpy(targets[:12, 0]).long()
    counts = np.bincount(TokenStore(made("weighted").folder / "tokens" / "train").targets[:, 0].astype(int))
    weights = torch.tensor(24 / (4 * counts), dtype=torch.float32)
    assert made("weighted").method_options.class_weights == pytest.approx(weights.tolist())
    smooth = F.cross_entropy(scores, chosen, label_smoothing=0.1, reduction="none")
    expected = float((weights[chosen] * smooth).sum() / weights[chosen].sum())
    figures, _ = step(made("weighted"), model, layout="tree")
    assert figures.loss == pytest.approx(expected, abs=1e-5)
    assert figures.also["accuracy"] == pytest.approx(float((scores.argmax(1) == chosen).float().mean()))

    scores, targets = scores_of(made("several labels"), model, 12)
    expected = float(F.binary_cross_entropy_with_logits(scores, torch.from_numpy(targets[:12].copy())))
    assert step(made("several labels"), model, layout="tree")[0].loss == pytest.approx(expected, abs=1e-5)

    planned = made("huber, text")
    scores, targets = scores_of(planned, model, 12)
    values = TokenStore(planned.folder / "tokens" / "train").targets[:, 0].astype(float)
    assert planned.method_options.mean == pytest.approx(values.mean())
    assert planned.method_options.deviation == pytest.approx(values.std())
    wanted = torch.from_numpy((values[:12] - values.mean()) / values.std()).float()
    figures, _ = step(planned, model, layout="tree")
    assert figures.loss == pytest.approx(float(F.huber_loss(scores[:, 0], wanted, delta=0.5)), abs=1e-5)
    predicted = values.mean() + values.std() * scores[:, 0].double().numpy()
    assert figures.also["mae"] == pytest.approx(float(np.abs(predicted - values[:12]).mean()), abs=1e-4)

    scores, _ = scores_of(made("centred"), model, 24)
    better, worse = scores[0::2, 0], scores[1::2, 0]
    expected = float((-F.logsigmoid(better - worse) + 0.01 * (better + worse) ** 2).mean())
    assert step(made("centred"), model, layout="tree")[0].loss == pytest.approx(expected, abs=1e-5)


def test_balanced_weights_give_every_label_the_same_say(made, model):
    planned = made("weighted")
    targets = TokenStore(planned.folder / "tokens" / "train").targets[:, 0].astype(int)
    weights = np.array(planned.method_options.class_weights)
    sums = np.bincount(targets, weights=weights[targets])
    assert np.allclose(sums, 24 / 4)
    assert len(set(np.bincount(targets).tolist())) > 1, "the labels are as frequent as one another"


def test_the_head_reads_the_end_of_the_question_as_it_will_be_asked(spec, data):
    tokenizer = models.load_tokenizer(spec)
    asked = render_question(tokenizer, "where is my pin", data.task)
    text = tokenizer.decode(asked.ids)
    assert text == "<|im_start|>user\nClassify the text.\n\nwhere is my pin<|im_end|>\n<|im_start|>assistant\n"
    assert not asked.weights.any()
    bare = render_question(tokenizer, "where is my pin", data.task, form="text")
    assert tokenizer.decode(bare.ids) == "where is my pin"
    cued = render_question(tokenizer, "where is my pin", data.task, cue="It is:")
    assert cued.ids.tolist() == tokenizer(f"{text}It is:", add_special_tokens=False)["input_ids"]
    assert cued.num_prompt == len(cued.ids), "a question too long is cut in front of its cue"
    assert tokenizer.decode(render_question(tokenizer, "hm", None, form="text", cue=": it is").ids) == "hm: it is"


@pytest.mark.parametrize(
    ("own", "task", "cue"),
    [
        ({}, Rows().task, "In one word, it is:"),
        ({"cue": "Label:"}, Rows().task, "Label:"),
        ({"cue": ""}, Rows().task, ""),
        ({"form": "text"}, Rows().task, ""),
        ({}, MANY, ""),
    ],
)
def test_a_classification_reads_the_question_and_the_cue_of_the_answer(spec, own, task, cue):
    from dizuo.training.methods import classification

    options, tokenizer = classification.Options(**own), models.load_tokenizer(spec)
    row = next(iter(labelled(1)))
    (asked,) = classification.sequences(row, task, tokenizer, options)
    form = own.get("form", "chat")
    assert asked.ids.tolist() == render_question(tokenizer, row.text, task, form=form, cue=cue).ids.tolist()
    assert classification.head(task, options).cue == cue
    assert tokenizer.decode(asked.ids).endswith(cue)


def test_a_sequence_never_ends_in_padding_where_transformers_would_not_look(spec):
    """transformers pools at the last token that is not padding, and this tokenizer pads with the end of turn."""
    tokenizer = models.load_tokenizer(spec)
    assert tokenizer.pad_token == "<|im_end|>"
    whole = render_conversation(tokenizer, [Message("user", "hi")], [Message("assistant", "pin")])
    assert tokenizer.decode(whole.ids) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\npin<|im_end|>\n"
    tokenizer.chat_template = tokenizer.chat_template.replace("<|im_end|>\n", "<|im_end|>")
    whole = render_conversation(tokenizer, [Message("user", "hi")], [Message("assistant", "pin")])
    assert tokenizer.decode(whole.ids) == "<|im_start|>user\nhi<|im_end|><|im_start|>assistant\npin"


def test_the_two_conversations_of_a_pair_share_their_prompt(made, model):
    figures, _ = step(made("reward"), model, layout="tree")
    assert figures.packed_tokens < 0.7 * figures.tokens


@pytest.mark.parametrize("case", ["classification", "regression"])
def test_a_stopped_run_goes_on_to_the_same_bits(made, spec, tmp_path, case):
    options = {"checkpoint_every": 2, "eval_every": 3, "learning_rate": 3e-3, "epochs": 2.0, "adapter": "dora"}
    whole = train(made(case, **options))
    method, rows, task, own, _ = CASES[case]
    data = Rows(train=rows(24), validation=rows(6), task=task).write(tmp_path / "data")
    own_options = importlib.import_module(f"dizuo.training.methods.{method}").Options(**own)

    def again(**more):
        wanted = TrainOptions(method=method, batch_size=8, **options)
        out = tmp_path / "run"
        return train(plan(spec, data, out=out, options=wanted, method_options=own_options, measure=False), **more)

    for stop in (3, 5):
        with pytest.raises(Killed):
            again(watch=stop_after(stop))
    run = again()
    assert_same_bits(result(run), result(whole))
    assert any(name.endswith("score.weight") for name in result(run))
    facts = json.loads((run.adapter / "head.json").read_text())
    assert facts["kind"] == case
    assert facts["template"].startswith("sha256:")


def pair(a, b):
    user = (Message("user", "hi"),)
    return Preference(user, (Message("assistant", a),), (Message("assistant", b),), origin=Origin("p.jsonl", 1))


REFUSED = {
    "no labels": (
        "classification",
        {},
        Rows(task=Task("generation")),
        "method classification needs a task with labels to choose from, and the data has 0\n"
        "\nhint: prepare rows with a label column, or train with method sft",
    ),
    "no task": (
        "classification",
        {},
        Rows(task=None),
        "method classification needs a task with labels to choose from, and the data has 0\n"
        "\nhint: prepare rows with a label column, or train with method sft",
    ),
    "another label": (
        "classification",
        {},
        Rows(train=[*labelled(4), Labelled("what now", ("limbo",), origin=Origin("rows.csv", 9))]),
        "1 of 5 training rows cannot be trained\n"
        "  rows.csv:9: 'limbo' is not one of the task's 4 labels\n"
        "\nhint: fix or remove the rows",
    ),
    "a weight for no label": (
        "classification",
        {"class_weights": {"crad": 2.0}},
        Rows(),
        "class_weights names 'crad', which is no label (did you mean 'card'?)\n"
        "\nhint: the labels are: card, pin, top up, transfer",
    ),
    "smoothing several labels": (
        "classification",
        {"label_smoothing": 0.1},
        Rows(train=several(4), validation=[], task=MANY),
        "label_smoothing is for one label per row, and these rows have several\n\nhint: leave it at 0",
    ),
    "a word for a number": (
        "regression",
        {},
        Rows(train=labelled(1), validation=[], task=NUMBERS),
        "1 of 1 training rows cannot be trained\n  rows.csv:2: 'card' is not a number\n\nhint: fix or remove the rows",
    ),
    "no end of a number": (
        "regression",
        {},
        Rows(train=[Labelled("x", ("inf",), origin=Origin("r.csv", 1))], validation=[], task=NUMBERS),
        "1 of 1 training rows cannot be trained\n  r.csv:1: 'inf' is not a finite number\n"
        "\nhint: fix or remove the rows",
    ),
    "one number": (
        "regression",
        {},
        Rows(train=[dataclasses.replace(row, labels=("2.5",)) for row in labelled(5)], validation=[], task=NUMBERS),
        "all 5 training rows have the number 2.5, so there is nothing to learn\n\nhint: check label_column",
    ),
    "numbers listed as labels": (
        "regression",
        {},
        Rows(
            task=Task("classification", instruction="Classify the text. Answer with one of: 1, 2.", labels=("1", "2"))
        ),
        "the instruction lists the numbers of the data as labels",
    ),
    "a pair that is level": (
        "reward",
        {},
        Rows(train=[pair("yes", "yes")], validation=[], task=Task("preference")),
        "1 of 1 training rows cannot be trained\n"
        "  p.jsonl:1: the better and the worse answer are the same tokens\n"
        "\nhint: fix or remove the rows",
    ),
    "labelled rows": (
        "reward",
        {},
        Rows(train=labelled(1), validation=[]),
        "1 of 1 training rows cannot be trained\n  rows.csv:2: a labelled row, but reward takes preference\n"
        "\nhint: choose a method that takes labelled rows, or prepare the data as another format",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_nothing_to_learn_is_refused_with_its_row(spec, tmp_path, case):
    method, own, rows, message = REFUSED[case]
    data = rows.write(tmp_path / "data")
    own_options = importlib.import_module(f"dizuo.training.methods.{method}").Options(**own)
    with pytest.raises(PlanError) as raised:
        plan(
            spec,
            data,
            out=tmp_path / "run",
            options=TrainOptions(method=method),
            method_options=own_options,
            measure=False,
        )
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("method", "own", "message"),
    [
        ("classification", {"label_smoothing": 1.0}, "label_smoothing must be at least 0 and below 1, not 1.0"),
        ("classification", {"class_weights": {"card": 0.0}}, "class_weights must be numbers above 0, not 0.0"),
        ("regression", {"huber_delta": 0.0}, "huber_delta must be above 0, not 0.0"),
        ("regression", {"deviation": -1.0}, "deviation must be above 0, not -1.0"),
        ("reward", {"center": -0.1}, "center must be at least 0, not -0.1"),
    ],
)
def test_options_that_no_run_could_use_are_refused(method, own, message):
    with pytest.raises(PlanError) as raised:
        importlib.import_module(f"dizuo.training.methods.{method}").Options(**own)
    assert raised.value.message == message


def test_a_model_without_a_classifier_in_transformers_is_refused(made, spec, tmp_path, monkeypatch):
    from transformers.models.auto import modeling_auto

    monkeypatch.setattr(modeling_auto, "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES", {})
    with pytest.raises(PlanError) as raised:
        plan(
            spec,
            Rows().write(tmp_path / "data"),
            out=tmp_path / "run",
            options=TrainOptions(method="classification"),
            measure=False,
        )
    assert raised.value.message == (
        "classification cannot train this model: transformers has no sequence classification for llama"
    )


def test_the_head_learns_at_a_rate_of_its_own(made, spec, model, tmp_path):
    """AdamW's first step moves every weight by its rate, whatever its gradient: the head's shows in what is saved."""
    planned = made("classification", head_learning_rate=1e-2)
    assert (planned.use.learning_rate, planned.use.head_learning_rate) == (1e-3, 1e-2)
    store = TokenStore(planned.folder / "tokens" / "train")
    network, stepper = stepper_of(planned, model, layout="padded", noise=0.0)
    try:
        stepper.apply(stepper.accumulate(store, list(range(12))), learning_rate=planned.use.learning_rate)
        weight, facts = network._trained_head()
        assert float(weight.abs().max()) == pytest.approx(1e-2, rel=1e-3)
        assert facts.labels == tuple(sorted(LABELS))
        moved = max(float(p.detach().abs().max()) for name, p in network.parameters.items() if "lora_B" in name)
        assert moved == 0.0, "a head of zeros gives the model below it no gradient yet"
    finally:
        network.release()
    data = Rows(train=labelled(24), validation=labelled(6)).write(tmp_path / "data")
    for number, (options, expected) in enumerate(
        [
            ({"head_learning_rate": 0.5}, (0.5, "call")),
            ({"adapter": "full"}, (1e-3, "default")),
            ({"learning_rate": 2e-4}, (1e-3, "default")),
        ]
    ):
        wanted = TrainOptions(method="classification", **options)
        given = plan(spec, data, out=tmp_path / str(number), options=wanted, measure=False)
        assert (given.use.head_learning_rate, given.why["head_learning_rate"].origin) == expected
    assert "head_learning_rate" not in plan(spec, data, out=tmp_path / "sft", measure=False).why
