"""`python -m dizuo.testing.vectors URL`: a table of what holds at that address.

It makes collections named `suite …` there and drops them again.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from dizuo.errors import DizuoError
from dizuo.testing.vectors.opening import new_collection
from dizuo.vectors import connect

PROGRAM = "python -m dizuo.testing.vectors"


class _Markers:
    @staticmethod
    def pytest_configure(config: pytest.Config) -> None:
        config.addinivalue_line("markers", "slow: long, multi-process or kill-loop tests; left out by --quick")
        config.addinivalue_line("markers", "exhaustive: slow tests that repeat others with more of the same")


@click.command(context_settings={"ignore_unknown_options": True})  # no short ones: -k, -x and others are pytest's
@click.argument("url")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--quick", is_flag=True, help="Leave out 20,000 vectors, several processes and kill -9.")
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="For connect(), as --option lexical=FOLDER."
)
def command(url: str, pytest_arguments: tuple[str, ...], quick: bool, options: tuple[str, ...]) -> int:
    """Hold the vector store at URL against every sentence of dizuo's meaning; print a table store × area.

    URL is what dizuo.connect() takes, such as lancedb://./folder or postgresql://user:password@host/database. The
    suite makes collections named "suite …" there and drops them again; nothing else is touched. Where there is no BM25
    and no folder to keep words in, --option lexical=FOLDER says where; without it the table says "lacks".

    Further arguments are pytest's, such as -x or -k Filters.

    Exit status 0: all of it holds or is declared lacking. 1: something does not, or the store cannot be opened. 2:
    wrong arguments.
    """
    if "://" not in url:
        raise click.UsageError("this is no address of a store, such as lancedb://./folder")
    given: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--option {option!r} is not NAME=VALUE")
        given[name] = value
    # Once before the suite: an address that cannot be opened is one error, not one in every test.
    with connect(url, dim=8, collection=new_collection(), **given) as store:  # type: ignore[arg-type]
        store.drop()
        click.echo(f"{store.url}: the suite takes {'a minute or so' if quick else 'minutes'}", err=True)
        if store.capabilities.lexical == "none":
            click.echo("it has no words of ours: --option lexical=FOLDER keeps them there and tests them too", err=True)
    # Whatever plugins of pytest are installed: some warn, or leave a folder behind. `-p NAME` loads one all the same.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ |= {"DIZUO_VECTORS_URL": url, "DIZUO_VECTORS_OPTIONS": json.dumps(given)}
    from dizuo.testing.vectors import table

    with tempfile.TemporaryDirectory() as folder:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        own = ["-c", os.devnull, "--rootdir", folder, "-p", "no:cacheprovider", "--import-mode=importlib", "-q"]
        only = ["-m", "not slow"] if quick else []
        file = str(Path(__file__).with_name("conformance.py"))
        status = int(pytest.main([*own, *only, file, *pytest_arguments], plugins=[table, _Markers()]))
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise click.UsageError(f"{' '.join(pytest_arguments)} leaves no test to run")
    if status == pytest.ExitCode.USAGE_ERROR:
        raise click.UsageError("pytest does not take these arguments, see above")
    return 130 if status == pytest.ExitCode.INTERRUPTED else int(bool(status))


def main(arguments: Sequence[str]) -> int:
    """Run the suite and print the table; 0 if everything passes or is declared lacking, 2 for wrong arguments."""
    try:
        return int(command.main(list(arguments), PROGRAM, standalone_mode=False) or 0)
    except click.UsageError as error:
        click.echo(f"error: {error.format_message().rstrip('.')}\n\nhint: {PROGRAM} --help", err=True)
        return 2
    except DizuoError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
