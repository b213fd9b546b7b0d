"""The Clock port: wait, or hear that it is time to stop. Time is never turned back."""

import threading
import time
from collections.abc import Callable

import pytest

from adapters.clocks.pacing import LONGEST_PAUSE_S, MaxClock, PacedClock
from kernel.ports import Clock

SECOND = 10**9
CLOCKS: dict[str, Callable[[threading.Event], Clock]] = {
    "max": MaxClock,
    "paced": lambda stop: PacedClock(1_000.0, stop),
    "slow": lambda stop: PacedClock(1.0, stop),
}


@pytest.fixture(params=CLOCKS)
def make(request):
    return CLOCKS[request.param]


def test_goes_on_until_asked_to_stop(make):
    stop = threading.Event()
    clock = make(stop)
    assert clock.wait_until(5 * SECOND) is True
    assert clock.wait_until(5 * SECOND + 10**7) is True
    stop.set()
    assert clock.wait_until(5 * SECOND + 10**7) is False
    assert clock.wait_until(6 * SECOND) is False


def test_a_stop_ends_the_wait(make):
    stop = threading.Event()
    clock = make(stop)
    clock.wait_until(0)
    timer = threading.Timer(0.05, stop.set)
    began = time.monotonic()
    timer.start()
    while clock.wait_until(10**6 * SECOND):
        pass
    assert time.monotonic() - began < LONGEST_PAUSE_S / 2
    timer.join()


def test_times_that_go_back_do_not_wait(make):
    clock = make(threading.Event())
    clock.wait_until(100 * SECOND)
    began = time.monotonic()
    assert clock.wait_until(50 * SECOND)
    assert time.monotonic() - began < 0.2


def test_paced_clock_keeps_its_speed():
    clock = PacedClock(50.0, threading.Event())
    began = time.monotonic()
    for k in range(6):
        clock.wait_until(k * SECOND * 2)
    assert 0.19 < time.monotonic() - began < 0.4  # ten seconds of source time


@pytest.mark.sim
def test_paced_clock_skips_nights():
    clock = PacedClock(1_000_000.0, threading.Event())
    clock.wait_until(0)
    slow = PacedClock(10.0, threading.Event())
    slow.wait_until(0)
    began = time.monotonic()
    slow.wait_until(86_400 * SECOND)
    took = time.monotonic() - began
    assert LONGEST_PAUSE_S * 0.95 < took < LONGEST_PAUSE_S * 1.4
    began = time.monotonic()
    slow.wait_until(86_400 * SECOND + SECOND // 2)  # the pace goes on from there
    assert 0.04 < time.monotonic() - began < 0.2


def test_paced_clock_calls_idle_while_it_waits():
    calls = []
    clock = PacedClock(1.0, threading.Event(), lambda: calls.append(time.monotonic()))
    clock.wait_until(0)
    assert not calls
    clock.wait_until(SECOND // 4)
    assert 4 <= len(calls) <= 12
