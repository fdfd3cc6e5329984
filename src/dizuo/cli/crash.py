"""When dizuo itself is at fault a person sees one line, and where the traceback was kept."""

from __future__ import annotations

import os
import tempfile
import time
import traceback

from dizuo.cli.clean import redact

__all__ = ["report"]


def report(error: BaseException) -> str:
    """Save the traceback and return the message that tells of it."""
    text = redact("".join(traceback.format_exception(error)))
    summary = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    try:
        handle, path = tempfile.mkstemp(prefix=time.strftime("dizuo-%Y%m%d-%H%M%S-"), suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        path = ""
    kept = f"the traceback is in {path}" if path else "no traceback could be saved"
    return (
        f"a fault in dizuo itself: {summary}\n  {kept}\n\nhint: run it with --debug to see the traceback, and report it"
    )
