"""What has no scheme is a folder or a mistake, and a mistake is answered with what should have been written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dizuo.errors import VectorError
from dizuo.vectors import connect
from dizuo.vectors.connecting.connect import find_store
from dizuo.vectors.stores import STORES

WRONG = {
    "memory": "write memory://, or ./memory for a folder of that name",
    "Redis": "write redis://, or ./Redis for a folder of that name",
    "postgres": "write postgres://, or ./postgres for a folder of that name",
    "memry": "write memory://, or ./memry for a folder of that name",
    "elasticsaerch": "write elasticsearch://, or ./elasticsaerch for a folder of that name",
    "memory:": "write memory://",
    "memory:/": "write memory://",
    "redis:localhost:6379": "write redis://localhost:6379",
    "rediss:localhost:6379": "write rediss://localhost:6379",
    "reddis:localhost": "write redis://localhost",
    "redis;//localhost": "write redis://localhost",
    "redis+tls:localhost": "write redis+tls://localhost",
    "postgres:/h/db": "write postgres://h/db",
    "Redis//localhost:6379": "write redis://localhost:6379",
    "redis:\\\\localhost": "write redis://localhost",
    "lancedb:foo": "write lancedb://foo",
    "chroma:folder/x": "write chroma://folder/x",
    "milvus:./x.db": "write milvus://./x.db",
    "redis:me:Wq8x@localhost:6379/0": "write redis://USER:PASSWORD@localhost:6379/0",
    "me:Wq8x@host:5432/db": "write postgresql://USER:PASSWORD@host:5432/db",
    "me:Wq8x@host/db": "write SCHEME://USER:PASSWORD@host/db",
    "elastic:Wq8x@localhost:9200": "write elasticsearch://USER:PASSWORD@localhost:9200",
    "//me:Wq8x@host": "write SCHEME://USER:PASSWORD@host",
    "./me:Wq8x@host": "write SCHEME://USER:PASSWORD@host",
    "/data/me:Wq8x@host:6379": "write redis://USER:PASSWORD@host:6379",
    "localhost:6379": "write redis://localhost:6379, or ./localhost:6379 for a folder of that name",
    "127.0.0.1:5432/db": "write postgresql://127.0.0.1:5432/db, or ./127.0.0.1:5432/db for a folder of that name",
    "[::1]:9200": "write elasticsearch://[::1]:9200, or ./[::1]:9200 for a folder of that name",
    "//localhost:8882": "write marqo://localhost:8882, or ./localhost:8882 for a folder of that name",
    "me@host:8123/db": "write clickhouse://USER:PASSWORD@host:8123/db",
    "host=db user=me password=Wq8x dbname=x": "write postgresql://USER:PASSWORD@HOST/DATABASE",
    "Server=db;Password=Wq8x;Database=x": "write postgresql://USER:PASSWORD@HOST/DATABASE",
    "jdbc:postgresql://me:Wq8x@host:5432/db": "write postgresql://USER:PASSWORD@host:5432/db",
    "jdbc:postgresql://host/db": "write SCHEME://HOST for a server, or put ./ before it for a folder of that name",
    "notes:x": "write SCHEME://HOST for a server, or put ./ before it for a folder of that name",
    "://host": "write SCHEME://HOST for a server, or put ./ before it for a folder of that name",
    "https://host:9200": "the store stands first, as in elasticsearch+https://HOST:9200",
    "redis+tsl://host": "write redis://, or redis+tls://",
    "postgresql+psycopg2://host": "write postgresql://",
    "memory+x://": "write memory://",
    "chroma+htps://host": "write chroma://, or chroma+http://, chroma+https://",
    "redis://host:Wq8x": "write redis://USER:PASSWORD@HOST:PORT; an @ stands before the host, and the port is a number",
    "redis:///me:Wq8x@host": "write redis://USER:PASSWORD@HOST:PORT; an @ stands before the host, and the port is a "
    "number",
    "lancedb://me:Wq8x@host/x": "write lancedb://FOLDER",
}
"""By address, the hint."""

RIGHT = [
    "index", "./index", "../x", "~/x", "/data/x", "data/x", "my index", "data/x:y", "./notes:2024", "./memory",
    "C:\\data", "C:\\", "C:/data", "c:\\a b\\c", "\\\\server\\share", "data@2024", "memories", "redis-index",
    "redis/index", "x.lance", "chromatic", "数据",
]  # fmt: skip


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder: what exists is a folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("url", WRONG)
def test_a_mistake_is_answered_with_the_right_form(url: str, tmp_path: Path) -> None:
    with pytest.raises(VectorError) as caught:
        connect(url, dim=2)
    assert "Wq8x" not in str(caught.value)
    assert caught.value.hint == WRONG[url]
    assert not list(tmp_path.iterdir()), "nothing is made of a mistake"


@pytest.mark.parametrize("url", [url for url in WRONG if WRONG[url].startswith("write ") and "//" not in url])
def test_the_right_form_names_a_store(url: str) -> None:
    form = re.split(r"[ ,;]", WRONG[url].removeprefix("write "))[0].replace("USER:PASSWORD@", "")
    if not form.startswith("SCHEME"):
        assert find_store(form)[1].name in STORES.names()


@pytest.mark.parametrize("url", RIGHT)
def test_a_path_stays_a_folder(url: str) -> None:
    parts, database = find_store(url)
    assert (parts.scheme, parts.place, database.name) == ("lancedb", url, "lancedb")


@pytest.mark.parametrize("name", ["notes:2024", "me:Wq8x@host", "memry"])
def test_what_exists_is_a_folder_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    assert find_store(name)[0].place == name


@pytest.mark.parametrize("store", STORES.names())
def test_every_store_is_named_when_its_colon_or_slashes_are_missing(store: str) -> None:
    for url in (store, store.upper(), f"{store}:", f"{store}:/x", f"{store}:x", f"{store}//x", f"{store[:-1]}x:/y"):
        with pytest.raises(VectorError) as caught:
            find_store(url)
        assert f"{store}://" in str(caught.value.hint), url


@pytest.mark.parametrize("kind", [Path, str.encode])
def test_what_is_no_text_is_not_quoted(kind: Callable[[str], object]) -> None:
    with pytest.raises(VectorError, match="an object of the type") as caught:
        connect(kind("me:Wq8x/y@host"), dim=2)  # type: ignore[arg-type]
    assert "Wq8x" not in str(caught.value)


def test_a_name_that_is_too_long_for_a_file_is_not_quoted() -> None:
    word = "Zq7" * 2000
    with pytest.raises(VectorError) as caught:
        connect(f"me:{word}@host", dim=2)
    assert word[:6] not in str(caught.value)
