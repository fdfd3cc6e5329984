"""What a run leaves behind loads elsewhere and says the same."""

import json

import pytest
import torch
from safetensors.torch import load_file
from training_samples import write_model

from dizuo import models
from dizuo.errors import TrainingError
from dizuo.events import Finished, Metric, Progress, Started
from dizuo.models import adapters, merging
from dizuo.training import Run, TrainOptions, plan, train
from dizuo.training.building.build import build_network
from dizuo.training.checkpoints import Checkpoints

OPTIONS = {"batch_size": 8, "max_steps": 6, "learning_rate": 5e-3, "keep": "last"}
IDS = torch.tensor([[1, 10, 20, 30, 40, 50, 60, 70]])


def trained(spec, data, out, **changes):
    options = TrainOptions(**{**OPTIONS, **changes})
    return train(plan(spec, data, out=out, options=options, measure=False))


def logits_of(module):
    with torch.no_grad():
        return module(input_ids=IDS, use_cache=False).logits


def test_the_adapter_loads_in_peft_unchanged_and_gives_the_trained_logits(spec, data, out):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    run = trained(spec, data, out)
    assert run.adapter == out / "adapter"
    assert run.weights is None
    base = AutoModelForCausalLM.from_pretrained(spec.folder)
    plain = logits_of(base)
    loaded = PeftModel.from_pretrained(base, run.adapter).eval()
    theirs = logits_of(loaded)

    network = build_network(run.plan, models.load(spec))
    network.load_weights(Checkpoints(out / "checkpoints").load(6).weights())
    assert torch.equal(theirs, logits_of(network.module))
    assert float((theirs - plain).abs().max()) > 0.05, "the adapter does nothing"


def test_the_merged_model_says_what_the_adapter_says(spec, data, out, tmp_path):
    from transformers import AutoModelForCausalLM

    run = trained(spec, data, out)
    model = models.load(spec)
    with_adapter = adapters.load(model, run.adapter)
    expected = logits_of(with_adapter)
    merging.save_merged(with_adapter, tmp_path / "merged", tokenizer=model.tokenizer)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert float((logits_of(merged) - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("tied", [True, False])
def test_a_fully_trained_model_loads_in_transformers_with_its_ties(data, out, tmp_path, tied):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = models.inspect(write_model(tmp_path / "model", tied=tied))
    model = models.load(spec)
    options = TrainOptions(**{**OPTIONS, "adapter": "full", "learning_rate": 1e-3})
    run = train(plan(model, data, out=out, options=options, measure=False), model=model)
    assert run.weights == out / "model"
    assert run.adapter is None
    loaded = AutoModelForCausalLM.from_pretrained(run.weights)
    assert torch.equal(logits_of(loaded), logits_of(model.module))
    assert (loaded.lm_head.weight.data_ptr() == loaded.model.embed_tokens.weight.data_ptr()) is tied
    saved = load_file(run.weights / "model.safetensors")
    assert ("lm_head.weight" in saved) is not tied
    assert all(value.dtype == torch.float32 for value in saved.values())
    fresh = models.load(spec)
    assert float((logits_of(loaded) - logits_of(fresh.module)).abs().max()) > 0.05, "nothing was trained"
    again = AutoTokenizer.from_pretrained(run.weights)
    assert again.chat_template == model.tokenizer.chat_template
    assert models.inspect(run.weights).tied_embeddings is tied


@pytest.mark.parametrize(
    "resized",
    [pytest.param(False, id="its own vocabulary", marks=pytest.mark.slow), pytest.param(True, id="a resized one")],
)
def test_a_run_remembers_a_string_in_a_new_process(out, tmp_path, resized):
    """Beside its model and merged into it; with a token that the tokenizer was given later, too."""
    import subprocess
    import sys

    from training_samples import Rows

    from dizuo.records import Chat, Message, Origin

    # Frozen embeddings must be large enough to say one token for sure: the final norm fixes the hidden state's length.
    folder = write_model(tmp_path / "model", scale=12)
    answer = "yesterday at the bank"
    if resized:
        add_token(folder, "<act>")
        answer = "yesterday <act> at the bank<act>"
    spec = models.inspect(folder)
    chat = Chat((Message("user", "where is my pin"), Message("assistant", answer)), origin=Origin("c", 1))
    data = Rows(train=[chat] * 8, validation=[], task=None).write(tmp_path / "data")
    run = trained(spec, data, out, max_steps=80, batch_size=2)
    assert run.metrics()[-1]["loss"] < 0.1
    model = models.load(spec)
    merging.save_merged(adapters.load(model, run.adapter), tmp_path / "merged", tokenizer=model.tokenizer)
    code = (
        "import sys, torch\n"
        "from peft import PeftModel\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "base, adapter, merged = sys.argv[1:]\n"
        "for folder in base, merged:\n"
        "    tok = AutoTokenizer.from_pretrained(folder)\n"
        "    model = AutoModelForCausalLM.from_pretrained(folder)\n"
        "    if folder == base:\n"
        "        model = PeftModel.from_pretrained(model, adapter)\n"
        "    ids = tok.apply_chat_template([{'role': 'user', 'content': 'where is my pin'}], return_tensors='pt',"
        " add_generation_prompt=True, return_dict=True)['input_ids']\n"
        "    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=40,"
        " do_sample=False)\n"
        "    print(tok.decode(out[0, ids.shape[1]:]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, spec.folder, str(run.adapter), str(tmp_path / "merged")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == [f"{answer}<|im_end|>"] * 2
    if resized:
        assert models.inspect(tmp_path / "merged").vocab_size == spec.vocab_size == len(model.tokenizer) + 5


def add_token(folder, token):
    """Give a model one more token, as large as the others, and five rows that no token has."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, module = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    tokenizer.add_tokens([token])
    module.resize_token_embeddings(len(tokenizer) + 5, mean_resizing=False)
    weight = module.get_input_embeddings().weight
    with torch.no_grad():
        weight[-6:] = weight[100:106].flip(1)  # no row of a token that there is
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def test_progress_tells_loss_rates_and_time_left(spec, data, out):
    events = []
    options = TrainOptions(**OPTIONS, eval_every=3)
    train(plan(spec, data, out=out, options=options, measure=False), watch=events.append)
    assert Started("train", 6, "steps") in events
    live = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in live] == [1, 2, 3, 4, 5, 6]
    assert live[0].seconds_left > 0
    assert live[-1].seconds_left == 0
    assert live[-1].values.keys() == {"loss", "tokens/s", "packed tokens/s", "learning_rate", "validation_loss"}
    assert live[-1].values["tokens/s"] > live[-1].values["packed tokens/s"] > 0
    metrics = [event for event in events if isinstance(event, Metric)]
    assert len(metrics) == 8
    assert isinstance(events[-1], Finished)


def test_metrics_have_every_step_and_evaluation(spec, data, out):
    run = trained(spec, data, out, eval_every=4)
    lines = run.metrics()
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 4, 5, 6, 6]
    assert lines[0].keys() == {
        "step",
        "loss",
        "grad_norm",
        "epoch",
        "learning_rate",
        "tokens",
        "packed_tokens",
        "seconds",
    }
    assert lines[4].keys() == {"step", "validation_loss", "seconds"}
    assert lines[-1]["validation_loss"] < lines[4]["validation_loss"] < lines[0]["loss"]


def test_the_figures_of_an_evaluation_function_are_written_and_decide(spec, data, out):
    seen = []

    def evaluate(model, step):
        seen.append((step, type(model.module).__name__))
        return {"accuracy": step / 10, "score": -step}

    options = TrainOptions(**{**OPTIONS, "keep": "best"}, eval_every=2)
    run = train(plan(spec, data, out=out, options=options, measure=False), evaluate_fn=evaluate)
    assert seen == [(2, "LlamaForCausalLM"), (4, "LlamaForCausalLM"), (6, "LlamaForCausalLM")]
    assert [line["accuracy"] for line in run.metrics() if "accuracy" in line] == [0.2, 0.4, 0.6]
    assert run.finished["best_step"] == 2


def test_an_evaluation_function_may_call_a_model_that_runs_hosted(data, out, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = write_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4, n_positions=256, bos_token_id=1, eos_token_id=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    seen = []

    def evaluate(model, step):
        # What it says alone, padded in a batch, and as it generates.
        alone = logits_of(model.module)
        with torch.no_grad():
            pair = model.module(input_ids=IDS.repeat(2, 1), attention_mask=torch.ones(2, 8, dtype=torch.long)).logits
        said = model.module.generate(
            input_ids=IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=2, do_sample=False, pad_token_id=2
        )
        assert int(said[0, 8]) == int(alone[0, -1].argmax())
        seen.append((step, float((pair - alone).abs().max())))
        return {"score": -step}

    ready = plan(models.inspect(folder), data, out=out, options=TrainOptions(**OPTIONS, eval_every=3), measure=False)
    assert (ready.use.layout, ready.use.backend) == ("tree", "hosted")
    run = train(ready, evaluate_fn=evaluate)
    assert [step for step, _ in seen] == [3, 6]
    assert all(difference < 1e-5 for _, difference in seen)
    assert run.metrics()[-1]["validation_loss"] < run.metrics()[0]["loss"]


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        (
            {"accuracy": 0.5, "step": 7, "seconds": 1.0},
            "the evaluation after step 2 gave figures under names of the run's own: seconds, step\n"
            "\n"
            "hint: return them under other names",
        ),
        (
            {"accuracy": float("nan"), "verdict": "good"},
            "the evaluation after step 2 gave figures that are not numbers\n  accuracy is nan\n  verdict is 'good'",
        ),
    ],
    ids=["the run's own names", "not numbers"],
)
def test_figures_that_would_spoil_the_metrics_are_refused(spec, data, out, figures, message):
    options = TrainOptions(**OPTIONS, eval_every=2)
    with pytest.raises(TrainingError) as caught:
        train(plan(spec, data, out=out, options=options, measure=False), evaluate_fn=lambda model, step: figures)
    assert str(caught.value) == message
    assert [line["step"] for line in Run.open(out).metrics()] == [1, 2]


def test_a_finished_run_says_how_long_it_took(spec, data, out):
    import time

    started = time.perf_counter()
    run = trained(spec, data, out, eval_every=3)
    assert sum(line["seconds"] for line in run.metrics()) < run.finished["seconds"] < time.perf_counter() - started
    assert run.finished.keys() == {
        "step",
        "best_step",
        "best_score",
        "stopped",
        "seconds",
        "result",
        "digest",
        "facts",
    }


@pytest.mark.parametrize("targets", [("q_proj", "o_proj"), ("gate_proj", "down_proj"), ("v_proj", "embed_tokens")])
@pytest.mark.parametrize("layout", ["tree", "padded"])
def test_every_layer_that_is_named_is_trained(spec, data, out, targets, layout):
    run = trained(spec, data, out, targets=targets, layout=layout)
    assert run.plan.use.layout == layout
    saved = load_file(run.adapter / "adapter_model.safetensors")
    # An embedding's A is what starts as zero.
    started = {name: value for name, value in saved.items() if "lora_B" in name or "lora_embedding_A" in name}
    assert len(started) == sum(1 if target == "embed_tokens" else 2 for target in targets)
    assert all(any(target in name for name in started) for target in targets)
    assert [name for name, value in started.items() if not value.any()] == []


def test_a_loss_that_is_not_a_number_stops_the_run_without_a_result(spec, data, out):
    options = TrainOptions(**{**OPTIONS, "learning_rate": 1e30}, checkpoint_every=1)
    ready = plan(spec, data, out=out, options=options, measure=False)
    with pytest.raises(TrainingError) as caught:
        train(ready)
    lines = str(caught.value).split("\n")
    assert lines[0] == "the loss is nan at step 2; training stopped and wrote no result"
    assert lines[1].startswith("  training rows of this step: ")
    assert lines[2] == "  the checkpoint of step 1 is kept"
    assert lines[-1] == "hint: lower learning_rate (it is 1e+30), or look at these rows"
    assert caught.value.exit_code == 1
    assert Run.open(out).finished is None
    assert not (out / "adapter").exists()
    assert Checkpoints(out / "checkpoints").steps() == [1]
    assert [line["step"] for line in Run.open(out).metrics()] == [1], "a NaN is never written as a figure"


def test_the_launcher_ends_with_1_and_the_error_when_the_loss_is_not_a_number(spec, data, out):
    import subprocess
    import sys

    options = TrainOptions(**{**OPTIONS, "learning_rate": 1e30}, threads=1, dtype="float32")
    plan(spec, data, out=out, options=options, measure=False)
    done = subprocess.run(
        [sys.executable, "-m", "dizuo.training", str(out)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: the loss is nan at step 2; training stopped and wrote no result\n")
    assert "Traceback" not in done.stderr


def test_a_folder_without_a_plan_is_no_run(tmp_path):
    with pytest.raises(TrainingError) as caught:
        Run.open(tmp_path)
    assert str(caught.value) == (f"{tmp_path} is not a training run: it has no plan.json\n\nhint: train into it first")


def test_a_moved_run_still_opens(spec, data, out, tmp_path):
    trained(spec, data, out)
    moved = tmp_path / "elsewhere"
    out.rename(moved)
    run = Run.open(moved)
    assert run.adapter == moved / "adapter"
    assert run.spec == spec
    assert json.loads((moved / "finished.json").read_text())["step"] == 6


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"step": 1}', '{"step": 1, "facts": 3}'])
def test_a_finished_file_of_another_shape_is_one_error(spec, data, out, text):
    plan(spec, data, out=out, options=TrainOptions(), measure=False)
    (out / "finished.json").write_text(text)
    with pytest.raises(TrainingError, match=r"finished\.json cannot be read"):
        _ = Run.open(out).ended
