"""Never more than so many calls in any span, and no slower than that."""

from __future__ import annotations

import pytest

from opsmantik.conversions.adapters import Trouble, Why
from opsmantik.conversions.pace import LONGEST_WAIT, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def pace(most: int = 300, seconds: float = 60.0) -> tuple[Pace, Clock]:
    clock = Clock()
    return Pace(most, seconds, clock=clock, sleep=clock.sleep), clock


async def test_three_hundred_at_once_and_then_no_more_than_three_hundred_in_any_minute() -> None:
    held, clock = pace()
    times = []
    for _ in range(1000):
        await held.turn()
        times.append(clock.now)
    assert times[299] == 1000.0
    assert all(later - earlier >= 60.0 for earlier, later in zip(times, times[300:], strict=False))
    assert times[-1] == 1000.0 + 3 * 60.0, "and not slower than that"


async def test_calls_that_come_by_themselves_wait_for_nothing() -> None:
    held, clock = pace(most=5, seconds=10)
    for _ in range(50):
        before = clock.now
        await held.turn()
        assert clock.now == before
        clock.now += 2.0


async def test_whoever_is_told_to_wait_waits() -> None:
    held, clock = pace()
    held.hold(7)
    held.hold(3)
    await held.turn()
    assert clock.now == 1007.0


async def test_a_wait_that_is_too_long_is_put_off() -> None:
    held, clock = pace()
    held.hold(LONGEST_WAIT + 1)
    with pytest.raises(Trouble) as caught:
        await held.turn()
    assert (caught.value.why, caught.value.reason, caught.value.seconds) == (
        Why.BUSY,
        "quota",
        LONGEST_WAIT + 1,
    )
    clock.now += LONGEST_WAIT + 1
    await held.turn()
