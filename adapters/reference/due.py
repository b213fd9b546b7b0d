"""When the timers of a run's calendars come: a session's end a grace after its close, all others when they are due."""

from collections.abc import Iterator, Sequence
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
    the orders of the day; the end of the day never comes before that. `bars` are the length and the grace (ns) of those
    made of trades: counted from where each stretch of trading opens, each ends with a timer, the last one after the
    close where the stretch is no multiple of it. `clock` are local times HHMM that strategies ask for, on days with a
    session. Raises ConfigError for days that a calendar does not cover.
    """

    def __init__(
        self,
        calendars: Sequence[tuple[int, Calendar]],
        close_grace: int,
        square_off: timedelta | time | None = None,
        expiries: Sequence[Expiry] = (),
        bars: tuple[int, int] | None = None,
        clock: Sequence[int] = (),
    ) -> None:
        self._calendars, self._grace, self._square_off = list(calendars), close_grace, square_off
        self._expiries, self._bars, self._clock = list(expiries), bars, tuple(clock)

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
                found += self._clock_times(calendar, number, start, last_ts)
                if self._bars is not None:
                    found += self._bar_ends(calendar, number, *self._bars, first_ts, last_ts)
            except ConfigError as error:
                raise ConfigError(f"{error}; or set `timers = false` in [session]") from None
        return sorted(due for due in found if first_ts <= due.ts <= last_ts)

    def _clock_times(self, calendar: Calendar, number: int, first_ts: int, last_ts: int) -> Iterator[Due]:
        if self._clock:
            for session in calendar.sessions(calendar.day_of(first_ts), calendar.day_of(last_ts)):
                for time in self._clock:
                    ts = calendar.local_ns(session.day, (time // 100 * 60 + time % 100) * 60)
                    yield Due(ts, int(TimerCode.CLOCK) + time, number, ts)

    def _bar_ends(
        self, calendar: Calendar, number: int, size: int, grace: int, first_ts: int, last_ts: int
    ) -> Iterator[Due]:
        code = int(TimerCode.BAR_CLOSE)
        for opened, closed in _stretches(calendar, first_ts - grace - size, last_ts):
            bars = -(-(closed - opened) // size)
            first = max(1, -(-(first_ts - grace - opened) // size))
            for k in range(first, min(bars, (last_ts - grace - opened) // size) + 1):
                yield Due(opened + k * size + grace, code, number, opened + k * size)

    def opened(self, ts: int) -> int:
        """When the stretch of trading that `ts` is in opened, the earliest of all calendars; else `ts`."""
        spans = [span for _, calendar in self._calendars for span in _stretches(calendar, ts, ts)]
        return min([ts, *(opened for opened, closed in spans if opened <= ts < closed)])

    def over(self, ts: int) -> int:
        """When the sessions that closed by `ts` are told to be over; not after `ts` where they were told by then. A bar
        that is being made of trades at `ts` ends first, and a session that ends with it closed, too."""
        if self._bars is None:
            return self._closed_by(ts)
        ends = [ts]
        found = ts
        size, grace = self._bars
        for _, calendar in self._calendars:
            for opened, closed in _stretches(calendar, ts, ts):
                if opened <= ts < closed:
                    ends.append(ts - (ts - opened) % size + size)
                    found = max(found, ends[-1] + grace)
        return max(found, self._closed_by(max(ends)))

    def _closed_by(self, ts: int) -> int:
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


def _stretches(calendar: Calendar, first_ts: int, last_ts: int) -> Iterator[tuple[int, int]]:
    """Open and close of the stretches of trading on the days from `first_ts` to `last_ts`."""
    start = max(first_ts, calendar.local_ns(calendar.first_day, 0))
    first = max(calendar.day_of(start) - timedelta(days=1), calendar.first_day)
    for session in calendar.sessions(first, calendar.day_of(max(start, last_ts))):
        for opened, _, closed in session.parts:
            yield opened, closed


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
