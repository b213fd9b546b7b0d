"""One instrument: what it is, how it trades, and which symbol, tick, lot and freeze it had on a date."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

LARGEST = 2**46  # of prices and quantities, as in kernel.units
DECIMALS_MOST = 10
FOREVER = "~"  # sorts behind every date


class InstrumentKind(StrEnum):
    EQUITY = "EQUITY"
    FUTURE = "FUTURE"
    OPTION = "OPTION"
    INDEX = "INDEX"
    CURRENCY = "CURRENCY"


class Terms(NamedTuple):
    """What may change over the years; units as in Instrument."""

    symbol: str
    tick: int
    lot: int
    freeze: int


class Owned(NamedTuple):
    """`symbol` means instrument `number` from the date `start` ("": ever) to before `end` (FOREVER: still)."""

    start: str
    end: str
    number: int
    symbol: str


@dataclass(frozen=True)
class Change:
    """Terms from the local date `start` on, "" being the very beginning; None stays as it was."""

    start: str
    symbol: str | None = None
    tick: int | None = None
    lot: int | None = None
    freeze: int | None = None


@dataclass(frozen=True)
class Instrument:
    """`number` is its name on tapes. Prices (`tick`, `strike`) are integers of 10**-price_decimals of `currency`,
    quantities (`lot`, `freeze`, 0 for none) of 10**-qty_decimals; dates are YYYY-MM-DD in `tz` or "".

    `symbol`, `tick`, `lot` and `freeze` are the newest; `changes` says what they were before. `delisted` is the first
    day it no longer trades, `expiry` the last day it does.
    """

    number: int
    symbol: str
    tick: int
    lot: int = 1
    multiplier: int = 1
    currency: str = "INR"
    tz: str = "Asia/Kolkata"
    kind: InstrumentKind = InstrumentKind.EQUITY
    exchange: str = ""
    segment: str = ""  # such as NSE_EQ, NSE_FO, BSE_EQ, NSE_INDEX
    isin: str = ""
    freeze: int = 0  # most of one order
    expiry: str = ""
    strike: int = 0
    right: str = ""  # CALL or PUT
    underlying: str = ""  # a symbol
    settlement: str = ""  # CASH or PHYSICAL; "" where it is not known, or the question does not arise
    price_decimals: int = 4
    qty_decimals: int = 0
    calendar: str = ""  # name of a session table
    broker_keys: dict[str, str] = field(default_factory=dict, hash=False)  # {"upstox": "NSE_EQ|INE002A01018"}
    listed: str = ""
    delisted: str = ""
    changes: tuple[Change, ...] = ()

    @property
    def gone(self) -> str:
        """The first day it does not trade any more, by delisting or expiry; FOREVER where none is known."""
        return min(self.delisted or FOREVER, _day_after(self.expiry) if self.expiry else FOREVER)

    def trades_on(self, day: str) -> bool:
        """Whether it was listed and neither delisted nor expired on a date; sessions are another table's."""
        return self.listed <= day < self.gone

    def terms_at(self, day: str) -> Terms:
        """The terms of a date; before the first known ones, those."""
        return Terms(*(_value_at(self.timeline(name), day) for name in Terms._fields))

    def timeline(self, name: str) -> list[tuple[str, Any]]:
        """(start, value) of a field, oldest first; the first start is "", and only what terms hold has another."""
        found = [(c.start, value) for c in self.changes if (value := getattr(c, name, None)) is not None]
        return found or [("", getattr(self, name))]

    def owned(self) -> list[Owned]:
        """Its symbols and when they mean it, oldest first, within `listed` and `gone`."""
        if not self.changes:  # as good as always
            span = Owned(self.listed, self.gone, self.number, self.symbol)
            return [span] if span.start < span.end else []
        names = self.timeline("symbol")
        ends = [*(start for start, _ in names[1:]), FOREVER]
        spans = [
            Owned(max(start, self.listed), min(end, self.gone), self.number, name)
            for (start, name), end in zip(names, ends, strict=True)
        ]
        return [span for span in spans if span.start < span.end]

    def changed(self, start: str, **terms: Any) -> "Instrument":
        """With terms that are so from `start` ("": the beginning) until the next change that is known. A value that
        repeats the one before it is kept: it still holds when that one is corrected. Nothing is checked here."""
        lines = {name: dict(self.timeline(name)) for name in Terms._fields}
        for name, value in terms.items():
            lines[name][start] = value
        return replace(self, **_from_lines(lines))


@lru_cache(maxsize=4096)
def _day_after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def _value_at(line: list[tuple[str, Any]], day: str) -> Any:
    return next(value for start, value in reversed(line) if start <= day)


def _from_lines(lines: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Newest terms and changes of timelines."""
    newest, dated = {}, dict[str, dict[str, Any]]()
    for name, line in lines.items():
        newest[name] = line[max(line)]
        for start, value in line.items() if len(line) > 1 else ():
            dated.setdefault(start, {})[name] = value
    return {**newest, "changes": tuple(Change(start, **dated[start]) for start in sorted(dated))}


# Checks ---------------------------------------------------------------------------------------------------------------

_WORD = "[A-Z][A-Z0-9_]{0,31}"
_PATTERNS = {  # field: (pattern, what it is) where it is said
    "currency": ("[A-Z][A-Z0-9]{1,9}", "letters such as INR"),
    "exchange": (_WORD, "capitals such as NSE"),
    "segment": (_WORD, "capitals such as NSE_EQ"),
    "calendar": (_WORD, "capitals such as NSE_EQ"),
    "isin": ("[A-Z]{2}[A-Z0-9]{9}[0-9]", "12 letters and digits such as INE002A01018"),
    "right": ("CALL|PUT", "CALL or PUT"),
    "settlement": ("CASH|PHYSICAL", "CASH or PHYSICAL"),
}
_BOUNDS = {  # field: least and most
    "tick": (1, LARGEST - 1),
    "lot": (1, LARGEST - 1),
    "multiplier": (1, LARGEST - 1),
    "freeze": (0, LARGEST - 1),
    "strike": (0, LARGEST - 1),
    "price_decimals": (0, DECIMALS_MOST),
    "qty_decimals": (0, DECIMALS_MOST),
}
_DERIVATIVES = (InstrumentKind.FUTURE, InstrumentKind.OPTION)


@lru_cache(maxsize=4096)
def is_day(text: str) -> bool:
    """Whether a text is a date as YYYY-MM-DD and no other way, in the years a tape can hold."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return day.isoformat() == text and 1700 < day.year < 2250


@lru_cache(maxsize=4096)
def _matches(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value) is not None


def fault_of(one: Instrument) -> str:
    """The first thing wrong with an instrument, as `tick is 0: it is ...`; "" when nothing is."""
    return next(_faults(one), "")


def _faults(one: Instrument) -> Iterator[str]:
    if not one.symbol:
        yield "symbol is empty"
    for name, (pattern, what) in _PATTERNS.items():
        value = getattr(one, name)
        if value and not _matches(pattern, value):
            yield f"{name} is {value!r}: it is {what}"
    if not one.currency:
        yield "currency is missing"
    for name in ("expiry", "listed", "delisted"):
        value = getattr(one, name)
        if value and not is_day(value):
            yield f"{name} is {value!r}: write YYYY-MM-DD"
    if one.gone <= one.listed:
        yield f"listed is {one.listed}, when it was gone already ({one.gone})"
    if not all(isinstance(k, str) and isinstance(v, str) and k and v for k, v in one.broker_keys.items()):
        yield f"broker_keys is {one.broker_keys!r}: it is texts by broker, such as upstox"
    yield from _faults_of_kind(one)
    yield from _faults_of_changes(one)
    for name, (low, high) in _BOUNDS.items():
        values = (getattr(one, name), *(getattr(change, name, None) for change in one.changes))
        for value in values:
            if value is not None and not low <= value <= high:
                yield f"{name} is {value}: it is between {low} and {high}"


def _faults_of_kind(one: Instrument) -> Iterator[str]:
    derivative, option = one.kind in _DERIVATIVES, one.kind is InstrumentKind.OPTION
    if derivative and not one.expiry:
        yield "expiry is missing: futures and options have one"
    if not derivative and (one.expiry or one.underlying):
        yield f"expiry and underlying are those of futures and options: this is {one.kind}"
    if one.underlying == one.symbol:
        yield f"underlying is {one.underlying}, which is itself"
    if option and not (one.strike and one.right):
        yield "strike and right are missing: an option has both"
    if not option and (one.strike or one.right):
        yield f"strike and right are those of an option: this is {one.kind}"


def _faults_of_changes(one: Instrument) -> Iterator[str]:
    if not one.changes:
        return
    starts = [change.start for change in one.changes]
    if starts != sorted(set(starts)):
        yield "changes are not in order of their dates"
    for start in starts:
        if start and not is_day(start):
            yield f"a change is from {start!r}: write YYYY-MM-DD"
    for name in Terms._fields:
        line = one.timeline(name)
        if line[0][0]:
            yield f"changes do not say what {name} was at first"
        if line[-1][1] != getattr(one, name):
            yield f"changes end with {name} {line[-1][1]}, not {getattr(one, name)}"
    held = {owned.symbol for owned in one.owned()}
    for _, name in one.timeline("symbol"):
        if not name or name not in held:
            yield f"symbol {name!r} would be its name on no day it trades"
