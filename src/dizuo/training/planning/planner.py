"""Planning: every value resolved, every row rendered and checked, everything that cannot work refused.

`plan` renders the data, chooses what the user left open, measures how the model runs, tries the worst block once, and
writes plan.json. What was measured is written there and never measured again: planning the same request in the same
folder returns the plan that is already there.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.errors import PlanError
from dizuo.events import Note, Warned, Watcher, ignore
from dizuo.models import heads, quantization
from dizuo.training.building.build import load_quantized, on_device
from dizuo.training.checkpoints import Checkpoints
from dizuo.training.method import Method, MethodOptions
from dizuo.training.methods import METHODS
from dizuo.training.planning.machine import Machine
from dizuo.training.planning.measuring import measure_plan
from dizuo.training.planning.options import TrainOptions
from dizuo.training.planning.plan import Plan
from dizuo.training.planning.problems import Problems
from dizuo.training.planning.request import Request
from dizuo.training.planning.resolving import Draft
from dizuo.training.planning.snapshot import Snapshot
from dizuo.training.planning.trial import run_trial
from dizuo.training.tokens.token_store import TokenStore
from dizuo.training.tokens.tokenizing import Faults, Rules, tokenize

if TYPE_CHECKING:
    from torch import nn

    from dizuo.data import Dataset, Split, Task
    from dizuo.models import Model, ModelSpec

__all__ = ["plan"]


def plan(
    model: ModelSpec | Model,
    data: Dataset,
    *,
    out: str | Path,
    options: TrainOptions | None = None,
    method_options: MethodOptions | None = None,
    origins: Mapping[str, str] | None = None,
    measure: bool = True,
    trial: bool = False,
    watch: Watcher = ignore,
) -> Plan:
    """Return what training this model on this data will do, and write it to `out/plan.json`.

    Args:
        model: what to train; a loaded `Model` comes back unchanged.
        data: with a `train` split and, where there is one, `validation`.
        out: the run's folder. One that holds a plan of the same request returns that plan.
        options: of the run.
        method_options: the method's own options; its defaults where None.
        origins: where given values came from, by field name, as in `{"rank": "recipe"}`; shown, not used.
        measure: run the worst block and two usual steps once, for the time. Without it the plan knows neither time nor
            the worst block; what is trained is the same.
        trial: measure that in a process of its own which also updates, evaluates and saves, for the peak of memory. It
            takes some seconds more, and is done unasked where the estimate is so near to the free memory that only a
            trial can tell.
        watch: told progress and notes.

    Raises:
        PlanError: this training cannot work; every reason at once, rows with file and line.
    """
    from dizuo import models

    options = options or TrainOptions()
    folder = Path(out)
    spec: ModelSpec = model.spec if isinstance(model, models.Model) else model
    method = METHODS.load(options.method)
    if method_options is None:
        method_options = method.Options()
    request = Request.of(spec, data, options, method_options)
    existing = _known(folder, request, options)
    if existing is not None:
        watch(Note(f"following the plan in {folder}"))
        return existing

    problems = Problems()
    _refuse_head(options, problems)
    _refuse_task(method, data.task, method_options, problems)
    problems.stop()  # rows of a task that the method cannot train are not worth reading
    if (why := quantization.find_fault(options.quantize)) is not None:
        problems.add(f"quantize {options.quantize} cannot work here: {why}", hint="install it, or leave quantize out")
    _refuse_dropout(method, options, problems)
    train, validation = _tokenize(folder, spec, model, data, options, method, method_options, problems, watch)
    notes = () if problems else _refuse_data(method, train, method_options, problems)
    if problems:
        shutil.rmtree(folder / "tokens", ignore_errors=True)
    problems.stop()
    assert train is not None
    if method.resolve is not None:
        method_options = method.resolve(method_options, data.task, train.targets)
    outputs = 0 if method.num_outputs is None else method.num_outputs(data.task, method_options)
    draft = Draft(options, origins or {}, spec, train=train, validation=validation, method=method, num_outputs=outputs)
    draft.resolve(problems)
    problems.stop()

    loaded = load_quantized(model, options.quantize)
    _refuse_head(options, problems, output_layer=_output_layer(loaded.module))
    if method.num_outputs is not None and (why := heads.find_classifier_fault(loaded.module.config)) is not None:
        problems.add(f"{method.name} cannot train this model: {why}", hint="choose another model, or method sft")
    problems.stop()
    # A model that is to be sharded may not fit one GPU: it is measured in main memory, and no block is tried.
    sharded = draft.shard != "none" and draft.device != "cpu"
    with on_device(loaded, "cpu" if sharded else draft.device):
        draft.choose_layout(loaded, problems)
    problems.stop()
    counts = draft.counts()
    result = Plan(
        folder=folder,
        model=spec,
        use=draft.settings(),
        why=draft.origins(),
        method_values=Snapshot(asdict(method_options)).to_json(),
        inputs=_inputs(spec, data, train, validation),
        request=request,
        counts=counts,
        estimates=draft.estimates(),
        machine=Machine.here(threads=draft.threads, device=draft.device),
        notes=(*draft.notes, *notes),
        allow_different_machine=options.allow_different_machine,
    )
    if not sharded and (trial or draft.near_limit):
        watch(Note("trying the worst block, an update, an evaluation and a checkpoint in a process of its own"))
        tokens = folder / "tokens"
        measured = run_trial(
            result, train=tokens / "train", validation=None if validation is None else tokens / "validation"
        )
    elif not sharded and measure:
        watch(Note("trying the worst block and two steps"))
        with on_device(loaded, draft.device):
            measured = measure_plan(result, loaded, train)
    else:
        measured = None
    result = replace(result, estimates=replace(result.estimates, measured=measured))
    result.write()
    for note in result.notes:
        watch(Warned(note))
    return result


def _known(folder: Path, request: Request, options: TrainOptions) -> Plan | None:
    """Return the plan already in the folder when it is of this request."""
    stored = Plan.read(folder)
    if stored is None:
        return None
    begun = bool(Checkpoints(folder / "checkpoints").steps()) or (folder / "finished.json").exists()
    changed = stored.request.differences(request)
    if changed and begun:
        raise PlanError(
            f"{folder} holds another run",
            details=changed,
            hint="train with the same settings and data, choose another folder, or delete this one to start again",
        )
    moved = stored.machine.differences(Machine.here(threads=stored.use.threads, device=stored.use.device))
    if changed or (not begun and (moved or not _has_tokens(stored))):
        return None
    return replace(stored, allow_different_machine=options.allow_different_machine)


def _has_tokens(stored: Plan) -> bool:
    """Whether the plan's tokens are beside it; a kill while planning anew leaves others."""
    names = [name for name in ("train", "validation") if f"tokens.{name}" in stored.inputs]
    try:
        digests = {name: TokenStore(stored.folder / "tokens" / name).digest for name in names}
    except (OSError, ValueError, KeyError):
        return False
    return all(digests[name] == stored.inputs[f"tokens.{name}"] for name in names)


def _refuse_task(method: Method, task: Task | None, method_options: MethodOptions, problems: Problems) -> None:
    if method.check is None:
        return
    try:
        method.check(task, method_options)
    except PlanError as error:
        problems.add(error.message, error.details, hint=error.hint)


def _refuse_dropout(method: Method, options: TrainOptions, problems: Problems) -> None:
    """Refuse dropout where the model is compared with itself before training: they would differ from the start."""
    if method.needs_reference and options.dropout:
        problems.add(
            f"dropout is {options.dropout:g}, and {method.name} compares the model with what it was before training, "
            "which dropout alone would change",
            hint="leave dropout at 0",
        )


def _refuse_data(
    method: Method, store: TokenStore | None, method_options: MethodOptions, problems: Problems
) -> Sequence[str]:
    """Return the method's notes on the training rows' targets; problems receives why it cannot train them."""
    if method.check_targets is None or store is None:
        return ()
    try:
        return method.check_targets(store.targets, method_options)
    except PlanError as error:
        problems.add(error.message, error.details, hint=error.hint)
        return ()


def _refuse_head(options: TrainOptions, problems: Problems, *, output_layer: str = "lm_head") -> None:
    """Refuse adapters on the output layer: log-probabilities are computed from its weights, not through the module.

    Args:
        options: of the run.
        problems: receives the refusal.
        output_layer: its name in the model; before one is loaded, the name that nearly all models give it.
    """
    if options.adapter == "full" or isinstance(options.targets, str):
        return
    last = output_layer.rpartition(".")[2]
    wrong = [name for name in options.targets if name.rpartition(".")[2] == last]
    if wrong:
        problems.add(
            f"targets has {wrong[0]}, the output layer, which cannot have an adapter",
            hint="leave it out of targets, use targets: all-linear (which leaves it out), or adapter: full",
        )


def _output_layer(module: nn.Module) -> str:
    head = module.get_output_embeddings()  # type: ignore[operator]
    return next((str(name) for name, part in module.named_modules() if part is head), "lm_head")


def _tokenize(
    folder: Path,
    spec: ModelSpec,
    model: ModelSpec | Model,
    data: Dataset,
    options: TrainOptions,
    method: Method,
    method_options: MethodOptions,
    problems: Problems,
    watch: Watcher,
) -> tuple[TokenStore | None, TokenStore | None]:
    """Render the training and the validation split; problems receives what stands in the way."""
    from dizuo import models

    limit = options.max_length or spec.context_length
    if limit > spec.context_length:
        problems.add(
            f"max_length is {limit:,}, but {spec.id} reads {spec.context_length:,} tokens",
            hint=f"set max_length to {spec.context_length:,} or less",
        )
        limit = spec.context_length
    if not len(data.train):
        problems.add("the training split has no rows", hint="prepare data with training rows")
    if options.patience is not None and not len(data.validation):
        problems.add("patience needs a validation split, and there is none", hint="prepare with validation rows")
    tokenizer = model.tokenizer if isinstance(model, models.Model) else models.load_tokenizer(spec)
    rules = Rules(
        method=method,
        options=method_options,
        name=options.method,
        task=data.task,
        tokenizer=tokenizer,
        max_length=limit,
        over_length=options.over_length,
    )

    def render(split: Split, name: str, what: str) -> TokenStore | None:
        if not len(split):
            return None
        faults = Faults()
        store = tokenize(split, folder / "tokens" / name, rules=rules, faults=faults, name=name, watch=watch)
        if faults:
            problems.add(
                f"{len(faults):,} of {len(split):,} {what} rows cannot be trained",
                faults.lines(),
                hint=_row_hint(faults, options),
            )
        return store

    return render(data.train, "train", "training"), render(data.validation, "validation", "validation")


def _row_hint(faults: Faults, options: TrainOptions) -> str:
    if any("the limit is" in line for line in faults.lines()) and options.over_length == "refuse":
        return "remove the rows, raise max_length, or cut long prompts with over_length: cut_prompt"
    return faults.hint or "fix or remove the rows"


def _inputs(spec: ModelSpec, data: Dataset, train: TokenStore, validation: TokenStore | None) -> dict[str, str]:
    """Return the digests of all that the run reads."""
    inputs = {"model": spec.digest, "data.train": data.train.digest}
    if validation is not None:
        inputs["data.validation"] = data.validation.digest
    inputs["tokens.train"] = train.digest
    return inputs if validation is None else {**inputs, "tokens.validation": validation.digest}
