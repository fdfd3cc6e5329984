"""The errors that dizuo raises for a user to read.

    DizuoError
    ├── RecipeError        a recipe or an option is wrong (all wrong fields at once)
    ├── ArtifactError      a model or data set cannot be fetched, verified or unpacked
    ├── ModelError         a model cannot be read, loaded or run
    ├── DataError          rows, files or splits that cannot be used
    ├── PlanError          training that cannot work, refused before it starts
    ├── TrainingError      training that had to stop (non-finite loss, wrong checkpoint)
    ├── EvaluationError    a score that cannot be computed
    ├── ServingError       a bundle, registry or server fault
    ├── VectorError        a vector store fault
    ├── PluginError        a plugin that is not what its kind asks for
    └── MissingPackage     an optional dependency is not installed

Every error carries what is wrong (with the value and its place) and one `hint`: the next action.
The command line prints `str(error)`; no error here ends in a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from dizuo.redaction import redact

__all__ = [
    "ArtifactError",
    "DataError",
    "DizuoError",
    "EvaluationError",
    "MissingPackage",
    "ModelError",
    "PlanError",
    "PluginError",
    "RecipeError",
    "ServingError",
    "TrainingError",
    "VectorError",
    "did_you_mean",
    "redact",
]


class DizuoError(Exception):
    """A fault a user can act on. No password and no key ever stands in one: errors end up in logs.

    Args:
        message: what is wrong, with the value and its place; no full stop needed.
        details: one indented line each, such as every bad row or field.
        hint: one action that would help.
    """

    exit_code = 1

    def __init__(self, message: str, *, details: Sequence[str] = (), hint: str | None = None) -> None:
        self.message = redact(message)
        self.details = tuple(redact(line) for line in details)
        self.hint = None if hint is None else redact(hint)
        super().__init__(self.message)

    def redact_again(self) -> None:
        """Take out secrets that became known after the error was made."""
        self.message, self.details = redact(self.message), tuple(redact(line) for line in self.details)
        self.hint = None if self.hint is None else redact(self.hint)
        self.args = (self.message,)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what another process makes the same error of; not every kind of error is made of a message alone."""
        return _make_again, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        lines = [self.message, *(f"  {line}" for line in self.details)]
        if self.hint:
            lines += ["", f"hint: {self.hint}"]
        return "\n".join(lines)


def _make_again(kind: type[DizuoError], arguments: tuple[Any, ...], state: dict[str, Any]) -> DizuoError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class RecipeError(DizuoError):
    """A recipe or an option is wrong; `details` lists every wrong field with file and line."""

    exit_code = 2


class ArtifactError(DizuoError):
    """A model or data set cannot be fetched, verified or unpacked."""


class ModelError(DizuoError):
    """A model cannot be read, loaded or run."""


class DataError(DizuoError):
    """Rows, files or splits that cannot be used."""


class PlanError(DizuoError):
    """Training that cannot work, refused before anything heavy starts."""


class TrainingError(DizuoError):
    """Training that had to stop, such as a non-finite loss or a checkpoint of another recipe."""


class EvaluationError(DizuoError):
    """A score that cannot be computed."""


class ServingError(DizuoError):
    """A bundle, registry or server fault."""


class VectorError(DizuoError):
    """A vector store fault."""


class PluginError(DizuoError):
    """A plugin that is not what its kind asks for; the message names its file."""


class MissingPackage(DizuoError):
    """An optional dependency is not installed.

    Args:
        package: the import name.
        purpose: what needs it, as in "reading Parquet from S3".
        install: the argument for pip, as in "dizuo[hub]".
    """

    def __init__(self, package: str, *, purpose: str, install: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed",
            hint=f'pip install "{install}"',
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""
