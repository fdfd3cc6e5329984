"""A login is read as it was meant, wherever it stands and whatever is in the password, and real servers take it."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from odd_addresses import LETTERS, SPECIAL, random_password

from dizuo.errors import DizuoError, VectorError
from dizuo.redaction import Secret, redact
from dizuo.vectors import Point, connect, export_parquet
from dizuo.vectors.connecting.connect import find_store
from dizuo.vectors.connecting.options import add_login, bind
from dizuo.vectors.protocol.errors import Denied
from dizuo.vectors.stores import STORES
from dizuo.vectors.writing.retrying import Patience

WITH_LOGIN = [name for name in STORES.names() if STORES.load(name).form != "folder"]
ONCE = Patience(attempts=1)
ESCAPED = re.compile("%[0-9a-fA-F]{2}")


def login_of(url: str, **options: Any) -> tuple[str | None, str | None, str | None, int | None]:
    """Return user, password, host and port as the store gets them."""
    parts, database = find_store(url)
    parts = add_login(parts, bind(database.options, {**parts.query, **options}, store=parts.scheme))
    return parts.user, parts.password, parts.host, parts.port


@pytest.mark.parametrize("store", WITH_LOGIN)
def test_a_password_is_read_as_it_was_written(store: str) -> None:
    draw = random.Random(store)
    name = "password" if "password" in STORES.load(store).options.__annotations__ else None
    for _ in range(300):
        word = random_password(draw)
        if ESCAPED.search(word):
            continue
        expected = ("me", word, "h", 5)
        assert login_of(f"{store}://me:{word}@h:5/db") == expected
        assert login_of(f"{store}://me:{quote(word, safe='')}@h:5/db") == expected
        assert login_of(f"{store}://:{word}@h:5") == (None, word, "h", 5)
        if name:
            assert login_of(f"{store}://me@h:5?password={quote(word, safe='')}") == expected
            assert login_of(f"{store}://me@h:5/db", password=word) == expected


@pytest.mark.parametrize("store", WITH_LOGIN)
def test_a_password_or_a_key_is_an_option(store: str) -> None:
    options = STORES.load(store).options
    names = [name for name in ("password", "api_key") if hasattr(options, name)]
    assert names, f"{store}:// has an address with a login, so it has an option for it"
    for name in names:
        for given in ("a+b c/d#e&f", Secret("a+b c/d#e&f")):
            assert login_of(f"{store}://h:5", **{name: given}) == (None, "a+b c/d#e&f", "h", 5)
        assert login_of(f"{store}://h:5?{name}=a+b c/d#e&f?g@h") == (None, "a+b c/d#e&f?g@h", "h", 5)
        bound = bind(options, {name: "Wq8-hidden-word"}, store=store)
        assert "Wq8" not in repr(bound)
        assert "***" in repr(bound)
        with pytest.raises(VectorError, match="given twice") as caught:
            login_of(f"{store}://me:first-word@h:5?{name}=other-word")
        assert "first" not in str(caught.value)
        assert "other" not in str(caught.value)


@pytest.mark.parametrize("letter", SPECIAL + LETTERS[:3] + "é密")
def test_every_character_may_stand_in_a_password(letter: str) -> None:
    for word in (letter * 3, f"a{letter}b", f"{letter}ab", f"ab{letter}"):
        assert login_of(f"postgresql://me:{word}@h:5/db?sslmode=prefer") == ("me", word, "h", 5), word
    assert login_of("postgresql://me:%61%2F@h:5/db") == ("me", "a/", "h", 5), "what is escaped is read as such"


def test_a_value_of_an_option_that_is_wrong_is_not_shown_where_it_is_a_secret() -> None:
    with pytest.raises(VectorError) as caught:
        connect("redis://127.0.0.1:9", password=12345678)
    assert "1234" not in str(caught.value)
    assert "password: this is no text" in str(caught.value)


@pytest.mark.parametrize(
    "form",
    ["redis://h:{}", "redis://me:{}@h:port", "me:{}@h", "redis:me:{}@h", "nowhere://me:{}@h", "redis+tsl://me:{}@h",
     "lancedb://me:{}@h", "redis://h?pasword={}", "redis:///me:{}@h"],
)  # fmt: skip
def test_what_a_refused_address_had_in_it_is_shown_by_nobody_else(form: str) -> None:
    word = f"{os.urandom(6).hex()}Z"
    with pytest.raises(VectorError):
        connect(form.format(word), dim=2)
    assert redact(f"somebody says {word[2:]}") == "somebody says ***"


def test_an_address_is_no_folder_for_words_and_none_for_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    word = f"{os.urandom(6).hex()}Z"
    with pytest.raises(DizuoError, match="an address stands where") as caught:
        connect("lancedb://index", dim=2, lexical=f"redis://me:{word}@h")
    assert word not in str(caught.value)
    with connect("memory://", dim=2) as store:
        store.upsert([Point("a", [1.0, 0.0])])
        with pytest.raises(DizuoError, match="an address stands where") as caught:
            export_parquet(store, f"redis://me:{word}@h")
    assert word not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("engine", ["redis", "postgresql", "elasticsearch"])
def test_a_server_takes_a_password_that_is_not_escaped(engine: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(f"engine_{engine}")
    if server.wrong_password_url is None:
        pytest.skip("not applicable: this server has no password")
    parts, _ = find_store(server.url)
    assert parts.password
    place, user = f"{parts.host}:{parts.port}{parts.path}", parts.user or ""
    addresses: list[tuple[str, dict[str, Any]]] = [
        (f"{engine}://{user}:{parts.password}@{place}", {}),
        (f"{engine}://{user}@{place}" if user else f"{engine}://{place}", {"password": parts.password}),
        (f"{engine}://{user}@{place}?password={parts.password}" if user else f"{engine}://{place}?password="
         f"{parts.password}", {}),
    ]  # fmt: skip
    for number, (url, options) in enumerate(addresses):
        with connect(url, dim=2, collection=f"login{number}", patience=ONCE, **options) as store:
            store.upsert([Point("a", [1.0, 0.0])])
            assert store.count() == 1
            assert parts.password not in f"{store.info()} {store!r} {store.url} {store.store!r}"
            store.drop()
    wrong = "Vq4/w#9?zz@Kk:77 xY"
    with pytest.raises(Denied) as caught:
        connect(f"{engine}://{user}:{wrong}@{place}", dim=2, patience=ONCE)
    assert "Vq4" not in str(caught.value)
