"""`bar.session` and `bar.session_open`: the trading day a strategy is told of, by the calendar's timers or the local day."""

import pytest

from kernel.codes import Kind, TimerCode
from kernel.state import Terms
from tests.kernel.play import MINUTE, TICK, event, flat, make_engine, run_bars

DAY, HOUR = 24 * 60, 60  # minutes
OPEN, CLOSE = TimerCode.SESSION_OPEN, TimerCode.SESSION_CLOSE
ASKS = """
@helper
def opened(seen):
    return seen.session_open


@strategy
class Asks:
    day = Int()
    opened = Int()
    vwap = Vwap(1.0)

    def on_bar(self, bar, ctx):
        self.day = bar.session
        self.opened = opened(bar)
        return HOLD
"""


@pytest.fixture(scope="module")
def asks(load, tmp_path_factory):
    path = tmp_path_factory.mktemp("days") / "asks.py"
    path.write_text("from onetape import *\n" + ASKS)
    return load(f"{path}:Asks")


def engine_of(asks, *instruments):
    return make_engine([(asks.program, asks.params)], instruments=instruments)


def timer(t, code):
    return event(Kind.TIMER, t, code=code, setting=1)


def seen(engine, *events):
    """(session, minute its session opened at) of the last bar, as the strategy saw it."""
    run_bars(engine, events)
    memory = engine.memory_of(1)[int(events[-1]["instrument"])]
    assert memory["vwap"]["session"] == memory["day"]
    return int(memory["day"]), int(memory["opened"]) // MINUTE


def test_without_a_calendar_it_is_the_local_day(asks):
    engine = engine_of(asks, Terms(0, TICK, 1), Terms(1, TICK, 1))
    engine.state.zones[1] = int(5.5 * HOUR) * MINUTE
    assert seen(engine, flat(18 * HOUR, 100)) == (0, 0)
    assert seen(engine, flat(18.5 * HOUR, 100, 1)) == (0, 0)
    assert seen(engine, flat(18.5 * HOUR + 1, 100, 1)) == (1, 0), "midnight in Kolkata is the bar's open"
    assert seen(engine, flat(18.5 * HOUR + 1, 100)) == (0, 0)
    assert seen(engine, flat(DAY + 1, 100)) == (1, 0)


def test_a_session_over_midnight_is_one_day(asks):
    engine = engine_of(asks, Terms(0, TICK, 1, calendar=1))
    first = DAY + 17 * HOUR
    assert seen(engine, flat(first - 5, 100)) == (1, 0), "before the first open the day is the bar's"
    assert seen(engine, timer(first, OPEN), flat(first + 1, 100)) == (1, first)
    assert seen(engine, flat(2 * DAY + HOUR, 100)) == (1, first)
    assert seen(engine, flat(2 * DAY + 16 * HOUR, 100)) == (1, first), "the last bar comes before the close is told"
    assert seen(engine, timer(2 * DAY + 16 * HOUR + 1, CLOSE), flat(2 * DAY + 16.5 * HOUR, 100)) == (2, 0)
    assert seen(engine, timer(2 * DAY + 17 * HOUR, OPEN), flat(2 * DAY + 17 * HOUR + 1, 100)) == (
        2,
        2 * DAY + 17 * HOUR,
    )


def test_a_bar_that_began_before_the_open_is_not_of_that_session(asks):
    engine = engine_of(asks, Terms(0, TICK, 1, calendar=1))
    assert seen(engine, timer(9 * HOUR, OPEN), flat(9 * HOUR, 100)) == (0, 0)
    assert seen(engine, flat(9 * HOUR + 1, 100)) == (0, 9 * HOUR)


def test_only_programs_that_ask_are_told(asks, scripted):
    assert seen(engine_of(asks, Terms(0, TICK, 1)), flat(3 * DAY, 100)) == (2, 0)
    engine = scripted(1)
    run_bars(engine, [flat(3 * DAY, 100)])
    assert engine.state.frame[0]["bar"]["session"] == 0
