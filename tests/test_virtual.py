"""Virtual time: five minutes take no time, what is due happens exactly then, and a standstill is told."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime, timedelta

import pytest

from harness.bus import open_bus
from harness.clock import VirtualClock
from harness.errors import HarnessError
from harness.history import Recorder
from harness.runner import quiet
from harness.virtual import Standstill, run


def test_five_minutes_take_no_time_and_are_exact() -> None:
    async def scene() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(300):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    began = time.perf_counter()
    assert run(scene()) == 300
    assert time.perf_counter() - began < 0.2


def test_what_is_due_happens_in_its_order_at_its_moment() -> None:
    async def scene() -> list[float]:
        loop, moments = asyncio.get_running_loop(), []

        async def note(seconds: float) -> None:
            await asyncio.sleep(seconds)
            moments.append(loop.time())

        await asyncio.gather(*map(note, (299.9, 0.1, 300.1, 300, 0.3, 1 / 3)))
        return moments

    assert run(scene()) == [0.1, 0.3, pytest.approx(1 / 3), 299.9, 300, 300.1]


def test_a_month_is_jumped_over() -> None:
    async def scene() -> float:
        await asyncio.sleep(30 * 86_400)
        return asyncio.get_running_loop().time()

    assert run(scene()) == 30 * 86_400


def test_a_standstill_is_told() -> None:
    async def scene() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Standstill, match="everybody waits and nothing will happen"):
        run(scene())


def test_a_timer_at_infinity_does_not_hide_a_standstill() -> None:
    async def scene() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), math.inf)

    with pytest.raises(Standstill):
        run(scene())


def test_a_timer_at_infinity_can_be_cancelled() -> None:
    async def scene() -> str:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(1, event.set)
        await asyncio.wait_for(event.wait(), math.inf)
        return "set"

    assert run(scene()) == "set"


def test_a_subscriber_of_the_embedded_redis_does_not_hide_a_standstill() -> None:
    async def scene() -> None:
        async with open_bus(None) as bus:
            async for _ in await bus.subscribe("workbench:*"):
                pass

    with pytest.raises(Standstill):
        run(scene())


def test_the_embedded_redis_takes_no_time() -> None:
    async def scene() -> tuple[bytes, float]:
        async with open_bus(None) as bus:
            subscription = await bus.subscribe("workbench:*")
            asyncio.get_running_loop().call_later(
                300, lambda: publishing.append(asyncio.ensure_future(bus.publisher("aura")("workbench:alert", b"{}")))
            )
            publishing: list[asyncio.Future[int]] = []
            async for _, wire in subscription:
                at = asyncio.get_running_loop().time()
                await subscription.close()
                return wire, at
        raise AssertionError

    wire, at = run(scene())
    assert (wire, at) == (b"{}", 300)


def test_a_thread_is_refused() -> None:
    async def scene() -> None:
        await asyncio.to_thread(time.time)

    with pytest.raises(RuntimeError, match="virtual time"):
        run(scene())


def test_a_socket_is_refused() -> None:
    async def scene() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(NotImplementedError):
        run(scene())


def test_an_error_of_the_work_is_raised() -> None:
    async def scene() -> None:
        await asyncio.sleep(1)
        raise KeyError("case")

    with pytest.raises(KeyError):
        run(scene())


def test_a_clock_on_virtual_time_reads_the_loop() -> None:
    began = datetime(2026, 2, 11, 14, 30, tzinfo=UTC)

    async def scene() -> tuple[datetime, float, datetime, float]:
        clock = VirtualClock(began)
        first = clock.now(), clock.elapsed()
        await asyncio.sleep(300.000001)
        return *first, clock.now(), clock.elapsed()

    assert run(scene()) == (began, 0, began + timedelta(seconds=300, microseconds=1), 300.000001)


def test_two_runs_on_virtual_time_read_the_same() -> None:
    async def scene() -> list[str]:
        clock, moments = VirtualClock(), []
        for _ in range(3):
            await asyncio.sleep(0.1)
            moments.append(clock.now().isoformat())
        return moments

    assert run(scene()) == run(scene())


def test_a_run_that_never_comes_to_rest_is_given_up_and_says_what_went_on() -> None:
    async def scene() -> float:
        recorder = Recorder(VirtualClock())

        async def restless() -> None:
            while True:
                recorder.record("stored", {}, seat="synapse")
                await asyncio.sleep(0.5)

        going_on = asyncio.create_task(restless())
        with pytest.raises(HarnessError) as caught:
            await quiet(recorder, 1.0, at_most=60.0)
        going_on.cancel()
        assert str(caught.value).startswith(
            "waited 60 s and it was never quiet for 1 s, lately there came 2 stored of synapse; end what goes on"
        )
        await quiet(recorder, 1.0, at_most=60.0)
        return asyncio.get_running_loop().time()

    assert run(scene()) == pytest.approx(62, abs=1)
