"""The command line has one file per verb; this one loads click and the standard library only.

Verbs stand in a static table and are imported when they are called, so that `dizuo --help` answers at once. A verb
reads its flags, runs steps or asks a room, and prints what came of it:

flags.py      flags that verbs share, and the recipe that they make
running.py    runs a recipe's steps and tells what became of them
results.py    scores, answers and commands after a recipe
render.py     tables, bars and JSON: the only file that draws
clean.py      text from data and models, made safe for a terminal
removing.py   asks before something is removed, and says what is free again
crash.py      what a person sees when dizuo itself is at fault
vectors/      the verbs of `dizuo vectors`

run, plan, doctor, select, prepare, train, evaluate, deploy, serve, chat, runs, registry, models, cache, pack, unpack
and recipe are verbs.

What a command was asked for goes to stdout, everything else to stderr. Exit status 0 is success, 1 is a failure
that the message explains, 2 is a wrong command, option or recipe.
"""

from __future__ import annotations

import codecs
import functools
import importlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import click

from dizuo.errors import DizuoError, did_you_mean
from dizuo.languages import choose, say
from dizuo.redaction import hide_logins, redact_errors

__all__ = ["VERBS", "Verbs", "dizuo", "main"]

VERBS: dict[str, tuple[str, str]] = {
    "run": ("run", "Run a recipe: the five steps, each skipped when its inputs did not change."),
    "plan": ("plan", "Show what a recipe would do and why; nothing is started."),
    "doctor": ("doctor", "Check a recipe for the mistakes that training makes silently."),
    "select": ("select", "List models with size, licence and fit; probe them on your data."),
    "prepare": ("prepare", "Read, check and split your data."),
    "train": ("train", "Train a model on prepared data."),
    "evaluate": ("evaluate", "Compare a trained model with the untuned one and with cheap baselines."),
    "deploy": ("deploy", "Bundle a trained model and register it under a name."),
    "serve": ("serve", "Serve a deployed model over HTTP (OpenAI-compatible)."),
    "chat": ("chat", "Talk to a deployed model in the terminal."),
    "vectors": ("vectors", "Search, copy, export and look after vectors in any database."),
    "runs": ("runs", "List, show, compare and remove runs."),
    "registry": ("registry", "List, promote, roll back and remove releases."),
    "models": ("models", "List and remove the models that were fetched."),
    "cache": ("cache", "Show where files live, with sizes, and empty the cache."),
    "pack": ("pack", "Write one archive of a recipe that runs without any network."),
    "unpack": ("unpack", "Unpack such an archive, every file verified."),
    "recipe": ("recipe", "Describe and check recipe files."),
}


class Verbs(click.Group):
    """A group of commands that are imported when called; every error is printed in dizuo's own form."""

    def __init__(self, *args: Any, table: dict[str, tuple[str, str]], package: str, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.table = table
        self.package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(f"{self.package}.{self.table[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and name not in self.table and not name.startswith("-"):
            raise click.UsageError(f"no command is called {name!r}{did_you_mean(name, self.table)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]
        arguments = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in arguments
        arguments = [argument for argument in arguments if argument != "--debug"]
        try:
            arguments = choose(arguments)
        except ValueError as error:
            sys.exit(_say(str(error), hint="dizuo --help", status=2))
        for argument in arguments:  # click quotes what it does not understand
            hide_logins(argument)
        recipe = any(argument.endswith((".yaml", ".yml")) for argument in arguments)
        call = functools.partial(super().main, arguments, prog_name or "dizuo", standalone_mode=False)
        sys.exit(_answer(call, debug=debug, recipe=recipe))


def _answer(call: Callable[[], Any], *, debug: bool, recipe: bool) -> int:
    """Run a command, say what was wrong, and return the exit status.

    Args:
        call: the command.
        debug: let what dizuo does not expect pass.
        recipe: a recipe file was given, so that hints name its fields instead of flags.
    """
    try:
        result = call()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "dizuo"
        return _say(error.format_message(), hint=f"{path} --help", status=2)
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(say("stopped"), err=True)
        return 130
    except click.ClickException as error:
        return _say(error.format_message(), status=1)
    except DizuoError as error:
        if error.hint is not None and not recipe:
            from dizuo.steps.hints import for_shell

            error.hint = for_shell(say(error.hint))
        return _say(str(error), status=error.exit_code)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        sys.stderr.close()
        return 141
    except Exception as error:
        if isinstance(error, ImportError) and (missing := _missing(error)):
            return _say(missing, status=1)
        if debug:
            with redact_errors():
                raise
        from dizuo.cli.crash import report

        return _say(report(error), status=1)
    return result if isinstance(result, int) else 0


def _missing(error: ImportError) -> str:
    """Return what to install where an import failed for want of a package of an extra, or an empty text."""
    from dizuo import packages

    return str(packages.explain(error, purpose="this command") or "")


def _say(message: str, *, hint: str | None = None, status: int) -> int:
    from dizuo.cli.clean import clean, redact

    text = message.rstrip(".") if hint else message
    click.echo(say(f"error: {clean(redact(text))}"), err=True)
    if hint:
        click.echo(say(f"\nhint: {hint}"), err=True)
    return status


@click.group(
    cls=Verbs,
    table=VERBS,
    package="dizuo.cli",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--lang", metavar="en|zh", expose_value=False, help="Language of what people read; else the locale's.")
@click.version_option(package_name="dizuo", message="%(prog)s %(version)s")
def dizuo() -> None:
    """Fine-tune a language model in five steps: select, prepare, train, evaluate, deploy.

    \b
    dizuo run recipes/quickstart.yaml   all five on real data
    dizuo VERB --help                   one of them
    """


NEAREST = {"✓": "√", "✗": "×", "–": "-", "—": "-", "−": "-", "…": "...", "µ": "u", "·": ".", "→": "->", "²": "2"}
"""What stands for a character of ours in a terminal whose encoding lacks it; GBK has the first two."""


def show_nearest(error: UnicodeError) -> tuple[str, int]:
    """Return what is written in the place of characters that a terminal's encoding lacks, and where to go on."""
    assert isinstance(error, UnicodeEncodeError)
    text = "".join(NEAREST.get(letter, "?") for letter in error.object[error.start : error.end])
    try:
        text.encode(error.encoding)
    except UnicodeEncodeError:
        text = text.encode("ascii", "replace").decode()
    return text, error.end


def main() -> None:
    """Run the command line with the process's arguments."""
    codecs.register_error("dizuo.nearest", show_nearest)
    for stream in (sys.stdout, sys.stderr):  # a Chinese Windows writes GBK, which lacks some of our marks
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "backslashreplace"):
            stream.reconfigure(errors="dizuo.nearest")
    if not sys.warnoptions:  # other packages' warnings to their developers; ours are events
        warnings.simplefilter("ignore")
    # GNU OpenMP's threads wait for each other by spinning for milliseconds, which on a machine that is busy with
    # something else takes the processor from the very thread that is waited for: 53 s instead of 6.5 s per training
    # step beside four other processes on two cores. This many turns are some ten microseconds; results do not change.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    dizuo.main()
