"""Write a market tape: into a hidden sibling folder, made durable, then renamed. All of it or nothing."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from adapters.files import make_folder, sha256_file, sync_file, sync_folder
from adapters.market.tape import (
    ACTION_COLUMNS,
    ACTIONS,
    BAR_COLUMNS,
    BARS,
    EDGE_COLUMNS,
    EDGES,
    MANIFEST,
    OPTIONAL,
    STATED_COLUMNS,
    TICK_COLUMNS,
    TICK_FILES,
    BarCount,
    Columns,
    ContentDigest,
    Manifest,
    TickCount,
    canonical_manifest,
    footer_digest,
    tapes_folder,
    with_ticks,
)
from kernel.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROW_GROUP = 131_072  # bars or ticks: what a reader holds at once, and the grain at which it skips
# Measured: LZ4 decodes 2.5 times as fast as zstd-1 for an eighth more bytes; delta-coded keys or prices
# gain nothing.
COMPRESSION = "lz4"
TICK_KEYS = (
    "ts_init",
)  # delta-coded: hardly a time comes twice. Measured: 4 to 6 bytes a tick for 7 to 11, and faster
PAGE_CHECKSUMS = True  # CRC32, see intact.py: what rots below the file system is told by the reading of it
SPLIT_BYTES = (
    *("open", "high", "low", "close", "volume", "open_interest"),
    *("bid_px", "ask_px", "bid_qty", "ask_qty", "trade_px", "trade_qty", "trade_interest"),
)
_ACTIONS = {**ACTION_COLUMNS, **STATED_COLUMNS}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """`name` if it can be a folder on every system. Raises ConfigError."""
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise ConfigError(
            f"tape name {name!r}: use letters, digits, '.', '_' and '-', at most 100, a letter or digit first"
        )
    return name


def free_name(home: Path, name: str) -> str:
    """`name`, or `name-2`, `name-3` ... when a tape of that name exists."""
    folder, candidate, n = tapes_folder(home), check_name(name), 1
    while (folder / candidate).exists():
        n += 1
        candidate = f"{name}-{n}"
    return candidate


class MarketWriter:
    """`with MarketWriter(home, name, symbols) as tape: tape.add(columns) ...; tape.finish(...)`.

    `add` takes the columns of tape.BAR_COLUMNS in order of (ts_init, instrument, span), `add_ticks` those of
    tape.TICK_COLUMNS in order of (ts_init, instrument); pieces may have any size. Leaving the block
    without `finish` leaves no trace.
    """

    def __init__(self, home: Path, name: str, symbols: Iterable[tuple[int, str]], optional: Iterable[str] = ()) -> None:
        self.name = check_name(name)
        self._folder = tapes_folder(home)
        make_folder(self._folder)
        self._temporary = self._folder / f".{name}.{os.getpid()}.part"
        shutil.rmtree(self._temporary, ignore_errors=True)  # left by a process of this id that was killed
        self._temporary.mkdir()
        self._symbols = dict(symbols)
        self._names = [column for column in BAR_COLUMNS if column not in OPTIONAL or column in optional]
        self._digest = ContentDigest(self._symbols.items())
        self._tally = BarCount()
        self._writer = _parquet_writer(self._temporary / BARS, {n: BAR_COLUMNS[n] for n in self._names}, SPLIT_BYTES)
        self._tick_writers: dict[str, pq.ParquetWriter] = {}
        self._tick_counts: dict[str, TickCount] = {}

    def __enter__(self) -> "MarketWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()
        shutil.rmtree(self._temporary, ignore_errors=True)  # gone already when finished

    def _close(self) -> None:
        for writer in (self._writer, *self._tick_writers.values()):
            writer.close()

    def add(self, columns: Columns) -> None:
        columns = {name: columns[name] for name in self._names}
        assert self._tally.add(columns), "bars out of order"
        self._digest.add("bars", BAR_COLUMNS, columns)
        self._writer.write_table(_table(columns, BAR_COLUMNS), row_group_size=ROW_GROUP)

    def add_ticks(self, kind: str, columns: Columns) -> None:
        """Ticks of a sort ("quotes" or "trades"); which optional columns it has is settled by the first piece."""
        widths = {name: width for name, width in TICK_COLUMNS[kind].items() if name in columns}
        if kind not in self._tick_writers:
            path = self._temporary / TICK_FILES[kind]
            self._tick_writers[kind] = _parquet_writer(path, widths, SPLIT_BYTES, TICK_KEYS)
            self._tick_counts[kind] = TickCount()
        assert self._tick_counts[kind].add(columns), "ticks out of order"
        self._digest.add(kind, widths, columns)
        self._tick_writers[kind].write_table(_table(columns, widths), row_group_size=ROW_GROUP)

    def finish(
        self,
        actions: Columns,
        sources: Iterable[dict[str, str]],
        options: dict[str, Any],
        edges: Columns | None = None,
    ) -> Manifest:
        """Write the actions (in order), the edges and the manifest, make all durable and give the tape its name."""
        self._close()
        count = len(actions["ts_init"])
        if count:
            widths = {name: width for name, width in _ACTIONS.items() if name in actions}
            with _parquet_writer(self._temporary / ACTIONS, widths, ()) as writer:
                writer.write_table(_table(actions, widths))
        self._digest.add("actions", _ACTIONS, actions)
        instruments = with_ticks(self._tally.instruments(self._symbols), self._tick_counts)
        held = [i for i in instruments if i.bars or i.ticks]
        times = [i.first_ts for i in held] + [i.last_ts for i in held] + [int(t) for t in actions["ts_init"]]
        names = [BARS, *(TICK_FILES[kind] for kind in self._tick_counts), *([ACTIONS] if count else [])]
        if edges is not None and len(edges["instrument"]):
            names.append(EDGES)
            with _parquet_writer(self._temporary / EDGES, EDGE_COLUMNS, ()) as writer:
                writer.write_table(_table(edges, EDGE_COLUMNS))
        for name in names:
            sync_file(self._temporary / name)
        files = {
            name: {
                "sha256": sha256_file(self._temporary / name),
                "bytes": (self._temporary / name).stat().st_size,
                "footer": footer_digest(self._temporary / name),
            }
            for name in names
        }
        manifest = Manifest(
            path=self._folder / self.name,
            name=self.name,
            sources=tuple(sources),
            options=options,
            instruments=instruments,
            bars=self._tally.bars,
            actions=count,
            first_ts=min(times, default=0),
            last_ts=max(times, default=0),
            files=files,
            content_digest=self._digest.hexdigest(),
            quotes=self._tick_counts["quotes"].ticks if "quotes" in self._tick_counts else 0,
            trades=self._tick_counts["trades"].ticks if "trades" in self._tick_counts else 0,
        )
        (self._temporary / MANIFEST).write_bytes(canonical_manifest(manifest))
        sync_file(self._temporary / MANIFEST)
        sync_folder(self._temporary)
        os.rename(self._temporary, manifest.path)
        sync_folder(self._folder)
        return manifest


def _parquet_writer(  # type: ignore[no-untyped-def]
    path: Path, widths: dict[str, str], split: Iterable[str], deltas: tuple[str, ...] = ()
):
    import pyarrow.parquet as pq

    encodings = dict.fromkeys((name for name in widths if name in split), "BYTE_STREAM_SPLIT")
    encodings |= dict.fromkeys(deltas, "DELTA_BINARY_PACKED")
    return pq.ParquetWriter(
        path,
        _schema(widths),
        compression=COMPRESSION,
        use_dictionary=[name for name in widths if name not in encodings],
        column_encoding=encodings,
        write_statistics=["ts_init", "instrument"],
        write_page_checksum=PAGE_CHECKSUMS,
    )


def _schema(widths: dict[str, str]) -> "pa.Schema":
    import numpy as np
    import pyarrow as pa

    # never null: a reader then skips the definition levels and gets numpy arrays without a copy
    fields = [pa.field(name, pa.from_numpy_dtype(np.dtype(width)), nullable=False) for name, width in widths.items()]
    return pa.schema(fields)


def _table(columns: Columns, widths: dict[str, str]) -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    widths = {name: width for name, width in widths.items() if name in columns}
    arrays = [pa.array(np.ascontiguousarray(columns[name], width)) for name, width in widths.items()]
    return pa.Table.from_arrays(arrays, schema=_schema(widths))
