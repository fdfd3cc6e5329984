"""Plugins: one file or package in a plugin folder, ending in one value of the kind's contract.

    METRICS = Kind("metric", "dizuo.evaluation.metrics", "METRIC", Metric)     # in the folder's __init__

    METRICS.names()             the names there are, ours and third parties'; no plugin is imported
    METRICS.load("rouge_l")     imports `dizuo.evaluation.metrics.rouge_l` and returns its METRIC, checked

The folder is the registry. A contract is a frozen dataclass, so a field that it does not have is refused; its
`__post_init__` calls `check_fields`, so a value of the wrong type is refused too. Third parties add theirs through the
entry-point group of the folder's name, as in

    [project.entry-points."dizuo.evaluation.metrics"]
    bleu = "my_package.bleu"            # a module that ends in METRIC = Metric(…), or "my_package.bleu:METRIC"

Whatever is wrong with a plugin is one `PluginError` that names its file and what is expected.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from dizuo.errors import DizuoError, PluginError, did_you_mean

__all__ = ["Kind", "check_fields", "load", "names"]

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of plugin and the one place that finds them."""

    noun: str
    """What one is called in errors, such as `metric`."""
    package: str
    """The plugin folder, such as `dizuo.evaluation.metrics`."""
    attribute: str
    """The name in which a plugin's module ends, such as `METRIC`."""
    contract: type[T]
    """What that name holds: a frozen dataclass. Its field `name`, where it has one, is filled with the plugin's."""
    group: str = ""
    """The entry-point group of third parties; empty is the package's name."""
    error: type[DizuoError] = DizuoError
    """What is raised where there is no plugin of a name."""

    def names(self) -> tuple[str, ...]:
        """Return the sorted names of the plugins; only the folder itself is imported.

        Raises:
            PluginError: a third party's plugin has a name that is taken.
        """
        return tuple(sorted(self._own() | self._others().keys()))

    def load(self, name: str) -> T:
        """Import one plugin and return it.

        Raises:
            DizuoError: (the kind's own error) there is no such plugin; the message lists what exists.
            PluginError: its module is no plugin of this kind; the message names the file and what is expected.
        """
        known = self.names()
        if name not in known:
            raise self.error(
                f"no {self.noun} is called {name!r}{did_you_mean(name, known)}",
                hint=f"choose one of: {', '.join(known)}",
            )
        point = self._others().get(name)
        found = self._import(name, point)
        if isinstance(found, ModuleType):
            place = _file(found)
            if not hasattr(found, self.attribute):
                near = did_you_mean(self.attribute, [one for one in vars(found) if one.isupper()])
                raise self._fault(name, place, f"it has no {self.attribute}{near}")
            found = getattr(found, self.attribute)
        else:
            place = point.value if point else self.package
        if not isinstance(found, self.contract):
            raise self._fault(name, place, f"{self.attribute} is a {type(found).__name__}")
        plugin: Any = found
        if is_dataclass(found) and any(one.name == "name" for one in fields(found)):
            plugin = replace(plugin, name=name)
        return cast(T, plugin)

    def all(self) -> dict[str, T]:
        """Return every plugin by name; all are imported."""
        return {name: self.load(name) for name in self.names()}

    def _own(self) -> set[str]:
        home = importlib.import_module(self.package)
        return {module.name for module in pkgutil.iter_modules(home.__path__) if not module.name.startswith("_")}

    def _others(self) -> Mapping[str, EntryPoint]:
        points, own = _entry_points(self.group or self.package), self._own()
        for name, found in points.items():
            where = [f"{point.value} (of {point.dist.name if point.dist else 'an unknown package'})" for point in found]
            taken = [f"{self.package}.{name}"] if name in own else []
            if len(where) + len(taken) > 1:
                raise PluginError(
                    f"the name {name!r} of {self._a_noun()} is taken",
                    details=[*taken, *where],
                    hint=f"give the entry point in the group {self.group or self.package} another name",
                )
        return {name: found[0] for name, found in points.items()}

    def _import(self, name: str, point: EntryPoint | None) -> Any:
        module = point.module if point else f"{self.package}.{name}"
        try:
            return point.load() if point else importlib.import_module(module)
        except DizuoError as error:
            if isinstance(error, PluginError) or not point:
                raise self._fault(name, _origin(module), error.message, error.details) from error
            raise
        except TypeError as error:  # the contract refused a field
            raise self._fault(name, _origin(module), self._reading(error)) from error
        except Exception as error:
            if point is None:
                raise
            text = (str(error).splitlines() or ["no message"])[0][:200]
            raise self._fault(name, _origin(module), f"importing it raises {type(error).__name__}: {text}") from error

    def _reading(self, error: TypeError) -> str:
        """Return what a dataclass says of a field, with the near name."""
        text = str(error)
        wrong = re.search(r"unexpected keyword argument '(\w+)'", text)
        missing = re.search(r"missing \d+ required .*argument[s]?: (.*)", text)
        if self.contract.__name__ not in text and not wrong and not missing:
            return f"importing it raises TypeError: {text}"
        if wrong:
            return f"{self.contract.__name__} has no field {wrong[1]!r}{did_you_mean(wrong[1], self._fields())}"
        return f"{self.contract.__name__} also needs {missing[1]}" if missing else text

    def _a_noun(self) -> str:
        return f"an {self.noun}" if self.noun[0] in "aeiou" else f"a {self.noun}"

    def _fields(self) -> list[str]:
        return [one.name for one in fields(self.contract)] if is_dataclass(self.contract) else []

    def _fault(self, name: str, place: str, why: str, details: tuple[str, ...] = ()) -> PluginError:
        listed = f" with: {', '.join(one for one in self._fields() if one != 'name')}" if self._fields() else ""
        return PluginError(
            f"{place} is not {self._a_noun()}: {why}",
            details=details,
            hint=f"the file of the {self.noun} {name!r} ends in {self.attribute} = {self.contract.__name__}(…){listed}",
        )


PLAIN: dict[str, type | tuple[type, ...]] = {
    "str": str, "bool": bool, "int": int, "float": (int, float), "Path": object,
}  # fmt: skip


def check_fields(value: Any) -> None:
    """Refuse a plugin with fields of the wrong type: called by `__post_init__` of a contract.

    Functions must be callable, classes classes, and flags, texts and tuples of texts what they are declared to be.

    Raises:
        PluginError: naming every wrong field.
    """
    wrong = []
    for field in fields(value):
        held, declared = getattr(value, field.name), str(field.type)
        if not _fits(held, declared):
            wrong.append(f"{field.name} is {held!r}, not {_spelt(declared)}")
    if wrong:
        raise PluginError(wrong[0] if len(wrong) == 1 else f"{len(wrong)} fields are wrong", details=wrong[1:])


def _fits(held: Any, declared: str) -> bool:
    if declared.endswith(" | None"):
        return held is None or _fits(held, declared.removesuffix(" | None"))
    if declared.startswith("Callable"):
        return callable(held)
    if declared.startswith("type["):
        return isinstance(held, type)
    if declared == "tuple[str, ...]":
        return isinstance(held, tuple) and all(isinstance(one, str) for one in held)
    if declared == "tuple[int, ...]":
        return isinstance(held, tuple) and all(type(one) is int for one in held)
    if declared in PLAIN:
        return isinstance(held, PLAIN[declared]) and (declared == "bool" or not isinstance(held, bool))
    return True


def _spelt(declared: str) -> str:
    if declared.startswith("Callable"):
        return "a function" + (" or None" if declared.endswith("None") else "")
    return declared


def _file(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or module.__name__)


def _origin(module: str) -> str:
    """Return the file of a module that may not be importable."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    return spec.origin if spec and spec.origin else module


@functools.cache
def _entry_points(group: str) -> dict[str, list[EntryPoint]]:
    """Return third parties' plugins by name; reading all installed metadata takes 16 ms, so it is done once."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        found.setdefault(point.name, []).append(point)
    return found


def names(package: str) -> tuple[str, ...]:
    """Return the names of a folder's plugins. Kinds that are not typed yet; goes away with the last of them."""
    return Kind("plugin", package, "", object).names()


def load(package: str, name: str, *, noun: str = "plugin") -> ModuleType:
    """Import a plugin's module. Kinds that are not typed yet; goes away with the last of them."""
    kind = Kind(noun, package, "", object)
    known = kind.names()
    if name not in known:
        raise DizuoError(
            f"no {noun} is called {name!r}{did_you_mean(name, known)}", hint=f"choose one of: {', '.join(known)}"
        )
    point = kind._others().get(name)
    module: ModuleType = point.load() if point else importlib.import_module(f"{package}.{name}")
    return module
