"""The instrument master of Upstox (`complete.json.gz` and its parts): rows to instruments, exactly or not at all.

Format: Upstox developer documentation, Instruments. `tick_size` is in paise, `strike_price` in rupees, `expiry` in ms
since 1970, `instrument_key` is SEGMENT|ISIN or SEGMENT|token; an index has neither tick nor lot.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from adapters.market.instrument import Instrument, InstrumentKind, fault_of
from adapters.reference.json_rows import json_rows
from adapters.reference.sessions import calendars

BROKER = "upstox"
PAISA = 100  # units of 1/10,000 rupee
RUPEE = 10_000
INDEX_TICK = PAISA  # indices are published with two decimals; the file says nothing
IST = timedelta(hours=5, minutes=30)
PLAIN_EXCHANGE = "NSE"  # its symbols stand as they are; those of others get a prefix, as RELIANCE and BSE:RELIANCE
_KINDS = {"FUT": InstrumentKind.FUTURE, "CE": InstrumentKind.OPTION, "PE": InstrumentKind.OPTION}
_RIGHTS = {"CE": "CALL", "PE": "PUT"}
_SETTLED = {"INDEX": "CASH", "CUR": "CASH", "EQUITY": "PHYSICAL"}  # by type of the underlying; of others it is not said
_TEST = re.compile(r"\d{3}NSETEST|DUMMY")  # the exchange's own, which never trade


@dataclass(frozen=True)
class Choice:
    """Which rows are wanted: all that are given must fit, and an empty one fits everything.

    A symbol or underlying is given with the prefix of its exchange or without.
    """

    segments: Collection[str] = ()
    symbols: Collection[str] = ()
    underlyings: Collection[str] = ()

    def fits(self, segment: str, symbol: str, underlying: str) -> bool:
        return (
            (not self.segments or segment in self.segments)
            and (not self.symbols or bool({symbol, symbol.partition(":")[2]} & set(self.symbols)))
            and (not self.underlyings or bool({underlying, underlying.partition(":")[2]} & set(self.underlyings)))
        )


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be an instrument; rows count from 1."""

    row: int
    name: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.row} {self.name}: {self.reason}"


@dataclass
class Master:
    """The chosen rows of a file: instruments by row, numbers not settled (-1), and what is wrong with the others."""

    rows: dict[int, Instrument] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)
    total: int = 0
    tests: int = 0  # the exchange's test instruments, left out
    segments: set[str] = field(default_factory=set)  # of all its rows: what the file is about
    with_contracts: set[str] = field(default_factory=set)  # keys of shares that any of its futures or options are on


def read_master(path: Path, choice: Choice) -> Master:
    """Read and convert a file row by row. Raises NotFound, ImportRefused when it is no JSON array."""
    master, keys, symbols = Master(), dict[str, int](), dict[str, int]()
    for number, row in enumerate(json_rows(path), 1):
        master.total += 1
        try:
            segment = row.get("segment") if isinstance(row, dict) else None
            if isinstance(segment, str):
                master.segments.add(segment)
                if isinstance(row.get("underlying_key"), str):
                    master.with_contracts.add(row["underlying_key"])
                if choice.segments and segment not in choice.segments:
                    continue
            text = _texts(row)
            if not choice.fits(text["segment"], _symbol(row, "trading_symbol"), _symbol(row, "underlying_symbol")):
                continue
            if _TEST.match(text["trading_symbol"]) or _TEST.match(str(row.get("isin"))):
                master.tests += 1
                continue
            one = to_instrument(row)
            for what, seen in ((one.broker_keys[BROKER], keys), (one.symbol, symbols)):
                if seen.setdefault(what, number) != number:
                    raise ValueError(f"{what} is that of row {seen[what]}, too")
        except ValueError as error:
            master.bad.append(BadRow(number, _name(row), str(error)))
            continue
        master.rows[number] = one
    master.rows = {number: _with_auction(one, master.with_contracts) for number, one in master.rows.items()}
    return master


@cache
def _calendars() -> frozenset[str]:
    return frozenset(calendars())


def _with_auction(one: Instrument, with_contracts: set[str]) -> Instrument:
    """Shares that have futures or options close in an auction: a calendar of their own, where there is one."""
    auction = f"{one.calendar}_CAS"
    if one.broker_keys[BROKER] in with_contracts and auction in _calendars():
        return replace(one, calendar=auction)
    return one


def to_instrument(row: dict[str, Any]) -> Instrument:
    """The instrument of a row, number -1. Raises ValueError with what does not fit."""
    text = _texts(row)
    segment, what = text["segment"], text["instrument_type"]
    kind = _kind(segment, what)
    derivative, option = kind in (InstrumentKind.FUTURE, InstrumentKind.OPTION), kind is InstrumentKind.OPTION
    index = kind is InstrumentKind.INDEX
    one = Instrument(
        number=-1,
        symbol=_symbol(row, "trading_symbol"),
        tick=INDEX_TICK if index and "tick_size" not in row else _whole(row, "tick_size", PAISA),
        lot=1 if index and "lot_size" not in row else _whole(row, "lot_size"),
        multiplier=_whole(row, "qty_multiplier") if row.get("qty_multiplier") else 1,
        kind=kind,
        exchange=text["exchange"],
        segment=segment,
        isin=_optional(row, "isin"),
        freeze=_whole(row, "freeze_quantity") if row.get("freeze_quantity") else 0,
        expiry=_expiry(row.get("expiry")) if derivative else "",
        strike=_whole(row, "strike_price", RUPEE) if option else 0,
        right=_RIGHTS.get(what, "") if option else "",
        underlying=_symbol(row, "underlying_symbol") if derivative else "",
        settlement=_SETTLED.get(_optional(row, "underlying_type"), "") if derivative else "",
        calendar=calendar if (calendar := segment.replace("_INDEX", "_EQ")) in _calendars() else "",
        broker_keys={BROKER: text["instrument_key"]},
    )
    if not text["instrument_key"].startswith(f"{segment}|"):
        raise ValueError(f"instrument_key is {text['instrument_key']!r}: it begins with the segment, {segment}|")
    if fault := fault_of(one):
        raise ValueError(fault)
    return one


def _texts(row: Any) -> dict[str, str]:
    """The fields every row has. Raises ValueError."""
    if not isinstance(row, dict):
        raise ValueError("is no JSON object")
    names = ("segment", "exchange", "instrument_type", "instrument_key", "trading_symbol")
    found = {name: _optional(row, name) for name in names}
    for name, value in found.items():
        if not value:
            raise ValueError(f"{name} is missing")
    return found


def _optional(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if (
        not isinstance(value, str)
        or value != value.strip()
        or not (value.isprintable() or not value)
        or len(value) > 99
    ):
        raise ValueError(f"{name} is {value!r}, which is no plain text")
    return value


def _symbol(row: dict[str, Any], name: str) -> str:
    """Ours for a symbol of the file."""
    value, exchange = _optional(row, name), _optional(row, "exchange")
    if "," in value:
        raise ValueError(f"{name} is {value!r}: a symbol holds no comma")
    return value if exchange == PLAIN_EXCHANGE or not value else f"{exchange}:{value}"


def _kind(segment: str, what: str) -> InstrumentKind:
    if segment.endswith("_INDEX") and what == "INDEX":
        return InstrumentKind.INDEX
    if segment.endswith("_EQ") and what not in _KINDS:
        return InstrumentKind.EQUITY
    if segment.endswith(("_FO", "_COM")) and what in _KINDS:
        return _KINDS[what]
    raise ValueError(f"segment {segment} with instrument_type {what} is nothing we know")


def _whole(row: dict[str, Any], name: str, scale: int = 1) -> int:
    """A number of the file times `scale`, if that is whole. Raises ValueError."""
    value: Any = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"{name} is missing" if value is None else f"{name} is {value!r}, which is no number")
    amount = Decimal(value)
    if abs(amount) > 10**15:
        raise ValueError(f"{name} is {amount}, which is beyond what we hold")
    exact = amount * scale
    if exact != int(exact):
        raise ValueError(f"{name} is {amount}, which is no multiple of {Decimal(1) / scale:f}")
    return int(exact)


def _expiry(value: Any) -> str:
    """ms since 1970 as the date in India."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("expiry is missing" if value is None else f"expiry is {value!r}, which is no time in ms")
    if not 946_684_800_000 <= value < 4_102_444_800_000:  # 2000 to 2099
        raise ValueError(f"expiry is {value}, which is no time in ms of this century")
    return (datetime.fromtimestamp(value / 1000, UTC) + IST).date().isoformat()


def _name(row: Any) -> str:
    found: Iterator[Any] = (
        (row.get(name) for name in ("trading_symbol", "instrument_key")) if isinstance(row, dict) else iter(())
    )
    return next(
        (repr(value)[1:61].rstrip("'") for value in found if isinstance(value, str) and value), "without a name"
    )
