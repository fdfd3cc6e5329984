"""The doctor finds nothing on a healthy run, and every planted fault on a sick one, by name and by row."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from planted_faults import NO_END, TWO_STARTS, leak, model_with, planted_methods
from training_samples import Rows, labelled, write_model

from dizuo import models
from dizuo.errors import PlanError
from dizuo.events import Progress
from dizuo.records import Chat, Labelled, Message, Origin, Preference, Text
from dizuo.testing import CheckSuite
from dizuo.training import TrainOptions
from dizuo.training.doctor import examine
from dizuo.training.doctor.checks import CHECKS

_ = planted_methods
MODEL_FREE = (
    "bos", "duplicates", "end_of_turn", "labels", "masked_rows", "rows", "template_identity", "truncation",
)  # fmt: skip
"""Checks that run no model."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_with(tmp_path_factory.mktemp("model") / "tiny")


def looked(model, data, *, only=None, method_options=None, plan=None, rows=None, **options):
    options = TrainOptions(dtype="float32", threads=1, **options)
    return examine(model, data, options=options, only=only, method_options=method_options, plan=plan, rows=rows)


def reds(diagnosis):
    return {result.check for result in diagnosis.red}


def two_turns(line, *, weights=(1.0, 1.0)):
    return Chat(
        (
            Message("system", "Be short."),
            Message("user", f"where is my card {line}"),
            Message("assistant", "card", weight=weights[0]),
            Message("user", "and my pin"),
            Message("assistant", "pin", weight=weights[1]),
        ),
        origin=Origin("chats.jsonl", line),
    )


# ---- healthy


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="lora"),
        pytest.param({"adapter": "full"}, id="full"),
        pytest.param({"dropout": 0.1}, id="dropout", marks=pytest.mark.slow),
        pytest.param({"layout": "padded"}, id="padded", marks=pytest.mark.slow),
        pytest.param({"targets": ("q_proj", "v_proj")}, id="targets", marks=pytest.mark.slow),
    ],
)
def test_a_healthy_run_has_no_finding(model, data, options):
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    diagnosis = looked(model, data, **options)
    assert diagnosis.healthy, [(result.check, result.finding) for result in diagnosis.red]
    assert {result.check for result in diagnosis.results} == set(CHECKS.names())
    skipped = {result.check for result in diagnosis.results if result.finding.state == "skipped"}
    assert skipped == ({"merge"} if options.get("adapter") == "full" else set())
    # The model goes home as it came.
    after = model.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


@pytest.mark.parametrize("kind", ["dora", "rslora", "nf4", "int8"])
@pytest.mark.slow
def test_other_adapters_and_quantised_weights_have_no_finding(model, data, kind):
    if kind == "nf4":
        pytest.importorskip("bitsandbytes")
    options = {"quantize": kind} if kind in ("nf4", "int8") else {"adapter": kind}
    diagnosis = looked(model, data, **options)
    assert diagnosis.healthy, diagnosis.red
    assert diagnosis["merge"].state == ("skipped" if "quantize" in options else "green")


@pytest.mark.parametrize("method", ["classification", "reward"])
def test_methods_with_a_head_have_no_finding(model, data, tmp_path, method):
    if method == "reward":
        rows = [preference(line) for line in range(1, 13)]
        data = Rows(train=rows, validation=[], task=None).write(tmp_path / "pairs")
    diagnosis = looked(model, data, method=method)
    assert diagnosis.healthy, diagnosis.red
    first = math.log(4) if method == "classification" else math.log(2)
    assert diagnosis["first_loss"].measured == f"{first:.4f}, {first:.4f} by the untrained model alone"
    assert diagnosis["end_of_turn"].state == diagnosis["labels"].state == "skipped"
    assert diagnosis["template_identity"].state == "green"


def preference(line):
    def said(text):
        return (Message("assistant", text),)

    asked = (Message("user", f"where is my card {line}"),)
    longer = "please tell me " * (1 + line % 3)
    return Preference(asked, said("at the bank"), said(longer), origin=Origin("pairs.jsonl", line))


def test_conversations_and_running_text_have_no_finding(model, tmp_path):
    chats = [two_turns(line, weights=(line % 2, 1.0)) for line in range(1, 13)]
    talked = looked(model, Rows(train=chats, validation=[], task=None).write(tmp_path / "chats"))
    assert talked.healthy, talked.red
    assert talked["end_of_turn"].measured == "18 turns"
    texts = [Text("money still pending " * (1 + n % 3), origin=Origin("t.txt", n)) for n in range(1, 9)]
    read = looked(model, Rows(train=texts, validation=[], task=None).write(tmp_path / "texts"))
    assert read.healthy, read.red
    assert read["labels"].state == read["template_identity"].state == "skipped"
    assert read["end_of_turn"].measured == "8 turns"


def test_results_come_in_the_order_of_the_traps_and_each_has_its_figures(model, data):
    diagnosis = looked(model, data, only=["bos", "accumulation", "duplicates"])
    assert [(result.check, result.trap) for result in diagnosis.results] == [
        ("accumulation", 1),
        ("bos", 4),
        ("duplicates", 12),
    ]
    assert diagnosis["duplicates"].measured == "40 training rows against 9 validation"
    assert all(result.seconds >= 0 and result.finding.measured for result in diagnosis.results)


def test_few_rows_are_enough_and_a_part_of_many_is_said(model, data, tmp_path):
    told = []
    diagnosis = examine(model, data, rows=5, only=["rows"], watch=told.append)
    assert (diagnosis.num_rows, diagnosis.num_train) == (5, 40)
    assert [event.done for event in told if isinstance(event, Progress)] == [1]
    one = Rows(train=labelled(1), validation=[]).write(tmp_path / "one")
    assert looked(model, one).healthy
    with pytest.raises(PlanError, match="the training split has no rows"):
        looked(model, Rows(train=[], validation=[]).write(tmp_path / "none"))


class TestEveryCheck(CheckSuite):
    test_it_is_red_on_a_planted_mistake = None  # below, for each check its own mistakes

    @pytest.fixture(
        params=[name if name in MODEL_FREE else pytest.param(name, marks=pytest.mark.slow) for name in CHECKS.names()]
    )
    def name(self, request):
        return request.param


# ---- planted faults


def test_a_template_that_does_not_end_the_last_turn_is_found(data, tmp_path):
    sick = model_with(tmp_path / "m", template=NO_END)
    diagnosis = looked(sick, data)
    found = diagnosis["end_of_turn"]
    assert found.state == "red"
    assert found.measured == "40 turns do not"
    assert found.lines[0] == "rows.csv:2: after the answer the template writes '', which no special token ends"
    assert found.lines[-1] == "… and 30 more"
    assert "it goes on after its answer until the token limit" in found.meaning
    assert "rows" in reds(diagnosis)
    assert diagnosis["bos"].state == "green"
    # What needs a row that can be trained says that there is none.
    assert diagnosis["accumulation"].measured == "stopped: none of the 40 rows looked at can be trained"


def test_a_method_that_does_not_train_the_end_of_turn_is_found(model, data, planted_methods):
    found = looked(model, data, only=MODEL_FREE, method="no_end")
    assert reds(found) == {"end_of_turn"}
    assert found["end_of_turn"].lines[0] == "rows.csv:2, turn 2: <|im_end|> at its end has weight 0"


def test_two_bos_are_found_where_the_template_writes_both(data, tmp_path):
    sick = model_with(tmp_path / "m", template=TWO_STARTS)
    diagnosis = looked(sick, data, only=MODEL_FREE)
    assert reds(diagnosis) == {"bos", "rows"}
    assert diagnosis["bos"].measured == "40 sequences have not"
    assert diagnosis["bos"].lines[0] == "rows.csv:2: the template writes <|im_start|> twice"


def test_two_bos_are_found_where_the_tokenizer_adds_one_too(data, tmp_path):
    healthy = model_with(tmp_path / "healthy", adds_bos=True)
    assert looked(healthy, data, only=MODEL_FREE).healthy
    sick = model_with(tmp_path / "sick", template=TWO_STARTS, adds_bos=True)
    diagnosis = looked(sick, data, only=MODEL_FREE)
    assert reds(diagnosis) == {"bos", "rows"}
    assert diagnosis["bos"].lines[0] == "rows.csv:2: the template writes <|im_start|> twice"


@pytest.mark.parametrize("over_length", ["refuse", "cut_prompt", "cut_prompt_left"])
def test_rows_whose_targets_would_be_cut_off_are_found(model, tmp_path, over_length):
    rows = labelled(12)
    long = " ".join(["transfer"] * 200)
    rows[3] = Chat((Message("user", "why"), Message("assistant", long)), origin=Origin("rows.jsonl", 5))
    rows = [
        Chat((Message("user", row.text), Message("assistant", row.labels[0])), origin=row.origin)
        if isinstance(row, Labelled)
        else row
        for row in rows
    ]
    data = Rows(train=rows, validation=[], task=None).write(tmp_path / "data")
    diagnosis = looked(model, data, max_length=64, over_length=over_length)
    assert reds(diagnosis) == {"truncation"}
    found = diagnosis["truncation"]
    assert found.measured == "1 of 12 rows do not fit in 64 tokens"
    assert len(found.lines) == 1
    assert found.lines[0].startswith("rows.jsonl:5: ")
    assert "its target alone has" in found.lines[0]


def test_prompts_that_are_cut_are_counted_and_no_finding(model, data):
    found = looked(model, data, only=["truncation"], max_length=60, over_length="cut_prompt")["truncation"]
    assert found.state == "green"
    assert found.measured == "8 prompts are cut to 60 tokens, every target is whole"
    refused = looked(model, data, only=["truncation"], max_length=60)["truncation"]
    assert refused.state == "red"
    assert len(refused.lines) == 8


def test_a_mean_of_means_is_found_twice(model, data, planted_methods):
    diagnosis = looked(model, data, method="mean_of_means")
    assert reds(diagnosis) == {"accumulation", "normalisation"}
    assert "its mean drifts by" in diagnosis["accumulation"].measured
    assert "leave the division to the loop" in diagnosis["accumulation"].hint


def test_a_wrong_division_that_no_block_size_shows_is_found(model, tmp_path, planted_methods):
    rows = [Text("why did my transfer fail " * (1 + n % 3), origin=Origin("t.txt", n)) for n in range(1, 9)]
    data = Rows(train=rows, validation=[], task=None).write(tmp_path / "data")
    diagnosis = looked(model, data, method="per_sequence")
    assert reds(diagnosis) == {"normalisation"}
    assert diagnosis["normalisation"].hint.startswith("return the block's weighted sum")


@pytest.mark.parametrize("architecture", ["gpt2", "olmo2"])
def test_a_backend_that_mixes_neighbours_in_long_trees_is_found(data, tmp_path, architecture):
    # Short batches are right, so the probe that every plan makes is passed.
    folder = write_hosted(tmp_path / "m", architecture)
    healthy = models.load(models.inspect(folder))
    only = ["accumulation", "isolation", "layouts", "packing"]
    options = {"targets": ("c_attn",)} if architecture == "gpt2" else {}
    assert looked(healthy, data, only=only, **options).healthy
    sick = models.load(models.inspect(folder))
    leak(sick.module, above=150)
    diagnosis = looked(sick, data, only=only, **options)
    assert {"isolation", "packing"} <= reds(diagnosis)
    assert diagnosis["packing"].lines[0].startswith("rows.csv:")
    assert "Examples that happen to share a batch read each other" in diagnosis["isolation"].meaning


def test_a_layer_that_mixes_the_rows_of_padded_batches_is_found(data, tmp_path):
    sick = model_with(tmp_path / "m")
    leak(sick.module)
    diagnosis = looked(sick, data, layout="padded", only=["isolation", "layouts", "packing"])
    assert reds(diagnosis) == {"isolation", "layouts", "packing"}
    assert "a layer of the model mixes the rows of a batch" in diagnosis["isolation"].hint


def test_rows_that_are_masked_as_a_whole_are_found(model, data, tmp_path, planted_methods):
    diagnosis = looked(model, data, only=MODEL_FREE, method="masked")
    assert diagnosis["masked_rows"].lines[0] == "rows.csv:3: every token has weight 0"
    assert diagnosis["masked_rows"].measured == "13 of 40 rows have none"
    chats = [two_turns(line, weights=(0.0, 0.0) if line == 4 else (1.0, 1.0)) for line in range(1, 9)]
    untaught = Rows(train=chats, validation=[], task=None).write(tmp_path / "chats")
    found = looked(model, untaught, only=["masked_rows", "accumulation"])
    assert reds(found) == {"masked_rows"}
    assert found["masked_rows"].lines == ("chats.jsonl:4: no assistant turn is trained",)


def test_a_weight_that_is_no_number_is_found_by_name(data, tmp_path):
    sick = model_with(tmp_path / "m")
    with torch.no_grad():
        sick.module.model.layers[1].mlp.up_proj.weight[3, 5] = math.nan
    diagnosis = looked(sick, data)
    assert diagnosis["finite"].lines == ("model.layers.1.mlp.up_proj.weight: 1 of 6,144 values",)
    assert {"accumulation", "finite", "packing"} <= reds(diagnosis)
    assert not reds(diagnosis) & set(MODEL_FREE)
    assert diagnosis["resume"].state == "skipped"


def test_a_number_of_the_data_that_is_none_is_found_by_row(model, data, planted_methods):
    diagnosis = looked(model, data, method="nan_weight", only=["finite"])
    assert diagnosis["finite"].lines == ("rows.csv:5: a training weight of one of its tokens",)


def test_a_loss_that_hides_its_nan_is_stopped_by_the_gradient(model, data, planted_methods):
    found = looked(model, data, method="hides_nan", only=["non_finite"])["non_finite"]
    assert found.state == "green"
    assert found.measured.startswith("with NaN in its weights: the gradient norm is nan at step 2")


def test_prompts_that_are_trained_otherwise_than_served_are_found(model, data, planted_methods):
    diagnosis = looked(model, data, only=MODEL_FREE, method="other_prompt")
    assert reds(diagnosis) == {"template_identity"}
    assert diagnosis["template_identity"].lines[0].startswith("rows.csv:2, turn 2: they part at token ")


def test_trained_tokens_that_are_of_no_answer_are_found(model, data, planted_methods):
    diagnosis = looked(model, data, only=MODEL_FREE, method="trains_prompts")
    assert reds(diagnosis) == {"labels"}
    assert diagnosis["labels"].lines[0] == "rows.csv:2: 3 trained tokens are of no answer"


def test_a_run_that_does_not_resume_exactly_is_found(model, data, planted_methods):
    diagnosis = looked(model, data, method="forgetful", only=["resume"])
    assert reds(diagnosis) == {"resume"}
    assert "trained tensors differ" in diagnosis["resume"].measured


def test_a_merged_model_that_is_another_one_is_found(data, tmp_path):
    sick = model_with(tmp_path / "m")
    # What a module does besides its weights does not reach the merged file.
    sick.module.model.norm.register_forward_hook(lambda layer, inputs, output: output * 1.05)
    diagnosis = looked(sick, data, only=["merge"])
    assert reds(diagnosis) == {"merge"}
    assert diagnosis["merge"].meaning == "The model that is deployed is not the one that was trained."


def test_a_question_that_is_trained_and_tested_is_found(model, tmp_path):
    train, test = labelled(12), labelled(3, start=50)
    test[1] = Labelled(train[4].text.upper(), ("pin",), origin=Origin("test.csv", 9))
    data = Rows(train=train, validation=[], test=test).write(tmp_path / "data")
    found = looked(model, data, only=["duplicates"])["duplicates"]
    assert found.lines == ("rows.csv:6: asks the same as test test.csv:9",)


def test_parts_of_a_tested_conversation_that_are_trained_are_found(model, tmp_path):
    def chat(line, *words):
        turns = tuple(Message(("user", "assistant")[i % 2], word) for i, word in enumerate(words))
        return Chat(turns, origin=Origin("chats.jsonl", line))

    whole = ("card?", "card", "pin?", "pin", "pay?", "pay")
    train = [chat(1, *whole[:2]), chat(2, *whole), chat(3, "pay?", "pay")]
    held = [chat(9, *whole[:4])]
    data = Rows(train=train, validation=[], test=held).write(tmp_path / "data")
    found = looked(model, data, only=["duplicates"])["duplicates"]
    assert found.lines == (
        "chats.jsonl:1: begins the conversation of test chats.jsonl:9",
        "chats.jsonl:2: goes on from test chats.jsonl:9",
    )


def test_members_of_one_group_on_both_sides_are_found(model, tmp_path):
    def of(example, group):
        return Labelled(example.text, example.labels, group=group, origin=example.origin)

    train = [of(row, f"user {number}") for number, row in enumerate(labelled(6))]
    held = [of(row, "user 3") for row in labelled(1, start=50)]
    data = Rows(train=train, validation=held).write(tmp_path / "data")
    found = looked(model, data, only=["duplicates"])["duplicates"]
    assert found.lines == ("rows.csv:5: is of the same group (user 3) as validation rows.csv:52",)


def test_a_run_that_does_not_fit_into_memory_is_found(model, data):
    found = looked(model, data, only=["memory"], rank=2_000_000_000)["memory"]
    assert found.state == "red"
    assert found.measured == "stopped: training cannot start, for 2 reasons"
    assert any(line.startswith("training needs about ") for line in found.lines)


def test_a_model_that_is_worse_than_guessing_is_found(data, tmp_path):
    write_model(tmp_path / "m", scale=12)
    sick = models.load(models.inspect(tmp_path / "m"))
    found = looked(sick, data, only=["first_loss"])["first_loss"]
    assert found.state == "red"
    assert "do not belong together" in found.meaning


def test_faked_answers_that_nobody_would_guess_are_no_fault_of_the_template(model, data, monkeypatch):
    """A trained model is sure of other answers: its first loss is above a guess, and it reads the text well."""
    from dizuo.training.doctor.subject import Subject

    plainly = Subject.run_plainly
    uniform = math.log(model.spec.vocab_size)

    def odd_answers(self, module, *, everything=False):
        values = plainly(self, module, everything=everything)
        return [part * 0 - (1.0 if everything else uniform + 3) for part in values]

    def first(self):
        return SimpleNamespace(loss=uniform + 3, grad_norm=1.0)

    monkeypatch.setattr(Subject, "run_plainly", odd_answers)
    monkeypatch.setattr(Subject, "first", property(first))
    found = looked(model, data, only=["first_loss"])["first_loss"]
    assert found.state == "green"
    assert found.measured.endswith("1.00 for all of the text")


def test_a_check_that_fails_itself_is_red_and_stops_no_other(model, data, planted_methods, monkeypatch):
    def broken(outputs, batch, options):
        raise ZeroDivisionError("planted")

    module = importlib.import_module("planted_no_end")
    monkeypatch.setattr(module, "METHOD", replace(module.METHOD, loss=broken))
    diagnosis = looked(model, data, method="no_end", only=["accumulation", "bos"])
    assert diagnosis["accumulation"].measured == "failed: ZeroDivisionError: planted"
    first, last = diagnosis["accumulation"].lines
    assert "checks/accumulation.py, line " in first
    assert last.endswith(", in broken")
    assert diagnosis["bos"].state == "green"


def test_a_check_that_does_not_exist_is_refused(model, data):
    with pytest.raises(PlanError, match=r"no check is called 'bso' \(did you mean 'bos'\?\)"):
        looked(model, data, only=["bso"])


def write_hosted(folder, architecture):
    """Write a tiny model of an architecture without a native forward, with the tokenizer of the others."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(write_model(folder / "llama"))
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    if architecture == "gpt2":
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}
    config = CONFIG_MAPPING[architecture](
        vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, pad_token_id=2, max_position_embeddings=256, **sizes
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / architecture)
    tokenizer.save_pretrained(folder / architecture)
    return folder / architecture
