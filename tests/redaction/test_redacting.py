"""What is remembered as a secret stands in no text, no error, no log record and no file; other words stay."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo.artifacts.writing import check_place, write_json
from dizuo.errors import ArtifactError, DizuoError, MissingPackage, VectorError
from dizuo.events import Finished, Note, Progress, Started, Warned
from dizuo.redaction import (
    ErrorGuard,
    Secret,
    hide,
    hide_logins,
    is_secret_name,
    looks_like_login,
    redact,
    redact_errors,
    redact_values,
    secret_fields,
    split_login,
    without_secrets,
)
from dizuo.vectors.protocol.errors import Refused, RowErrors, Transient

SECRET = "Qx7/vT#9z"
hide(SECRET)


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        SECRET.lower(),
        f"Port could not be cast to integer value as '{SECRET[2:]}'",
        quote(SECRET, safe=""),
        f"host '{SECRET[:6]}' not found",
        f"redis://:{SECRET}@host:6379/0",
        json.dumps({"key": SECRET}),
        repr({"key": SECRET}),
        "UXg3L3ZUIzl6",  # base64
    ],
)
def test_a_secret_and_its_parts_are_taken_out_in_every_form(text: str) -> None:
    shown = redact(text).lower()
    assert "***" in shown
    for form in (SECRET.lower(), quote(SECRET, safe="").lower()):
        assert not [at for at in range(len(form) - 5) if form[at : at + 6] in shown]


@given(st.text(max_size=40), st.text(min_size=6, max_size=20), st.text(max_size=40))
def test_no_six_characters_of_any_secret_are_left(before: str, secret: str, after: str) -> None:
    hide(secret)
    shown = redact(f"{before} {secret} {after}")
    low, kept = secret.lower(), shown.lower().replace("*", "")
    if len(low) == len(secret) and "*" not in secret and not secret.isalpha():
        assert low not in kept


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("postgres", "postgresql://host:5432/postgres does not answer: role postgres"),
        ("password", "check user and password in the address"),
        ("localhost", "no Redis answers at redis://localhost:6379"),
        ("a", "a b a"),
        ("12345", "12345 rows"),
        ("battery", "batteryless words"),
        ("connect-4711", "connection refused"),
    ],
)
def test_ordinary_words_stay_although_a_password_has_them(secret: str, text: str) -> None:
    hide(secret)
    assert redact(text) == text


def test_data_lose_whole_secrets_and_no_parts_and_keys_stay() -> None:
    hide("business-2024-plan")
    value = {"business-2024-plan": ["business-2024", "business-2024-plan", 7, None, {"x": "a business-2024-plan b"}]}
    assert redact_values(value) == {
        "business-2024-plan": ["business-2024", "***", 7, None, {"x": "a *** b"}],
    }
    hide("entertainment")
    assert redact_values(["entertainment"]) == ["entertainment"], "a label is no secret"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:word@example.org/a.csv", "https://***@example.org/a.csv"),
        ("https://me:p@ss@x.org/m", "https://***@x.org/m"),
        ("https://me:a/b#c?d@x.org/m", "https://***@x.org/m"),
        ("https://x.org/@scope/name", "https://x.org/@scope/name"),
        ("http://h:8080/@scope", "http://h:8080/@scope"),
        ("mail bob@x.org", "mail bob@x.org"),
        ("hf:org/name@main", "hf:org/name@main"),
        ("redis://h?password=abc&timeout=3", "redis://h?password=***&timeout=3"),
        ("pinecone://?api_key=abc and x://?token=b", "pinecone://?api_key=*** and x://?token=***"),
        ("a://u:p@h,b://v:w@i", "a://***@h,b://***@i"),
        ("no address: at all", "no address: at all"),
    ],
)
def test_logins_are_known_by_their_form(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_a_long_text_takes_no_longer_per_character() -> None:
    text = "a" * 1_000_000 + "://"
    assert redact(text) == text


@pytest.mark.parametrize(
    ("rest", "login", "place", "query"),
    [
        ("h:5/db", None, "h:5/db", ""),
        ("u:p@h", "u:p", "h", ""),
        ("u:a/b#c?d@e:f@h:5/db?timeout=3", "u:a/b#c?d@e:f", "h:5/db", "timeout=3"),
        ("u:p?x=1@h:5?timeout=3", "u:p?x=1", "h:5", "timeout=3"),
        ("h:5/0?password=a@b&timeout=1", None, "h:5/0", "password=a@b&timeout=1"),
        ("h:5/0?token=a@b", None, "h:5/0", "token=a@b"),
        ("u:p@h?tmeout=3", "u:p", "h", "tmeout=3"),
        (":p@", ":p", "", ""),
        ("u:p@[::1]:6379/0", "u:p", "[::1]:6379/0", ""),
    ],
)
def test_a_login_ends_at_the_last_at_before_the_query(rest: str, login: str | None, place: str, query: str) -> None:
    assert split_login(rest, {"timeout", "password"}) == (login, place, query)


@pytest.mark.parametrize(
    ("text", "is_login"),
    [
        ("me:word@host/db", True),
        ("me:a/b@host:5432", True),
        ("me:/a/b@host", True),
        ("redis://me:word@host", True),
        ("me@host:5432/db", True),
        ("./folder/data@2024", False),
        ("C:\\data\\x", False),
        ("C:\\data\\me@home\\x", False),
        ("s3://bucket/x@y", False),
        ("data/x:y", False),
    ],
)
def test_a_login_is_told_from_a_path(text: str, is_login: bool) -> None:
    assert looks_like_login(text) is is_login


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True), ("pasword", True), ("passwd", True), ("api_key", True), ("apikey", True), ("token", True),
        ("secret_access_key", True), ("pwd", True), ("timeout", False), ("keep_minutes", False), ("hot", False),
        ("max_tokens", False), ("build_memory", False), ("tokenizer", False), ("user", False), ("schema", False),
    ],
)  # fmt: skip
def test_options_that_hold_secrets_are_known_by_their_names(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_a_secret_shows_itself_nowhere() -> None:
    @dataclasses.dataclass(frozen=True)
    class Options:
        key: Secret | None = None
        """The key."""

    word = f"{os.urandom(8).hex()}Z"
    options = Options(Secret(word))
    shown = [repr(options), str(options), f"{options.key}", f"{options.key!r}", str(dataclasses.asdict(options))]
    assert all(word not in text for text in shown)
    assert options.key is not None
    assert options.key.reveal() == word
    assert options.key == Secret(word) == copy.deepcopy(options.key)
    assert not Secret("")
    with pytest.raises(TypeError, match="not written to files"):
        pickle.dumps(options.key)
    assert redact(f"the key {word} is wrong") == "the key *** is wrong"


def test_an_option_is_a_secret_by_its_type_or_as_a_text_by_its_name() -> None:
    assert secret_fields(Named) == {"api_key", "hidden"}


@dataclasses.dataclass(frozen=True)
class Named:
    """Options of a third party."""

    api_key: str = ""
    hidden: Secret | None = None
    key_bits: int = 0


def said(error: BaseException) -> str:
    """Return all that an error and its causes say, also those that a traceback leaves out."""
    texts = ["".join(traceback.format_exception(error))]
    seen: list[BaseException | None] = [None]
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and all(link is not other for other in seen):
            seen.append(link)
            texts += [str(link), repr(link), repr(link.args)]
            waiting += [link.__cause__, link.__context__]
    return "\n".join(texts)


def client_error(word: str) -> Exception:
    """Return an error with causes, all of which quote the word, in a circle as pymilvus makes them."""
    first, second = ValueError(f"bad port {word}"), KeyError(word)
    try:
        try:
            raise first
        except ValueError as inner:
            raise second from inner
    except KeyError as error:
        first.__context__ = second
        return error


@pytest.mark.parametrize("suppress", [False, True])
def test_the_causes_of_an_error_tell_nothing(suppress: bool) -> None:
    word = f"{os.urandom(8).hex()}Z"
    hide(word)

    def call() -> None:
        try:
            raise client_error(word)
        except KeyError as error:
            raise VectorError(f"it said {error}") from (None if suppress else error)

    with pytest.raises(VectorError) as caught, redact_errors():
        call()
    assert word not in said(caught.value)
    assert caught.value.__suppress_context__
    assert (caught.value.__cause__ is None) == suppress
    assert "KeyError" in said(caught.value), "what kind of error it was is still told"


def test_an_error_of_a_client_is_replaced_where_it_has_a_secret_and_kept_elsewhere() -> None:
    word = f"{os.urandom(8).hex()}Z"
    hide(word)
    innocent = ValueError("nothing to hide")
    assert without_secrets(innocent) is innocent
    with pytest.raises(Exception, match=r"builtins.KeyError: '\*\*\*'") as caught, ErrorGuard():
        raise client_error(word)
    assert word not in said(caught.value)
    with pytest.raises(KeyboardInterrupt), ErrorGuard():
        raise KeyboardInterrupt
    group = ExceptionGroup("two", [ValueError(word), ValueError("b")])
    assert word not in said(without_secrets(group))


def test_an_error_that_is_older_than_the_secret_loses_it() -> None:
    word = f"{os.urandom(8).hex()}Z"
    error = VectorError(f"with {word}", details=[word], hint=word)
    hide(word)
    assert word not in said(without_secrets(error))
    assert (error.details, error.hint) == (("***",), "***")


@pytest.mark.parametrize(
    "error",
    [
        DizuoError("message", details=["one"], hint="do"), Refused("no", {"a": "NaN"}),
        RowErrors({"a": "bad"}, written=3), Transient("busy", after=2.0), MissingPackage("x", purpose="y", install="z"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_every_error_is_the_same_in_another_process(error: DizuoError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_events_are_redacted_as_they_are_made() -> None:
    word = f"{os.urandom(8).hex()}Z"
    hide(word)
    events = [
        Note(f"a {word}"), Warned(f"a {word}"), Started(f"a {word}"), Progress(f"a {word}", 1),
        Finished(f"a {word}", 1.0, f"b {word}", {"at": f"x {word}", "rows": 3}),
    ]  # fmt: skip
    assert all(word not in repr(event) for event in events)
    assert events[-1].values["rows"] == 3  # type: ignore[union-attr]


def test_log_records_of_any_logger_are_redacted(caplog: pytest.LogCaptureFixture) -> None:
    word = f"{os.urandom(8).hex()}Z"
    hide(word)
    log = logging.getLogger("some.client")
    log.warning("connecting with %s at %d", word, 3)
    try:
        raise client_error(word)
    except KeyError:
        log.exception("it failed")
    log.warning("nothing here: %s", "plain")
    assert word not in caplog.text
    assert "connecting with *** at 3" in caplog.text
    assert "it failed" in caplog.text
    assert "KeyError" in caplog.text
    assert "nothing here: plain" in caplog.text


def test_a_json_file_has_no_whole_secret(tmp_path: Path) -> None:
    word = f"{os.urandom(8).hex()}Z"
    hide(word)
    write_json(tmp_path / "a.json", {"address": f"x://{word}", "n": [1, word]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"address": "x://***", "n": [1, "***"]}


@pytest.mark.parametrize("variable", ["HF_TOKEN", "OPENAI_API_KEY", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"])
def test_secrets_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    word = f"{os.urandom(8).hex()}Z"
    monkeypatch.setenv(variable, word)
    assert str(DizuoError(f"401 for {word}")) == "401 for ***"


def test_logins_in_addresses_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    word = f"{os.urandom(4).hex()}/{os.urandom(8).hex()}Z"
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"https://me:{word}@mirror/simple https://other/simple")
    assert redact(f"mirror said {word.partition('/')[2]}") == "mirror said ***"


@pytest.mark.parametrize("place", ["redis://me:{}@host/out", "me:{}@host/out", "redis:/me:{}@host", "s3://bucket/x"])
def test_an_address_is_no_place_for_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    word = f"{os.urandom(8).hex()}Z"
    for path in (place.format(word), Path(place.format(word))):
        with pytest.raises(ArtifactError, match="an address stands where") as caught:
            check_place(path)
        assert word not in said(caught.value)
    assert check_place("C:\\data") == Path("C:\\data")
    assert check_place(tmp_path / "a@b") == tmp_path / "a@b"
    assert redact(f"a {word} b") == "a *** b" or place.startswith("s3")


@pytest.mark.parametrize(
    "argument",
    ["redis://me:{}@host", "--url=redis://me:{}@host", "me:{}@host", "redis:/me:{}@host", "redis//me:{}@host",
     "redis://host?password={}", "redis://me:{}"],
)  # fmt: skip
def test_logins_in_arguments_are_remembered(argument: str) -> None:
    word = f"{os.urandom(4).hex()}/{os.urandom(4).hex()} {os.urandom(8).hex()}Z"
    hide_logins(argument.format(word))
    assert word.rpartition(" ")[2] not in redact(f"odd: {word}")


def test_addresses_of_models_have_no_login() -> None:
    hide_logins("hf:some-organisation/some-model@some-revision")
    assert redact("no some-organisation/some-model") == "no some-organisation/some-model"


def test_the_room_is_imported_with_the_standard_library_only() -> None:
    program = "import sys, dizuo.errors; print([m for m in ('numpy', 'click', 'yaml', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
