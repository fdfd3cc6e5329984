"""The engine inside this process: a transformers model, its adapters, and a worker thread that batches requests.

For CPUs and a single small GPU. Greedy answers do not depend on what else is in the batch (float32): sequences are
packed without padding and attend only within themselves, so all that a neighbour can change is the kernel of a matrix
product, that is the last bits of a logit (about 1e-6). Two tokens closer than that are a tie, and a tie may fall
either way.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from dizuo.engines.kinds.embedded.backends import choose
from dizuo.engines.kinds.embedded.scheduler import Scheduler
from dizuo.engines.options import EngineOptions
from dizuo.engines.protocol import Delta, EngineStats, GenerateRequest, RequestRefused, ScoreRequest
from dizuo.errors import ServingError, did_you_mean

if TYPE_CHECKING:
    from dizuo.models import Model, ModelSpec

__all__ = ["Embedded", "open_engine"]

T = TypeVar("T")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def open_engine(
    model: ModelSpec | Model, *, adapters: Mapping[str, Path], weights: Path | None, options: EngineOptions
) -> Embedded:
    """Load the model (unless it is loaded) and start the worker thread; see `dizuo.engines.open`."""
    from dizuo import models

    if options.threads:
        torch.set_num_threads(options.threads)
    if not isinstance(model, models.Model):
        quantize = _quantization(adapters)
        spec = _with_weights(model, weights)
        model = models.load(spec, dtype=options.dtype, device=options.device, quantize=quantize, plain=True)
    engine = Embedded(model.module, context_length=model.spec.context_length, options=options, quantize=model.quantize)
    try:
        for name, folder in adapters.items():
            engine.load_adapter(name, folder)
    except BaseException:
        engine.close()
        raise
    return engine


def _quantization(adapters: Mapping[str, Path]) -> str:
    """Return how the base weights were quantised when the adapters were trained: all of them alike."""
    from dizuo.models.adapters import read_base_quantization

    kinds = {name: read_base_quantization(folder) for name, folder in adapters.items()}
    if len(set(kinds.values())) > 1:
        raise ServingError(
            "the adapters were trained on different weights",
            details=[f"{name}: quantised as {kind}" for name, kind in kinds.items()],
            hint="open an engine for each kind",
        )
    return next(iter(kinds.values()), "none")


def _with_weights(spec: ModelSpec, weights: Path | None) -> ModelSpec:
    """Return the spec with its weights taken from a fully fine-tuned model's folder."""
    return spec if weights is None else dataclasses.replace(spec, folder=str(weights))


class Embedded:
    """An `Engine` over a module in this process.

    Args:
        module: a transformers causal language model in eval mode. The engine owns its attention implementation and
            its active adapter until it is closed.
        context_length: most tokens of prompt and answer together.
        options: bounds of batch, queue and memory.
        quantize: how the weights are, or were, quantised; an adapter trained on others is refused.
    """

    def __init__(
        self, module: Any, *, context_length: int, options: EngineOptions | None = None, quantize: str = "none"
    ) -> None:
        self.options = options or EngineOptions()
        self._quantize = quantize
        self._context_length = context_length
        self._module = module.eval()
        get_base = getattr(module, "get_base_model", None)
        self._base = module if get_base is None else get_base()
        self._inner: dict[str, str] = {}
        self._count = 0
        self._active: object = ...
        self._runners: dict[str | None, Any] = {}
        self._plain_attention = str(self._base.config._attn_implementation)
        with torch.inference_mode():
            self._backend, self._why = choose(self._base)
        places = self.options.max_kv_tokens or self.options.max_running * min(2048, context_length)
        self._scheduler = Scheduler(
            self._backend,
            self.options,
            max_kv_tokens=places,
            use_adapter=self._use_adapter,
            knows_adapter=self._knows_adapter,
        )

    @property
    def context_length(self) -> int:
        """Most tokens of prompt and answer together."""
        return self._context_length

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        """Stream the answer; see `Engine.generate`."""
        self._check(request)
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Delta] = asyncio.Queue()

        def deliver(delta: Delta) -> None:
            try:
                loop.call_soon_threadsafe(queue.put_nowait, delta)
            except RuntimeError:  # the caller's loop is closed: nobody is listening
                sequence.cancelled = True

        sequence = self._scheduler.submit(request, deliver)
        finished = False
        try:
            while not finished:
                delta = await queue.get()
                finished = delta.finish is not None
                yield delta
        finally:
            if not finished:
                self._scheduler.cancel(sequence)

    async def score(self, requests: Sequence[ScoreRequest]) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of the weighted tokens of every request; see `Engine.score`."""
        return await self._reading(requests, self._score)

    async def states(self, requests: Sequence[ScoreRequest]) -> NDArray[np.float32]:
        """Return [n, D] the state of every request's last token, for a head; see `StateEngine.states`."""
        return await self._reading(requests, self._states)

    async def _reading(self, requests: Sequence[ScoreRequest], work: Callable[[Sequence[ScoreRequest]], T]) -> T:
        """Do a piece of work on whole sequences on the worker thread, and wait for it without blocking."""
        for request in requests:
            self._adapter(request.adapter)
            if not len(request.ids):
                raise RequestRefused("a sequence to score is empty")
            if len(request.ids) > self._context_length:
                raise RequestRefused(
                    f"a sequence to score has {len(request.ids):,} tokens, which exceed the "
                    f"{self._context_length:,} tokens that the model reads"
                )
            self._check_vocabulary(request.ids)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(result: Any) -> None:
            if answer.done():
                return
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        def hand_over(result: Any) -> None:
            loop.call_soon_threadsafe(settle, result)

        self._scheduler.call(lambda: work(requests), hand_over, bounded=True)
        return await answer

    def adapters(self) -> tuple[str, ...]:
        """Return the names of the loaded adapters, sorted."""
        return tuple(sorted(self._inner))

    def load_adapter(self, name: str, folder: Path) -> None:
        """Load a LoRA adapter (PEFT folder) under a name.

        Raises:
            ServingError: the name is taken or unusable, or the folder holds no adapter for this model.
        """
        if not NAME.fullmatch(name):
            raise ServingError(f"{name!r} is not an adapter name", hint="use a-z, 0-9, '.', '_' and '-'")
        if name in self._inner:
            raise ServingError(f"an adapter called {name!r} is already loaded")
        if not (folder / "adapter_config.json").is_file():
            raise ServingError(f"{folder} holds no adapter: adapter_config.json is missing")
        self._on_worker(lambda: self._load(name, folder))

    def unload_adapter(self, name: str) -> None:
        """Drop an adapter.

        Raises:
            ServingError: it is not loaded, or requests are using it.
        """
        self._adapter(name)
        self._on_worker(lambda: self._unload(name))

    def stats(self) -> EngineStats:
        """Return a snapshot."""
        return self._scheduler.stats(why=self._why)

    def close(self) -> None:
        """Stop at once and give the module back with its own attention and no active adapter. Idempotent."""
        self._scheduler.close()
        if self._base.config._attn_implementation != self._plain_attention:
            self._base.set_attn_implementation(self._plain_attention)

    def _check(self, request: GenerateRequest) -> None:
        self._adapter(request.adapter)
        length, most = len(request.prompt_ids), self._context_length
        if not length:
            raise RequestRefused("the prompt is empty")
        if length + request.sampling.max_tokens > most:
            raise RequestRefused(
                f"the prompt has {length:,} tokens and max_tokens is {request.sampling.max_tokens:,}; "
                f"together they exceed the {most:,} tokens that the model reads",
                hint=f"ask for at most {most - length:,} new tokens" if length < most else "shorten the prompt",
            )
        self._check_vocabulary(request.prompt_ids)

    def _check_vocabulary(self, ids: Sequence[int] | NDArray[np.int32]) -> None:
        vocabulary = self._base.get_input_embeddings().weight.shape[0]
        array = np.asarray(ids)
        strange = array[(array < 0) | (array >= vocabulary)]
        if strange.size:
            raise RequestRefused(f"token id {strange[0]} is not in the vocabulary of {vocabulary:,}")

    def _adapter(self, name: str | None) -> None:
        if name is not None and name not in self._inner:
            known = ", ".join(self.adapters()) or "none"
            raise RequestRefused(f"no adapter is called {name!r}{did_you_mean(name, self._inner)}; loaded: {known}")

    def _on_worker(self, work: Callable[[], T]) -> T:
        done = threading.Event()
        box: list[Any] = []

        def settle(result: Any) -> None:
            box.append(result)
            done.set()

        self._scheduler.call(work, settle)
        done.wait()
        if isinstance(box[0], BaseException):
            raise box[0]
        result: T = box[0]
        return result

    # On the worker thread only.

    def _knows_adapter(self, name: str | None) -> bool:
        return name is None or name in self._inner

    def _use_adapter(self, name: str | None) -> None:
        if name == self._active:
            return
        if self._module is self._base:
            assert name is None, "an adapter is loaded into a PEFT wrapper"
        elif name is None:
            self._module.base_model.disable_adapter_layers()
        else:
            self._module.base_model.enable_adapter_layers()
            self._module.set_adapter(self._inner[name], inference_mode=True)
        self._active = name

    def _load(self, name: str, folder: Path) -> None:
        from peft import PeftModel

        from dizuo.models import adapters

        trained_on = adapters.read_base_quantization(folder)
        if trained_on != self._quantize:
            raise ServingError(
                f"{folder} was trained on weights quantised as {trained_on}, and these are {self._quantize}",
                hint="open an engine of its own for it",
            )
        _must_fit(self._base, folder)
        inner = f"a{self._count}"  # PEFT allows no dot in a name
        self._count += 1
        try:
            config = adapters.read_peft_config(folder)  # a head is applied to the states by whoever asks for them
            if isinstance(self._module, PeftModel):
                config.inference_mode = True
                self._module.add_adapter(inner, config)
                self._module.load_adapter(str(folder), adapter_name=inner, is_trainable=False)
            else:
                self._module = PeftModel.from_pretrained(
                    self._module, str(folder), adapter_name=inner, is_trainable=False, config=config
                )
        except (ValueError, RuntimeError, KeyError, TypeError, OSError) as fault:
            raise ServingError(f"{folder} is not an adapter for this model: {fault}") from fault
        self._module.eval()
        self._active = ...
        self._runners.clear()
        self._inner[name] = inner

    def _unload(self, name: str) -> None:
        busy = self._scheduler.in_use(name)
        if busy:
            raise ServingError(f"adapter {name!r} is answering {busy} requests", hint="wait until they have ended")
        self._scheduler.forget(name)
        self._module.delete_adapter(self._inner.pop(name))
        self._active = ...
        self._runners.clear()

    def _score(self, requests: Sequence[ScoreRequest]) -> list[NDArray[np.float64]]:
        from dizuo import trees

        results: list[NDArray[np.float64] | None] = [None] * len(requests)
        for runner, places, sequences in self._by_adapter(requests):
            for i, values in zip(places, trees.score(runner, sequences), strict=True):
                results[i] = np.asarray(values, np.float64)
        return [result for result in results if result is not None]

    def _states(self, requests: Sequence[ScoreRequest]) -> NDArray[np.float32]:
        from dizuo import trees

        rows: list[NDArray[np.float32] | None] = [None] * len(requests)
        for runner, places, sequences in self._by_adapter(requests):
            for i, row in zip(places, trees.last_states(runner, sequences), strict=True):
                rows[i] = row
        return np.stack([row for row in rows if row is not None])

    def _by_adapter(self, requests: Sequence[ScoreRequest]) -> Iterator[tuple[Any, list[int], Any]]:
        """Yield, adapter by adapter, a runner with it switched on, the places of its requests, and their sequences."""
        from dizuo import trees

        if self._base.config._attn_implementation != self._plain_attention:
            self._base.set_attn_implementation(self._plain_attention)
        for adapter in dict.fromkeys(request.adapter for request in requests):
            self._use_adapter(adapter)
            if adapter not in self._runners:
                self._runners[adapter] = trees.Runner(self._module)
            mine = [i for i, request in enumerate(requests) if request.adapter == adapter]
            sequences = trees.Sequences(
                tuple(np.asarray(requests[i].ids, np.int32) for i in mine),
                tuple(np.asarray(requests[i].weights, np.float32) for i in mine),
            )
            yield self._runners[adapter], mine, sequences


def _must_fit(base: Any, folder: Path) -> None:
    """Compare an adapter's tensors with the model before PEFT touches the model: a failed load would leave traces."""
    from safetensors import SafetensorError, safe_open

    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise ServingError(f"{folder} holds no adapter: adapter_model.safetensors is missing")
    modules = {name.replace(".base_layer", ""): module for name, module in base.named_modules()}
    wrong = []
    try:
        with safe_open(str(file), framework="pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118 (not a mapping)
                found = re.fullmatch(r"base_model\.model\.(.+)\.lora_([AB])\.weight", key)
                if found is None:
                    continue
                shape, module = tensors.get_slice(key).get_shape(), modules.get(found[1])
                weight = None if module is None else getattr(getattr(module, "base_layer", module), "weight", None)
                if weight is None:
                    wrong.append(f"{found[1]}: the model has no such layer")
                    continue
                turned = type(getattr(module, "base_layer", module)).__name__ == "Conv1D"  # GPT-2 keeps [in, out]
                size_out, size_in = reversed(weight.shape) if turned else weight.shape
                have, want = (shape[1], size_in) if found[2] == "A" else (shape[0], size_out)
                if have != want:
                    wrong.append(f"{found[1]}: lora_{found[2]} has size {have:,}, the layer has {want:,}")
    except SafetensorError as fault:
        raise ServingError(f"{file} is damaged: {fault}") from fault
    if wrong:
        more = [f"… and {len(wrong) - 5} more"] if len(wrong) > 5 else []
        raise ServingError(f"{folder} is not an adapter for this model", details=wrong[:5] + more)
