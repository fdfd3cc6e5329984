"""Words and lists that a user hands in: a misspelt word is an error with the near one, one text is no list of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dizuo.errors import VectorError, did_you_mean

__all__ = ["check_address", "check_choice", "check_list"]


def check_choice(value: object, choices: Sequence[str], *, noun: str, also: Mapping[str, str] | None = None) -> None:
    """Refuse a word that is not one of the choices.

    Args:
        value: what was given.
        choices: the words there are.
        noun: what they choose, as in `mode`.
        also: what people call a choice elsewhere → the choice.

    Raises:
        VectorError: naming the near one.
    """
    if isinstance(value, str) and value in choices:
        return
    word = str(value).lower().replace("-", "_") if isinstance(value, str) else ""
    near = word if word in choices else (also or {}).get(word)
    guess = f" (did you mean {near!r}?)" if near else did_you_mean(word, choices)
    *others, last = choices
    raise VectorError(
        f"{noun} is {', '.join(others)} or {last}, not {value!r}{guess}",
        hint=f"for example {noun}={near or choices[0]!r}",
    )


def check_list(values: Iterable[object], *, noun: str, of: type | tuple[type, ...] = str, call: str = "{}") -> None:
    """Refuse one value where several are asked for: the letters of a text are no list of texts.

    Args:
        values: what was given.
        noun: what it holds, as in `sources`.
        of: what one of them is.
        call: how it is meant, with `{}` for the list.

    Raises:
        VectorError: it is one value, or nothing that can be gone through.
    """
    if isinstance(values, of):
        one = "text" if isinstance(values, str) else type(values).__name__
        raise VectorError(
            f"{noun} is one {one}, {values!r:.60}, and a list is asked for", hint=call.format(f"[{values!r:.60}]")
        )
    if not isinstance(values, Iterable):
        raise VectorError(f"{noun} is {values!r:.60}, and a list is asked for", hint=call.format("[…]"))


def check_address(address: object, names: Iterable[str], *, noun: str) -> None:
    """Refuse an address that is no text, or a misspelt name where there is neither such a file nor such a source.

    Args:
        address: of a model, as in `pypi:…`, a path or a name.
        names: the names there are, as files have them.
        noun: what it is of.

    Raises:
        VectorError: naming the near one.
    """
    if not isinstance(address, str):
        raise VectorError(f"the address of the {noun} is {address!r:.60}, and no text", hint="for example 'pypi:NAME'")
    known = [name.replace("_", "-") for name in names]
    if ":" in address or "/" in address or address.replace("_", "-") in known or Path(address).exists():
        return
    if near := did_you_mean(address, known):
        raise VectorError(f"there is no {noun} {address!r}{near}", hint=f"names are: {', '.join(known)}")
