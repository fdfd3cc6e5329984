"""Binds the names of a package when they are first used, so that importing the package stays instant.

    if TYPE_CHECKING:
        from dizuo.data.dataset import Dataset

    __all__ = ["Dataset"]
    __getattr__, __dir__ = lazy.names(__name__, {"Dataset": "dataset"})

Type checkers read the imports, Python reads the table, and a test holds the two to each other.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from dizuo.errors import did_you_mean
from dizuo.packages import explain

__all__ = ["names"]


def names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`.

    Args:
        package: its name.
        homes: by public name the module that defines it, relative to the package, as in `"loop"` or `"planning.plan"`;
            `"filters.text:parse"` where it has another name there.

    Raises:
        MissingPackage: from `__getattr__`, where the module needs a package of an extra that is not installed.
        AttributeError: from `__getattr__`, with the near name, for a name that the package does not have.
    """

    def bind(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}{did_you_mean(name, homes)}")
        module, _, there = homes[name].partition(":")
        try:
            return getattr(importlib.import_module(f"{package}.{module}"), there or name)
        except ImportError as error:
            if missing := explain(error, purpose=f"{package}.{name}"):
                raise missing from error
            raise

    return bind, lambda: sorted(homes)
