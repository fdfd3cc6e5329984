"""Step five makes a bundle that can be served anywhere, and registers it under a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo import data as datasets
from dizuo import evaluation, packages
from dizuo.artifacts import digest_file, digest_tree, parse, write_json
from dizuo.data import Dataset
from dizuo.errors import DizuoError, ServingError
from dizuo.events import Note, Warned, Watcher, ignore
from dizuo.progress import show
from dizuo.serving.release_names import DEFAULT_ALIAS
from dizuo.steps.hints import hints_for_python
from dizuo.steps.manifest import Work
from dizuo.steps.options import DeployOptions, Require
from dizuo.steps.settings import bind_call, to_json
from dizuo.training import Run

if TYPE_CHECKING:
    from dizuo.serving.bundle.files import Bundle
    from dizuo.serving.registry import Release

__all__ = ["deploy", "deploy_step", "deploy_work", "why_deploy"]


@hints_for_python
@packages.needs("deployment")
def deploy(
    run: Run,
    *,
    name: str,
    alias: str | None = "default",
    data: Dataset | None = None,
    require: Require | None = None,
    include_samples: bool = False,
    include_base: bool = False,
    out: str | Path | None = None,
    force: bool = False,
    watch: Watcher = show,
) -> Release:
    """Return the release of a trained run, after the gate has let it through.

    Args:
        run: from `dizuo.train`; its report is looked for in `4-evaluate` beside it.
        name: lower-case letters, digits, `.`, `_` and `-`.
        alias: moved to the new version; `default` is what a bare name means.
        data: the data set it was trained on; None is `2-prepare` beside the run, where there is one.
        require: what must hold; the defaults ask for better than untuned.
        include_samples: keep the rows of your data that report and data card quote in the bundle.
        include_base: copy the base model into the bundle, to serve it where the base cannot be fetched.
        out: the folder of the bundle; None is `5-deploy` beside the run.
        force: make a new version although nothing changed.
        watch: told about progress.

    Raises:
        ServingError: the gate is closed, saying why, or there is no report.
    """
    (options,) = bind_call(
        "deploy",
        {"name": name, "alias": alias, "include_samples": include_samples, "include_base": include_base},
        (DeployOptions,),
    )
    home = run.folder.parent
    if data is None and (home / "2-prepare").is_dir():
        data = datasets.open(home / "2-prepare")
    report = home / "4-evaluate" / "report.json"
    if not report.is_file():
        raise ServingError(f"{run.folder} has not been evaluated", hint="call dizuo.evaluate(run, data) first")
    reasons = evaluation.unmet(evaluation.Report.open(report), **asdict(require or Require()))
    if reasons:
        raise ServingError("the gate is closed, nothing was deployed", details=reasons, hint=f"read {report}")
    folder = Path(out) if out is not None else home / "5-deploy"
    return deploy_step(run, data, folder, report=report, name=name, options=options, force=force, watch=watch)[0]


def deploy_work(
    run: Run,
    data: Dataset | None,
    folder: Path,
    *,
    report: Path,
    name: str,
    options: DeployOptions,
    origins: Mapping[str, str] | None = None,
) -> Work:
    """Return what a deployment depends on."""
    inputs = {"model": run.spec.digest, "tuned": digest_tree(run.adapter or run.weights or run.folder)}
    inputs["report"] = digest_file(report)
    if data is not None:
        inputs["data"] = data.digest
    return Work("deploy", folder, inputs, {**to_json(options), "name": name}, origins=origins or {})


def deploy_step(
    run: Run,
    data: Dataset | None,
    folder: Path,
    *,
    report: Path,
    name: str,
    options: DeployOptions,
    origins: Mapping[str, str] | None = None,
    force: bool = False,
    watch: Watcher = ignore,
) -> tuple[Release, str | None]:
    """Return the release, and why it was made anew, if it was: something that it is made of had changed."""
    from dizuo.serving.bundle import files as bundles
    from dizuo.serving.registry import Registry

    work = deploy_work(run, data, folder, report=report, name=name, options=options, origins=origins)
    standing, why = _standing(work, force=force)
    if standing is not None:
        return standing, None
    recipe = folder.parent / "recipe.yaml"
    with work.make_folder() as partial:
        bundle: Bundle = bundles.write(
            partial / "bundle",
            name=name,
            spec=run.spec,
            adapter=run.adapter,
            weights=run.weights,
            task=data.task if data is not None else None,
            report=report,
            data_card=data.folder / "dataset.json" if data is not None else None,
            recipe=recipe if recipe.is_file() else None,
            include_samples=options.include_samples,
            include_base=options.include_base,
        )
        if run.weights is None and not options.include_base and parse(run.spec.source).scheme == "path":
            watch(
                Warned(
                    f"the bundle names its base model by a path, {run.spec.source}: elsewhere it cannot be served; "
                    "deploy.include_base copies the model into it"
                )
            )
        before = _meaning(name, options.alias)
        release = Registry().register(bundle, name, alias=options.alias)
        write_json(partial / "release.json", {"name": name, "version": release.version, "digest": release.digest})
    watch(Note(f"registered as {release}" + (f", alias {options.alias}" if options.alias else "")))
    if before is not None and (other := _other_task(before, data)):
        asked = name if options.alias == DEFAULT_ALIAS else f"{name}:{options.alias}"
        flag = "" if options.alias == DEFAULT_ALIAS else f" --alias {options.alias}"
        watch(
            Warned(
                f"{asked} meant {before} until now, {other}; to point it back: dizuo registry promote {before}{flag}, "
                "and give this release a name of its own with deploy.name"
            )
        )
    return release, why


def why_deploy(work: Work, *, force: bool = False) -> str | None:
    """Return why a deployment would be made, or None where it was made and the registry has it as it was."""
    standing, why = _standing(work, force=force)
    return why if standing is None else None


def _standing(work: Work, *, force: bool) -> tuple[Release | None, str]:
    """Return the release that a deployment became, if it need not be made again; else None, and why it must."""
    why = work.why(force=force)
    if why is not None:
        return None, why
    return _registered(work.folder), "the registry does not have it"


def _meaning(name: str, alias: str | None) -> Release | None:
    """Return the release that an alias means now."""
    from dizuo.serving.registry import Registry

    try:
        return Registry().resolve(f"{name}:{alias}") if alias is not None else None
    except ServingError:
        return None


def _other_task(before: Release, data: Dataset | None) -> str:
    """Return in words what an earlier release was made for, where it was another task; empty where it was this one."""
    from dizuo.serving.bundle import files as bundles

    try:
        task = bundles.open(before.folder).task
    except DizuoError:
        return ""
    now = data.task if data is not None else None
    if task is None or now is None or (task.kind, task.labels) == (now.kind, now.labels):
        return ""
    labels = ", ".join(task.labels[:5]) + (", …" if len(task.labels) > 5 else "")
    return f"which was made for another task ({task.kind}{f': {labels}' if labels else ''})"


def _registered(folder: Path) -> Release | None:
    """Return the release that this folder became, if the registry still has it as it was."""
    from dizuo.serving.registry import Registry

    try:
        facts = json.loads((folder / "release.json").read_text("utf-8"))
        release = Registry().resolve(f"{facts['name']}@{facts['version']}")
    except (OSError, ValueError, KeyError, DizuoError):
        return None
    return release if release.digest == facts["digest"] else None
