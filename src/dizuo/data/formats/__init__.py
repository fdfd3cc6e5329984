"""Record formats: which columns of a row hold what, and which example the row becomes. One file each.

    classification.py       a text and its label           -> Labelled
    text.py                 running text                   -> Text
    prompt_completion.py    a prompt and its completion    -> Text, or Chat
    messages.py             OpenAI chat                    -> Chat
    sharegpt.py             ShareGPT conversations         -> Chat
    alpaca.py               instruction, input, output     -> Chat
    question_answer.py      questions and answers, SQuAD   -> Chat
    preference.py           a chosen and a rejected answer -> Preference
    feedback.py             an answer, wanted or not (KTO) -> Feedback

A new format is a file here, or a module that a third party names in the entry-point group `dizuo.data.formats`:

    def fits(row: Cells, columns: Columns) -> set[str] | None:
        return {"sms"} if isinstance(row.get("sms"), str) else None

    def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Text]:
        yield Text(str(row["sms"]))

    FORMAT = Format(makes=(Text,), needs=("text",), fits=fits, read=read)

`dizuo.testing.FormatSuite` tests it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import ALIASES, Columns, RowError
from dizuo.data.reading.files import Cells
from dizuo.errors import DataError, PluginError, did_you_mean
from dizuo.plugins import Kind, check_fields
from dizuo.records import Chat, Example, Feedback, Labelled, Preference, Text

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True, slots=True)
class Format:
    """How the rows of one record format become examples."""

    makes: tuple[type[Text] | type[Chat] | type[Labelled] | type[Preference] | type[Feedback], ...]
    """The kinds of example that `read` yields; one for most formats."""
    needs: tuple[str, ...]
    """The roles that a row must have, each of `dizuo.data.reading.columns.ALIASES`; errors name the nearest format by
    them."""
    fits: Callable[[Cells, Columns], set[str] | None]
    """Returns the columns of a row that the format uses, judged by their names and the types of their values, or None
    where the row is of another format."""
    read: Callable[[Cells, Columns, PrepareOptions], Iterator[Example | RowError]]
    """Yields the examples of a row. A row that cannot be used raises `RowError` with the reason; of a row that holds
    several examples, the one that cannot be used is yielded as a `RowError` with its place in the row."""
    name: str = ""
    """The name that a user gives as `format`; the loader fills it in."""

    def __post_init__(self) -> None:
        check_fields(self)
        unknown = [f"{role!r}{did_you_mean(role, ALIASES)}" for role in self.needs if role not in ALIASES]
        if unknown:
            raise PluginError(f"needs names unknown roles: {', '.join(unknown)}; roles: {', '.join(ALIASES)}")
        if not self.makes or not all(isinstance(kind, type) for kind in self.makes):
            raise PluginError(f"makes is {self.makes!r}, not the kinds of example that it makes")


FORMATS = Kind("format", "dizuo.data.formats", "FORMAT", Format, error=DataError)
