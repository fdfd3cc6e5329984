"""Packages that an installation may lack: an import that fails for want of one says what to install.

    packages.has("torch")
    packages.require("torch", "transformers", purpose="training")          # raises MissingPackage

    @packages.needs("training")
    def train(…): ...                                                       # before it does anything

`pip install dizuo` is for data and vectors; what trains and runs language models is the extra `dizuo[train]`. Whatever
of these is imported somewhere deep down and is not there ends as a `MissingPackage`: the verbs of the library, the
plugins and the command line put `explain` to what they catch.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from dizuo.errors import MissingPackage

__all__ = ["EXTRAS", "TRAIN", "explain", "explains", "has", "has_version", "needs", "require"]

P = ParamSpec("P")
T = TypeVar("T")

TRAIN = ("torch", "transformers", "peft", "gguf", "sklearn", "starlette", "uvicorn")
"""What the extra `train` brings, by import name."""
EXTRAS = {
    **dict.fromkeys((*TRAIN, "scipy", "joblib", "accelerate"), "train"),
    "lancedb": "lancedb",
    "modelscope": "hub",
    "huggingface_hub": "hub",
}
"""Import name of a package → the extra that brings it."""


def has(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    if package in sys.modules:
        return sys.modules[package] is not None
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def has_version(distribution: str) -> str | None:
    """Return the installed version of a package, as PyPI calls it, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def require(*names: str, purpose: str) -> None:
    """Refuse to go on where one of these packages is not installed.

    Args:
        names: as they are imported.
        purpose: what needs them, as in `training`.

    Raises:
        MissingPackage: naming the first that is missing, and what to install.
    """
    for name in names:
        if not has(name):
            raise MissingPackage(name, purpose=purpose, install=f"dizuo[{EXTRAS[name]}]")


def explain(error: ImportError, *, purpose: str = "this") -> MissingPackage | None:
    """Return what to tell of an import that failed, where a package of an extra is missing; else None.

    Args:
        error: what was raised.
        purpose: what needs the package.
    """
    name = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or name not in EXTRAS or has(name):
        return None
    return MissingPackage(name, purpose=purpose, install=f"dizuo[{EXTRAS[name]}]")


def explains(purpose: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator: where the function fails for want of a package of an extra, it says what to install.

    Args:
        purpose: what the function does, as in `reading a model`.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **more: P.kwargs) -> T:
            try:
                return function(*args, **more)
            except ImportError as error:
                if missing := explain(error, purpose=purpose):
                    raise missing from error
                raise

        return call

    return decorate


def needs(purpose: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator: the function refuses to start where a package of the extra `train` is not installed.

    Args:
        purpose: what the function does, as in `training`.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **more: P.kwargs) -> T:
            require(*TRAIN, purpose=purpose)
            return function(*args, **more)

        return call

    return decorate
