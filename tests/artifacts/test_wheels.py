"""Wheels that lie: each is refused with a reason, and nothing of it reaches the cache."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelhouse import entry, write_wheel

from dizuo.artifacts import archives, resolve, wheels
from dizuo.errors import ArtifactError

GOOD = {"bad/__init__.py": b"", "bad/data.txt": b"data"}
INFO = "bad-1.0.dist-info"
HINT = "\n\nhint: the file is damaged or not to be trusted; try another version or another index"


def member(name: str, *, mode: int = 0, flags: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x" * len(name))
    info.filename = info.orig_filename = name  # the constructor would repair it
    info.external_attr = mode << 16
    info.flag_bits |= flags
    return info


def recorded(*lines: str) -> str:
    return "\n".join([*(entry(name, content) for name, content in GOOD.items()), *lines, ""])


def with_extra(name: str, *, mode: int = 0) -> Callable[[Path], object]:
    return lambda shop: write_wheel(shop, "bad", "1.0", GOOD, extra=[(member(name, mode=mode), b"evil")])


def flipped(shop: Path) -> None:
    """One byte of the stored data differs from what RECORD was made from, with a CRC that agrees."""
    path = write_wheel(shop, "bad", "1.0", GOOD)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, b"DATA" if name == "bad/data.txt" else content)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "absolute": (with_extra("/etc/evil"), "'/etc/evil' is an absolute name"),
    "drive": (with_extra("C:evil"), "'C:evil' is an absolute name"),
    "parent": (with_extra("bad/../../evil"), "'bad/../../evil' leads out of its folder"),
    "dot": (with_extra("bad/./evil"), "'bad/./evil' leads out of its folder"),
    "backslash": (with_extra("..\\evil"), r"'..\\evil' has a backslash or control character in it"),
    "newline": (with_extra("bad/e\nvil"), r"'bad/e\nvil' has a backslash or control character in it"),
    "link": (with_extra("bad/link", mode=stat.S_IFLNK | 0o777), "'bad/link' is a link"),
    "device": (with_extra("bad/dev", mode=stat.S_IFCHR | 0o666), "'bad/dev' is a special file"),
    "unrecorded": (with_extra("bad/extra.txt"), "bad/extra.txt is not named in RECORD"),
    "duplicate": (with_extra("bad/data.txt"), "bad/data.txt is in it twice"),
    "case": (with_extra("bad/DATA.txt"), "bad/DATA.txt and bad/data.txt differ only in case"),
    "case of a letter that has two": (
        lambda shop: write_wheel(shop, "bad", "1.0", {**GOOD, "bad/stra\u00dfe.txt": b"", "bad/STRASSE.txt": b""}),
        "bad/STRASSE.txt and bad/stra\u00dfe.txt differ only in case",
    ),
    "accent in two forms": (
        lambda shop: write_wheel(shop, "bad", "1.0", {**GOOD, "bad/\u00e9.txt": b"", "bad/e\u0301.txt": b""}),
        "bad/e\u0301.txt and bad/\u00e9.txt differ only in case",
    ),
    "folder with an accent in two forms": (
        lambda shop: write_wheel(shop, "bad", "1.0", {**GOOD, "bad/\u00e9/a.txt": b"", "bad/e\u0301/b.txt": b""}),
        "bad/e\u0301 and bad/\u00e9 differ only in case",
    ),
    "folder case": (with_extra("Bad/other.txt"), "Bad and bad differ only in case"),
    "file and folder": (with_extra("bad/data.txt/inner"), "bad/data.txt is both a file and a folder"),
    "content": (flipped, "the content of bad/data.txt is not what RECORD says"),
    "no digest": (
        lambda shop: write_wheel(shop, "bad", "1.0", GOOD, record="bad/__init__.py,,\n"),
        "RECORD gives no sha256 for bad/__init__.py",
    ),
    "weak digest": (
        lambda shop: write_wheel(shop, "bad", "1.0", GOOD, record="bad/data.txt,md5=abcd,4\n"),
        "RECORD gives no sha256 for bad/data.txt",
    ),
    "absent": (
        lambda shop: write_wheel(shop, "bad", "1.0", GOOD, record=recorded("bad/gone.txt,sha256=abcd,4")),
        "RECORD names bad/gone.txt, which is not in it",
    ),
    "two infos": (
        lambda shop: write_wheel(shop, "bad", "1.0", {**GOOD, "other-1.0.dist-info/METADATA": b""}),
        "it has 2 .dist-info folders instead of one",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_malicious_wheel_is_refused_with_the_reason(case: str, shop: Path, tmp_path: Path) -> None:
    make, reason = CASES[case]
    make(shop)
    (path,) = shop.iterdir()
    with pytest.raises(ArtifactError) as raised, wheels.open_wheel(path) as wheel:
        wheel.extract(tmp_path / "out")
    assert str(raised.value) == f"the wheel bad-1.0-py3-none-any.whl is refused: {reason}{HINT}"
    assert not list(tmp_path.rglob("evil"))


def test_a_compression_bomb_is_refused_before_it_is_unpacked(shop: Path) -> None:
    path = write_wheel(shop, "bad", "1.0", {**GOOD, "bad/bomb": b"\0" * 4_000_000})
    with pytest.raises(ArtifactError, match=r"bad/bomb unpacks to 1,0\d\d times its size, more than 200"):
        wheels.open_wheel(path).__enter__()


def test_limits_on_entries_and_size_are_kept(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wheel(shop, "bad", "1.0", GOOD)
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    with pytest.raises(ArtifactError, match="it has 5 entries, more than 3"), wheels.open_wheel(path):
        pass
    monkeypatch.setattr(archives, "MAX_ENTRIES", 9)
    monkeypatch.setattr(archives, "MAX_BYTES", 100)
    with pytest.raises(ArtifactError, match="bytes, more than 100"), wheels.open_wheel(path):
        pass


@pytest.mark.parametrize("name", ["METADATA", "RECORD"])
def test_what_is_read_whole_is_refused_above_64_mib_before_it_is_unpacked(shop: Path, name: str) -> None:
    path = write_wheel(shop, "bad", "1.0", GOOD)

    def claim(size: int) -> None:
        """Write that size, and one when packed that makes it no bomb, into the table of contents."""
        content = bytearray(path.read_bytes())
        start = content.rfind(b"PK\x01\x02", 0, content.rfind(f"{INFO}/{name}".encode()))
        struct.pack_into("<II", content, start + 20, 2**20, size)
        path.write_bytes(content)

    claim(64 * 2**20)
    with wheels.open_wheel(path):
        pass
    claim(64 * 2**20 + 1)
    with pytest.raises(ArtifactError, match=f"{INFO}/{name} has 67,108,865 bytes"), wheels.open_wheel(path):
        pass


def test_a_truncated_file_is_no_wheel(shop: Path) -> None:
    path = write_wheel(shop, "bad", "1.0", GOOD)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ArtifactError, match="it is not a readable zip archive"), wheels.open_wheel(path):
        pass


def test_an_encrypted_member_is_refused(shop: Path) -> None:
    path = write_wheel(shop, "bad", "1.0", GOOD)
    content = bytearray(path.read_bytes())
    content[content.rfind(b"PK\x01\x02") + 8] |= 1  # RECORD's flags in the central directory
    path.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="is encrypted"), wheels.open_wheel(path):
        pass


def test_nothing_of_a_refused_wheel_is_cached(shop: Path, tmp_path: Path) -> None:
    flipped(shop)
    with pytest.raises(ArtifactError, match=r"the content of bad/data\.txt is not what RECORD says"):
        resolve("pypi:bad")
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []
