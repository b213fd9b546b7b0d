"""Rates of currencies from a dated file, and the rates a run took from one, kept under their digest.

A file is CSV with a header. `date` (YYYY-MM-DD) or `ts` (ISO 8601, local where it has no offset) says when; `from`,
`to` and `rate`, or `pair` (USDINR or USD/INR) and `rate`, say what one of the first currency is worth in the second. A
rate of a date is known from the end of that day, for a day's fixing is not known before; one of a time from then on.
"""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from adapters.files import make_folder, write_whole
from adapters.market.instrument import is_day
from adapters.market.zones import DAY, local_midnight, to_utc
from kernel.errors import ConfigError, NotFound, NotReplayable

RATE_SCALE = 10**9  # a rate is 1e-9 of the account's currency for one of the other
RATE_MOST = 2**62
NINE = Decimal("1e-9")
MENDS = "write date,from,to,rate or date,pair,rate (ts in the place of date for times of day)"
_PAIR = re.compile(r"([A-Z][A-Z0-9]{2,7})/([A-Z][A-Z0-9]{2,7})|([A-Z]{3})([A-Z]{3})")
_CURRENCY = re.compile(r"[A-Z][A-Z0-9]{2,7}")


class Rate(NamedTuple):
    """From `ts` (ns UTC) on one of `currency` is worth `rate` 1e-9 of the account's; sorts in the order they come."""

    ts: int
    currency: str
    rate: int


def read_rates(path: Path, base: str, wanted: Iterable[str], tz: str) -> list[Rate]:
    """The rates of `wanted` in `base` of a file, in order; dates and times without an offset are of `tz`. Other pairs
    are passed over. Raises NotFound, and ConfigError naming the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound(f"no file of rates {path}: give one with --fx; {MENDS}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a file of rates: {error}") from None
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True, strict=True)
    columns = {name.strip().lower(): name for name in reader.fieldnames or () if name}
    if "rate" not in columns or not ({"from", "to"} <= set(columns) or "pair" in columns):
        raise ConfigError(f"{path}: its header is {', '.join(columns) or 'missing'}: {MENDS}")
    if ("date" in columns) == ("ts" in columns):
        raise ConfigError(f"{path}: it needs either a column date or a column ts")
    lines = _Lines(path, base, frozenset(wanted), tz)
    try:
        for row in reader:
            lines.add(reader.line_num, {name: (row[column] or "").strip() for name, column in columns.items()})
    except csv.Error as error:  # such as a quote that is never closed, which would hide all lines after it
        raise ConfigError(f"{path} line {reader.reader.line_num}: {error}: mend its quotes") from None
    return lines.rates()


class _Lines:
    """Lines of one file, each a rate or none of ours."""

    def __init__(self, path: Path, base: str, wanted: frozenset[str], tz: str) -> None:
        self._path, self._base, self._wanted, self._tz = path, base, wanted, tz
        self._found: dict[tuple[int, str], tuple[int, int]] = {}  # (ts, currency): (rate, line)
        self._turned: dict[str, int] = {}  # currencies that are only there the other way round, and where

    def add(self, line: int, row: Mapping[str, str]) -> None:
        one, other = self._pair(line, row)
        if one == self._base and other in self._wanted:
            self._turned.setdefault(other, line)
        if other != self._base or one not in self._wanted:
            return
        ts, rate = self._when(line, row), self._rate(line, row["rate"])
        known = self._found.setdefault((ts, one), (rate, line))
        if known[0] != rate:
            raise self._wrong(line, f"another rate of {one} was given for that time in line {known[1]}: keep one")

    def rates(self) -> list[Rate]:
        for currency, line in sorted(self._turned.items()):
            if not any(one == currency for _, one in self._found):
                raise self._wrong(
                    line,
                    f"it says what one {self._base} is worth in {currency}: give what one {currency} is worth in "
                    f"{self._base}, since turning it round would not be exact",
                )
        return sorted(Rate(ts, currency, rate) for (ts, currency), (rate, _) in self._found.items())

    def _pair(self, line: int, row: Mapping[str, str]) -> tuple[str, str]:
        if "pair" not in row:
            one, other = row["from"].upper(), row["to"].upper()
            if not (_CURRENCY.fullmatch(one) and _CURRENCY.fullmatch(other)):
                raise self._wrong(line, f"from {row['from']!r} to {row['to']!r}: write currencies such as USD and INR")
            return one, other
        match = _PAIR.fullmatch(row["pair"].upper())
        if match is None:
            raise self._wrong(line, f"pair {row['pair']!r}: write USDINR or USD/INR")
        return (match[1] or match[3], match[2] or match[4])

    def _when(self, line: int, row: Mapping[str, str]) -> int:
        if "date" in row:
            if not is_day(row["date"]):
                raise self._wrong(line, f"date {row['date']!r}: write YYYY-MM-DD")
            return int(to_utc(np.array([local_midnight(row["date"]) + DAY]), self._tz)[0][0])
        try:
            moment = datetime.fromisoformat(row["ts"])
            moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self._tz))
            if not 1700 < moment.year < 2250:
                raise ValueError
        except ValueError:
            raise self._wrong(line, f"ts {row['ts']!r}: write 2024-01-02T15:30:00+05:30") from None
        return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1_000

    def _rate(self, line: int, text: str) -> int:
        try:
            exact = Decimal(text if "_" not in text else "")
        except InvalidOperation:
            raise self._wrong(line, f"rate {text!r} is not a number such as 83.25") from None
        if not exact.is_finite() or not 0 < exact < RATE_MOST // RATE_SCALE:
            raise self._wrong(line, f"rate {text} is not between 0 and {RATE_MOST // RATE_SCALE:,}")
        held = exact.quantize(NINE)  # at most 19 digits
        if exact != held:
            raise self._wrong(line, f"rate {text} has more than the nine decimals that rates hold: round it")
        return int(held.scaleb(9))

    def _wrong(self, line: int, what: str) -> ConfigError:
        return ConfigError(f"{self._path} line {line}: {what}")


# Kept rates -----------------------------------------------------------------------------------------------------------


def of_span(rates: Iterable[Rate], first_ts: int, last_ts: int) -> list[Rate]:
    """The rates that hold from `first_ts` to `last_ts`: of each currency the last by then, and all after it."""
    listed = sorted(rates)
    before = {rate.currency: rate for rate in listed if rate.ts <= first_ts}
    return sorted([*before.values(), *(rate for rate in listed if first_ts < rate.ts <= last_ts)])


def keep_rates(home: Path, rates: Iterable[Rate]) -> str:
    """Keep rates in the home under the SHA-256 of their canonical text, which is returned."""
    data = "".join(f"{ts},{currency},{rate}\n" for ts, currency, rate in rates).encode()
    digest = hashlib.sha256(data).hexdigest()
    path = kept_path(home, digest)
    if not path.is_file():
        make_folder(path.parent)
        write_whole(path, data)
    return digest


def kept_rates(home: Path, digest: str) -> list[Rate]:
    """The rates a run took. Raises NotReplayable when they are gone or not what they were."""
    path = kept_path(home, digest)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotReplayable(f"the rates of currencies of the run are gone: put {path} back, from a backup") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise NotReplayable(f"{path} is not what the run used: put the old one back, from a backup")
    return list(_parsed(data.decode()))


def kept_path(home: Path, digest: str) -> Path:
    return home / "instruments" / "fx" / f"{digest}.csv"


def _parsed(text: str) -> Iterator[Rate]:
    for line in text.splitlines():
        ts, currency, rate = line.split(",")
        yield Rate(int(ts), currency, int(rate))
