"""MLflow: an experiment of the recipe's name, one run per training run.

Where `MLFLOW_TRACKING_URI` is set it is followed; otherwise runs are kept as files in the run's folder, and
`mlflow ui --backend-store-uri FOLDER` shows them. A resumed run goes on in the same MLflow run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo.training.trackers import Tracker, settings_of

if TYPE_CHECKING:
    from dizuo.training.planning.plan import Plan


class Flow:
    """One MLflow run."""

    def __init__(self, plan: Plan, folder: Path, start: int) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3.7 and later keep no files unless asked
        from mlflow.entities import Param, RunTag
        from mlflow.tracking import MlflowClient

        uri = os.environ.get("MLFLOW_TRACKING_URI") or folder.absolute().as_uri()
        self.place = uri
        self._client: Any = MlflowClient(tracking_uri=uri)
        name = _name(plan)
        known = self._client.get_experiment_by_name(name)
        experiment = known.experiment_id if known is not None else self._client.create_experiment(name)
        earlier = self._client.search_runs([experiment], f"tags.`dizuo.plan` = '{plan.digest}'", max_results=1)
        if start and earlier:
            self._run = earlier[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return
        tags = [RunTag("dizuo.plan", plan.digest)]
        self._run = self._client.create_run(experiment, run_name=name).info.run_id
        params = [Param(key, str(value)[:500]) for key, value in settings_of(plan).items()]
        self._client.log_batch(self._run, params=params, tags=tags)

    def log(self, step: int, values: Mapping[str, float], time: float) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(name, float(value), int(time * 1000), step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self, *, failed: bool) -> None:
        self._client.set_terminated(self._run, status="FAILED" if failed else "FINISHED")


def _name(plan: Plan) -> str:
    """Return the recipe's name: that of the folder which holds the steps."""
    return plan.folder.absolute().parent.name or "dizuo"


TRACKER = Tracker(package="mlflow", extra="dizuo[mlflow]", open=Flow)
