"""A recipe goes through five steps, each done once."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from steps_samples import write_encoder

import dizuo
from dizuo import recipe
from dizuo.errors import EvaluationError, RecipeError
from dizuo.events import Event, Note, Warned
from dizuo.steps.pipeline import Outcome

STEPS = ["select", "prepare", "train", "evaluate", "deploy"]


def go(*overrides: str, until: str = "deploy", force: tuple[str, ...] = ()) -> Outcome:
    return dizuo.run(recipe.read("tiny.yaml", overrides=overrides, strict=False), until=until, force=force)


def ran(outcome: Outcome) -> list[str]:
    return [step.name for step in outcome.steps if step.ran]


def test_five_steps_leave_five_folders_and_only_what_changed_runs_again(place: Path) -> None:
    first = go()
    assert ran(first) == STEPS
    folders = sorted(path.name for path in (place / "runs" / "tiny").iterdir())
    assert folders == ["1-select", "2-prepare", "3-train", "4-evaluate", "5-deploy", "recipe.yaml"]
    for step in first.steps:
        manifest = json.loads((step.folder / "manifest.json").read_text())
        assert manifest["step"] == step.name
        for name, fact in manifest["outputs"].items():
            content = (step.folder / name).read_bytes()
            assert fact["sha256"] == f"sha256:{hashlib.sha256(content).hexdigest()}", name
    assert str(first.release) == "things@1"
    assert first.report.tuned is not None

    again = go()
    assert ran(again) == []
    assert str(again.release) == "things@1"

    assert ran(go("evaluate.samples=2")) == ["evaluate", "deploy"]
    assert ran(go("train.epochs=1")) == ["train", "evaluate", "deploy"]
    assert ran(go("train.epochs=1", "evaluate.samples=2", "prepare.test=30")) == STEPS[1:]

    forced = go("train.epochs=1", "evaluate.samples=2", "prepare.test=30", force=("deploy",))
    assert ran(forced) == ["deploy"]
    assert forced.release.version == again.release.version + 4

    (place / "runs" / "tiny" / "2-prepare" / "train.arrow").write_bytes(b"x")
    healed = go("train.epochs=1", "evaluate.samples=2", "prepare.test=30")
    assert ran(healed) == ["prepare"]
    assert healed.steps[1].why == "train.arrow was changed"


def test_a_release_that_the_registry_lost_is_registered_again(place: Path) -> None:
    go()
    shutil.rmtree(place.parent / "home" / "data" / "registry")
    outcome = go()
    assert ran(outcome) == ["deploy"]
    assert outcome.steps[-1].why == "the registry does not have it"
    assert str(outcome.release) == "things@1"


def test_a_bundle_carries_rows_of_the_data_only_when_asked(place: Path) -> None:
    def quotes(outcome: Outcome) -> bool:
        return any("is a kind of" in path.read_text("utf-8") for path in outcome.release.folder.glob("*.json"))

    assert not quotes(go())
    assert quotes(go("deploy.include_samples=true"))


def test_a_base_that_is_a_folder_is_named_when_deploying_and_travels_when_asked(place: Path) -> None:
    warned: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Warned):
            warned.append(event.text)

    lora = recipe.read("tiny.yaml", overrides=("train.adapter=lora", "train.max_steps=1"), strict=False)
    first = dizuo.run(lora, watch=listen)
    assert any("names its base model by a path" in text for text in warned)
    assert not (first.release.folder / "base").exists()
    warned.clear()
    carried = recipe.read(
        "tiny.yaml", overrides=("train.adapter=lora", "train.max_steps=1", "deploy.include_base=true"), strict=False
    )
    second = dizuo.run(carried, watch=listen)
    assert ran(second) == ["deploy"]
    assert warned == []
    assert (second.release.folder / "base" / "model.safetensors").is_file()


def test_the_gate_decides_what_is_deployed(place: Path) -> None:
    outcome = go("evaluate.require.min_score=1", "evaluate.require.better_than_untuned=true", "train.max_steps=1")
    assert outcome.release is None
    assert outcome.closed
    assert outcome.steps[-1].name == "evaluate"
    assert (place / "runs" / "tiny" / "4-evaluate" / "report.html").is_file()
    assert not (place / "runs" / "tiny" / "5-deploy").exists()
    assert not (place.parent / "home" / "data" / "registry").exists()


def test_every_field_is_checked_before_anything_starts(place: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        go("deploy.name=Bad", "train.rank=0", "evaluate.split=all", "sed=3")
    assert len(caught.value.details) == 4
    assert not (place / "runs").exists()


def test_preparing_alone_needs_no_model(place: Path) -> None:
    (place / "tiny.yaml").write_text("name: tiny\nprepare: {source: rows.csv}\n")
    outcome = go(until="prepare")
    assert ran(outcome) == ["prepare"]
    assert len(outcome.data.train) + len(outcome.data.test) == 120


def test_characters_that_the_tokenizer_cannot_write_are_named_with_their_lines(place: Path) -> None:
    tokenizer = json.loads((place / "model" / "tokenizer.json").read_text("utf-8"))
    del tokenizer["model"]["vocab"]["æ"]  # the byte 0xE6, with which 文 begins in UTF-8
    (place / "model" / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    rows = (place / "rows.csv").read_text("utf-8").splitlines()
    rows[6] = rows[6].replace("number", "文")
    (place / "rows.csv").write_text("\n".join(rows) + "\n", "utf-8")
    warned: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Warned) and "cannot write" in event.text:
            warned.append(event.text)

    dizuo.plan("tiny.yaml", measure=False, watch=listen)
    dizuo.run("tiny.yaml", until="train", watch=listen)
    assert len(warned) == 2
    assert all("文 (U+6587) (at rows.csv:7)" in text for text in warned)
    dizuo.run("tiny.yaml", until="train", watch=listen)
    assert len(warned) == 2  # nothing was prepared again


def test_the_seed_of_the_recipe_is_everybodys_unless_a_section_has_its_own(place: Path) -> None:
    outcome = go("train.seed=11", "train.max_steps=1", until="train")
    seeds = {step.name: json.loads((step.folder / "manifest.json").read_text())["seed"] for step in outcome.steps}
    assert (seeds["prepare"], seeds["train"]) == (3, 11)
    origins = json.loads((outcome.steps[2].folder / "manifest.json").read_text())["origins"]
    assert (origins["max_steps"], origins["adapter"], origins["rank"]) == ("command line", "recipe", "default")


def test_the_recipe_that_ran_is_kept_with_the_command_lines_values(place: Path) -> None:
    go("prepare.test=20", until="prepare")
    kept = recipe.read(place / "runs" / "tiny" / "recipe.yaml")
    assert recipe.plain(kept.section("prepare"))["test"] == 20
    assert kept.seed == 3


def test_interrupted_training_goes_on_and_ends_with_the_same_bits(place: Path) -> None:
    whole = dizuo.run("tiny.yaml", until="train", folder="whole")
    seen: list[Event] = []

    def stop_in_the_middle(event: Event) -> None:
        seen.append(event)
        if type(event).__name__ == "Metric" and getattr(event, "step", 0) == 4:
            raise KeyboardInterrupt

    pieces = recipe.read("tiny.yaml", overrides=("train.checkpoint_every=2",), strict=False)
    with pytest.raises(KeyboardInterrupt):
        dizuo.run(pieces, until="train", watch=stop_in_the_middle)
    assert (place / "runs" / "tiny" / "3-train.partial").is_dir()
    assert not (place / "runs" / "tiny" / "3-train").exists()
    notes: list[str] = []
    resumed = dizuo.run(
        pieces, until="train", watch=lambda event: notes.append(event.text) if isinstance(event, Note) else None
    )
    assert resumed.steps[2].why == "it was interrupted"
    assert not (place / "runs" / "tiny" / "3-train.partial").exists()
    ours = (resumed.run.weights / "model.safetensors").read_bytes()
    assert ours == (whole.run.weights / "model.safetensors").read_bytes()


def test_python_functions_do_the_same_work_once(place: Path) -> None:
    model = dizuo.select("model")
    data = dizuo.prepare("rows.csv", instruction="fruit or metal?", test=40)
    run = dizuo.train(model, data, epochs=1, adapter="full")
    report = dizuo.evaluate(run, data.test, against=model, served_items=4, five_shot_items=4, curve=False)
    assert run.folder == Path("runs/rows/3-train")
    made = (run.folder / "manifest.json").stat().st_mtime_ns
    assert dizuo.train(model, data, epochs=1, adapter="full").folder == run.folder
    assert (run.folder / "manifest.json").stat().st_mtime_ns == made
    assert report.tuned is not None
    release = dizuo.deploy(run, name="things", require=None if _better(report) else _nothing())
    assert (release.name, release.version, release.aliases) == ("things", 1, ("default",))


def _better(report: dizuo.Report) -> bool:
    from dizuo.evaluation import unmet

    return not unmet(report)


def _nothing() -> object:
    from dizuo.steps.options import Require

    return Require(better_than_untuned=False)


def test_python_arguments_are_checked_as_fields_are(place: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        dizuo.prepare("rows.csv", tset=0.1, duplicates=3)
    assert caught.value.details == (
        "prepare(): tset is not known (did you mean 'test'?)",
        "prepare(): duplicates: expected text, got 3",
    )


def test_a_run_that_was_not_evaluated_is_not_deployed(place: Path) -> None:
    outcome = go("train.max_steps=1", until="train")
    with pytest.raises(dizuo.DizuoError, match="has not been evaluated"):
        dizuo.deploy(outcome.run, name="things")


def test_a_plan_says_what_would_run_and_writes_nothing(place: Path) -> None:
    planned = dizuo.plan("tiny.yaml", measure=False)
    assert [step.name for step in planned.steps] == STEPS
    assert [step.why for step in planned.steps] == [
        *["it has not run"] * 3,
        "training runs before it",
        "the evaluation runs before it",
    ]
    values = {item.name: item for item in planned.steps[2].settings}
    assert (values["epochs"].value, values["epochs"].origin) == (2.0, "recipe")
    assert planned.rows == {"train": 80, "validation": 0, "test": 40}
    assert not (place / "runs").exists()
    go()
    assert [step.why for step in dizuo.plan("tiny.yaml", measure=False).steps] == [None] * 5
    changed = recipe.read("tiny.yaml", overrides=("train.epochs=3",))
    assert dizuo.plan(changed, measure=False).steps[2].why == "epochs was 2.0, is 3.0"


def test_a_metric_that_the_task_cannot_use_is_refused_before_training(place: Path) -> None:
    refused = "the metric 'chrf' cannot be used for classification"
    with pytest.raises(EvaluationError, match=refused):
        go("evaluate.metric=chrf")
    assert not (place / "runs" / "tiny" / "3-train").exists()
    with pytest.raises(EvaluationError, match=refused):
        dizuo.plan(recipe.read("tiny.yaml", overrides=("evaluate.metric=chrf",), strict=False), measure=False)


def test_an_encoder_that_cannot_be_had_is_named_before_training(place: Path) -> None:
    for wrong in ("no/such/folder", "model"):
        with pytest.raises(dizuo.DizuoError, match=wrong):
            go(f"evaluate.embedder={wrong}")
    assert not (place / "runs" / "tiny" / "3-train").exists()
    assert ran(go("evaluate.embedder=model", "train.max_steps=1", until="train"))[-1] == "train"


def test_the_encoder_of_a_recipe_is_a_row_and_another_one_makes_another_report(place: Path) -> None:
    write_encoder(place / "encoder", like=place / "model")
    wanted = ("evaluate.embedder=encoder", "train.max_steps=1")
    assert go(*wanted).report.row("embedder").score > 0
    assert ran(go(*wanted)) == []
    write_encoder(place / "encoder", like=place / "model", seed=1)
    again = go(*wanted)
    assert again.steps[3].why == "input baseline embedder changed"


def test_the_gate_and_the_release_take_the_metric_that_was_asked_for(place: Path) -> None:
    from dizuo.evaluation import unmet

    outcome = go("evaluate.metric=macro_f1", "evaluate.require.min_score=0.3")
    assert outcome.report.metric == "macro F1"
    assert f"{100 * outcome.report.tuned.score:.1f} % macro F1" in outcome.report.verdict
    assert str(outcome.release) == "things@1"
    (reason,) = unmet(outcome.report, better_than_untuned=False, min_score=outcome.report.tuned.score + 0.01)
    assert reason.startswith("macro F1 is ")


TEXTS = {
    "prompts.jsonl": "".join(json.dumps({"prompt": f"say {i}:", "completion": f" {i}"}) + "\n" for i in range(60)),
    "stories.jsonl": "".join(json.dumps({"text": f"a story about the number {i}"}) + "\n" for i in range(60)),
}


@pytest.fixture
def texts(place: Path) -> Path:
    for name, content in TEXTS.items():
        (place / name).write_text(content, "utf-8")
    tiny = (place / "tiny.yaml").read_text("utf-8").replace('  instruction: "fruit or metal?"\n', "")
    (place / "tiny.yaml").write_text(tiny, "utf-8")
    return place


def test_what_cannot_be_evaluated_is_refused_before_it_is_trained(texts: Path) -> None:
    wanted = recipe.read("tiny.yaml", overrides=("prepare.source=stories.jsonl", "prepare.test=0.2"), strict=False)
    with pytest.raises(EvaluationError, match=r"stories\.jsonl:\d+ is running text without a question") as raised:
        dizuo.plan(wanted, measure=False)
    assert "dizuo train" in str(raised.value.hint)
    with pytest.raises(EvaluationError, match="is running text without a question"):
        dizuo.run(wanted)
    assert not (texts / "runs" / "tiny" / "3-train").exists()
    assert dizuo.plan(wanted, until="train", measure=False).rows["test"] == 12
    assert ran(dizuo.run(wanted, until="train")) == ["train"]


def test_a_split_without_rows_is_refused_before_training(texts: Path) -> None:
    wanted = recipe.read("tiny.yaml", overrides=("prepare.source=prompts.jsonl", "prepare.test=0"), strict=False)
    with pytest.raises(EvaluationError, match="the test split has no rows"):
        dizuo.run(wanted)
    assert not (texts / "runs" / "tiny" / "3-train").exists()


def test_plain_prompts_and_completions_go_through_the_five_steps(texts: Path) -> None:
    wanted = recipe.read(
        "tiny.yaml",
        overrides=("prepare.source=prompts.jsonl", "prepare.test=12", "evaluate.max_tokens=4", "train.max_steps=2"),
        strict=False,
    )
    outcome = dizuo.run(wanted)
    assert ran(outcome)[:4] == STEPS[:4]
    assert outcome.report.metric == "exact match"
    assert "bits per byte of the right answers" in outcome.report.tuned.metrics
