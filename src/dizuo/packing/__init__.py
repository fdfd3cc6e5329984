"""One archive with all that a recipe needs runs on a machine without any network.

    collect(recipe) -> Pack          fetches what the recipe names, and says what will be in the archive, with sizes
    write(pack, path) -> Written     fetches the wheels, writes the archive, and reads it once more to verify it
    unpack(path, folder)             checks every byte against the manifest; `python ARCHIVE` does so without dizuo

    collecting.py    the recipe's model, data, encoder and plan, and the recipe with its paths inside the archive
    wheels.py        the lock of this environment, and its wheels; dizuo's own, where it runs from its sources
    scripts.py       install.sh, run.sh and the page that says how to use them
    archive.py       the zip: equal contents give equal bytes

The archive is a zip that Python can run: `artifacts/archives.py` stands in it as `__main__.py`.
"""

from __future__ import annotations

from dizuo.packing.archive import Written, unpack, write
from dizuo.packing.collecting import Pack, Piece, collect

__all__ = ["Pack", "Piece", "Written", "collect", "unpack", "write"]
