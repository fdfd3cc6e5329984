"""An archive of a recipe is whole, the same each time, and runs where there is no network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from wheelhouse import write_wheel

from dizuo import recipe as recipes
from dizuo.artifacts import archives, digest_file, resolve
from dizuo.errors import ArtifactError
from dizuo.packing import Written, collect, unpack, write
from dizuo.packing.wheels import Lock, write_own_wheel
from dizuo.steps.settings import bind

ROOT = Path(__file__).parents[2]


def pack(place: Path, name: str = "tiny.pack.zip") -> Written:
    return write(collect(place / "tiny.yaml", wheels=False), place / name)


def test_it_holds_the_recipe_its_weights_and_its_data_under_their_digests(place: Path) -> None:
    (place / "model" / "LICENSE").write_text("the licence")
    written = pack(place)
    assert written.sha256 == hashlib.sha256(written.path.read_bytes()).hexdigest()
    assert set(written.parts) == {"weights", "data", "licences"}
    folder = unpack(written.path, place / "there", sha256=written.sha256)
    settings = bind(recipes.read(folder / "recipe.yaml"))
    model, rows = resolve(settings.select.model), resolve(str(settings.prepare.source))
    assert model.path.is_relative_to(folder)
    assert model.digest == resolve(place / "model").digest
    assert [path.name for path in model.licence_files] == ["LICENSE"]
    assert (rows.path.name, rows.digest) == ("rows.csv", digest_file(place / "rows.csv"))
    assert settings.prepare.instruction == "fruit or metal?"
    assert os.access(folder / "run.sh", os.X_OK)


def test_the_licence_of_a_package_is_known_where_it_was_unpacked(place: Path, shop: Path) -> None:
    files = {"corpus/__init__.py": b"", "corpus/data/rows.csv": b"text,label\na,b\n"}
    write_wheel(shop, "corpus", "1.2", files, metadata="License: MIT")
    recipe = recipes.override(recipes.read("tiny.yaml"), "prepare.source", "pypi:corpus/data", place="--data")
    written = write(collect(recipe, wheels=False), place / "x.pack.zip")
    folder = unpack(written.path, place / "there")
    assert resolve(folder / "data" / "1" / "data").licence == "MIT"
    assert json.loads((folder / "pack.json").read_text())["pieces"][1]["address"] == "pypi:corpus==1.2/data"


def test_equal_contents_give_equal_bytes(place: Path) -> None:
    first = pack(place)
    for path in (place / "model").iterdir():
        os.utime(path, (1, 1))
    assert pack(place, "again.pack.zip").sha256 == first.sha256


def test_the_plan_of_a_run_is_taken_along(place: Path) -> None:
    (place / "runs" / "tiny" / "3-train").mkdir(parents=True)
    (place / "runs" / "tiny" / "3-train" / "plan.json").write_text("{}")
    with zipfile.ZipFile(pack(place).path) as archive:
        assert archive.read("plan.json") == b"{}"


def rewrite(path: Path, change: Callable[[dict[str, bytes]], object], *, links: tuple[str, ...] = ()) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name in links else 0o644) << 16
            archive.writestr(info, content)


def named(members: dict[str, bytes], name: str, content: bytes) -> None:
    """Add a member and name it in the manifest, as who tampers well does."""
    manifest = json.loads(members["pack.json"])
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    members["pack.json"] = json.dumps(manifest).encode()
    members[name] = content


TAMPERED: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "one byte": (lambda m: m.update({"recipe.yaml": b"X" + m["recipe.yaml"][1:]}), "the content of recipe.yaml is not"),
    "longer": (lambda m: m.update({"recipe.yaml": m["recipe.yaml"] + b"#"}), "recipe.yaml has"),
    "missing": (lambda m: m.pop("data/1/rows.csv"), "data/1/rows.csv is missing"),
    "more": (lambda m: m.update({"data/1/more.csv": b"x"}), "more.csv is in it, and pack.json does not name it"),
    "no manifest": (lambda m: m.pop("pack.json"), "it has no pack.json"),
    "no JSON": (lambda m: m.update({"pack.json": b"{"}), "its pack.json cannot be read"),
    "a list": (lambda m: m.update({"pack.json": b"[]"}), "its pack.json cannot be read"),
    "format": (lambda m: m.update({"pack.json": m["pack.json"].replace(b'"format": 1', b'"format": 9')}), "format 9"),
    "up": (lambda m: named(m, "../evil", b"x"), "leads out of its folder"),
    "up inside": (lambda m: named(m, "data/../../evil", b"x"), "leads out of its folder"),
    "absolute": (lambda m: named(m, "/tmp/evil", b"x"), "is an absolute name"),
    "drive": (lambda m: named(m, "C:/evil", b"x"), "is an absolute name"),
    "backslash": (lambda m: named(m, "data\\\\evil", b"x"), "backslash"),
    "link": (lambda m: named(m, "link", b"/etc/passwd"), "is a link"),
    "case": (lambda m: named(m, "RECIPE.yaml", b"x"), "differ only in case"),
    "file and folder": (lambda m: named(m, "recipe.yaml/x", b"x"), "both a file and a folder"),
}  # fmt: skip


@pytest.mark.parametrize("way", TAMPERED)
def test_a_tampered_archive_is_refused_and_leaves_nothing(way: str, place: Path) -> None:
    written = pack(place)
    change, says = TAMPERED[way]
    rewrite(written.path, change, links=("link",))
    before = sorted(place.rglob("*"))
    with pytest.raises(ArtifactError, match="is refused") as raised:
        unpack(written.path, place / "there")
    assert says in raised.value.message
    assert sorted(place.rglob("*")) == before
    stand_alone = subprocess.run([sys.executable, written.path, place / "there"], capture_output=True, text=True)
    if way not in ("no manifest", "one byte") or stand_alone.returncode:
        assert stand_alone.returncode == 1, stand_alone
    assert "Traceback" not in stand_alone.stderr
    assert not (place / "there").exists()


@pytest.mark.parametrize("left", [0, 10, 0.5, 0.999])
def test_a_truncated_archive_is_refused(left: float, place: Path) -> None:
    written = pack(place)
    content = written.path.read_bytes()
    written.path.write_bytes(content[: int(left if left >= 1 or not left else left * len(content))])
    with pytest.raises(ArtifactError, match="is refused"):
        unpack(written.path, place / "there")
    assert not (place / "there").exists()


def test_another_archive_than_the_one_that_was_promised_is_refused(place: Path) -> None:
    written = pack(place)
    with pytest.raises(ArtifactError, match="its SHA-256 is not the one that was given"):
        unpack(written.path, place / "there", sha256="0" * 64)


def test_a_folder_with_something_in_it_is_not_overwritten(place: Path) -> None:
    with pytest.raises(ArtifactError, match=r"something in .*model already"):
        unpack(pack(place).path, place / "model")


def test_python_alone_opens_it(place: Path) -> None:
    written = pack(place)
    done = subprocess.run([sys.executable, "-I", written.path.name], cwd=place, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "next: sh tiny/install.sh && sh tiny/run.sh" in done.stdout
    assert digest_file(place / "tiny" / "data" / "1" / "rows.csv") == digest_file(place / "rows.csv")


def test_dizuos_own_wheel_can_be_read_and_is_the_same_each_time(tmp_path: Path) -> None:
    from dizuo.artifacts.wheels import open_wheel

    (tmp_path / "again").mkdir()
    path = write_own_wheel(tmp_path)
    with open_wheel(path) as wheel:
        assert wheel.name == "dizuo"
        assert "dizuo/artifacts/archives.py" in wheel.members
        assert wheel.read("dizuo/artifacts/archives.py", len) == digest_file(archives.__file__)
    assert write_own_wheel(tmp_path / "again").read_bytes() == path.read_bytes()


def test_what_a_pack_needs_and_cannot_be_fetched_is_said_before_anything_is_written(place: Path) -> None:
    (place / "model").rename(place / "elsewhere")
    with pytest.raises(ArtifactError, match="model does not exist"):
        collect(place / "tiny.yaml", wheels=False)


def without_network(*command: str | Path, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a network namespace in which there is not even a loopback that is up."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "DIZUO_HOME": str(home), "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONPATH": str(ROOT / "src")} if "sh" not in command else {}
    return subprocess.run(["unshare", "-n", *command], cwd=cwd, env=environment, capture_output=True, text=True)


def can_unshare() -> bool:
    return shutil.which("unshare") is not None and subprocess.run(["unshare", "-n", "true"]).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not can_unshare(), reason="no network namespace can be made here")
def test_it_runs_without_any_network(place: Path, tmp_path: Path) -> None:
    written = pack(place)
    there, home = tmp_path / "there", tmp_path / "new-home"
    home.mkdir()
    unpack(written.path, there)
    shutil.rmtree(place / "model")
    script = "import sys; from dizuo.cli import main; sys.argv[1:] = ['run', 'recipe.yaml']; main()"
    done = without_network(sys.executable, "-c", script, cwd=there, home=home)
    assert done.returncode in (0, 1), done.stderr  # 1: the gate may stay closed on so small a model
    assert (there / "runs" / "tiny" / "4-evaluate" / "report.json").exists(), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not can_unshare(), reason="no network namespace can be made here")
def test_its_wheels_are_installed_without_any_network_with_a_fake_dizuo(
    place: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of a real run has hundreds of megabytes of wheels; this one has two small ones."""
    program = b"import sys, fakedep\ndef main():\n    print('ran', *sys.argv[1:], fakedep.WORD)\n"
    write_wheel(shop, "fakedep", "1.0", {"fakedep.py": b"WORD = 'offline'\n"})
    info = {"dizuo-9.9.dist-info/entry_points.txt": b"[console_scripts]\ndizuo = dizuo_fake:main\n"}
    write_wheel(shop, "dizuo", "9.9", {"dizuo_fake.py": program, **info})
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    lock = Lock(("dizuo==9.9", "fakedep==1.0"), False, version, "linux", 0)
    monkeypatch.setattr("dizuo.packing.collecting.read_lock", lambda: lock)
    written = write(collect(place / "tiny.yaml"), place / "tiny.pack.zip")
    assert written.parts["wheels"] > 0
    there = unpack(written.path, tmp_path / "there")
    home = tmp_path / "new-home"
    home.mkdir()
    installed = without_network("sh", "install.sh", cwd=there, home=home)
    assert installed.returncode == 0, installed.stderr
    ran = without_network("sh", "run.sh", "--force", cwd=there, home=home)
    assert ran.stdout == "ran run recipe.yaml --force offline\n"
