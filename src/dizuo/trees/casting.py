"""Frozen weights in the dtype of the products, cast once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["FrozenCast"]


class FrozenCast:
    """Keeps the cast of one matrix for as long as it stays what it was."""

    __slots__ = ("_cast", "_of")

    def __init__(self) -> None:
        self._cast: Tensor | None = None
        self._of: tuple[Any, ...] = ()

    def __call__(self, matrix: Tensor, dtype: torch.dtype, *state: Any) -> Tensor:
        """Return the matrix in a dtype.

        Args:
            matrix: frozen; its own dtype needs no cast.
            dtype: of the result.
            state: whatever else the values depend on, such as version counters of the parameters that it views.
        """
        if matrix.dtype == dtype:
            return matrix
        of = (matrix.data_ptr(), dtype, *state)
        if self._cast is None or self._of != of:
            self._cast, self._of = matrix.detach().to(dtype), of
        return self._cast
