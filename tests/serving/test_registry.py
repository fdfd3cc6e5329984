"""Versions and aliases; two processes at once; a process killed at any moment."""

# ruff: noqa: E501  (a table is read line by line)

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dizuo.errors import ServingError
from dizuo.serving.bundle.files import Bundle
from dizuo.serving.registry import Registry
from dizuo.serving.release_names import Reference, parse_reference


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_versions_count_up_and_a_bare_name_is_the_one_that_was_deployed_last(
    registry: Registry, bundle: Bundle
) -> None:
    made = [registry.register(bundle) for _ in range(3)]
    assert [str(release) for release in made] == ["news@1", "news@2", "news@3"]
    assert registry.resolve("news").version == 3
    assert registry.resolve("news@1").version == 1
    assert [(r.version, r.aliases) for r in registry.ls("news")] == [(1, ()), (2, ()), (3, ("default",))]
    release, opened = registry.open("news@2")
    assert opened.digest == bundle.digest == release.digest
    assert opened.folder == registry.root / "news" / "2" / "bundle"


def test_aliases_move_and_go_back(registry: Registry, bundle: Bundle) -> None:
    for _ in range(3):
        registry.register(bundle, alias=None)
    assert registry.resolve("news").version == 3, "no default yet: the newest"
    assert registry.promote("news@1", "prod").aliases == ("prod",)
    registry.promote("news@3", "prod")
    registry.promote("news@3", "prod")  # twice is once
    registry.promote("news:prod", "staging")
    assert registry.resolve("news:prod").version == registry.resolve("news:staging").version == 3
    assert registry.rollback("news", "prod").version == 1
    assert registry.resolve("news:prod").version == 1
    assert registry.resolve("news:staging").version == 3
    with pytest.raises(ServingError, match="news:prod has nothing to go back to"):
        registry.rollback("news", "prod")
    assert registry.resolve("news:prod").version == 1


def test_other_names_are_apart(registry: Registry, bundle: Bundle) -> None:
    registry.register(bundle, "a.b-c_d")
    registry.register(bundle, "a")
    assert registry.names() == ("a", "a.b-c_d")
    assert [str(release) for release in registry.ls()] == ["a@1", "a.b-c_d@1"]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("nwes", "nothing is registered as 'nwes' (did you mean 'news'?)\n\nhint: registered: news"),
        ("news@7", "news has no version 7\n\nhint: versions of news: 1"),
        ("news:prod", "news has no alias 'prod'\n\nhint: aliases of news: default"),
        ("news@x", "'news@x': 'x' is not a version number\n\nhint: write it like news@3"),
        ("news@0", "'news@0': '0' is not a version number\n\nhint: write it like news@3"),
        ("../news", "'../news' is not a valid model name\n\nhint: start with a-z or 0-9; then also '.', '_' and '-'; at most 128 characters"),
        ("news:../x", "'../x' is not a valid alias\n\nhint: start with a-z or 0-9; then also '.', '_' and '-'; at most 128 characters"),
        ("", "'' is not a valid model name\n\nhint: start with a-z or 0-9; then also '.', '_' and '-'; at most 128 characters"),
    ],
)  # fmt: skip
def test_a_reference_that_leads_nowhere_says_what_there_is(
    registry: Registry, bundle: Bundle, reference: str, words: str
) -> None:
    registry.register(bundle)
    with pytest.raises(ServingError) as caught:
        registry.resolve(reference)
    assert str(caught.value) == words


def test_references_are_read_and_written() -> None:
    for text, expected in {
        "tickets": Reference("tickets"),
        "tickets@3": Reference("tickets", version=3),
        "tickets:prod": Reference("tickets", alias="prod"),
    }.items():
        assert parse_reference(text) == expected
        assert str(expected) == text


def test_an_empty_registry_says_how_to_begin(registry: Registry) -> None:
    assert registry.ls() == []
    with pytest.raises(ServingError, match="register something with dizuo deploy"):
        registry.resolve("news")


def test_a_release_that_was_tampered_with_is_refused_also_when_its_listing_was_made_to_fit(
    registry: Registry, bundle: Bundle
) -> None:
    from dizuo.artifacts import digest_file

    release = registry.register(bundle)
    target = release.folder / "generation.json"
    target.write_text(json.dumps({**json.loads(target.read_text()), "temperature": 1.0}))
    with pytest.raises(ServingError, match=r"generation\.json"):
        registry.open("news")
    listing = release.folder / "bundle.json"
    facts = json.loads(listing.read_text())
    facts["files"]["generation.json"] = {"sha256": digest_file(target), "size": target.stat().st_size}
    listing.write_text(json.dumps(facts))
    with pytest.raises(ServingError, match=r"news@1 is not what was registered: bundle.json was changed"):
        registry.open("news")


def test_a_bundle_that_changes_while_it_is_copied_is_not_registered(
    registry: Registry, bundle: Bundle, tmp_path: Path
) -> None:
    import shutil
    from dataclasses import replace

    shutil.copytree(bundle.folder, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("changed")
    with pytest.raises(ServingError, match=r"README\.md"):
        registry.register(replace(bundle, folder=tmp_path / "copy"))
    assert registry.ls() == []
    assert not [p for p in (registry.root / "news").iterdir() if not p.name.startswith(".")]


WORKER = """
import sys
from pathlib import Path
from dizuo.serving.bundle import files as bundles
from dizuo.serving.registry import Registry
registry, made = Registry(Path(sys.argv[1])), bundles.open(sys.argv[2])
for i in range(int(sys.argv[3])):
    release = registry.register(made, alias=None)
    registry.promote(str(release), "prod")
    print(release.version, flush=True)
"""


def worker(registry: Registry, bundle: Bundle, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(registry.root), str(bundle.folder), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check_whole(registry: Registry) -> list[int]:
    """Every version that is listed opens; every alias points at one; nothing half-done is left over a name."""
    for release in registry.ls():
        registry.open(str(release))
    versions = [release.version for release in registry.ls("news")]
    path = registry.root / "news" / "aliases.json"
    if path.exists():
        for history in json.loads(path.read_text()).values():
            assert all(entry["version"] in versions for entry in history)
    return versions


@pytest.mark.slow
def test_processes_that_register_and_promote_at_once_lose_nothing(registry: Registry, bundle: Bundle) -> None:
    workers = [worker(registry, bundle, 5) for _ in range(4)]
    out = [w.communicate(timeout=120)[0] for w in workers]
    assert [w.returncode for w in workers] == [0] * 4
    numbers = sorted(int(line) for text in out for line in text.split())
    assert numbers == list(range(1, 21))
    assert check_whole(registry) == numbers
    history = json.loads((registry.root / "news" / "aliases.json").read_text())["prod"]
    assert sorted(entry["version"] for entry in history) == numbers


@pytest.mark.slow
def test_kill_9_at_any_moment_leaves_the_old_state_or_the_new(registry: Registry, bundle: Bundle) -> None:
    import random

    draw = random.Random(5)
    seen = 0
    for _ in range(12):
        process = worker(registry, bundle, 50)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(draw.random() * 0.3)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        versions = check_whole(registry)
        assert versions == list(range(1, len(versions) + 1))
        assert len(versions) > seen
        seen = len(versions)
    registry.register(bundle)
    assert check_whole(registry)[-1] == seen + 1
    left = [path.name for path in (registry.root / "news").iterdir() if path.name.startswith(f".{seen + 1}.")]
    assert left == [], "what killed processes left behind is cleared by the next registration of that version"


def test_a_registration_that_fails_in_the_middle_leaves_no_version(
    registry: Registry, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import shutil

    registry.register(bundle)

    def full(*args: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(ServingError, match=r"news@2 could not be registered: .*No space left on device"):
        registry.register(bundle)
    assert [release.version for release in registry.ls()] == [1]
    assert registry.resolve("news").version == 1
