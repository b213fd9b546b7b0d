"""The timer events of a calendar: session open and close, square-off, closing auction, end of day."""

from datetime import date, time, timedelta
from typing import NamedTuple

from adapters.market.zones import SECOND
from adapters.reference.sessions_calendar import Calendar, Session
from adapters.reference.sessions_file import DAY_SECONDS
from kernel.codes import TimerCode
from kernel.errors import ConfigError


class Timer(NamedTuple):
    """`code` is due at `ts` (ns UTC) for the calendar of this number. Tuples sort in the order they are to happen."""

    ts: int
    code: TimerCode
    calendar: int


def timers(
    calendar: Calendar, number: int, first_ts: int, last_ts: int, square_off: timedelta | time | None = None
) -> list[Timer]:
    """Every timer due from `first_ts` to `last_ts`, both included, in order.

    `square_off` is a span before the end of the day's continuous trading, or a local time; on a day whose last
    stretch does not hold that time (muhurat, an early close) it keeps its distance to the usual end, and it is never
    before that stretch opens. Raises ConfigError for days the calendar does not cover, and for a time at or after the
    usual end.
    """
    _check(square_off)
    first, last = calendar.day_of(first_ts), calendar.day_of(last_ts)
    first = max(first - timedelta(days=1), calendar.first_day)  # its day may end after midnight
    due = [timer for session in calendar.sessions(first, last) for timer in _of(calendar, number, session, square_off)]
    return sorted(timer for timer in due if first_ts <= timer.ts <= last_ts)


def _of(calendar: Calendar, number: int, session: Session, square_off: timedelta | time | None) -> list[Timer]:
    due = [(session.day_end, TimerCode.DAY_END)]
    for opened, _, closed in session.parts:
        due += [(opened, TimerCode.SESSION_OPEN), (closed, TimerCode.SESSION_CLOSE)]
    due += [(start, TimerCode.CLOSING_AUCTION) for start in session.auctions]
    if square_off is not None:
        due.append((_square_off(calendar, session, square_off), TimerCode.SQUARE_OFF))
    return [Timer(ts, code, number) for ts, code in due]


def _square_off(calendar: Calendar, session: Session, wanted: timedelta | time) -> int:
    opened, ended, _ = session.parts[-1]
    if isinstance(wanted, timedelta):
        before = wanted // timedelta(microseconds=1) * 1_000
    else:
        seconds = (wanted.hour * 60 + wanted.minute) * 60 + wanted.second
        at = calendar.local_ns(session.day, seconds)
        if opened <= at < ended:
            return at
        before = (calendar.usual_end(session.day) - seconds) * SECOND
        if before <= 0:
            raise ConfigError(_too_late(calendar, session.day, wanted))
    return max(opened, ended - before)


def _too_late(calendar: Calendar, day: date, wanted: time) -> str:
    minutes = calendar.usual_end(day) // 60
    return (
        f"square-off at {wanted:%H:%M} comes after continuous trading of {calendar.name}, which ends at "
        f"{minutes // 60:02}:{minutes % 60:02} on {day}: give an earlier time, or a span before the close"
    )


def _check(square_off: timedelta | time | None) -> None:
    if isinstance(square_off, timedelta) and not timedelta(0) < square_off < timedelta(seconds=DAY_SECONDS):
        raise ConfigError(f"square-off {square_off} before the close must be more than nothing and less than a day")
    if isinstance(square_off, time) and (square_off.tzinfo or square_off.microsecond):
        raise ConfigError(f"square-off {square_off} must be a local time of the calendar, to the second")
