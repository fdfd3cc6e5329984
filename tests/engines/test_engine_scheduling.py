"""Who gets in, who has to leave, and that nobody is held up or forgotten."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from engine_models import greedy, tiny

from dizuo.engines import Delta, EngineClosed, GenerateRequest, QueueFull, Sampling, ScoreRequest, generate_all
from dizuo.errors import ServingError

FOREVER = Sampling(max_tokens=450)


async def until(condition: Any) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


async def drain(engine: Any, request: GenerateRequest) -> list[Delta]:
    return [delta async for delta in engine.generate(request)]


def test_leaving_the_stream_frees_the_place_at_the_next_step(engine_of: Any) -> None:
    engine = engine_of(max_running=1)

    async def story() -> None:
        first = engine.generate(GenerateRequest([5, 6], FOREVER))
        assert (await anext(first)).ids
        waiting = asyncio.create_task(drain(engine, GenerateRequest([7, 8], Sampling(max_tokens=2))))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await first.aclose()
        deltas = await asyncio.wait_for(waiting, 5)
        assert deltas[-1].finish == "length"

    asyncio.run(story())
    stats = engine.stats()
    assert stats.finished == {"cancelled": 1, "length": 1}
    assert stats.running == stats.waiting == stats.kv_tokens == 0
    assert stats.generated_tokens < 300


def test_a_cancelled_task_cancels_its_request(engine_of: Any) -> None:
    engine = engine_of()

    async def story() -> None:
        task = asyncio.create_task(drain(engine, GenerateRequest([5, 6], FOREVER)))
        await until(lambda: engine.stats().generated_tokens > 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: engine.stats().finished.get("cancelled") == 1)

    asyncio.run(story())


def test_a_request_that_waits_can_be_cancelled_too(engine_of: Any) -> None:
    engine = engine_of(max_running=1)

    async def story() -> None:
        first = engine.generate(GenerateRequest([5, 6], FOREVER))
        await anext(first)
        task = asyncio.create_task(drain(engine, GenerateRequest([7, 8], FOREVER)))
        await until(lambda: engine.stats().waiting == 1)
        task.cancel()
        await until(lambda: engine.stats().waiting == 0)
        assert engine.stats().running == 1
        await first.aclose()

    asyncio.run(story())


def test_a_full_queue_refuses_the_next_request_and_keeps_the_others(engine_of: Any) -> None:
    engine = engine_of(max_running=1, max_waiting=2)

    async def story() -> None:
        first = engine.generate(GenerateRequest([5, 6], FOREVER))
        await anext(first)
        others = [
            asyncio.create_task(drain(engine, GenerateRequest([7, i], Sampling(max_tokens=2)))) for i in range(3, 5)
        ]
        await until(lambda: engine.stats().waiting == 2)
        with pytest.raises(QueueFull, match="answering 1 requests and 2 are waiting"):
            await drain(engine, GenerateRequest([9], FOREVER))
        assert engine.stats().refused == 1
        await first.aclose()
        for task in others:
            assert (await task)[-1].finish == "length"

    asyncio.run(story())


def test_generate_all_never_overfills_the_queue(engine_of: Any) -> None:
    engine = engine_of(max_running=2, max_waiting=1)
    results = generate_all(engine, [GenerateRequest([5, i], Sampling(max_tokens=2)) for i in range(3, 40)])
    assert [result.finish for result in results] == ["length"] * 37
    assert engine.stats().refused == 0


def test_a_deadline_ends_a_running_request_and_a_waiting_one(engine_of: Any) -> None:
    engine = engine_of(max_running=1)

    async def story() -> None:
        soon = time.monotonic() + 0.2
        running = asyncio.create_task(drain(engine, GenerateRequest([5, 6], FOREVER, deadline=soon)))
        waiting = asyncio.create_task(drain(engine, GenerateRequest([7, 8], FOREVER, deadline=time.monotonic() - 1)))
        assert (await waiting) == [Delta(finish="deadline")]
        deltas = await running
        assert deltas[-1].finish == "deadline"
        assert 0 < len(deltas) < 450

    asyncio.run(story())


def test_a_short_request_overtakes_a_long_one_inside_the_batch(engine_of: Any) -> None:
    engine = engine_of(max_running=4)

    async def story() -> None:
        long = engine.generate(GenerateRequest([5, 6], FOREVER))
        await anext(long)
        short = await asyncio.wait_for(drain(engine, GenerateRequest([7, 8], Sampling(max_tokens=3))), 5)
        assert short[-1].finish == "length"
        assert engine.stats().running == 1
        await long.aclose()

    asyncio.run(story())


def test_a_long_prompt_does_not_stop_the_answers_of_others(engine_of: Any) -> None:
    engine = engine_of(max_running=4, step_tokens=8)

    async def story() -> None:
        talking = engine.generate(GenerateRequest([5, 6], FOREVER))
        await anext(talking)
        reading = asyncio.create_task(drain(engine, GenerateRequest([9] * 400, Sampling(max_tokens=1))))
        tokens = 0
        while not reading.done():
            await anext(talking)
            tokens += 1
        assert tokens >= 30  # 400 prompt tokens in steps of 7 and one token of the answer in each
        await talking.aclose()

    asyncio.run(story())


def test_memory_bounds_how_many_run_and_a_large_request_runs_alone(engine_of: Any) -> None:
    engine = engine_of(max_running=8, max_kv_tokens=50)
    most = 0

    async def story() -> None:
        nonlocal most
        tasks = [
            asyncio.create_task(drain(engine, GenerateRequest([5, i], Sampling(max_tokens=18)))) for i in range(3, 9)
        ]
        tasks.append(asyncio.create_task(drain(engine, GenerateRequest([5] * 40, Sampling(max_tokens=40)))))
        while not all(task.done() for task in tasks):
            most = max(most, engine.stats().running)
            await asyncio.sleep(0.001)  # a loop that spins keeps the interpreter from the engine's thread
        assert all(task.result()[-1].finish == "length" for task in tasks)

    asyncio.run(story())
    assert most == 2  # 2 × 20 places fit into 50


def test_closing_ends_running_and_waiting_requests_and_refuses_new_ones(engine_of: Any) -> None:
    engine = engine_of(max_running=1)

    async def story() -> None:
        tasks = [asyncio.create_task(drain(engine, GenerateRequest([5, i], FOREVER))) for i in (6, 7)]
        await until(lambda: engine.stats().running == 1 and engine.stats().waiting == 1)
        await asyncio.to_thread(engine.close)
        assert [(await task)[-1].finish for task in tasks] == ["cancelled", "cancelled"]
        with pytest.raises(EngineClosed):
            await drain(engine, GenerateRequest([5], FOREVER))
        with pytest.raises(EngineClosed):
            await engine.score([ScoreRequest([5, 6], [0, 1])])

    asyncio.run(story())


def test_a_failing_step_ends_its_requests_with_the_reason_and_the_engine_goes_on(engine_of: Any) -> None:
    engine = engine_of()
    forward, calls = engine._backend.step, []

    def broken(works: Any) -> Any:
        calls.append(works)
        if len(calls) == 2:
            raise RuntimeError("out of luck")
        return forward(works)

    engine._backend.step = broken
    failed = generate_all(engine, [GenerateRequest([5, 6], Sampling(max_tokens=4))])[0]
    assert (failed.finish, failed.error) == ("error", "RuntimeError: out of luck")
    after = generate_all(engine, [GenerateRequest([5, 6], Sampling(max_tokens=4))])[0]
    assert list(after.ids) == greedy(tiny("llama"), [5, 6], 4)


def test_an_adapter_in_use_stays_and_one_that_went_away_is_an_error_of_its_requests_only(
    engine_of: Any, adapter_of: Any
) -> None:
    engine = engine_of(max_running=2)
    engine.load_adapter("one", adapter_of("one", 1))

    async def story() -> None:
        stream = engine.generate(GenerateRequest([5, 6], FOREVER, adapter="one"))
        await anext(stream)
        with pytest.raises(ServingError, match="adapter 'one' is answering 1 requests"):
            await asyncio.to_thread(engine.unload_adapter, "one")
        await stream.aclose()
        await until(lambda: engine.stats().running == 0)
        await asyncio.to_thread(engine.unload_adapter, "one")
        engine._adapter = lambda name: None  # as if the request had been checked just before
        (late,) = await drain(engine, GenerateRequest([5, 6], FOREVER, adapter="one"))
        assert (late.finish, late.error) == ("error", "the adapter 'one' was unloaded")
        assert (await drain(engine, GenerateRequest([5, 6], Sampling(max_tokens=2))))[-1].finish == "length"

    asyncio.run(story())


def test_scores_that_wait_are_bounded_and_take_turns_with_answers(engine_of: Any) -> None:
    engine = engine_of(max_waiting=2)
    score, turns = engine._score, []

    def slowly(requests: Any) -> Any:
        turns.append(engine.stats().generated_tokens)
        time.sleep(0.05)
        return score(requests)

    engine._score = slowly

    async def story() -> None:
        talking = engine.generate(GenerateRequest([5, 6], FOREVER))
        await anext(talking)
        asked = [engine.score([ScoreRequest([5, 6, 7], [0, 1, 1])]) for _ in range(6)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        refused = [result for result in results if isinstance(result, QueueFull)]
        assert 3 <= len(refused) <= 4
        assert all(len(r[0]) == 2 for r in results if not isinstance(r, BaseException))
        await talking.aclose()

    asyncio.run(story())
    assert turns == sorted(set(turns)), "the answer went on between any two"


def test_a_caller_whose_loop_is_gone_does_not_hold_its_place(engine_of: Any) -> None:
    engine = engine_of()
    loop = asyncio.new_event_loop()
    stream = engine.generate(GenerateRequest([5, 6], FOREVER))
    loop.run_until_complete(anext(stream))
    loop.close()
    deadline = time.monotonic() + 5
    while engine.stats().running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.stats().finished == {"cancelled": 1}


def test_many_threads_ask_at_once_and_each_gets_its_own_answer(engine_of: Any) -> None:
    engine = engine_of(max_running=5)
    expected = {i: greedy(tiny("llama"), [5, i, i], 6) for i in range(3, 35)}
    found: dict[int, list[int]] = {}

    def work(numbers: range) -> None:
        answers = generate_all(engine, [GenerateRequest([5, i, i], Sampling(max_tokens=6)) for i in numbers])
        found.update({i: list(answer.ids) for i, answer in zip(numbers, answers)})

    threads = [threading.Thread(target=work, args=(range(3 + k, 35, 4),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
