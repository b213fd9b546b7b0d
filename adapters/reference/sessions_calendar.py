"""One market's sessions in ns UTC: phases, opens, closes and trading days, built a year at a time when asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from adapters.market.zones import SECOND, to_utc, zone
from adapters.reference.sessions_codes import TRADING, PhaseKind
from adapters.reference.sessions_file import DAY_SECONDS, About, Span, Special, Template
from kernel.errors import ConfigError

OVERRIDES = ("instruments/sessions.toml", "instruments/sessions.json")  # in a home; one of them
_EPOCH = date(1970, 1, 1)


class Phases(NamedTuple):
    """Phases in order, as arrays of one length: `kind` u1 (PhaseKind), the others i8 ns UTC; orders are taken from
    `orders_start` to `orders_end`."""

    kind: np.ndarray
    start: np.ndarray
    end: np.ndarray
    orders_start: np.ndarray
    orders_end: np.ndarray


@dataclass(frozen=True)
class Session:
    """A trading day in ns UTC. `parts` are its stretches of continuous trading, a closing auction counted to the one
    before it: (open, end of continuous trading, close); `day_end` is when its books are done."""

    day: date
    name: str  # of a special day, else empty
    parts: tuple[tuple[int, int, int], ...]
    auctions: tuple[int, ...]
    day_end: int

    @property
    def open(self) -> int:
        return self.parts[0][0]

    @property
    def close(self) -> int:
        return self.parts[-1][2]


@dataclass(frozen=True)
class Rules:
    """What one calendar's blocks come to, before any day is built."""

    weekdays: frozenset[int]
    templates: tuple[Template, ...]  # by first day
    holidays: dict[date, tuple[str, str]]  # name, and what is unverified about it
    specials: dict[date, Special]
    first_day: date
    last_day: date


@dataclass(frozen=True)
class _Year:
    phases: Phases
    rows: dict[date, slice]  # of its phases
    opens: np.ndarray
    closes: np.ndarray


class Calendar:
    """The sessions of one exchange and segment. Days are local dates of `zone`; every method raises ConfigError for a
    day outside `first_day` to `last_day`."""

    def __init__(self, about: About, rules: Rules) -> None:
        self.name, self.exchange, self.about, self.zone = about.name, about.exchange, about.about, about.zone
        self.first_day, self.last_day = rules.first_day, rules.last_day
        self._day_end, self._rules, self._years = about.day_end, rules, {}  # type: ignore[var-annotated]
        self._where = zone(about.zone)

    def phases(self, first_day: date, last_day: date) -> Phases:
        """All phases of the days from `first_day` to `last_day`, both included, sorted."""
        self._check(first_day)
        self._check(last_day)
        if last_day < first_day:
            raise ConfigError(f"{last_day} is before {first_day}: give the earlier day first")
        years = [self._year(year).phases for year in range(first_day.year, last_day.year + 1)]
        low, high = self.local_ns(first_day, 0), self.local_ns(last_day, DAY_SECONDS)
        joined = Phases(*(np.concatenate(column) for column in zip(*years, strict=True)))
        wanted = (joined.start >= low) & (joined.start < high)
        return Phases(*(column[wanted] for column in joined))

    def is_trading_day(self, day: date) -> bool:
        return bool(self._spans_of(day))

    def closed_because(self, day: date) -> str:
        """Why there is no trading on `day`: a holiday's name or `weekend`; empty on a trading day."""
        if self.is_trading_day(day):
            return ""
        special = self._rules.specials.get(day)
        return special.name if special else self._rules.holidays.get(day, ("weekend", ""))[0]

    def unverified(self, day: date) -> tuple[str, ...]:
        """What no source confirms about `day`, a sentence each."""
        self._check(day)
        special = self._rules.specials.get(day)
        found = (
            special.unverified if special else self._rules.holidays.get(day, ("", ""))[1],
            self._template(day).unverified if self.has_usual_hours(day) else "",
        )
        return tuple(note for note in found if note)

    def phase_at(self, ts: int) -> PhaseKind:
        """The phase at `ts`; an end belongs to what comes after it."""
        phases = self._year(self.day_of(ts).year).phases
        k = int(np.searchsorted(phases.start, ts, "right")) - 1
        return PhaseKind(int(phases.kind[k])) if k >= 0 and ts < phases.end[k] else PhaseKind.CLOSED

    def next_open(self, ts: int) -> int:
        """When continuous trading opens next, after `ts`."""
        for year in range(self.day_of(ts).year, self.last_day.year + 1):
            opens = self._year(year).opens
            k = int(np.searchsorted(opens, ts, "right"))
            if k < len(opens):
                return int(opens[k])
        raise ConfigError(self._uncovered(self.last_day + timedelta(days=1)))

    def previous_close(self, ts: int) -> int:
        """When a session closed last, at or before `ts`."""
        for year in range(self.day_of(ts).year, self.first_day.year - 1, -1):
            closes = self._year(year).closes
            k = int(np.searchsorted(closes, ts, "right"))
            if k:
                return int(closes[k - 1])
        raise ConfigError(self._uncovered(self.first_day - timedelta(days=1)))

    def session_of(self, day: date) -> Session | None:
        """The session of `day`, None when there is none."""
        self._check(day)
        year = self._year(day.year)
        rows = year.rows.get(day)
        if rows is None:
            return None
        phases = Phases(*(column[rows] for column in year.phases))
        parts, auctions = _parts(phases)
        special = self._rules.specials.get(day)
        day_end = int(phases.end[-1]) + self._day_end * SECOND
        return Session(day, special.name if special else "", parts, auctions, day_end)

    def sessions(self, first_day: date, last_day: date) -> Iterator[Session]:
        """The sessions from `first_day` to `last_day`, both included."""
        for offset in range((last_day - first_day).days + 1):
            session = self.session_of(first_day + timedelta(days=offset))
            if session:
                yield session

    def usual_end(self, day: date) -> int:
        """When continuous trading ends on an ordinary day under the rules of `day`: seconds from local midnight."""
        self._check(day)
        return max(span.end for span in self._template(day).spans if span.kind in TRADING)

    def show(self, ts: int, day: date) -> str:
        """`ts` as the clock on the wall shows it, HH:MM; midnight at the end of `day` is 24:00."""
        moment = datetime.fromtimestamp(int(ts) // SECOND, UTC).astimezone(self._where)
        return "24:00" if moment.date() > day else f"{moment:%H:%M}"

    def day_of(self, ts: int) -> date:
        """The local date of `ts`."""
        day = datetime.fromtimestamp(int(ts) // SECOND, UTC).astimezone(self._where).date()
        self._check(day)
        return day

    def has_usual_hours(self, day: date) -> bool:
        """Whether `day` trades by the ordinary timetable of its time, a weekend special with those hours included."""
        self._check(day)
        special = self._rules.specials.get(day)
        if special:
            return special.spans is None
        return day.weekday() in self._rules.weekdays and day not in self._rules.holidays

    def _spans_of(self, day: date) -> tuple[Span, ...]:
        if self.has_usual_hours(day):
            return self._template(day).spans
        special = self._rules.specials.get(day)
        return (special.spans or ()) if special else ()

    def _template(self, day: date) -> Template:
        return next(t for t in reversed(self._rules.templates) if t.first_day <= day)

    def _year(self, year: int) -> _Year:
        """The table of a year, built when first asked for."""
        if year not in self._years:
            first, last = max(date(year, 1, 1), self.first_day), min(date(year, 12, 31), self.last_day)
            days = [first + timedelta(days=k) for k in range((last - first).days + 1)]
            spans = [(day, span) for day in days for span in self._spans_of(day)]
            rows: dict[date, slice] = {}
            for row, (day, _) in enumerate(spans):
                rows[day] = slice(rows[day].start if day in rows else row, row + 1)
            phases = _phases(spans, self.zone)
            parts = np.array(_parts(phases)[0], "i8").reshape(-1, 3)
            self._years[year] = _Year(phases, rows, parts[:, 0].copy(), parts[:, 2].copy())
        found: _Year = self._years[year]
        return found

    def local_ns(self, day: date, seconds: int) -> int:
        """ns UTC of `seconds` after local midnight of `day`, by the clock on the wall."""
        return int(_to_ns([(day - _EPOCH).days * DAY_SECONDS + seconds], self.zone)[0])

    def _check(self, day: date) -> None:
        if not self.first_day <= day <= self.last_day:
            raise ConfigError(self._uncovered(day))

    def _uncovered(self, day: date) -> str:
        return (
            f"{day} is outside what calendar {self.name} knows, {self.first_day} to {self.last_day}: add the holidays "
            f"of {day.year} to {OVERRIDES[0]} in the home, with years = [{day.year}, {day.year}] (docs/sessions.md)"
        )


def _phases(spans: list[tuple[date, Span]], tz: str) -> Phases:
    """The phases of days in order, in ns UTC."""
    days = [(day - _EPOCH).days * DAY_SECONDS for day, _ in spans]
    clocks = [(span.start, span.end, span.orders_start, span.orders_end) for _, span in spans]
    local = np.array(days, "i8") + np.array(clocks, "i8").reshape(-1, 4).T
    columns = _to_ns(local.ravel(), tz).reshape(4, -1)  # one look at the zone for all four
    return Phases(np.array([span.kind for _, span in spans], "u1"), *columns)


def _to_ns(local_seconds: object, tz: str) -> np.ndarray:
    utc, doubtful = to_utc(np.asarray(local_seconds, "i8") * SECOND, tz)
    if doubtful.any():
        raise ConfigError(f"a session of {tz} begins or ends in an hour that its clocks skip or repeat: give another")
    return utc


def _parts(phases: Phases) -> tuple[tuple[tuple[int, int, int], ...], tuple[int, ...]]:
    """(open, end of continuous trading, close) of every stretch, and when auctions begin."""
    parts: list[tuple[int, int, int]] = []
    auctions = []
    for kind, start, end in zip(phases.kind.tolist(), phases.start.tolist(), phases.end.tolist(), strict=True):
        if kind in TRADING:
            parts.append((start, end, end))
        elif kind == PhaseKind.CLOSING_AUCTION:
            auctions.append(start)
            if parts:
                parts[-1] = (*parts[-1][:2], end)
    return tuple(parts), tuple(auctions)
