"""Stream the bars and ticks of a market tape in order: needed row groups and columns only, one thread, flat memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adapters.market.tape import (
    ACTION_COLUMNS,
    ACTIONS,
    AGAIN,
    BAR_COLUMNS,
    BARS,
    STATED_COLUMNS,
    TICK_COLUMNS,
    TICK_FILES,
    Columns,
    footer_digest,
    open_tape,
)
from kernel.errors import TapeCorrupt

BATCH_ROWS = 65_536


def bar_batches(
    path: Path,
    instruments: set[int] | None = None,
    first_ts: int | None = None,
    last_ts: int | None = None,
    batch_rows: int = BATCH_ROWS,
    columns: tuple[str, ...] | None = None,
) -> Iterator[Columns]:
    """Bars of the tape folder `path` with first_ts <= ts_init <= last_ts (ns UTC) of `instruments`, in tape
    order.

    Yields non-empty dicts of equally long numpy arrays (read-only, at most `batch_rows` rows) named as in
    tape.BAR_COLUMNS; `open_interest` and `lag` are missing when the tape has none. ts_event = ts_init - lag
    and
    ts_open = ts_event - span. `columns` narrows the dict. Raises TapeCorrupt.
    """
    yield from _batches(Path(path) / BARS, BAR_COLUMNS, instruments, first_ts, last_ts, batch_rows, columns)


def tick_batches(
    path: Path,
    kind: str,
    instruments: set[int] | None = None,
    first_ts: int | None = None,
    last_ts: int | None = None,
    batch_rows: int = BATCH_ROWS,
    columns: tuple[str, ...] | None = None,
) -> Iterator[Columns]:
    """The same of the ticks of a sort, named as in tape.TICK_COLUMNS; `kind` is "quotes" or "trades" and the tape has
    some."""
    yield from _batches(
        Path(path) / TICK_FILES[kind], TICK_COLUMNS[kind], instruments, first_ts, last_ts, batch_rows, columns
    )


def _batches(
    file_path: Path,
    widths: dict[str, str],
    instruments: set[int] | None,
    first_ts: int | None,
    last_ts: int | None,
    batch_rows: int,
    columns: tuple[str, ...] | None,
) -> Iterator[Columns]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_footer(file_path)
    try:
        with pq.ParquetFile(
            file_path, memory_map=False, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
        ) as file:
            stored = set(file.schema_arrow.names)
            wanted = [n for n in widths if n in stored and (columns is None or n in columns)]
            needed = wanted + [n for n in ("ts_init", "instrument") if n not in wanted]
            groups = _row_groups(file, instruments, first_ts, last_ts)
            _read_ahead(file_path)
            for batch in file.iter_batches(batch_rows, row_groups=groups, columns=needed, use_threads=False):
                rows = {name: batch.column(name).to_numpy() for name in needed}
                rows = _select(rows, instruments, first_ts, last_ts)
                if len(rows["ts_init"]):
                    yield {name: rows[name] for name in wanted}
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise TapeCorrupt(f"{file_path} cannot be read ({error}): {AGAIN}") from error


def check_footer(path: Path) -> None:
    """Raise TapeCorrupt where a file of a tape ends otherwise than it was written: a damaged footer leads Arrow astray,
    to wrong rows or to the end of the process. Tapes of before state no digest of it."""
    stated = open_tape(path.parent).files.get(path.name, {}).get("footer")
    try:
        if stated is not None and footer_digest(path) != stated:
            raise TapeCorrupt(f"{path} is not what was imported: {AGAIN}")
    except OSError as error:
        raise TapeCorrupt(f"{path} cannot be read ({error.strerror}): {AGAIN}") from None


def _read_ahead(path: Path) -> None:
    """Ask the system to fetch the file from disk while the first rows are decoded."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def read_actions(path: Path) -> Columns:
    """All corporate actions of the tape folder `path` as in tape.ACTION_COLUMNS, in the order they take effect.

    Those of tape.STATED_COLUMNS come with them where the tape has them. The arrays are empty when it has no actions.
    Raises TapeCorrupt.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file_path = Path(path) / ACTIONS
    if not file_path.exists():
        return {name: np.zeros(0, width) for name, width in ACTION_COLUMNS.items()}
    check_footer(file_path)
    try:
        table = pq.read_table(file_path, use_threads=False, page_checksum_verification=True)
        widths = {**ACTION_COLUMNS, **{n: w for n, w in STATED_COLUMNS.items() if n in table.column_names}}
        return {name: table.column(name).to_numpy().astype(width) for name, width in widths.items()}
    except (pa.ArrowException, OSError, KeyError) as error:
        raise TapeCorrupt(f"{file_path} cannot be read ({error}): {AGAIN}") from error


def _row_groups(file, instruments: set[int] | None, first_ts: int | None, last_ts: int | None) -> list[int]:  # type: ignore[no-untyped-def]
    """Row groups whose statistics do not rule out a wanted bar."""
    names = file.schema_arrow.names
    ts_at, number_at = names.index("ts_init"), names.index("instrument")
    keep = []
    for g in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(g)
        times, numbers = group.column(ts_at).statistics, group.column(number_at).statistics
        if times is not None and times.has_min_max:  # noqa: SIM102
            if (last_ts is not None and times.min > last_ts) or (first_ts is not None and times.max < first_ts):
                continue
        if instruments is not None and numbers is not None and numbers.has_min_max:  # noqa: SIM102
            if not any(numbers.min <= i <= numbers.max for i in instruments):
                continue
        keep.append(g)
    return keep


def _select(rows: Columns, instruments: set[int] | None, first_ts: int | None, last_ts: int | None) -> Columns:
    ts = rows["ts_init"]
    start = 0 if first_ts is None else int(np.searchsorted(ts, first_ts, "left"))
    stop = len(ts) if last_ts is None else int(np.searchsorted(ts, last_ts, "right"))
    if start > 0 or stop < len(ts):
        rows = {name: values[start:stop] for name, values in rows.items()}
    if instruments is None or not len(rows["ts_init"]):
        return rows
    number = rows["instrument"]
    table = np.zeros(max(int(number.max()), 0) + 1, bool)
    table[[i for i in instruments if 0 <= i < len(table)]] = True
    mask = table[number]
    return rows if mask.all() else {name: values[mask] for name, values in rows.items()}
