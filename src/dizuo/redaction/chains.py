"""Errors and log records without secrets: an error of a client that is the cause of ours is printed below it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dizuo.redaction.memory import on_first_secret
from dizuo.redaction.redacting import redact

if TYPE_CHECKING:
    import logging

__all__ = ["ClientError", "ErrorGuard", "redact_errors", "watch_logs", "without_secrets"]


class ClientError(Exception):
    """Stands in the place of an error whose text has a secret in it; it says what that one said, without it."""


class ErrorGuard:
    """A context in which whatever is raised is raised `without_secrets`; it may be entered again and again.

    Args:
        lock: held meanwhile, if there is one.
    """

    def __init__(self, lock: AbstractContextManager[object] | None = None) -> None:
        self._lock = lock or nullcontext()

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)
        if error is None:
            return
        safe = without_secrets(error)
        if safe is not error:
            try:
                raise safe
            finally:
                safe.__context__ = None  # `raise` has just put the error there that must not be seen


def redact_errors() -> ErrorGuard:
    """Return a context in which whatever is raised is raised `without_secrets`."""
    return ErrorGuard()


def without_secrets(error: BaseException) -> BaseException:
    """Return the error, or one in its place where its own text has a secret; causes are replaced where they have one.

    The kinds, texts and traces of errors stay readable otherwise.
    """
    safe: dict[int, BaseException] = {}
    kept: list[BaseException] = []  # an id belongs to an object only as long as that lives

    def replace(link: BaseException) -> BaseException:
        if id(link) not in safe:
            kept.append(link)
            safe[id(link)] = new = _replace(link)
            if new is not link:
                kept.append(new)
            safe[id(new)] = new
            waiting.append(new)
        return safe[id(link)]

    waiting: list[BaseException] = []
    first = replace(error)
    while waiting:
        link = waiting.pop()
        quiet, cause, context = link.__suppress_context__, link.__cause__, link.__context__
        link.__cause__ = None if cause is None else replace(cause)
        link.__context__ = None if context is None else replace(context)
        link.__suppress_context__ = quiet
    return first


def watch_logs() -> None:
    """Redact the records of all loggers from now on: clients log what they were given, each in its own way."""
    import logging  # imported here: `dizuo --help` has no secret

    logging.setLogRecordFactory(_redacting(logging.getLogRecordFactory()))


on_first_secret.append(watch_logs)


def _redacting(make: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        try:
            said = record.getMessage()
        except Exception:  # arguments that do not fit the message: logging itself tells of it, and prints them
            said = f"{record.msg} {record.args}"
        safe = redact(said)
        if safe != said:
            record.msg, record.args = safe, None
        if record.exc_info and record.exc_info[1] is not None:
            import traceback

            text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            if (shown := redact(text)) != text:
                record.exc_info, record.exc_text = None, shown
        return record

    return make_record


def _set_cause(link: BaseException, inner: BaseException) -> None:
    link.__cause__ = inner


def _set_context(link: BaseException, inner: BaseException) -> None:
    link.__context__ = inner


def _replace(error: BaseException) -> BaseException:
    """Return the error, or a `ClientError` in its place where it says a secret."""
    again = getattr(error, "redact_again", None)
    if again is not None:  # one of ours, which may be older than what is known of secrets
        again()
        return error
    if not isinstance(error, Exception):  # such as KeyboardInterrupt
        return error
    try:
        said = str(error)
        held = f"{said}\n{error.args!r}\n{getattr(error, '__notes__', '')}"
        if isinstance(error, BaseExceptionGroup):  # its errors cannot be replaced one by one
            import traceback

            held += "".join(traceback.format_exception(error))
    except Exception:
        said = "its text cannot be read"
    else:
        if redact(held) == held:
            return error
    safe = ClientError(redact(f"{type(error).__module__}.{type(error).__qualname__}: {said}"))
    safe.__cause__, safe.__context__ = error.__cause__, error.__context__
    safe.__suppress_context__ = error.__suppress_context__
    return safe.with_traceback(error.__traceback__)
