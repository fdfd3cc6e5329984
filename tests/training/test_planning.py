"""A plan resolves every value and refuses everything that cannot work, with the exact words a user sees."""

import dataclasses
import json

import numpy as np
import pytest
from training_samples import LABELS, Rows, labelled, write_model

from dizuo import models
from dizuo.data import Task
from dizuo.errors import PlanError
from dizuo.events import Warned
from dizuo.records import Chat, Labelled, Message, Origin, Preference, Text
from dizuo.training import Plan, TrainOptions, plan
from dizuo.training.methods import METHODS
from dizuo.training.methods.sft import Options
from dizuo.training.planning import defaults, machine
from dizuo.training.tokens.tokenizing import TokenStore


def made(spec, data, out, *, method_options=None, origins=None, measure=False, watch=None, **options):
    more = {} if watch is None else {"watch": watch}
    return plan(
        spec,
        data,
        out=out,
        options=TrainOptions(**options),
        method_options=method_options,
        origins=origins,
        measure=measure,
        **more,
    )


def test_every_value_has_an_origin_and_what_was_chosen_has_a_reason(spec, data, out):
    result = made(spec, data, out, rank=8, batch_size=8, origins={"rank": "recipe", "batch_size": "command line"})
    assert {name: (getattr(result.use, name), why.origin) for name, why in result.why.items()} == {
        "method": ("sft", "default"),
        "adapter": ("lora", "default"),
        "quantize": ("none", "default"),
        "rank": (8, "recipe"),
        "alpha": (16.0, "default"),
        "dropout": (0.0, "default"),
        "targets": ("all-linear", "default"),
        "learning_rate": (1e-3, "default"),
        "epochs": (8.0, "default"),
        "num_examples": (320, "data"),
        "num_steps": (40, "data"),
        "batch_size": (8, "command line"),
        "tokens_per_block": (4096, "estimated"),
        "warmup_steps": (2, "default"),
        "schedule": ("cosine", "default"),
        "weight_decay": (0.0, "default"),
        "max_grad_norm": (1.0, "default"),
        "dtype": ("bfloat16" if machine.has_bf16() else "float32", "measured"),
        "max_length": (256, "model"),
        "over_length": ("refuse", "default"),
        "seed": (0, "default"),
        "checkpoint_every": (4, "default"),
        "eval_every": (10, "default"),
        "patience": (None, "default"),
        "keep": ("best", "default"),
        "layout": ("tree", "measured"),
        "backend": ("native", "measured"),
        "threads": (1, "measured"),
        "device": ("cpu", "measured"),
        "optimizer": ("adamw", "default"),
        "shard": ("none", "default"),
        "checkpoint_activations": (False, "estimated"),
        "offload_activations": (False, "default"),
    }
    chosen = [why for why in result.why.values() if why.origin in ("measured", "estimated", "data", "model")]
    assert all(value.why for value in chosen)
    assert result.use.rank == 8
    assert result.estimates.layout_error_nats < 1e-4


def test_counts_are_those_of_the_rows(spec, data, out):
    result = made(spec, data, out, batch_size=8, epochs=1)
    store = TokenStore(out / "tokens" / "train")
    assert len(store) == store.num_sequences == len(data.train) == result.counts.train.examples
    assert result.counts.tokens_per_epoch == int(store.lengths.sum()) == result.counts.train.tokens
    assert result.counts.train.longest == store.lengths.max()
    # Every answer is trained with its end of turn, and nothing else is.
    tokenizer = models.load_tokenizer(spec)
    for example, row in enumerate(data.train):
        ids, weights = store.ids(example), store.weights(example)
        answer = tokenizer.decode(ids[weights > 0])
        assert answer == f"{row.labels[0]}<|im_end|>"
        assert ids[0] == tokenizer.bos_token_id != ids[1]
    assert result.counts.packed_tokens_per_epoch < result.counts.tokens_per_epoch


def test_the_worst_block_and_the_time_are_measured(spec, data, out):
    result = made(spec, data, out, batch_size=8, measure=True)
    store = TokenStore(out / "tokens" / "train")
    assert result.estimates.measured.worst_block.tokens == np.sort(store.lengths)[-8:].sum()
    assert result.estimates.measured.seconds == pytest.approx(result.estimates.measured.seconds_per_step * 40)
    assert result.estimates.measured.first_loss == pytest.approx(np.log(320), abs=1.5)
    assert result.estimates.memory.total > 4 * spec.parameters
    unmeasured = made(spec, data, out.with_name("other"), batch_size=8)
    assert unmeasured.digest == result.digest, "what was only estimated changes no plan"


def test_the_same_request_has_the_same_digest_anywhere_and_another_has_not(spec, data, out):
    first = made(spec, data, out / "a")
    assert made(spec, data, out / "b").digest == first.digest
    assert made(models.load(spec), data, out / "c").digest == first.digest
    assert made(spec, data, out / "d", seed=1).digest != first.digest
    assert made(spec, data, out / "e", method_options=Options(prompt_weight=0.5)).digest != first.digest
    assert Plan.read(out / "a") == first


def test_a_new_request_replaces_a_plan_that_was_not_begun(spec, data, out):
    made(spec, data, out)
    second = made(spec, data, out, seed=1)
    assert Plan.read(out) == second


def test_planning_that_was_killed_between_tokens_and_plan_is_done_again(spec, data, out, tmp_path):
    import shutil

    first = made(spec, data, out)
    other = made(spec, data, tmp_path / "other", method_options=Options(prompt_weight=0.5))
    shutil.rmtree(out / "tokens")
    shutil.copytree(other.folder / "tokens", out / "tokens")
    assert made(spec, data, out) == first
    assert TokenStore(out / "tokens" / "train").digest == first.inputs["tokens.train"]


def test_prompt_weight_trains_prompts_too(spec, data, out):
    made(spec, data, out, method_options=Options(prompt_weight=0.25))
    weights = TokenStore(out / "tokens" / "train").weights(0)
    assert weights[0] == 0
    assert set(weights[1:].tolist()) == {0.25, 1.0}


def two_turns(first, second, line):
    turns = (("user", first), ("assistant", "card"), ("user", second), ("assistant", "transfer"))
    return Chat(tuple(Message(role, text) for role, text in turns), origin=Origin("chats.jsonl", line))


def test_prompt_weight_trains_the_prompts_of_later_turns_too(spec, out, tmp_path):
    rows = [two_turns("where is my pin", "why did it fail", line) for line in range(1, 9)]
    data = Rows(train=rows, validation=[], task=None).write(tmp_path / "data")
    made(spec, data, out, method_options=Options(prompt_weight=0.25))
    store = TokenStore(out / "tokens" / "train")
    tokenizer = models.load_tokenizer(spec)
    weights = store.weights(0)
    assert weights[0] == 0
    assert tokenizer.decode(store.ids(0)[weights == 1]) == "card<|im_end|>transfer<|im_end|>"
    assert (weights[1:] > 0).all()
    assert "why did it fail" in tokenizer.decode(store.ids(0)[weights == 0.25])


@pytest.mark.parametrize("over_length", ["cut_prompt", "cut_prompt_left"])
def test_prompts_that_are_trained_are_cut_like_those_that_are_not(spec, out, tmp_path, over_length):
    data = Rows(train=long_rows()[:5], validation=[]).write(tmp_path / "data")
    options = {"max_length": 64, "over_length": over_length}
    made(spec, data, out / "plain", **options)
    made(spec, data, out / "weighted", **options, method_options=Options(prompt_weight=0.25))
    plain, weighted = (TokenStore(out / name / "tokens" / "train") for name in ("plain", "weighted"))
    assert len(plain) == len(weighted) == 5
    assert all(np.array_equal(plain.ids(row), weighted.ids(row)) for row in range(5))
    # What follows the cut is context: the token it followed is gone.
    prompt = 64 - np.count_nonzero(plain.weights(3))
    seam = 1 if over_length == "cut_prompt_left" else (prompt + 1) // 2
    assert np.flatnonzero(weighted.weights(3) == 0).tolist() == [0, seam]
    assert np.array_equal(weighted.weights(3) == 1, plain.weights(3) == 1)


def test_plain_text_is_trained_without_a_template(spec, out, tmp_path):
    rows = [Text("is pending", prompt="the transfer ", origin=Origin("t.txt", n)) for n in range(1, 9)]
    data = Rows(train=rows, validation=[], task=None).write(tmp_path / "data")
    made(spec, data, out)
    store = TokenStore(out / "tokens" / "train")
    tokenizer = models.load_tokenizer(spec)
    assert (
        tokenizer.decode(store.ids(0))
        == "<|im_start|>the transfer is pending<|im_end|>"[
            0 if store.ids(0)[0] == tokenizer.bos_token_id else len("<|im_start|>") :
        ]
    )
    assert tokenizer.decode(store.ids(0)[store.weights(0) > 0]) == "is pending<|im_end|>"


def long_rows(word="transfer", count=200):
    rows = labelled(12)
    rows[3] = Labelled(" ".join([word] * count), ("pin",), origin=Origin("rows.csv", 5))
    rows[7] = Labelled(" ".join([word] * (count + 50)), ("card",), origin=Origin("rows.csv", 9))
    return rows


def test_long_prompts_are_cut_in_the_middle_and_their_answers_kept(spec, out, tmp_path):
    data = Rows(train=long_rows(), validation=[]).write(tmp_path / "data")
    events = []
    result = made(spec, data, out, max_length=64, over_length="cut_prompt", watch=events.append)
    store = TokenStore(out / "tokens" / "train")
    tokenizer = models.load_tokenizer(spec)
    text = tokenizer.decode(store.ids(3))
    assert len(store.ids(3)) == 64
    assert text.startswith("<|im_start|>user\nClassify the text.\n\n")
    assert text.endswith("transfer<|im_end|>\n<|im_start|>assistant\npin<|im_end|>")
    assert tokenizer.decode(store.ids(3)[store.weights(3) > 0]) == "pin<|im_end|>"
    assert result.counts.train.cut_rows == sum(length == 64 for length in store.lengths) >= 2
    assert result.counts.train.cut_tokens > 300
    note = result.notes[-1]
    rows, lost = result.counts.train.cut_rows, result.counts.train.cut_tokens
    assert note == f"{rows} train prompts were cut to 64 tokens, {lost:,} tokens lost"
    assert Warned(note) in events


def test_long_prompts_are_cut_at_the_left_keeping_their_first_token(spec, out, tmp_path):
    data = Rows(train=long_rows(), validation=[]).write(tmp_path / "data")
    made(spec, data, out, max_length=64, over_length="cut_prompt_left")
    text = models.load_tokenizer(spec).decode(TokenStore(out / "tokens" / "train").ids(3))
    assert text.startswith("<|im_start|>sfer transfer transfer"), "the first token, then the prompt's end"
    assert text.endswith("transfer<|im_end|>\n<|im_start|>assistant\npin<|im_end|>")


def chat(*turns, line=1):
    messages = tuple(Message(role, text, weight=weight) for role, text, weight in turns)
    return Chat(messages, origin=Origin("chats.jsonl", line))


def preference(line):
    answer = (Message("assistant", "yes"),)
    return Preference((Message("user", "why"),), answer, answer, origin=Origin("pairs.jsonl", line))


REFUSED = {
    "rows over the limit": (
        {"train": long_rows()},
        {"max_length": 100},
        "2 of 12 training rows cannot be trained\n"
        "  rows.csv:5: {first} tokens, the limit is 100\n"
        "  rows.csv:9: {second} tokens, the limit is 100\n"
        "\n"
        "hint: remove the rows, raise max_length, or cut long prompts with over_length: cut_prompt",
    ),
    "a target that alone is too long": (
        {"train": [chat(("user", "hi", 1), ("assistant", "transfer " * 80, 1), line=4)], "task": None},
        {"max_length": 50, "over_length": "cut_prompt"},
        "1 of 1 training rows cannot be trained\n"
        "  chats.jsonl:4: {first} tokens, the limit is 50, and its target alone has {second}\n"
        "\n"
        "hint: fix or remove the rows",
    ),
    "a conversation of which nothing is trained": (
        {"train": [chat(("user", "hi", 1), ("assistant", "yes", 0), line=4)], "task": None},
        {},
        "1 of 1 training rows cannot be trained\n"
        "  chats.jsonl:4: no assistant turn is trained\n"
        "\n"
        "hint: fix or remove the rows",
    ),
    "records of a kind that the method does not take": (
        {"train": [preference(line) for line in range(1, 15)], "task": None},
        {},
        "14 of 14 training rows cannot be trained\n"
        + "".join(f"  pairs.jsonl:{n}: a preference row, but sft takes chat, labelled, text\n" for n in range(1, 11))
        + "  … and 4 more rows\n"
        "\n"
        "hint: choose a method that takes preference rows, or prepare the data as another format",
    ),
    "thoughts that the model's template leaves out": (
        {
            "train": [
                Chat(
                    (Message("user", f"hi {line}"), Message("assistant", "yes", reasoning_content="they ask")),
                    origin=Origin("chats.jsonl", line),
                )
                for line in (1, 2)
            ],
            "task": None,
        },
        {},
        "2 of 2 training rows cannot be trained\n"
        "  chats.jsonl:1: the chat template of tiny leaves out the thoughts of this turn (reasoning_content)\n"
        "  chats.jsonl:2: the chat template of tiny leaves out the thoughts of this turn (reasoning_content)\n"
        "\n"
        "hint: write them into the content as the model would, or train without them: ignore: [reasoning_content]",
    ),
    "no rows": (
        {"train": [], "validation": []},
        {},
        "the training split has no rows\n\nhint: prepare data with training rows",
    ),
    "a limit above the model's": (
        {},
        {"max_length": 512},
        "max_length is 512, but tiny reads 256 tokens\n\nhint: set max_length to 256 or less",
    ),
    "patience without validation": (
        {"validation": []},
        {"patience": 2},
        "patience needs a validation split, and there is none\n\nhint: prepare with validation rows",
    ),
    "an adapter on the output layer": (
        {},
        {"targets": ("q_proj", "lm_head")},
        "targets has lm_head, the output layer, which cannot have an adapter\n"
        "\n"
        "hint: leave it out of targets, use targets: all-linear (which leaves it out), or adapter: full",
    ),
    "an unknown method": (
        {},
        {"method": "stf"},
        f"no method is called 'stf' (did you mean 'sft'?)\n\nhint: choose one of: {', '.join(METHODS.names())}",
    ),
    "several reasons at once": (
        {"train": [chat(("user", "hi", 1), ("assistant", "yes", 0), line=4)], "validation": [], "task": None},
        {"max_length": 512, "patience": 2},
        "training cannot start, for 3 reasons\n"
        "  max_length is 512, but tiny reads 256 tokens\n"
        "  patience needs a validation split, and there is none\n"
        "  1 of 1 training rows cannot be trained\n"
        "    chats.jsonl:4: no assistant turn is trained\n"
        "\n"
        "hint: set max_length to 256 or less",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_before_it_starts(spec, out, tmp_path, name):
    rows, options, expected = REFUSED[name]
    if "train" in rows and "validation" not in rows:
        rows = {**rows, "validation": []}
    data = Rows(**rows).write(tmp_path / "data")
    with pytest.raises(PlanError) as caught:
        made(spec, data, out, **options)
    if "{first}" in expected:
        from dizuo.data.rendering import conversations

        tokenizer = models.load_tokenizer(spec)
        lengths = [conversations.render(tokenizer, row, data.task)[0] for row in data.train]
        limit = options["max_length"]
        over = [one for one in lengths if len(one.ids) > limit]
        second = len(over[1].ids) if len(over) > 1 else int((over[0].weights > 0).sum())
        expected = expected.format(first=len(over[0].ids), second=second)
    assert str(caught.value) == expected
    assert not (out / "plan.json").exists()
    assert not (out / "tokens").exists()


def test_an_output_layer_of_another_name_takes_no_adapter_either(data, out, tmp_path):
    from transformers import GPTNeoXJapaneseConfig, GPTNeoXJapaneseForCausalLM

    folder = write_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    config = GPTNeoXJapaneseConfig(
        vocab_size=320, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=256
    )
    GPTNeoXJapaneseForCausalLM(config).save_pretrained(folder)
    with pytest.raises(PlanError, match=r"^targets has embed_out, the output layer, which cannot have an adapter"):
        made(models.inspect(folder), data, out, targets=("query_key_value", "embed_out"))
    assert not (out / "plan.json").exists()


def test_a_patience_that_outlasts_the_run_is_noted(spec, data, out):
    result = made(spec, data, out, batch_size=8, epochs=2, eval_every=3, patience=3)
    assert result.notes == ("patience is 3, but there are 4 evaluations (eval_every is 3): the run cannot stop early",)
    assert made(spec, data, out.with_name("b"), batch_size=8, epochs=2, eval_every=3, patience=2).notes == ()


def test_memory_that_does_not_fit_is_refused_with_its_parts(spec, data, out):
    huge = dataclasses.replace(spec, parameters=10**12)
    with pytest.raises(PlanError) as caught:
        made(huge, data, out)
    lines = str(caught.value).split("\n")
    assert lines[0].startswith("training needs about 4,")
    assert lines[0].endswith(" GB are free")
    assert [line.split(":")[0].strip() for line in lines[1:6]] == [
        "weights",
        "gradients",
        "optimizer",
        "activations",
        "logits",
    ]
    assert lines[1] == "  weights: 4,000.00 GB"
    assert lines[-1] == ("hint: lower max_length or tokens_per_block, use adapter: lora, or choose a smaller model")


def test_a_layer_name_that_does_not_exist_is_refused(spec, data, out):
    from dizuo.errors import ModelError

    with pytest.raises(ModelError, match="q_prog"):
        made(spec, data, out, targets=("q_prog",))
    assert not (out / "plan.json").exists()


def test_a_layer_name_that_does_not_exist_is_refused_beside_one_that_does(spec, data, out):
    from dizuo.errors import ModelError

    with pytest.raises(ModelError, match="q_prog"):
        made(spec, data, out, targets=("o_proj", "q_prog"))
    assert not (out / "plan.json").exists()


def test_a_plan_of_another_version_is_refused(spec, data, out):
    made(spec, data, out)
    path = out / "plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(PlanError) as caught:
        made(spec, data, out)
    assert str(caught.value) == (f"{path} has version 99, this dizuo reads 4\n\nhint: delete {path} and plan again")


def test_a_plan_that_is_not_json_is_refused(spec, data, out):
    made(spec, data, out)
    (out / "plan.json").write_text("{")
    with pytest.raises(PlanError, match=r"plan\.json cannot be read: JSONDecodeError"):
        made(spec, data, out)


def test_dropout_runs_padded_and_says_why(spec, data, out):
    result = made(spec, data, out, dropout=0.1)
    assert result.use.layout == "padded"
    assert result.why["layout"].why == "dropout above 0 is not exact where tokens are shared"


def test_max_steps_ends_the_schedule_there(spec, data, out):
    result = made(spec, data, out, max_steps=7, batch_size=8)
    assert (result.use.num_steps, result.use.num_examples, result.use.epochs) == (7, 56, 1.4)
    longer = made(spec, data, out.with_name("b"), max_steps=7, epochs=1, batch_size=16)
    assert (longer.use.num_steps, longer.use.num_examples) == (3, 40), "epochs end first"


def test_a_batch_larger_than_the_data_is_noted(spec, out, tmp_path):
    data = Rows(train=labelled(5), validation=[]).write(tmp_path / "data")
    result = made(spec, data, out, batch_size=16)
    assert result.notes == ("batch_size is 16, but there are 5 training rows: every step sees rows twice",)


@pytest.mark.parametrize(("rows", "batch"), [(1, 8), (191, 8), (192, 16), (10**7, 16)])
def test_the_batch_leaves_a_short_epoch_its_steps(rows, batch):
    found = defaults.choose_batch_size(num_examples=rows)
    assert (found.value, found.origin, found.why) == (batch, "default", f"{rows:,} training rows")


@pytest.mark.parametrize(
    ("tokens", "rank"), [(0, 16), (9_768_960, 16), (9_768_961, 32), (40_000_000, 128), (10**12, 128)]
)
def test_the_rank_holds_what_the_tokens_may_say(tokens, rank):
    """Two bits per weight, one bit per token; SmolLM2-135M's adapters have 305,280 weights per rank."""
    assert defaults.choose_rank(trained_tokens=tokens, parameters_per_rank=305_280).value == rank


def test_the_plan_says_what_batch_and_rank_were_chosen_from(spec, data, out):
    chosen = made(spec, data, out)
    assert (chosen.use.batch_size, chosen.use.rank, chosen.use.alpha) == (8, 16, 32.0)
    assert chosen.why["batch_size"].why == "40 training rows"
    tokens = chosen.counts.train.trained_tokens
    assert chosen.why["rank"].why.startswith(f"{tokens:,} trained tokens, for which")
    given = made(spec, data, out.with_name("given"), batch_size=16, rank=8)
    assert (given.use.batch_size, given.use.rank) == (16, 8)
    assert {given.why[name].origin for name in ("batch_size", "rank")} == {"call"}
    assert given.use.alpha == 16.0


def test_validation_rows_are_checked_too(spec, out, tmp_path):
    data = Rows(validation=long_rows()[:5]).write(tmp_path / "data")
    with pytest.raises(PlanError, match=r"^1 of 5 validation rows cannot be trained\n  rows\.csv:5: "):
        made(spec, data, out)


def test_labels_of_the_samples_are_those_of_the_task(data):
    assert isinstance(data.task, Task)
    assert {row.labels[0] for row in data.train} <= set(LABELS) == set(data.task.labels)


def test_models_that_cannot_run_natively_are_planned_as_measured(data, out, tmp_path):
    folder = write_model(tmp_path / "model", attention_dropout=0.1)
    result = made(models.inspect(folder), data, out)
    assert (result.use.layout, result.use.backend) == ("tree", "hosted")
    assert "attention dropout" in result.why["backend"].why


def test_two_and_two_point_nought_are_one_plan(spec, data, out):
    first, second = (made(spec, data, out / name, epochs=value, alpha=32) for name, value in (("c", 2), ("d", 2.0)))
    assert first.digest == second.digest


def test_a_disk_that_is_too_small_is_refused(spec, data, out):
    # Full training of 10^13 weights: the estimate of memory is refused too, and the disk is named beside it.
    huge = dataclasses.replace(spec, parameters=10**13)
    with pytest.raises(PlanError, match=r"checkpoints and result need about 520,000\.0 GB on disk, and .* GB are free"):
        made(huge, data, out, adapter="full")
