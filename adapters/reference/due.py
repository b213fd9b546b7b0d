"""When the timers of a run's calendars come: a session's end a grace after its close, all others when they are due."""

from collections.abc import Sequence
from datetime import time, timedelta
from typing import NamedTuple

from adapters.market.zones import SECOND
from adapters.reference.sessions_calendar import Calendar
from adapters.reference.sessions_timers import timers
from kernel.codes import TimerCode
from kernel.errors import ConfigError


class Due(NamedTuple):
    """A timer as it comes: available at `ts`, about `ts_event`, ns UTC; with an instrument, the end of that contract.
    Tuples sort in the order they come: contracts end after their session closed and before its day is done."""

    ts: int
    code: int
    calendar: int
    ts_event: int
    instrument: int = -1


class Expiry(NamedTuple):
    """A contract of the run ends with the session that closes at `close`; it is told at `ts`."""

    instrument: int
    close: int
    ts: int


AFTER_ALL = 2**31  # sorts behind every calendar's number


class DueTimers:
    """The timers of calendars by their number in a run, asked for a stretch at a time: none are kept.

    A session's close comes `close_grace` ns after it, so that the bars that are available then, or shortly after, meet
    the orders of the day; the end of the day never comes before that. Raises ConfigError for days that a calendar does
    not cover.
    """

    def __init__(
        self,
        calendars: Sequence[tuple[int, Calendar]],
        close_grace: int,
        square_off: timedelta | time | None = None,
        expiries: Sequence[Expiry] = (),
    ) -> None:
        self._calendars, self._grace, self._square_off = list(calendars), close_grace, square_off
        self._expiries = list(expiries)

    def between(self, first_ts: int, last_ts: int) -> list[Due]:
        """All that come from `first_ts` to `last_ts`, both included, in order."""
        code = int(TimerCode.SESSION_CLOSE)
        found = [Due(one.ts, code, AFTER_ALL, one.close, one.instrument) for one in self._expiries]
        for number, calendar in self._calendars:
            start = max(first_ts - self._grace, calendar.local_ns(calendar.first_day, 0))
            closed = 0  # when the end of the last session is told
            try:
                for timer in timers(calendar, number, start, last_ts, self._square_off):
                    due = self._due(timer.ts, timer.code, number, closed)
                    closed = due.ts if timer.code is TimerCode.SESSION_CLOSE else closed
                    found.append(due)
            except ConfigError as error:
                raise ConfigError(f"{error}; or set `timers = false` in [session]") from None
        return sorted(due for due in found if first_ts <= due.ts <= last_ts)

    def over(self, ts: int) -> int:
        """When the sessions that closed by `ts` are told to be over; not after `ts` where they were told by then."""
        found = max([ts, *(one.ts for one in self._expiries if one.close <= ts)])
        for number, calendar in self._calendars:
            last = calendar.day_of(ts)
            for session in calendar.sessions(max(last - timedelta(days=1), calendar.first_day), last):
                if session.close <= ts:
                    close = self._due(session.close, TimerCode.SESSION_CLOSE, number, 0)
                    found = max(found, self._due(session.day_end, TimerCode.DAY_END, number, close.ts).ts)
        return found

    def _due(self, ts: int, code: TimerCode, number: int, closed: int) -> Due:
        if code is TimerCode.SESSION_CLOSE:
            return Due(ts + self._grace, int(code), number, ts)
        return Due(max(ts, closed) if code is TimerCode.DAY_END else ts, int(code), number, ts)


def parse_square_off(text: str) -> time | None:
    """A local time HH:MM, None for none."""
    return time.fromisoformat(text) if text else None


def table_of(calendar: Calendar, first_ts: int, last_ts: int) -> list[list[object]]:
    """What timers of `first_ts` to `last_ts` are made of, in plain values: all that a run takes from a calendar."""
    day_before = timedelta(days=1)
    first = max(calendar.day_of(first_ts) - day_before, calendar.first_day)
    sessions = calendar.sessions(first, calendar.day_of(last_ts))
    return [
        [str(s.day), [list(part) for part in s.parts], list(s.auctions), s.day_end, calendar.usual_end(s.day) * SECOND]
        for s in sessions
    ]
