"""When timers come: a session's end a grace after its close, never twice, whatever stretches are asked for."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.reference import sessions
from adapters.reference.due import DueTimers, parse_square_off
from kernel.codes import TimerCode
from kernel.errors import ConfigError

SECOND, HOUR, DAY = 10**9, 3_600 * 10**9, 86_400 * 10**9
NSE, ALWAYS = sessions.load("NSE_EQ"), sessions.load("ALWAYS")
MONDAY = 1_704_047_400 * SECOND  # 2024-01-01, midnight in Kolkata
OPEN, CLOSE, OVER = MONDAY + 33_300 * SECOND, MONDAY + 55_800 * SECOND, MONDAY + 59_400 * SECOND
TWO = DueTimers([(1, NSE), (2, ALWAYS)], 5 * SECOND, time(15, 20))


def test_a_day():
    due = DueTimers([(7, NSE)], 5 * SECOND, parse_square_off("15:20")).between(MONDAY, MONDAY + DAY)
    assert [(d.ts, TimerCode(d.code).name, d.calendar, d.ts_event) for d in due] == [
        (OPEN, "SESSION_OPEN", 7, OPEN),
        (CLOSE - 600 * SECOND, "SQUARE_OFF", 7, CLOSE - 600 * SECOND),
        (CLOSE + 5 * SECOND, "SESSION_CLOSE", 7, CLOSE),
        (OVER, "DAY_END", 7, OVER),
    ]
    assert parse_square_off("") is None


def test_the_end_of_a_day_never_comes_before_its_close():
    due = DueTimers([(1, ALWAYS)], 5 * SECOND).between(MONDAY, MONDAY + DAY)
    names = [TimerCode(d.code).name for d in due]
    assert names == ["SESSION_OPEN", "SESSION_CLOSE", "DAY_END"]
    assert due[1].ts == due[2].ts == due[0].ts + 5 * SECOND


@given(st.lists(st.integers(0, 5 * DAY), max_size=6))
def test_in_any_stretches(cuts):
    edges = [MONDAY, *sorted(MONDAY + cut for cut in cuts), MONDAY + 5 * DAY]
    parts = [TWO.between(a, b - 1) for a, b in zip(edges, edges[1:], strict=False)]
    assert [due for part in parts for due in part] == TWO.between(MONDAY, MONDAY + 5 * DAY - 1)


def test_what_the_last_bar_ended():
    nse = DueTimers([(1, NSE)], 5 * SECOND)
    assert nse.over(CLOSE) == nse.over(CLOSE + 6 * SECOND) == OVER
    for ts in (CLOSE - 1, OVER, OVER + HOUR, MONDAY + DAY - 1):
        assert nse.over(ts) == ts


def test_days_no_calendar_knows():
    early = sessions.load("NSE_EQ").local_ns(NSE.first_day, 0)
    assert DueTimers([(1, NSE)], SECOND).between(early, early + HOUR) == []
    with pytest.raises(ConfigError, match=r"NSE_EQ knows.*add the holidays.*`timers = false` in \[session\]"):
        DueTimers([(1, NSE)], SECOND).between(early - 3 * DAY, early - 2 * DAY)
