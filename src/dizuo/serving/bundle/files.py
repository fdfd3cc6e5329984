"""A bundle is a folder that can be served anywhere and that proves it is what was built.

    bundle.json       format version, base model, digest and size of every other file
    adapter/ model/   the LoRA adapter, or the whole fine-tuned model; neither when the base itself is served
    base/             the base model, where the bundle was asked to carry it
    tokenizer/        with the chat template
    task.json         the instruction, labels and scoring rule the model was trained with
    generation.json   sampling defaults and stop ids
    report.json data_card.json recipe.yaml LICENSES/ README.md

`open` checks every digest before anything is read. Unless the base model is inside, it is named by its address and
digest, fetched through the cache, and checked too. A base that is a folder on the machine where the bundle was built
can only be found there.
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo import artifacts
from dizuo.data.task import Task
from dizuo.errors import DizuoError, ServingError
from dizuo.events import Watcher, ignore
from dizuo.models import ModelSpec
from dizuo.models.vocabulary import remember_reader
from dizuo.serving.bundle.card import model_card
from dizuo.serving.bundle.generation import GenerationDefaults
from dizuo.serving.release_names import check_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["FORMAT", "Bundle", "open", "write"]

FORMAT = 1
"""Version of the folder's layout; a newer one is refused."""
NO_PATHS: dict[str, Any] = {"folder": "", "licence_files": ()}
"""What of a spec means something on one machine only."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle folder."""

    folder: Path
    name: str
    created: str
    """ISO 8601, UTC."""
    base: ModelSpec
    """The base model's facts; its `folder` is empty until `spec()` has found it on this machine."""
    digest: str
    """`sha256:…` over bundle.json, and so over everything."""
    adapter: Path | None
    weights: Path | None
    task: Task | None
    generation: GenerationDefaults
    """How it answers unless a request says otherwise."""

    def spec(self, *, watch: Watcher = ignore) -> ModelSpec:
        """Return the base model's facts with its folder on this machine, fetching it if needed.

        Raises:
            ServingError: the address now holds another model than the one this bundle was built on.
            ArtifactError: it cannot be fetched.
        """
        if self.weights is not None:
            return replace(self.base, folder=str(self.weights))
        if (self.folder / "base").is_dir():
            return replace(self.base, folder=str(self.folder / "base"))
        from dizuo import models

        address = artifacts.parse(self.base.source)
        if address.scheme == "path" and not Path(address.name).exists():
            raise ServingError(
                f"{self.name} was trained on a model that is not on this machine: {self.base.source}",
                details=[f"it is {self.base.id}, {self.base.digest[:19]}…"],
                hint="copy the model to that path, or deploy again, where it was built, with deploy.include_base",
            )
        base = models.inspect(self.base.source, watch=watch)
        if base.digest != self.base.digest:
            raise ServingError(
                f"{self.base.source} is not the model that {self.name} was trained on",
                details=[f"trained on {self.base.digest}", f"found      {base.digest}"],
                hint="put the original model back, or train and deploy again",
            )
        return base

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Return the tokenizer that travels with the bundle, chat template included."""
        from transformers import AutoTokenizer

        try:
            loaded: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(
                str(self.folder / "tokenizer"), local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # transformers' own, tokenizers' and json's
            raise ServingError(f"{self.folder / 'tokenizer'} cannot be read: {error}") from error
        remember_reader(loaded, model=self.base.id, num_rows=self.base.vocab_size)
        return loaded


def write(
    out: str | Path,
    *,
    name: str,
    spec: ModelSpec,
    adapter: Path | None = None,
    weights: Path | None = None,
    task: Task | None = None,
    max_tokens: int | None = None,
    report: Path | None = None,
    data_card: Path | None = None,
    recipe: Path | None = None,
    include_samples: bool = False,
    include_base: bool = False,
    replace_existing: bool = False,
) -> Bundle:
    """Write a bundle folder and return the bundle, after checking every file.

    Args:
        out: the folder to make.
        name: the model's name for people and in the API.
        spec: the base model, on this machine.
        adapter: PEFT folder.
        weights: folder of a fully fine-tuned model; at most one of the two.
        task: what the model was trained to do.
        max_tokens: of an answer whose request does not say; None is 64 where the answer is a label, else 512.
        report: report.json of the evaluation.
        data_card: card.json of the data set.
        recipe: the recipe, as it was run.
        include_samples: keep the rows of the user's data that report and data card quote; a bundle travels, so the
            default is figures only.
        include_base: copy the base model into it, so that it can be served where the base cannot be fetched.
        replace_existing: put the new bundle in the place of an old one.

    Raises:
        ServingError: an input is missing.
    """
    check_name(name)
    assert adapter is None or weights is None, "an adapter or a whole model, not both"
    for path in (adapter, weights, report, data_card, recipe):
        if path is not None and not path.exists():
            raise ServingError(f"{path} does not exist", hint="run the step that writes it first")
    with artifacts.whole_folder(out, replace=replace_existing) as folder:
        if adapter is not None:
            _copy_weights(adapter, folder / "adapter")
        stop_ids = _write_tokenizer(spec, folder / "tokenizer")
        if weights is not None:
            _copy_weights(weights, folder / "model")
            for path in (folder / "tokenizer").iterdir():  # a whole model must load by itself, anywhere
                shutil.copyfile(path, folder / "model" / path.name)
        if max_tokens is None:
            max_tokens = 64 if task is not None and task.kind == "classification" else 512
        generation = GenerationDefaults(max_tokens=max_tokens, stop_ids=stop_ids)
        artifacts.write_json(folder / "generation.json", generation.to_json())
        if task is not None:
            artifacts.write_json(folder / "task.json", task.to_json())
        if report is not None:
            facts = json.loads(report.read_text("utf-8"))
            artifacts.write_json(folder / "report.json", facts if include_samples else _without_rows(facts))
        if data_card is not None:
            facts = json.loads(data_card.read_text("utf-8"))
            artifacts.write_json(folder / "data_card.json", facts if include_samples else _without_examples(facts))
        if recipe is not None:
            shutil.copyfile(recipe, folder / "recipe.yaml")
        if include_base and weights is None:
            _copy_base(Path(spec.folder), folder / "base")
        _copy_licences(spec, folder / "LICENSES")
        (folder / "README.md").write_text(
            model_card(
                name, spec, task, kind="adapter" if adapter else "model" if weights else "base", generation=generation
            ),
            "utf-8",
        )
        artifacts.write_json(
            folder / "bundle.json",
            {
                "format": FORMAT,
                "name": name,
                "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "base": replace(spec, **NO_PATHS).to_json(),
                "files": _listing(folder),
            },
        )
    return open(out)


def open(folder: str | Path) -> Bundle:
    """Return the bundle in a folder, after checking every file against bundle.json.

    Raises:
        ServingError: the folder is no bundle, of a newer format, or any file was changed, lost or added.
    """
    folder = Path(folder)
    facts = _facts(folder)
    wrong = _differences(folder, facts["files"])
    if wrong:
        raise ServingError(
            f"{folder} is not the bundle that was built: {len(wrong)} file{'s' if len(wrong) > 1 else ''} differ",
            details=wrong[:20],
            hint="deploy again, or take the bundle from where it was built",
        )
    try:
        task = Task.read(folder / "task.json") if "task.json" in facts["files"] else None
        generation = GenerationDefaults.read(folder / "generation.json")
        base = ModelSpec.from_json(facts["base"])
    except (DizuoError, ValueError, OSError) as error:
        raise ServingError(f"{folder} cannot be read: {error}") from error
    return Bundle(
        folder=folder,
        name=facts["name"],
        created=facts["created"],
        base=base,
        digest=artifacts.digest_file(folder / "bundle.json"),
        adapter=folder / "adapter" if (folder / "adapter").is_dir() else None,
        weights=folder / "model" if (folder / "model").is_dir() else None,
        task=task,
        generation=generation,
    )


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / "bundle.json"
    try:
        facts = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ServingError(f"{folder} is no bundle: it has no bundle.json", hint="make one with dizuo deploy") from None
    except (ValueError, OSError) as error:
        raise ServingError(f"{path} cannot be read: {error}") from error
    if not isinstance(facts, dict) or not isinstance(facts.get("files"), dict) or "base" not in facts:
        raise ServingError(f"{path} is damaged: it lists no files or no base model")
    if facts.get("format") != FORMAT:
        raise ServingError(
            f"{folder} has bundle format {facts.get('format')}; this dizuo reads format {FORMAT}",
            hint="upgrade with pip install -U dizuo",
        )
    return facts


def _listing(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(folder).as_posix(): {"sha256": artifacts.digest_file(path), "size": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _differences(folder: Path, expected: Mapping[str, Mapping[str, Any]]) -> list[str]:
    present = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if (path.is_file() or path.is_symlink()) and path != folder / "bundle.json"
    }
    wrong = [f"{name}: is missing" for name in expected if name not in present]
    wrong += [f"{name}: does not belong to it" for name in present if name not in expected]
    for name, path in present.items():
        if name not in expected:
            continue
        if path.is_symlink():
            wrong.append(f"{name}: is a link")
        elif path.stat().st_size != expected[name]["size"]:
            wrong.append(f"{name}: has {path.stat().st_size:,} bytes, not {expected[name]['size']:,}")
        elif artifacts.digest_file(path) != expected[name]["sha256"]:
            wrong.append(f"{name}: its content was changed (SHA-256 differs)")
    return sorted(wrong)


def _copy_weights(source: Path, target: Path) -> None:
    """Copy a weights folder, refusing every format that can carry code."""
    names = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    pickled = [name for name in names if name.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]
    if pickled:
        raise ServingError(f"{source / pickled[0]} is a pickle", hint="weights must be safetensors")
    if not any(name.suffix == ".safetensors" for name in names):
        raise ServingError(f"{source} holds no safetensors file", hint="give the adapter or model folder of a run")
    for name in names:
        if name.suffix == ".py":
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def _without_rows(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report without the texts it quotes; how many items were fixed and broken stays."""
    changes = {key: value for key, value in report.get("changes", {}).items() if not isinstance(value, list)}
    return {
        **report,
        "samples": [],
        "over_time": [],
        "changes": {**changes, "fixed": [], "broken": []} if changes else {},
    }


def _without_examples(card: dict[str, Any]) -> dict[str, Any]:
    """Return a data card without the rows it quotes: examples, and reasons, which may repeat what a row says."""
    kept = {key: value for key, value in card.items() if key != "examples"}
    if isinstance(card.get("ledger"), dict):
        kept["ledger"] = {key: value for key, value in card["ledger"].items() if key != "reasons"}
    return kept


def _copy_base(source: Path, target: Path) -> None:
    """Copy what a model is loaded from; a folder of a user's may hold anything besides."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file() and path.suffix in (".safetensors", ".json", ".jinja", ".txt", ".model"):
            shutil.copyfile(path, target / path.name)


def _write_tokenizer(spec: ModelSpec, folder: Path) -> tuple[int, ...]:
    from dizuo import models

    tokenizer = models.load_tokenizer(spec)
    tokenizer.save_pretrained(str(folder))
    return models.end_of_turn_ids(tokenizer)


def _copy_licences(spec: ModelSpec, folder: Path) -> None:
    folder.mkdir()
    for number, path in enumerate(Path(name) for name in spec.licence_files):
        if path.is_file():
            target = folder / path.name
            shutil.copyfile(path, target if not target.exists() else folder / f"{number}-{path.name}")
    lines = [f"Base model: {spec.id} ({spec.source})", f"Licence: {spec.licence or 'not stated by its source'}"]
    (folder / "BASE_MODEL.txt").write_text("\n".join(lines) + "\n", "utf-8")
