"""Settings of an engine: bounds of batch, queue and memory."""

from __future__ import annotations

from dataclasses import dataclass

from dizuo.errors import RecipeError

__all__ = ["EngineOptions"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Settings of an engine; the defaults suit two to sixteen CPU cores and models up to a few billion weights."""

    max_running: int = 16
    """Requests that share a step."""
    max_waiting: int = 256
    """Requests that may wait for a place; the next one is refused with QueueFull."""
    step_tokens: int = 512
    """Most tokens that go through the model in one step: one per answering request, the rest for prompts, which are
    cut into chunks, so that a long prompt never stops the answers of others for long."""
    max_kv_tokens: int = 0
    """Token places (prompt + max_tokens) of all running requests together; 0 is 2,048 per running request. A request
    that needs more than all of them runs alone."""
    reuse_prefix: bool = True
    """Take the keys and values of a shared prefix from a running or recent request instead of computing them."""
    keep_recent: int = 4
    """Finished sequences whose keys and values are kept for reuse."""
    dtype: str = "float32"
    """Compute dtype. Greedy answers are independent of what else is in the batch in float32; other dtypes may
    differ where two tokens are within their rounding of each other."""
    device: str = "cpu"
    """Torch device."""
    threads: int = 0
    """Threads of a matrix product in this process; 0 leaves torch's own choice."""

    def __post_init__(self) -> None:
        wrong = [
            f"engine.{name}: must be at least {least}, not {getattr(self, name)}"
            for name, least in (
                ("max_running", 1),
                ("max_waiting", 1),
                ("step_tokens", 1),
                ("max_kv_tokens", 0),
                ("keep_recent", 0),
                ("threads", 0),
            )
            if getattr(self, name) < least
        ]
        if self.dtype not in {"float32", "bfloat16", "float16"}:
            wrong.append(f"engine.dtype: must be float32, bfloat16 or float16, not {self.dtype!r}")
        if wrong:
            raise RecipeError(f"{len(wrong)} engine setting{'s are' if len(wrong) > 1 else ' is'} wrong", details=wrong)
