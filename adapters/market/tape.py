"""A market tape: one immutable folder of recorded bars, ticks and corporate actions, described by its manifest.

`bars.parquet` is sorted by (ts_init, instrument, span); prices are int64 units, times int64 ns UTC.
`open_interest` and `lag` are there only when some value is not zero. `quotes.parquet`, `trades.parquet` (sorted by
ts_init and instrument, at one time as they came) and `actions.parquet` are there only when there are any.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json
from kernel.errors import NotFound, TapeCorrupt

FORMATS = (1, 2)  # the second is that of tapes with ticks
BARS, ACTIONS, EDGES, MANIFEST = "bars.parquet", "actions.parquet", "edges.parquet", "manifest.json"

# column -> width, in file order; the last two are optional
BAR_COLUMNS: dict[str, str] = {
    "ts_init": "<i8",  # ns UTC: when the bar became available
    "instrument": "<i4",
    "span": "<i8",  # ns: ts_event - ts_open, the bar's close minus its open
    "open": "<i8",
    "high": "<i8",
    "low": "<i8",
    "close": "<i8",
    "volume": "<i8",
    "open_interest": "<i8",
    "lag": "<i8",  # ns: ts_init - ts_event
}
ACTION_COLUMNS: dict[str, str] = {
    "ts_init": "<i8",
    "ts_event": "<i8",
    "instrument": "<i4",
    "kind": "<u1",  # Kind.SPLIT or Kind.DIVIDEND
    "numerator": "<i8",  # new shares
    "denominator": "<i8",  # for so many old ones
    "amount": "<i8",  # units per share
}
# of stated actions; both are there only when some value is not zero
STATED_COLUMNS: dict[str, str] = {
    "ex_day": "<i8",  # YYYYMMDD as stated; 0: not known, such as of an inferred one
    "note": "<i8",  # the first 8 bytes of the SHA-256 of what tells it from others of its day; 0: nothing does
}
QUOTE_COLUMNS: dict[str, str] = {
    "ts_init": "<i8",
    "instrument": "<i4",
    "bid_px": "<i8",  # 0: nobody bids
    "ask_px": "<i8",
    "bid_qty": "<i8",
    "ask_qty": "<i8",
    "lag": "<i8",
}
TRADE_COLUMNS: dict[str, str] = {
    "ts_init": "<i8",
    "instrument": "<i4",
    "trade_px": "<i8",
    "trade_qty": "<i8",
    "trade_interest": "<i8",  # open interest; 0: not said
    "lag": "<i8",
}
TICK_COLUMNS = {"quotes": QUOTE_COLUMNS, "trades": TRADE_COLUMNS}  # by sort of ticks; at one time quotes come first
TICK_FILES = {"quotes": "quotes.parquet", "trades": "trades.parquet"}
OPTIONAL = ("open_interest", "trade_interest", "lag")  # columns that are left out where all is zero
# adjusted closes of each symbol's first and last bar, where the file had any: no content, a help for the next import
EDGE_COLUMNS: dict[str, str] = {"instrument": "<i4", "ts_event": "<i8", "adj_close": "<f8"}
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class TapeInstrument:
    """What one instrument has on a tape; times are ts_init, ns UTC."""

    number: int
    symbol: str
    bars: int
    first_ts: int
    last_ts: int
    quotes: int = 0
    trades: int = 0

    @property
    def ticks(self) -> int:
        return self.quotes + self.trades


@dataclass(frozen=True)
class Manifest:
    """What a tape says of itself. `content_digest` depends on the events alone, `manifest_digest` on all
    the rest."""

    path: Path
    name: str
    sources: tuple[dict[str, str], ...]
    options: dict[str, Any]
    instruments: tuple[TapeInstrument, ...]
    bars: int
    actions: int
    first_ts: int
    last_ts: int
    files: dict[str, dict[str, Any]]
    content_digest: str
    quotes: int = 0
    trades: int = 0
    retired: dict[str, dict[str, Any]] = field(default_factory=dict)  # tick files that went (see retire.py)

    @property
    def ticks(self) -> int:
        return self.quotes + self.trades

    @property
    def events(self) -> int:
        return self.bars + self.ticks + self.actions


_TICK_FIELDS = ("quotes", "trades", "retired")  # not written where there are none


def canonical_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json: canonical JSON that ends in a digest of itself and knows no path or
    clock."""
    body = {one.name: getattr(manifest, one.name) for one in fields(Manifest) if one.name != "path"}
    body["instruments"] = [_said(asdict(instrument)) for instrument in manifest.instruments]
    body["sources"] = list(manifest.sources)
    body = _said(body)
    body["format"] = FORMATS[1 if manifest.ticks else 0]
    body["manifest_digest"] = hashlib.sha256(canonical_json(body)).hexdigest()
    return canonical_json(body)


def _said(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value or name not in _TICK_FIELDS}


class ContentDigest:
    """SHA-256 over the canonical little-endian columns, fed in order and in pieces of any size.

    Each column has its own hash; the digest is over names, widths and hashes. All-zero optional columns do
    not count.
    """

    def __init__(self, symbols: Iterable[tuple[int, str]]) -> None:
        self._symbols = sorted(symbols)
        self._hashes: dict[str, Any] = {}
        self._rows: dict[str, int] = {}
        self._known: dict[str, list[Any]] = {}

    def add(self, table: str, widths: dict[str, str], columns: Columns) -> None:
        for name, width in widths.items():
            key = f"{table}.{name}"
            if name in columns:
                values = np.ascontiguousarray(columns[name], width)
                self._hashes.setdefault(key, hashlib.sha256()).update(values)
                self._rows[key] = self._rows.get(key, 0) + len(values)

    def add_known(self, columns: dict[str, list[Any]]) -> None:
        """Columns as `columns()` gave them, of data that is gone."""
        self._known.update(columns)

    def columns(self) -> dict[str, list[Any]]:
        """By `table.column`: rows and SHA-256."""
        return self._known | {key: [self._rows[key], digest.hexdigest()] for key, digest in self._hashes.items()}

    def hexdigest(self) -> str:
        whole = {"symbols": self._symbols, "columns": self.columns()}
        return hashlib.sha256(canonical_json(whole)).hexdigest()


def footer_digest(path: Path) -> str:
    """SHA-256 of the footer of a Parquet file, which says where everything is and carries no checksum of its own."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little") + 8
        file.seek(max(0, size - length))
        return hashlib.sha256(file.read()).hexdigest()


def tapes_folder(home: Path) -> Path:
    return Path(home) / "tapes" / "market"


def open_tape(path: Path) -> Manifest:
    """Read the manifest of a tape folder; no data file is opened.

    Raises NotFound when there is no such folder, TapeCorrupt when the manifest is missing, ill-formed or
    altered.
    """
    path = Path(path)
    if not path.is_dir():
        raise NotFound(f"no market tape at {path}")
    try:
        body = json.loads((path / MANIFEST).read_bytes())
        stated = body.pop("manifest_digest")
        if body["format"] not in FORMATS:
            raise TapeCorrupt(
                f"{path / MANIFEST} has format {body['format']}, this version reads {FORMATS[-1]}: update Onetape"
            )
        if hashlib.sha256(canonical_json(body)).hexdigest() != stated:
            raise TapeCorrupt(f"{path / MANIFEST} was altered after it was written: {AGAIN}")
        return _manifest(path, body)
    except FileNotFoundError:
        raise TapeCorrupt(f"{path / MANIFEST} is missing: {AGAIN}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TapeCorrupt(
            f"{path / MANIFEST} is not a tape manifest ({type(error).__name__}: {error}): {AGAIN}"
        ) from error


AGAIN = "restore the tape from a backup, or remove its folder and import the source again"


def _manifest(path: Path, body: dict[str, Any]) -> Manifest:
    body.pop("format")
    body["instruments"] = tuple(TapeInstrument(**row) for row in body["instruments"])
    body["sources"] = tuple(body["sources"])
    manifest = Manifest(path=path, **body)
    for name in ("bars", "actions", "first_ts", "last_ts", "quotes", "trades"):
        if type(getattr(manifest, name)) is not int:
            raise ValueError(f"{name} is {getattr(manifest, name)!r}")
    if BARS not in manifest.files:
        raise ValueError(f"it lists no {BARS}")
    return manifest


def list_tapes(home: Path) -> list[Manifest]:
    """Every market tape of `home`, by name. Unfinished folders (their names begin with a dot) are no
    tapes."""
    folder = tapes_folder(home)
    if not folder.is_dir():
        return []
    return [open_tape(path) for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


class BarCount:
    """Bars, first and last ts_init per instrument of batches in order; also notices a break of the order."""

    def __init__(self) -> None:
        self.bars = 0
        self._seen: dict[int, list[int]] = {}
        self._last = (-(2**63), -1, -1)

    def add(self, batch: Columns) -> bool:
        """Count a batch; False when its rows, or it after the last one, are out of order or repeat."""
        ts, number, span = batch["ts_init"], batch["instrument"], batch["span"]
        if not len(ts):
            return True
        ordered = self._last < (int(ts[0]), int(number[0]), int(span[0]))
        later, same = ts[1:] > ts[:-1], ts[1:] == ts[:-1]
        after = (number[1:] > number[:-1]) | ((number[1:] == number[:-1]) & (span[1:] > span[:-1]))
        ordered = ordered and bool(np.all(later | (same & after)))
        self._last = (int(ts[-1]), int(number[-1]), int(span[-1]))
        counts = np.bincount(number)
        first, last = np.zeros(len(counts), "i8"), np.zeros(len(counts), "i8")
        last[number] = ts  # the last write to a slot stays
        first[number[::-1]] = ts[::-1]
        for i in np.flatnonzero(counts):
            row = self._seen.setdefault(int(i), [0, int(first[i]), 0])
            row[0] += int(counts[i])
            row[2] = int(last[i])
        self.bars += len(ts)
        return ordered

    def instruments(self, symbols: dict[int, str]) -> tuple[TapeInstrument, ...]:
        """By number; an instrument of `symbols` without bars (it has actions only) gets zeros."""
        numbers = sorted(symbols.keys() | self._seen.keys())
        return tuple(TapeInstrument(i, symbols.get(i, ""), *self._seen.get(i, (0, 0, 0))) for i in numbers)


class TickCount:
    """Ticks, first and last ts_init per instrument of batches of one sort in order; also notices a break of it."""

    def __init__(self) -> None:
        self.ticks = 0
        self.seen: dict[int, list[int]] = {}  # count, first and last ts_init
        self._last = (-(2**63), -1)

    def add(self, batch: Columns) -> bool:
        """Count a batch; False when its rows, or it after the last one, are out of order."""
        ts, number = batch["ts_init"], batch["instrument"]
        if not len(ts):
            return True
        ordered = self._last <= (int(ts[0]), int(number[0]))
        ordered = ordered and bool(np.all((ts[1:] > ts[:-1]) | ((ts[1:] == ts[:-1]) & (number[1:] >= number[:-1]))))
        self._last = (int(ts[-1]), int(number[-1]))
        for one in np.unique(number).tolist():
            mine = ts[number == one]
            row = self.seen.setdefault(one, [0, int(mine[0]), 0])
            row[0] += len(mine)
            row[2] = int(mine[-1])
        self.ticks += len(ts)
        return ordered


def with_ticks(instruments: tuple[TapeInstrument, ...], counts: dict[str, TickCount]) -> tuple[TapeInstrument, ...]:
    """The same instruments with their ticks, by sort; times are of bars and ticks together."""
    found = []
    for one in instruments:
        spans = [(one.first_ts, one.last_ts)] if one.bars else []
        here = {kind: count.seen[one.number] for kind, count in counts.items() if one.number in count.seen}
        spans += [(first, last) for _, first, last in here.values()]
        quotes, trades = (here[kind][0] if kind in here else 0 for kind in TICK_COLUMNS)
        first, last = min((a for a, _ in spans), default=0), max((b for _, b in spans), default=0)
        found.append(replace(one, first_ts=first, last_ts=last, quotes=quotes, trades=trades))
    return tuple(found)
