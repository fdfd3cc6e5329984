"""A step is done once, and never looks done when it is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dizuo.steps.manifest import MANIFEST, Work, read_manifest


def work(folder: Path, **changes: object) -> Work:
    return replace(
        Work("prepare", folder / "2-prepare", {"source a.csv": "sha256:1"}, {"rows": 640}, seed=3),
        **changes,  # type: ignore[arg-type]
    )


def make(one: Work, text: str = "hello") -> None:
    with one.make_folder() as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "rows.txt").write_text(text)


def test_a_step_is_done_after_it_was_made_and_says_what_it_was_made_from(tmp_path: Path) -> None:
    one = work(tmp_path, origins={"rows": "recipe"})
    assert one.why() == "it has not run"
    make(one)
    assert one.why() is None
    manifest = read_manifest(one.folder)
    assert manifest is not None
    assert manifest["inputs"] == {"source a.csv": "sha256:1"}
    assert manifest["settings"] == {"rows": 640}
    assert manifest["origins"] == {"rows": "recipe"}
    assert manifest["seed"] == 3
    assert manifest["versions"]["dizuo"]
    digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello"
    assert manifest["outputs"] == {"sub/rows.txt": {"sha256": digest, "bytes": 5}}


def test_every_change_is_named(tmp_path: Path) -> None:
    make(work(tmp_path))
    assert work(tmp_path, settings={"rows": 700}).why() == "rows was 640, is 700"
    assert work(tmp_path, inputs={"source a.csv": "sha256:2"}).why() == "input source a.csv changed"
    assert work(tmp_path, seed=4).why() == "seed was 3, is 4"
    both = work(tmp_path, settings={"rows": 640, "test": 0.1}, seed=4).why()
    assert both == "test was None, is 0.1; seed was 3, is 4"
    assert work(tmp_path).why(force=True) == "it was asked for"


def test_origins_do_not_make_a_step_run_again(tmp_path: Path) -> None:
    make(work(tmp_path, origins={"rows": "recipe"}))
    assert work(tmp_path, origins={"rows": "command line"}).why() is None


def test_outputs_that_were_changed_or_lost_make_it_run_again(tmp_path: Path) -> None:
    one = work(tmp_path)
    make(one)
    rows = one.folder / "sub" / "rows.txt"
    rows.write_text("hellO")
    assert one.why() == "sub/rows.txt was changed"
    rows.write_text("longer")
    assert one.why() == "sub/rows.txt was changed"
    rows.unlink()
    assert one.why() == "sub/rows.txt is missing"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99, "key": "x"}'])
def test_a_manifest_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    one = work(tmp_path)
    make(one)
    (one.folder / MANIFEST).write_text(text)
    assert one.why() == "it has not run"


def test_a_failed_step_leaves_the_old_one(tmp_path: Path) -> None:
    one = work(tmp_path)
    make(one)

    def fail() -> None:
        with one.make_folder() as folder:
            (folder / "half.txt").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert one.why() is None
    assert [path.name for path in tmp_path.iterdir()] == ["2-prepare"]


def test_a_step_that_resumes_keeps_what_it_had(tmp_path: Path) -> None:
    one = work(tmp_path)

    def interrupted() -> None:
        with one.resume_folder() as folder:
            (folder / "checkpoint").write_text("1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert one.why() == "it was interrupted"
    with one.resume_folder() as folder:
        assert (folder / "checkpoint").read_text() == "1"
    assert one.why() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2-prepare"]
    assert sorted(path.name for path in one.folder.iterdir()) == ["checkpoint", MANIFEST]


def test_what_was_begun_for_other_settings_is_set_aside_not_resumed(tmp_path: Path) -> None:
    def interrupted(one: Work) -> None:
        with one.resume_folder() as folder:
            (folder / "checkpoint").write_text(str(one.seed))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(work(tmp_path))
    with work(tmp_path, seed=4).resume_folder() as folder:
        assert [path.name for path in folder.iterdir()] == ["key.json"]
    assert (tmp_path / "2-prepare.partial-old" / "checkpoint").read_text() == "3"
    assert work(tmp_path, seed=4).why() is None


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    one = work(tmp_path)
    make(one, "old")
    new = work(tmp_path, seed=4)
    with new.resume_folder() as folder:
        (folder / "result").write_text("new")
        # What a process killed after the first rename of `resuming` leaves: no final folder, a whole partial one.
        new.write(folder, seconds=1.0)
        saved = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in new.folder.iterdir():
        path.unlink()
    new.folder.rmdir()
    new.partial.mkdir()
    for name, content in saved.items():
        (new.partial / name).write_bytes(content)
    assert new.why() == "it was interrupted"
    with new.resume_folder() as folder:
        assert (folder / "result").read_text() == "new"
    assert new.why() is None


def test_the_key_depends_on_nothing_else(tmp_path: Path) -> None:
    assert work(tmp_path).key == work(tmp_path / "elsewhere").key
    keys = {
        work(tmp_path).key,
        work(tmp_path, step="train").key,
        work(tmp_path, seed=0).key,
        work(tmp_path, settings={}).key,
        work(tmp_path, inputs={}).key,
    }
    assert len(keys) == 5
    assert json.loads(json.dumps(work(tmp_path).key)).startswith("sha256:")
