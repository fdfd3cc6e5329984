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

import ast
import copy
import functools
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
import traceback
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar, cast, get_origin

from dizuo.errors import DizuoError, PluginError, did_you_mean
from dizuo.packages import explain

__all__ = ["Kind", "check_fields"]

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
        return tuple(sorted(self._find()))

    def check(self, name: str) -> None:
        """Refuse a name that no plugin has; nothing but the folder is imported.

        Raises:
            DizuoError: (the kind's own error) there is no such plugin; the message lists what exists.
        """
        self._point(name)

    def load(self, name: str) -> T:
        """Import one plugin and return it.

        Raises:
            DizuoError: (the kind's own error) there is no such plugin; the message lists what exists.
            PluginError: its module is no plugin of this kind; the message names the file and what is expected.
        """
        point = self._point(name)
        module = self._import(name, point.module if point else f"{self.package}.{name}")
        attribute = point.attr if point and point.attr else self.attribute
        value: Any = module
        for part in attribute.split("."):
            value = self._part_of(value, part, name, module, attribute)
        if not isinstance(value, self.contract):
            what = f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
            raise self._fault(name, _file(module), f"{attribute} is {what}", attribute)
        if is_dataclass(value) and any(field.name == "name" for field in fields(value)):
            value = copy.copy(value)  # it was checked when it was made
            object.__setattr__(value, "name", name)
        return cast(T, value)

    def all(self) -> dict[str, T]:
        """Return every plugin by name; all are imported."""
        return {name: self.load(name) for name in self.names()}

    def _point(self, name: str) -> EntryPoint | None:
        """Return where a third party has the plugin of a name, or None for one of ours; refuse a name that none has."""
        found = self._find()
        if name not in found:
            raise self.error(
                f"no {self.noun} is called {name!r}{did_you_mean(name, sorted(found))}",
                hint=f"choose one of: {', '.join(sorted(found))}",
            )
        return found[name]

    def _find(self) -> dict[str, EntryPoint | None]:
        """Return all names, and for those of third parties where the plugin is."""
        home = importlib.import_module(self.package)
        own = {module.name for module in pkgutil.iter_modules(home.__path__) if not module.name.startswith("_")}
        points = _entry_points(self.group or self.package)
        for name, offered in points.items():
            taken = [_file_of(f"{self.package}.{name}")] if name in own else []
            taken += [f"{_file_of(point.module)} (of the package {_distribution(point)})" for point in offered]
            if len(taken) > 1:
                raise PluginError(
                    f"there are {len(taken)} plugins for the {self.noun} {name!r}",
                    details=taken,
                    hint=f"uninstall one of the packages, or give its entry point in the group "
                    f"{self.group or self.package} another name",
                )
        return {**dict.fromkeys(own), **{name: offered[0] for name, offered in points.items()}}

    def _import(self, name: str, module: str) -> ModuleType:
        try:
            return importlib.import_module(module)
        except PluginError as error:  # check_fields refused a value
            raise self._fault(name, _file_of(module), error.message, details=error.details) from error
        except DizuoError:  # such as a package that is not installed: it says itself what to do
            raise
        except (Exception, SystemExit) as error:  # a module may raise anything, and a script may end the process
            if isinstance(error, ImportError) and (missing := explain(error, purpose=f"the {self.noun} {name!r}")):
                raise missing from error
            raise self._fault(name, _file_of(module), self._reason(error)) from error

    def _part_of(self, value: Any, part: str, name: str, module: ModuleType, attribute: str) -> Any:
        """Return one step of `module.attribute`; a module may compute it when it is asked for, and fail."""
        try:
            return getattr(value, part)
        except AttributeError:
            held = [known for known in dir(value) if not known.startswith("_")]
            near = _near(part, [known for known in held if not isinstance(inspect.getattr_static(value, known), type)])
            raise self._fault(name, _file(module), f"it has no {attribute}{near}", attribute) from None
        except DizuoError:
            raise
        except (Exception, SystemExit) as error:
            why = f"reading {attribute} raises {_told(error)}"
            raise self._fault(name, _file(module), why, attribute) from error

    def _reason(self, error: BaseException) -> str:
        """Return what a module's error means; of the contract's own refusals with the near name."""
        text = _first_line(error)
        contract = self._contracts().get(text.partition(".__init__() ")[0])
        if isinstance(error, TypeError) and contract is not None:
            if wrong := re.search(r"unexpected keyword argument '(\w+)'", text):
                return f"{contract.__name__} has no field {wrong[1]!r}{did_you_mean(wrong[1], _fields(contract))}"
            if missing := re.search(r"missing \d+ required .*arguments?: (.*)", text):
                return f"{contract.__name__} also needs {missing[1]}"
        return f"importing it raises {_told(error)}"

    def _contracts(self) -> dict[str, type]:
        """Return what a plugin may be by name: the contract, or where it has several forms, each of these."""
        return {form.__name__: form for form in (self.contract.__subclasses__() or [self.contract])}

    def _fault(
        self, name: str, file: str, why: str, attribute: str | None = None, *, details: Sequence[str] = ()
    ) -> PluginError:
        forms = []
        for form in self._contracts().values():
            needed, more = ", ".join(_fields(form, required=True)), ", ".join(_fields(form, required=False))
            takes = (f" with {needed}" if needed else "") + (f" (and, where it needs them, {more})" if more else "")
            forms.append(f"{form.__name__}(…){takes}")
        return PluginError(
            f"{file} is not {_a(self.noun)}: {why}",
            details=details,
            hint=f"the file of the {self.noun} {name!r} ends in {attribute or self.attribute} = {', or '.join(forms)}",
        )


def check_fields(value: Any) -> None:
    """Refuse a plugin with fields of the wrong type: called by `__post_init__` of a contract.

    Functions must be callable with as many arguments as they are called with, and classes, texts, numbers and
    collections of them be what they are declared to be. A type that is known to type checkers only (imported under
    `TYPE_CHECKING`) is left to them.

    Raises:
        PluginError: naming every wrong field.
    """
    homes = [vars(sys.modules[owner.__module__]) for owner in type(value).__mro__ if owner.__module__ in sys.modules]
    known = ChainMap(*homes)
    wrong = [fault for field in fields(value) if (fault := _fault_of(value, field, known))]
    if len(wrong) == 1:
        raise PluginError(wrong[0])
    if wrong:
        raise PluginError(f"{len(wrong)} fields are wrong", details=wrong)


SIMPLE: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda held: isinstance(held, str),
    "bool": lambda held: isinstance(held, bool),
    "int": lambda held: isinstance(held, int) and not isinstance(held, bool),
    "float": lambda held: isinstance(held, int | float) and not isinstance(held, bool),
    "None": lambda held: held is None,
}
"""What a value of a declared type is, for the types that contracts are made of."""
COLLECTIONS = {"tuple": tuple, "frozenset": frozenset, "Sequence": Sequence, "Mapping": Mapping}


def _fault_of(value: Any, field: Field[Any], known: Mapping[str, Any]) -> str:
    """Return what is wrong with one field of a plugin, or an empty text."""
    held, declared = getattr(value, field.name), field.type
    assert isinstance(declared, str), f"the file of {type(value).__name__} begins with `from __future__ import …`"
    fault = _mismatch(held, declared, known)
    return fault and f"{field.name} is {_shown(held)}, {fault}"


def _mismatch(held: Any, declared: str, known: Mapping[str, Any]) -> str:
    """Return why a value is not of a declared type, as in `not a function or None`, or an empty text."""
    faults = [_mismatch_of(held, option, known) for option in _split(declared, "|")]
    if not all(faults):
        return ""
    # Of several types that were possible, the reason of the first says more than "not None".
    return faults[0] + (" or None" if faults[-1] == "not None" and faults[0].startswith("not ") else "")


def _mismatch_of(held: Any, declared: str, known: Mapping[str, Any]) -> str:
    """Return why a value is not of one type, which is no union."""
    head, inner = declared.partition("[")[0], declared.partition("[")[2].removesuffix("]")
    if declared in SIMPLE:
        return "" if SIMPLE[declared](held) else f"not {declared}"
    if head == "Callable":
        return _uncallable(held, inner)
    if head == "type":
        return "" if isinstance(held, type) else "not a class"
    if head == "Literal":
        return "" if held in ast.literal_eval(f"({inner},)") else f"not one of {inner}"
    if head in COLLECTIONS:
        if not isinstance(held, COLLECTIONS[head]) or isinstance(held, str):
            return f"not {declared}"
        items = [item for item in _split(inner, ",") if item != "..."]
        if head != "Mapping" and len(items) == 1 and any(_mismatch(item, items[0], known) for item in held):
            return f"not {declared}"
        return ""
    kind = known.get(head)
    if get_origin(kind) is Callable or (getattr(kind, "_is_protocol", False) and "__call__" in vars(kind)):
        return "" if callable(held) else "not a function"
    if not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
        return ""
    return "" if isinstance(held, kind) else f"not a {head}"


def _uncallable(held: Any, declared: str) -> str:
    """Return why a function cannot be called as declared, or an empty text."""
    if not callable(held):
        return "not a function"
    parameters = _split(declared, ",")[0]
    if not parameters.startswith("["):
        return ""  # `...`: any arguments
    names = _split(parameters[1:-1], ",")
    try:
        signature = inspect.signature(held)
    except (TypeError, ValueError):  # one of C
        return ""
    try:
        signature.bind(*names)
    except TypeError:
        return f"which is called with {len(names)} arguments: {', '.join(names)}"
    return ""


def _split(text: str, by: str) -> list[str]:
    """Return the parts of a type's text, such as `Callable[[A, B], C] | None` by `|`, split outside brackets only."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == by and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _shown(held: Any) -> str:
    if inspect.isroutine(held) or isinstance(held, type):
        return f"{held.__name__}{_signature(held)}"
    text = repr(held)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _signature(held: Any) -> str:
    try:
        return f"({', '.join(inspect.signature(held).parameters)})" if not isinstance(held, type) else ""
    except (TypeError, ValueError):
        return ""


def _fields(contract: type, *, required: bool | None = None) -> list[str]:
    """Return a contract's fields without the name, or only those that must or need not be given."""
    given = [field for field in fields(contract) if field.name != "name"] if is_dataclass(contract) else []
    return [field.name for field in given if required in (None, _is_required(field))]


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0][:200]


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}{_line_of(error)}"


def _file(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or module.__name__)


def _file_of(module: str) -> str:
    """Return the file of a module that may not be importable, or its name where there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # a package above it is imported, which may raise anything
        spec = None
    return spec.origin if spec and spec.origin else module


def _line_of(error: BaseException) -> str:
    """Return ` (FILE, line N)` of where an error was raised; a syntax error says it itself."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) or not frames:
        return ""
    ours = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    return f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""


def _near(name: str, known: Sequence[str]) -> str:
    """Return ` (did you mean 'x'?)` for the nearest known name, first for one that differs in its case alone."""
    same = [one for one in known if one.casefold() == name.casefold()]
    return f" (did you mean {same[0]!r}?)" if same else did_you_mean(name, known)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "?"


@functools.cache
def _entry_points(group: str) -> dict[str, list[EntryPoint]]:
    """Return third parties' plugins by name; reading all installed metadata takes 16 ms, so it is done once."""
    offered: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        offered.setdefault(point.name, []).append(point)
    return offered


def _a(noun: str) -> str:
    """Return a noun with its article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
