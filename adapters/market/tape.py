"""A market tape: one immutable folder of recorded bars and corporate actions, described by its manifest.

`bars.parquet` is sorted by (ts_init, instrument, span); prices are int64 units, times int64 ns UTC.
`open_interest` and
`lag` are there only when some value is not zero. `actions.parquet` is there only when there are any.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json
from kernel.errors import NotFound, TapeCorrupt

FORMAT = 1
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


def canonical_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json: canonical JSON that ends in a digest of itself and knows no path or
    clock."""
    body = {field.name: getattr(manifest, field.name) for field in fields(Manifest) if field.name != "path"}
    body["instruments"] = [asdict(instrument) for instrument in manifest.instruments]
    body["sources"] = list(manifest.sources)
    body["format"] = FORMAT
    body["manifest_digest"] = hashlib.sha256(canonical_json(body)).hexdigest()
    return canonical_json(body)


class ContentDigest:
    """SHA-256 over the canonical little-endian columns, fed in order and in pieces of any size.

    Each column has its own hash; the digest is over names, widths and hashes. All-zero optional columns do
    not count.
    """

    def __init__(self, symbols: Iterable[tuple[int, str]]) -> None:
        self._symbols = sorted(symbols)
        self._hashes: dict[str, Any] = {}
        self._rows: dict[str, int] = {}

    def add(self, table: str, widths: dict[str, str], columns: Columns) -> None:
        for name, width in widths.items():
            key = f"{table}.{name}"
            if name in columns:
                values = np.ascontiguousarray(columns[name], width)
                self._hashes.setdefault(key, hashlib.sha256()).update(values)
                self._rows[key] = self._rows.get(key, 0) + len(values)

    def hexdigest(self) -> str:
        body = {key: [self._rows[key], digest.hexdigest()] for key, digest in self._hashes.items()}
        whole = {"symbols": self._symbols, "columns": body}
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
        if body["format"] != FORMAT:
            raise TapeCorrupt(
                f"{path / MANIFEST} has format {body['format']}, this version reads {FORMAT}: update Onetape"
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
    for field in ("bars", "actions", "first_ts", "last_ts"):
        if type(getattr(manifest, field)) is not int:
            raise ValueError(f"{field} is {getattr(manifest, field)!r}")
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
