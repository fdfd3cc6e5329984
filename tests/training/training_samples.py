"""Tiny real models and data sets for training tests, which `dizuo.testing` has for everybody's."""

from __future__ import annotations

from dizuo.testing.training.samples import CHATML, LABELS, WORDS, Rows, labelled, write_model

__all__ = ["CHATML", "LABELS", "WORDS", "Rows", "labelled", "write_model"]
