"""What of a model is trained: adapters on frozen weights, or every weight, and a head. Making, saving, undoing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dizuo.artifacts.writing import whole_folder, write_json
from dizuo.errors import TrainingError
from dizuo.models import adapters, heads
from dizuo.models.heads import HeadFacts

if TYPE_CHECKING:
    from dizuo.models import Model

__all__ = ["GOLDEN", "Network"]

GOLDEN = "golden.json"
"""Beside a head: what it says of a few texts."""


class ScaledLinear(nn.Linear):
    """y = scale × W x. Under AdamW, whose steps do not depend on a gradient's size, W then learns at scale × the rate.

    One optimizer, one schedule and one checkpoint serve everything; what is saved as the head is scale × W.
    """

    def __init__(self, size_in: int, size_out: int, scale: float, *, device: Any) -> None:
        super().__init__(size_in, size_out, bias=False, device=device)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Map [n, I] to [n, O]."""
        return nn.functional.linear(x, self.weight * self.scale)


class Network:
    """A model made trainable.

    Args:
        model: float32 weights. Adapters are added to it and taken off by `release`; with `full` its weights change.
        adapter: `lora`, `dora`, `rslora` or `full`.
        rank, alpha, dropout, targets: of the adapters; unused with `full`.
        seed: of the adapters' first values.
        num_outputs: outputs K of a head on the last states, trained with the model; 0 is none. It begins at zero, so
            that the first loss is that of a uniform guess.
        head: what those outputs mean; saved with them.
        golden: texts and the token ids that they become when they are asked; the head's outputs for them are saved
            beside it, so that whoever serves it can check that it serves what was trained.
        head_scale: the head's learning rate over that of the rest.
    """

    def __init__(
        self,
        model: Model,
        *,
        adapter: str,
        rank: int,
        alpha: float,
        dropout: float,
        targets: str | list[str],
        seed: int,
        num_outputs: int = 0,
        head: HeadFacts | None = None,
        golden: Sequence[tuple[str, Sequence[int]]] = (),
        head_scale: float = 1.0,
    ) -> None:
        self.model, self.adapter = model, adapter
        self.module: Any = model.module
        self._base = cast(Any, model.module)
        self._attention: str = self._base.config._attn_implementation
        self.facts, self._golden = head, tuple(golden)
        if adapter != "full":
            self.module = adapters.add_lora(
                model, rank=rank, alpha=alpha, dropout=dropout, targets=targets, seed=seed, kind=adapter
            )
        else:
            assert model.quantize == "none", "quantised weights are not trained"
            model.module.requires_grad_(True)
        # A model's own dropout is never active: it is not exact over shared tokens, and GPT-2's 0.1 is nobody's choice.
        self.module.eval()
        self._dropouts = [part for name, part in self.module.named_modules() if name.endswith("lora_dropout")]
        self.parameters: dict[str, nn.Parameter] = {
            name: parameter for name, parameter in self.module.named_parameters() if parameter.requires_grad
        }
        self.head: ScaledLinear | None = None
        if num_outputs:
            hidden = self._base.config.get_text_config().hidden_size
            self.head = ScaledLinear(hidden, num_outputs, head_scale, device=next(self.module.parameters()).device)
            nn.init.zeros_(self.head.weight)
            self.parameters[heads.WEIGHT] = cast(nn.Parameter, self.head.weight)
        wrong = [name for name, parameter in self.parameters.items() if parameter.dtype != torch.float32]
        assert not wrong, f"trained weights are float32: {wrong[:3]}"

    def mode(self, *, training: bool) -> None:
        """Turn adapter dropout on or off."""
        for part in self._dropouts:
            part.train(training)

    def weights(self) -> dict[str, Tensor]:
        """Return the trained weights by name; views, not copies."""
        return {name: parameter.detach().contiguous() for name, parameter in self.parameters.items()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put saved weights in place.

        Raises:
            TrainingError: names or shapes differ.
        """
        names = self.parameters.keys() ^ weights.keys()
        if names:
            raise TrainingError(f"the checkpoint's weights are not this model's: {', '.join(sorted(names)[:3])} …")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if parameter.shape != weights[name].shape:
                    raise TrainingError(
                        f"{name} has shape {list(weights[name].shape)} in the checkpoint, {list(parameter.shape)} here"
                    )
                parameter.copy_(weights[name])

    def save(self, run: Path) -> Path:
        """Write `adapter/` (PEFT's format) or `model/` (transformers' format) into the run's folder, and return it.

        With a head both are what transformers' `…ForSequenceClassification` loads, and head.json lies beside.
        """
        final = run / ("model" if self.adapter == "full" else "adapter")
        if self.adapter != "full":
            beside = {GOLDEN: self._golden_outputs()} if self._golden else None
            adapters.save(
                self.module,
                final,
                head=self._trained_head(),
                quantize=self.model.quantize,
                beside=beside,
                replace=True,
            )
        else:
            with whole_folder(final, replace=True) as partial:
                self._save_model(partial)
        return final

    def _save_model(self, folder: Path) -> None:
        module = self.module
        # Projections of one group may be views of one storage, which save_pretrained would take for tied weights.
        own = dict(module.named_parameters())
        aliases = dict(module.named_parameters(remove_duplicate=False)).keys() - own.keys()
        state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items() if name not in aliases}
        self.model.tokenizer.save_pretrained(folder)
        head = self._trained_head()
        if head is None:
            module.save_pretrained(folder, state_dict=state)
            return
        weight, facts = head
        config = heads.make_classifier_config(module, facts, pad_token_id=self.model.tokenizer.pad_token_id)
        config.dtype = torch.float32
        config.save_pretrained(folder)
        save_file(heads.make_classifier_state(state, weight), folder / "model.safetensors", metadata={"format": "pt"})
        heads.write_facts(folder, facts)
        if self._golden:
            write_json(folder / GOLDEN, self._golden_outputs())

    @torch.no_grad()
    def _golden_outputs(self) -> list[dict[str, Any]]:
        """Return text, ids and outputs of the golden questions, each alone through transformers' own modules."""
        assert self.head is not None
        decoder = getattr(self._base, self._base.base_model_prefix)
        device = self.head.weight.device
        answers = []
        for text, ids in self._golden:
            states = decoder(input_ids=torch.tensor([list(ids)], device=device), use_cache=False).last_hidden_state
            outputs = self.head(states[0, -1].to(self.head.weight.dtype))
            answers.append({"text": text, "ids": [int(token) for token in ids], "outputs": outputs.tolist()})
        return answers

    def _trained_head(self) -> tuple[Tensor, HeadFacts] | None:
        """Return the head's weight and facts, where there is one."""
        if self.head is None:
            return None
        count = self.head.out_features
        unnamed = HeadFacts("reward") if count == 1 else HeadFacts("classification", tuple(map(str, range(count))))
        facts = self.facts or unnamed
        return self.head.weight.detach() * self.head.scale, replace(
            facts, template=heads.digest_template(self.model.tokenizer)
        )

    def release(self) -> None:
        """Take the adapters off again, freeze the model, and give it back its own attention."""
        if self.adapter != "full":
            self.module.unload()
        if self._base.config._attn_implementation != self._attention:
            self._base.set_attn_implementation(self._attention)
        self.model.module.requires_grad_(False)
