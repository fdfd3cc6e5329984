"""What goes into an archive: the files that a recipe's addresses lead to, and the recipe that names them there."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dizuo import recipe as recipes
from dizuo.artifacts import Artifact, parse, resolve, size_of, store
from dizuo.artifacts.digests import list_tree
from dizuo.errors import ArtifactError
from dizuo.evaluation.baselines.embedder import KNOWN
from dizuo.events import Watcher, ignore
from dizuo.packing.wheels import Lock, read_lock
from dizuo.recipe import Recipe
from dizuo.records import Json
from dizuo.steps.pipeline import folder_of
from dizuo.steps.placing import place_paths
from dizuo.steps.prepare import addresses
from dizuo.steps.settings import Settings, bind

__all__ = ["Pack", "Piece", "collect"]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one address leads to."""

    role: str
    """`weights`, `data` or `encoder`."""
    address: str
    """With its version, where it has one."""
    place: str
    """Path in the archive."""
    files: Mapping[str, Path]
    """Path in the archive to the file on this machine."""
    bytes: int
    licence: str | None = None
    licence_files: tuple[str, ...] = ()
    """Paths in the archive."""

    def to_json(self) -> dict[str, Json]:
        """Return what the manifest says of it."""
        return {
            "role": self.role,
            "address": self.address,
            "place": self.place,
            "licence": self.licence,
            "licence_files": list(self.licence_files),
        }


@dataclass(frozen=True, slots=True)
class Pack:
    """What an archive will hold."""

    name: str
    recipe: str
    """The text of the recipe in it."""
    pieces: tuple[Piece, ...]
    lock: Lock | None
    """The packages of this environment; None where wheels are left out."""
    plan: Path | None
    """The plan of a run of this recipe, where there is one."""

    @property
    def bytes(self) -> int:
        """Bytes of weights and data; those of wheels are known when they are fetched."""
        return sum(piece.bytes for piece in self.pieces)


def collect(
    recipe: Recipe | str | Path, *, folder: str | Path = "runs", wheels: bool = True, watch: Watcher = ignore
) -> Pack:
    """Return what an archive of a recipe will hold; what it names is fetched where it is not here.

    Args:
        recipe: a recipe or the path of one.
        folder: where runs are kept; the plan of a run of this name is taken along.
        wheels: take the packages of this environment along.
        watch: told what is fetched.

    Raises:
        RecipeError: with every wrong field.
        ArtifactError: an address leads nowhere, or a package of this environment is in no index.
    """
    if not isinstance(recipe, Recipe):
        recipe = recipes.read(recipe, strict=False)
    settings = bind(recipe)
    lock = read_lock() if wheels else None
    pieces = [_piece("weights", settings.select.model, "weights", watch)]
    placed = {"select.model": pieces[0].place}
    if (encoder := _encoder(settings)) is not None:
        pieces.append(_piece("encoder", encoder, "encoder", watch))
        placed["evaluate.embedder"] = pieces[-1].place
    data: dict[str, list[str]] = {}
    for number, (role, address) in enumerate(addresses(settings.prepare), 1):
        pieces.append(_piece("data", address, f"data/{number}", watch))
        data.setdefault(role.split(" ")[0], []).append(pieces[-1].place)
    recipe = place_paths(recipe)
    for field, place in placed.items():
        recipe = recipes.override(recipe, field, place, place="dizuo pack")
    for role, places in data.items():
        value = places[0] if len(places) == 1 else places
        recipe = recipes.override(recipe, f"prepare.{role}", value, place="dizuo pack")
    if settings.prepare.quarantine:
        name = Path(settings.prepare.quarantine).name
        recipe = recipes.override(recipe, "prepare.quarantine", name, place="dizuo pack")
    plan = folder_of(Path(folder) / settings.name, "train") / "plan.json"
    return Pack(settings.name, _text(recipe), tuple(pieces), lock, plan if plan.is_file() else None)


def _encoder(settings: Settings) -> str | None:
    """Return the address of the encoder that a baseline uses, where there is one."""
    asked = settings.evaluate.embedder
    if asked == "none":
        return None
    if asked != "auto":
        return asked
    known = parse(KNOWN)
    return KNOWN if store.find(known.scheme, known.name, known.version) is not None else None


def _piece(role: str, address: str, home: str, watch: Watcher) -> Piece:
    artifact = resolve(address, watch=watch)
    place = f"{home}/{_name(artifact)}"
    if artifact.path.is_file():
        files = {place: artifact.path}
    else:
        files = {f"{place}/{name}": artifact.path / name for name in list_tree(artifact.path) if _wanted(name)}
    if not files:
        raise ArtifactError(f"{address} is an empty folder", hint="check the address")
    papers = {f"licences/{home}/{path.name}": path for path in artifact.licence_files}
    return Piece(
        role,
        artifact.address if parse(address).scheme != "path" else artifact.path.name,
        place,
        {**files, **papers},
        sum(size_of(path.resolve()) for path in files.values()),
        artifact.licence,
        tuple(papers),
    )


def _name(artifact: Artifact) -> str:
    """Return a short name with the suffix that readers go by."""
    address = parse(artifact.address)
    name = artifact.path.name
    if artifact.path.is_dir() and not address.inner and address.scheme != "path":
        name = address.name.rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "files"


def _wanted(name: str) -> bool:
    """Return whether a file is content; what file systems and Git leave in folders is not."""
    parts = name.split("/")
    return not {".git", "__pycache__", ".ipynb_checkpoints"} & set(parts) and parts[-1] != ".DS_Store"


def _text(recipe: Recipe) -> str:
    with tempfile.TemporaryDirectory(prefix="dizuo-pack-") as folder:
        path = Path(folder) / "recipe.yaml"
        recipes.write(recipe, path)
        return path.read_text("utf-8")
