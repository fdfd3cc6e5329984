"""generation.json of a bundle: how the model answers unless a request says otherwise."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dizuo.records import Json

__all__ = ["GenerationDefaults"]


@dataclass(frozen=True, slots=True)
class GenerationDefaults:
    """Sampling of a request that does not choose its own; greedy, because that is what was evaluated."""

    max_tokens: int = 512
    """Most new tokens of an answer."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    """Share of the probability that tokens are drawn from."""
    stop_ids: tuple[int, ...] = ()
    """Token ids that end an answer."""

    def to_json(self) -> dict[str, Json]:
        """Return plain JSON values; `read` is the inverse."""
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop_ids": list(self.stop_ids),
        }

    @classmethod
    def read(cls, path: Path) -> GenerationDefaults:
        """Return what a bundle's generation.json says; a value that it lacks is dizuo's default.

        Raises:
            ValueError: the file is not what `to_json` wrote.
        """
        values = json.loads(path.read_text("utf-8"))
        if not isinstance(values, dict):
            raise ValueError(f"{path.name} holds no JSON object")
        usual = cls()
        try:
            return cls(
                max_tokens=int(values.get("max_tokens", usual.max_tokens)),
                temperature=float(values.get("temperature", usual.temperature)),
                top_p=float(values.get("top_p", usual.top_p)),
                stop_ids=tuple(int(token) for token in values.get("stop_ids", usual.stop_ids)),
            )
        except (TypeError, OverflowError) as error:
            raise ValueError(f"{path.name}: {error}") from error
