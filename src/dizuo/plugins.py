"""The folder is the registry: one plugin is one module in a plugin folder.

`names("dizuo.training.methods")` lists the modules of that package, and `load(package, name)` imports one.
Third parties add theirs through the entry-point group of the same name as the package.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from dizuo.errors import DizuoError, did_you_mean

__all__ = ["load", "names"]


def names(package: str) -> tuple[str, ...]:
    """Return the sorted names of a package's plugins, ours and third parties'; only the package itself is imported."""
    home = importlib.import_module(package)
    own = {module.name for module in pkgutil.iter_modules(home.__path__) if not module.name.startswith("_")}
    return tuple(sorted(own | _entry_points(package).keys()))


def load(package: str, name: str, *, noun: str = "plugin") -> ModuleType:
    """Import and return one plugin.

    Args:
        package: the plugin folder, such as `"dizuo.training.methods"`.
        name: the plugin's name.
        noun: what to call it in the error, such as `"method"`.

    Raises:
        DizuoError: there is no such plugin; the message lists what exists.
    """
    known = names(package)
    if name not in known:
        raise DizuoError(
            f"no {noun} is called {name!r}{did_you_mean(name, known)}",
            hint=f"choose one of: {', '.join(known)}",
        )
    point = _entry_points(package).get(name)
    if point is not None:
        module: ModuleType = point.load()
        return module
    return importlib.import_module(f"{package}.{name}")


@functools.cache
def _entry_points(package: str) -> dict[str, EntryPoint]:
    """Return third parties' plugins by name; reading all installed metadata takes 16 ms, so it is done once."""
    return {point.name: point for point in entry_points(group=package)}
