"""What a home holds for SQL: its tapes with their strategies, their Parquet files, and the frames not sealed yet."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from adapters.market.instruments import Registry
from adapters.tape.families import split_rows, to_table
from adapters.tape.frame import SCHEMA_ID
from adapters.tape.layouts import layout_of
from adapters.tape.parts import sealed_parts
from adapters.tape.reader import (
    config_of,
    is_sealed,
    list_account_folders,
    list_run_folders,
    read_manifest,
    read_rows,
)
from adapters.tape.sealed import NOTES
from kernel.schema import FAMILIES
from projections.event_views import NAMES, Lot, create_views
from projections.follow import larger
from projections.names import instrument_rows, read_config

NOTE_COLUMNS = {"seq": "BIGINT", "note": "VARCHAR"}
PLACE_OF_TAPE = {"runs": -2, "accounts": -4, "market": -2}  # in the path of a file, from its end
NOTES_NAME = NOTES.removesuffix(".parquet")
NO_NOTES = "SELECT ''::VARCHAR AS tape, 0::BIGINT AS seq, ''::VARCHAR AS note LIMIT 0"


class StoredFile(NamedTuple):
    """A Parquet file by its path below the home. Files of one `version` have the same columns if their names agree."""

    where: str
    path: str
    version: str
    kinds: tuple[int, ...] = ()  # see Lot


@dataclass
class Catalog:
    """The tapes of `home` that have events, their files and rows in frames by name of family or `notes`."""

    home: Path
    tapes: list[tuple[str, str, int]] = field(default_factory=list)  # name, mode, last seq that is here
    strategies: list[tuple[str, int, str]] = field(default_factory=list)  # tape, number, name
    instruments: list[dict[str, Any]] = field(default_factory=list)  # rows of run_instruments
    marks: list[tuple[str, str, int]] = field(default_factory=list)  # tape, symbol, last price of a backtest
    files: dict[str, list[StoredFile]] = field(default_factory=dict)
    hot: dict[str, list[Any]] = field(default_factory=dict)  # Arrow tables

    def add_sealed(self, where: str, folder: Path, manifest: Mapping[str, Any], version: str) -> None:
        """The files of a sealed run or part; those of an older layout under each family that its kinds are of now."""
        older = layout_of(int(manifest["schema"])).kinds if int(manifest["schema"]) != SCHEMA_ID else {}
        for name in manifest["files"]:
            path, stem = (folder / name).relative_to(self.home).as_posix(), name.removesuffix(".parquet")
            held = set(older.get(stem, ()))
            for family in FAMILIES if held else ():
                if meant := held & {int(kind) for kind in family.kinds}:
                    kinds = tuple(sorted(meant)) if meant != held else ()
                    self.files.setdefault(family.name, []).append(StoredFile(where, path, version, kinds))
            if not held:
                self.files.setdefault(stem, []).append(StoredFile(where, path, version))

    def add_tape(self, name: str, config: Mapping[str, Any], last_seq: int) -> None:
        self.tapes.append((name, str(config["mode"]), last_seq))
        run = read_config(json.dumps(config))
        self.strategies += [(name, number, label) for number, label in enumerate(run.strategies)]
        self.instruments += [{"tape": name, **row} for row in instrument_rows(run)]


def make_catalog(home: Path, hot: bool) -> Catalog:
    """Look at every run and account tape; `hot`: also read what is durable but not sealed. Raises TapeCorrupt."""
    catalog = Catalog(home)
    for folder in list_run_folders(home):
        if is_sealed(folder):
            manifest = read_manifest(folder)
            version = str(manifest["config"].get("kernel_hash") or folder)
            catalog.add_sealed("runs", folder, manifest, version)
            catalog.add_tape(folder.name, manifest["config"], int(manifest["last_seq"]))
            catalog.marks += [(folder.name, symbol, int(px)) for symbol, px in manifest.get("marks", {}).items() if px]
    for folder in list_account_folders(home):
        _add_account(catalog, folder, hot)
    return catalog


def _add_account(catalog: Catalog, folder: Path, hot: bool) -> None:
    last_seq = 0
    for part in sealed_parts(folder):
        catalog.add_sealed("accounts", part.folder, read_manifest(part.folder), part.folder.as_posix())
        last_seq = part.anchor.seq
    if hot:
        last_seq = _add_hot(catalog, folder, last_seq)
    if last_seq:
        catalog.add_tape(folder.name, config_of(folder), last_seq)


def _add_hot(catalog: Catalog, folder: Path, last_seq: int) -> int:
    """Keep the rows after `last_seq` as Arrow tables; returns the last seq."""
    import pyarrow as pa

    def keep(name: str, table: Any) -> None:
        tape = pa.repeat(folder.name, table.num_rows)
        catalog.hot.setdefault(name, []).append(table.append_column("tape", tape))

    for rows, notes in larger(read_rows(folder, last_seq + 1)):
        for family, part in split_rows(rows):
            keep(family.name, to_table(family, part))
        if notes:
            keep("notes", pa.table({"seq": pa.array(notes, pa.int64()), "note": pa.array(notes.values(), pa.string())}))
        last_seq = int(rows["seq"][-1])
    return last_seq


def add_names(connection: duckdb.DuckDBPyConnection, home: Path) -> None:
    """The tables that turn numbers into words."""
    connection.execute(NAMES)
    rows = [
        [i.number, i.symbol, i.tick, i.currency, 10**i.price_decimals, 10**i.qty_decimals] for i in Registry.load(home)
    ]
    if rows:
        connection.executemany("INSERT INTO instruments VALUES (?, ?, ?, ?, ?, ?)", rows)


def add_events(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    """The views of events and notes, and the tables of tapes, strategies and instruments of runs."""
    import pyarrow as pa

    if catalog.instruments:  # those of a tape whose read models are here are here already
        listed = pa.Table.from_pylist(catalog.instruments)
        connection.register("listed", listed)
        connection.execute("INSERT INTO run_instruments BY NAME FROM listed ANTI JOIN run_instruments USING (tape)")
        connection.unregister("listed")
    for name, rows in (("tapes", catalog.tapes), ("strategies", catalog.strategies)):
        _with_rows(connection, rows, f"INSERT INTO {name} SELECT * FROM listed")
    stored: dict[str, list[Lot]] = {}
    for name in (*(family.name for family in FAMILIES), NOTES_NAME):
        lots = sealed_lots(connection, catalog.home, name, catalog.files.get(name, []))
        if name in catalog.hot:
            table = pa.concat_tables(catalog.hot[name])
            connection.register(f"hot_{name}", table)
            lots.append(Lot(f"hot_{name}", "e.tape", frozenset(table.column_names)))
        if lots:
            stored[name] = lots
    notes = [lot.select(NOTE_COLUMNS) for lot in stored.pop(NOTES_NAME, ())]
    connection.execute(f"CREATE VIEW notes AS {' UNION ALL '.join(notes) or NO_NOTES}")
    for statement in create_views(stored):
        connection.execute(statement)


def fill_marks(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    """Value the open positions of backtests in `connection`: their bars, and so their marks, are not on their tapes."""
    filled = "UPDATE positions SET mark = c FROM listed WHERE tape = a AND symbol = b AND qty <> 0"
    _with_rows(connection, catalog.marks, filled)


def _with_rows(connection: duckdb.DuckDBPyConnection, rows: Sequence[tuple[Any, ...]], sql: str) -> None:
    """Execute `sql` with rows of three columns in the table `listed` (a, b, c); nothing when there are none."""
    import pyarrow as pa

    if rows:
        connection.register("listed", pa.table(dict(zip("abc", zip(*rows, strict=True), strict=True))))
        connection.execute(sql)
        connection.unregister("listed")


def sealed_lots(connection: duckdb.DuckDBPyConnection, home: Path, name: str, files: list[StoredFile]) -> list[Lot]:
    """A lot for the files of each place that have the same columns: another version of Onetape may have written others.

    Files are told apart here and not by DuckDB's union_by_name, which opens them all for every question. A macro holds
    their names, once for all views; they begin with the variable `home` where somebody has set it: a home can be moved.
    """
    prefix = home.as_posix().rstrip("/") + "/"
    samples = {file.version: file.path for file in files}
    columns = _columns_of(connection, [prefix + path for path in samples.values()])
    alike: dict[tuple[str, frozenset[str], tuple[int, ...]], list[str]] = {}
    for file in files:
        alike.setdefault((file.where, columns[prefix + samples[file.version]], file.kinds), []).append(file.path)
    lots = []
    for number, ((where, names, kinds), paths) in enumerate(alike.items(), 1):
        listed, macro = ", ".join(map(text_literal, paths)), f"files_{name}_{number}"
        full = f"lambda path: coalesce(getvariable('home') || '/', {text_literal(prefix)}) || path"
        connection.execute(f"CREATE MACRO {macro}() AS list_transform([{listed}], {full})")
        tape = f"split_part(e.filename, '/', {PLACE_OF_TAPE[where]})"
        lots.append(Lot(f"read_parquet({macro}())", tape, names, kinds))
    return lots


def _columns_of(connection: duckdb.DuckDBPyConnection, paths: list[str]) -> dict[str, frozenset[str]]:
    if not paths:
        return {}
    sql = "SELECT file_name, list(name) FROM parquet_schema(?) GROUP BY file_name"
    return {path: frozenset(names) for path, names in connection.execute(sql, [paths]).fetchall()}


def text_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
