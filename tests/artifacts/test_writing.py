from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dizuo.artifacts import cache_root, data_root, digest_file, digest_tree, whole_folder, write_json
from dizuo.artifacts.writing import scratch_folder
from dizuo.errors import ArtifactError


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "out"
    with whole_folder(final) as partial:
        (partial / "a").write_text("a")
        assert partial.parent == final.parent
        assert not final.exists()
    assert (final / "a").read_text() == "a"
    assert os.listdir(final.parent) == ["out"]


def test_a_failing_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_folder(tmp_path / "out") as partial:
        os.replace(shutil.copy(__file__, partial), partial / "no" / "folder")
    assert os.listdir(tmp_path) == []


def test_an_existing_folder_is_kept_unless_replacing_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    with pytest.raises(ArtifactError, match="already exists"), whole_folder(tmp_path / "out"):
        pass
    with pytest.raises(ValueError), whole_folder(tmp_path / "out", replace=True):
        raise ValueError
    assert os.listdir(tmp_path / "out") == ["old"]
    with whole_folder(tmp_path / "out", replace=True) as partial:
        (partial / "new").write_text("new")
    assert os.listdir(tmp_path / "out") == ["new"]
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with whole_folder(tmp_path / "out") as partial:
        (partial / "new").write_text("new")
    assert os.listdir(tmp_path / "out") == ["new"]


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom dizuo.artifacts import whole_folder\n"
        "with whole_folder(sys.argv[1]) as partial:\n"
        "    (partial / 'a').write_text('a')\n    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False)
    assert [name for name in os.listdir(tmp_path) if name.startswith(".out.partial-")]
    assert not (tmp_path / "out").exists()
    with whole_folder(tmp_path / "out") as partial:
        (partial / "b").write_text("b")
    assert os.listdir(tmp_path) == ["out"]


def test_a_scratch_folder_goes_away(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "home") as folder:
        (folder / "a").write_text("a")
    assert os.listdir(tmp_path / "home") == []


def test_json_is_sorted_readable_and_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "新"})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "a": "新",\n  "b": 1\n}\n'
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"a": "新", "b": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_digests_are_what_sha256sum_gives(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"beta")
    (tmp_path / "a").write_bytes(b"alpha")
    script = "find . -type f | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    shell = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert digest_tree(tmp_path) == "sha256:" + shell.split()[0]
    assert digest_file(tmp_path / "a") == "sha256:" + hashlib.sha256(b"alpha").hexdigest()
    before = digest_tree(tmp_path)
    (tmp_path / "a").rename(tmp_path / "c")
    assert digest_tree(tmp_path) != before


def test_dizuo_home_moves_cache_and_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path))
    assert (cache_root(), data_root()) == (tmp_path / "cache", tmp_path / "data")
    monkeypatch.delenv("DIZUO_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (cache_root(), data_root()) == (tmp_path / "c" / "dizuo", tmp_path / ".local" / "share" / "dizuo")
