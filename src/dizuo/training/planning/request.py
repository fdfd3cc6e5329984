"""What was asked for, before anything was chosen. Equal requests in one folder get the plan that is already there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dizuo.training.planning.options import TrainOptions
from dizuo.training.planning.snapshot import JsonObject, Snapshot

if TYPE_CHECKING:
    from dizuo.data import Dataset, Task
    from dizuo.models import ModelSpec
    from dizuo.training.method import MethodOptions

__all__ = ["Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """A model, a data set and options, as they were asked for."""

    snapshot: Snapshot

    @classmethod
    def of(cls, spec: ModelSpec, data: Dataset, options: TrainOptions, method_options: MethodOptions) -> Request:
        """Return the request of a call of `plan`."""
        wanted = options.as_dict()
        del wanted["allow_different_machine"]  # about one resumption, not about the result
        return cls(
            Snapshot(
                {
                    "model": spec.digest,
                    "data.train": data.train.digest,
                    "data.validation": data.validation.digest if len(data.validation) else None,
                    "task": data.task.to_json() if data.task else None,
                    "options": wanted,
                    "method_options": asdict(method_options),
                }
            )
        )

    @property
    def task(self) -> Task | None:
        """What the data asked of a model."""
        from dizuo.data import Task

        value: Any = self.snapshot.to_json()["task"]
        return None if value is None else Task.from_json(value)

    def differences(self, now: Request) -> list[str]:
        """Return one line for each entry that is another one now, as in `options.rank: 16 there, 8 now`."""
        return self.snapshot.differences(now.snapshot)

    def to_json(self) -> JsonObject:
        """Return plain JSON values."""
        return self.snapshot.to_json()
