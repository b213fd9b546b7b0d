"""A tape for other programs: Parquet, CSV or Arrow, a file a family, with named columns, words for codes, decimals.

Rows pass through a group at a time, so memory stays flat. A file appears under its name once it is whole.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import sync_file, sync_folder
from adapters.tape.families import split_rows
from kernel.codes import Flag, Kind, OrderType, Origin, Reason, Side, Status, TimeInForce
from kernel.errors import ConfigError
from kernel.schema import FAMILIES, MONEY, ORDERS, PRICE, TIME, Family, join_rows, take_rows

FORMATS = ("parquet", "csv", "arrow")
GROUP = 65_536  # rows written at once
DECIMAL = (38, 4)  # digits of all, digits after the point: the units are 1/10,000
FINE = (38, 10)  # of prices where some instrument's units are others: the most decimals there may be
_WORDS: dict[str, type[IntEnum]] = {
    "kind": Kind, "origin": Origin, "side": Side, "order_type": OrderType, "tif": TimeInForce, "status": Status,
    "reason": Reason,
}  # fmt: skip


@dataclass(frozen=True)
class Names:
    """What the numbers of a tape stand for."""

    symbols: Mapping[int, str] = field(default_factory=dict)
    strategies: Mapping[int, str] = field(default_factory=dict)
    scales: Mapping[int, int] = field(default_factory=dict)  # price units in one of the currency, where not 1/10,000
    currencies: Mapping[int, str] = field(default_factory=dict)  # where there are several

    @property
    def price_type(self) -> tuple[int, int]:
        """Digits of a price, of all and after the point."""
        return FINE if self.scales else DECIMAL


def format_of(path: Path, wanted: str | None = None) -> str:
    """The format a file name asks for. Raises ConfigError."""
    found = wanted or path.suffix.removeprefix(".").lower() or "parquet"
    if found not in FORMATS:
        raise ConfigError(f"{path}: .{found} is no format of an export: name it .parquet, .csv or .arrow")
    return found


def export_rows(
    batches: Iterable[tuple[np.ndarray, dict[int, str]]],
    target: Path,
    form: str,
    names: Names,
    kinds: frozenset[int],
    raw_units: bool = False,
    seen: Callable[[int], None] = lambda count: None,
) -> dict[Path, int]:
    """Write the rows of `kinds`; returns the files and how many rows each has. `seen(rows)` hears of progress.

    Kinds of one family go into the file `target`, those of several into files named by family in the folder `target`
    without its suffix. What was there under these names is replaced. Raises OSError.
    """
    families = [family for family in FAMILIES if kinds & set(family.kinds)]
    single = len(families) == 1
    paths = {f.name: target if single else target.with_suffix("") / f"{f.name}.{form}" for f in families}
    wanted = np.zeros(256, bool)
    wanted[list(kinds)] = True
    files: dict[str, _File] = {}
    try:
        for rows, notes in batches:
            seen(len(rows))
            picked = take_rows(rows, np.flatnonzero(wanted[rows["kind"]]))
            for family, part in split_rows(picked) if len(picked) else ():
                if family.name not in files:
                    files[family.name] = _File(paths[family.name], form, family, names, raw_units)
                files[family.name].add(part, notes)
        if single and not files:
            files[families[0].name] = _File(target, form, families[0], names, raw_units)
        return {file.path: file.finish() for file in files.values()}
    finally:
        for file in files.values():
            file.close()


class _File:
    """One family on its way into a file, which gets its name at the end."""

    def __init__(self, path: Path, form: str, family: Family, names: Names, raw_units: bool) -> None:
        self.path, self._family, self._names, self._raw = path, family, names, raw_units
        self._rows: list[np.ndarray] = []
        self._notes: dict[int, str] = {}
        self._count = self._waiting = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part = path.with_name(f".{path.name}.part")
        self._writer: Any = open_writer(self._part, form, schema_of(family, raw_units, names))

    def add(self, rows: np.ndarray, notes: dict[int, str]) -> None:
        self._rows.append(rows)
        self._waiting += len(rows)
        if notes:
            self._notes |= {seq: notes[seq] for seq in rows["seq"].tolist() if seq in notes}
        if self._waiting >= GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            table = to_table(self._family, join_rows(self._rows), self._notes, self._names, self._raw)
            self._writer.write_table(table)
            self._count += self._waiting
            self._rows, self._waiting, self._notes = [], 0, {}

    def finish(self) -> int:
        self._flush()
        self._writer.close()
        self._writer = None
        sync_file(self._part)
        os.replace(self._part, self.path)
        sync_folder(self.path.parent)
        return self._count

    def close(self) -> None:
        """Leave nothing behind of a file that was not finished."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._part.unlink(missing_ok=True)


def open_writer(path: Path, form: str, schema: Any) -> Any:
    """Something with `write_table` and `close`."""
    if form == "parquet":
        import pyarrow.parquet as pq

        return pq.ParquetWriter(path, schema, compression="zstd")
    if form == "csv":
        import pyarrow.csv

        return pyarrow.csv.CSVWriter(path, schema)
    import pyarrow as pa

    return pa.ipc.new_file(path, schema)


def schema_of(family: Family, raw_units: bool = False, names: Names | None = None) -> Any:
    """The columns of an export. Times are timestamps in UTC, prices and money decimals, or integers as on tape."""
    import pyarrow as pa

    time, amount = pa.timestamp("ns", "UTC"), pa.int64() if raw_units else pa.decimal128(*DECIMAL)
    price = amount if raw_units or names is None else pa.decimal128(*names.price_type)
    of = {TIME: time, PRICE: price, MONEY: amount}
    fields = [("seq", pa.int64()), ("ts_event", time), ("ts_init", time), ("kind", pa.string())]
    fields += [("origin", pa.string()), ("cause", pa.int64()), ("instrument", pa.int32()), ("symbol", pa.string())]
    fields += [("strategy", pa.string()), ("slice_end", pa.bool_()), ("warm_up", pa.bool_())]
    if family.name in ORDERS:
        fields += [(name, pa.string()) for name in ("side", "order_type", "tif", "status", "reason")]
    elif family.name == "trade":
        fields.append(("side", pa.string()))
    elif family.name in ("control", "guard"):
        fields.append(("reason", pa.string()))
    fields += [(name, of.get(what, pa.int64())) for name, what in family.slots]
    fields += [("value", pa.float64())] if family.value else []
    return pa.schema([*fields, ("note", pa.string())])


def to_table(family: Family, rows: np.ndarray, notes: Mapping[int, str], names: Names, raw_units: bool = False) -> Any:
    """EVENT rows of one family as a pyarrow Table of `schema_of`."""
    import pyarrow as pa

    schema, prices = schema_of(family, raw_units, names), {name for name, what in family.slots if what == PRICE}
    columns = []
    for wanted in schema:
        name = wanted.name
        if name == "note":
            column = pa.array([notes.get(seq) for seq in rows["seq"].tolist()], wanted.type)
        elif name == "symbol":
            column = _named(rows["instrument"], names.symbols, -1)
        elif name == "strategy":
            column = _named(rows["strategy"], names.strategies, 0)
        elif name in ("slice_end", "warm_up"):
            column = pa.array((rows["flags"] & int(Flag[name.upper()])) > 0)
        elif name in _WORDS:
            words = {int(code): code.name for code in _WORDS[name]}
            column = _named(rows[name], words, None if name == "origin" else 0)
        elif pa.types.is_decimal(wanted.type):
            fine = name in prices and names.scales
            column = _fine(rows, name, names.scales) if fine else _decimals(rows[name])
        else:
            column = pa.array(np.ascontiguousarray(rows[name])).cast(wanted.type)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def _named(numbers: np.ndarray, words: Mapping[int, str], none: int | None) -> Any:
    """Numbers as words; `none` becomes null, a number without a word is written as itself."""
    import pyarrow as pa

    values, places = np.unique(numbers, return_inverse=True)
    texts = [None if int(v) == none else words.get(int(v), str(v)) for v in values]
    return pa.array(texts, pa.string()).take(pa.array(places.astype(np.int64)))


def _fine(rows: np.ndarray, name: str, scales: Mapping[int, int]) -> Any:
    """Prices of several scales as decimal128, exactly."""
    import pyarrow as pa

    one, usual = Decimal(1).scaleb(-FINE[1]), 10 ** DECIMAL[1]
    pairs = zip(rows[name].tolist(), rows["instrument"].tolist(), strict=True)
    values = [(Decimal(units) / scales.get(number, usual)).quantize(one) for units, number in pairs]
    return pa.array(values, pa.decimal128(*FINE))


def _decimals(units: np.ndarray) -> Any:
    """int64 units of 1/10,000 as decimal128: the same integers, widened."""
    import pyarrow as pa

    wide = np.empty((len(units), 2), "<i8")
    wide[:, 0], wide[:, 1] = units, units >> 63
    return pa.Array.from_buffers(pa.decimal128(*DECIMAL), len(units), [None, pa.py_buffer(wide)])
