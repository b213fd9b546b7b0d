"""Universes in time: which instruments a named list held on any date, from `instruments/universes/NAME.csv`.

A file has rows `symbol,from,to`: local dates, both inclusive, an empty `to` while it is a member. A symbol is what it
meant on its `from`, so that a later change of the symbol or a new owner of it changes nothing.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from adapters.files import import_lock, make_folder, write_whole
from adapters.market.findings import Findings
from adapters.market.instrument import FOREVER, Instrument, is_day
from adapters.market.instruments import Registry
from kernel.errors import ConfigError, ImportRefused, NotFound

HEAD = ("symbol", "from", "to")
SUSPICIOUS_YEARS = 3.0
_EPOCH = date(1970, 1, 1)


class Span(NamedTuple):
    """One membership: dates inclusive, `last` FOREVER while it goes on."""

    number: int
    first: str
    last: str
    line: int
    symbol: str  # as in the file


class Membership(NamedTuple):
    """Memberships clipped to a range, sorted by (number, first): `number` i4, `first` and `last` i8 days since
    1970-01-01, inclusive."""

    number: np.ndarray
    first: np.ndarray
    last: np.ndarray


@dataclass(frozen=True)
class Universe:
    """A list of instruments in time; spans are sorted by (number, first) and those of one number do not overlap."""

    name: str
    spans: tuple[Span, ...]

    def members(self, on: str) -> list[int]:
        """Numbers of the members on a date, sorted. Raises ConfigError."""
        _check_day(on)
        return [span.number for span in self.spans if span.first <= on <= span.last]

    def membership(self, first: str, last: str) -> Membership:
        """All memberships within `first` to `last`, inclusive. Raises ConfigError."""
        if _check_day(first) > _check_day(last):
            raise ConfigError(f"{first} is after {last}")
        inside = [
            (span.number, _days(max(span.first, first)), _days(min(span.last, last)))
            for span in self.spans
            if span.first <= last and span.last >= first
        ]
        columns = zip(*inside, strict=True) if inside else ((), (), ())
        return Membership(*(np.array(c, width) for c, width in zip(columns, ("i4", "i8", "i8"), strict=True)))


def universes_folder(home: Path) -> Path:
    return Path(home) / "instruments" / "universes"


def list_universes(home: Path) -> list[str]:
    """Names of the universes of a home, sorted."""
    return sorted(path.stem for path in universes_folder(home).glob("*.csv"))


def load_universe(home: Path, name: str, registry: Registry | None = None) -> Universe:
    """A universe of `home` against its instrument table. Raises NotFound, or ImportRefused naming the bad lines."""
    check_universe_name(name)
    path = universes_folder(home) / f"{name}.csv"
    if not path.is_file():
        there = ", ".join(list_universes(home)) or "none yet: `onetape universe import FILE`"
        raise NotFound(f"no universe {name!r}; there are {there}")
    return read_universe(path, name, registry or Registry.load(home))


def members(home: Path, name: str, on: str) -> list[int]:
    """Numbers of the members of a universe on a date, sorted."""
    return load_universe(home, name).members(on)


def membership(home: Path, name: str, first: str, last: str) -> Membership:
    """When each instrument was a member of a universe within `first` to `last`."""
    return load_universe(home, name).membership(first, last)


def import_universe(home: Path, path: Path, name: str | None = None) -> Universe:
    """Check a file against the instrument table and keep it as universe `name` (default: the file's), replacing that.

    Raises NotFound, ConfigError, ImportRefused naming the bad lines, TapeLocked.
    """
    name = name or Path(path).stem
    check_universe_name(name)
    if not Path(path).is_file():
        raise NotFound(f"no file {path}: check the spelling")
    with import_lock(home):
        universe = read_universe(Path(path), name, Registry.load(home))
        make_folder(universes_folder(home))
        lines = [HEAD, *((s.symbol, s.first, "" if s.last == FOREVER else s.last) for s in universe.spans)]
        text = "".join(",".join(line) + "\n" for line in lines)
        write_whole(universes_folder(home) / f"{name}.csv", text.encode())
    return universe


def read_universe(path: Path, name: str, registry: Registry) -> Universe:
    """A file of memberships. Raises ImportRefused naming the bad lines."""
    findings, spans = Findings(str(path)), list[Span]()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for line, cells in _lines(file):
                try:
                    spans.append(_span(line, cells, registry))
                except ValueError as error:
                    findings.add(line, str(error))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ImportRefused(f"{path} is no CSV text ({error}): write symbol,from,to") from error
    spans.sort()
    for before, after in pairwise(spans):
        if before.number == after.number and after.first <= before.last:
            late, early = sorted((before, after), key=lambda span: -span.line)
            findings.add(late.line, f"{late.symbol} is a member by line {early.line} at that time already")
    if findings.total:
        shown = "\n".join(str(finding) for finding in findings.shown)
        raise ImportRefused(f"{path}: {findings.total:,} lines are no memberships\n{shown}")
    if not spans:
        raise ImportRefused(f"{path} holds no members: write lines such as RELIANCE,2015-01-01,")
    return Universe(name, tuple(spans))


def _lines(file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file)
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells) and not (reader.line_num == 1 and cells[0].lower() == HEAD[0]):
            yield reader.line_num, cells


def _span(line: int, cells: list[str], registry: Registry) -> Span:
    if len(cells) not in (2, 3) or not cells[0]:
        raise ValueError("is not symbol,from,to, such as RELIANCE,2015-01-01,2020-06-30")
    symbol, first, last = cells[0], cells[1], cells[2] if len(cells) == 3 else ""
    for what, text in (("from", first), ("to", last or first)):
        if not is_day(text):
            raise ValueError(f"{what} of {symbol} is {text!r}: write YYYY-MM-DD")
    if last and last < first:
        raise ValueError(f"{symbol} goes on {last}, before it comes on {first}")
    known = registry.find(symbol, first)
    if known is None:
        raise ValueError(f"{symbol} on {first}: {_why_unknown(registry, symbol)}")
    if known.gone != FOREVER and (not last or last >= known.gone):
        if last:
            raise ValueError(f"{symbol} stays until {last}, but it is gone from {known.gone} on")
        last = _before(known.gone)
    return Span(known.number, first, last or FOREVER, line, symbol)


def _why_unknown(registry: Registry, symbol: str) -> str:
    owners = registry.owners(symbol)
    if not owners:
        return "no instrument is called so: import it, or check the spelling"
    spans = ", ".join(f"{o.start or 'ever'} to {_before(o.end) if o.end != FOREVER else 'now'}" for o in owners)
    return f"nothing is called so then, only from {spans}"


def survivorship(universe: Universe, registry: Registry, today: str, years: float = SUSPICIOUS_YEARS) -> str:
    """A warning when all that were ever members still trade at its end, over more than `years`: a list of today's
    members carried back leaves out those that failed. "" when nothing is suspicious."""
    first = min(span.first for span in universe.spans)
    ends = max(span.last for span in universe.spans)
    last = min(ends, max(today, first))
    span_years = (_days(last) - _days(first)) / 365.25
    ever: dict[int, Instrument] = {span.number: registry[span.number] for span in universe.spans}
    if span_years <= years or any(one.gone <= last for one in ever.values()):
        return ""
    stayed = all(span.last >= last for span in universe.spans)
    left = "none ever left it" if stayed else "none of those that left it was delisted"
    return (
        f"{universe.name} looks like survivors only: all of its {len(ever):,} instruments still trade after "
        f"{span_years:.1f} years, and {left}; a real list of so long loses some, so results over it flatter. Add those "
        "that were delisted, with their dates"
    )


def check_universe_name(name: str) -> None:
    """Raise ConfigError unless a name is fit for a file."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ConfigError(f"universe {name!r}: a name has up to 64 letters, digits, points, dashes and underscores")


def _check_day(text: str) -> str:
    if not is_day(text):
        raise ConfigError(f"{text!r} is not a date: write YYYY-MM-DD")
    return text


def _days(day: str) -> int:
    return (date.fromisoformat(day) - _EPOCH).days


def _before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()
