"""`bar.session` and `bar.session_open`: the trading day a strategy is told of, by the calendar's timers or the local day."""

from kernel.codes import Kind, TimerCode
from kernel.state import Terms
from tests.kernel.play import MINUTE, TICK, event, flat, run_bars

DAY, HOUR = 24 * 60, 60  # minutes
OPEN, CLOSE = TimerCode.SESSION_OPEN, TimerCode.SESSION_CLOSE


def timer(t, code):
    return event(Kind.TIMER, t, code=code, setting=1)


def seen(engine, *events):
    """(session, minute its session opened at) of the last bar."""
    run_bars(engine, events)
    bar = engine.state.frame[0]["bar"]
    return int(bar["session"]), int(bar["session_open"]) // MINUTE


def test_without_a_calendar_it_is_the_local_day(scripted):
    engine = scripted(1, instruments=[Terms(0, TICK, 1), Terms(1, TICK, 1)])
    engine.state.zones[1] = int(5.5 * HOUR) * MINUTE
    assert seen(engine, flat(18 * HOUR, 100)) == (0, 0)
    assert seen(engine, flat(18.5 * HOUR, 100, 1)) == (0, 0)
    assert seen(engine, flat(18.5 * HOUR + 1, 100, 1)) == (1, 0), "midnight in Kolkata is the bar's open"
    assert seen(engine, flat(18.5 * HOUR + 1, 100)) == (0, 0)
    assert seen(engine, flat(DAY + 1, 100)) == (1, 0)


def test_a_session_over_midnight_is_one_day(scripted):
    engine = scripted(1, instruments=[Terms(0, TICK, 1, calendar=1)])
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


def test_a_bar_that_began_before_the_open_is_not_of_that_session(scripted):
    engine = scripted(1, instruments=[Terms(0, TICK, 1, calendar=1)])
    assert seen(engine, timer(9 * HOUR, OPEN), flat(9 * HOUR, 100)) == (0, 0)
    assert seen(engine, flat(9 * HOUR + 1, 100)) == (0, 9 * HOUR)
