"""Read CSV and Parquet files of bars or ticks in batches, each needed column under its field name, each row with its
line."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adapters.market.columns import find_columns
from adapters.market.findings import Findings
from adapters.market.options import ImportOptions
from kernel.errors import ImportRefused, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 4 << 20  # of CSV text parsed at once
BATCH_ROWS = 65_536
CSV_ENDINGS = (".csv", ".csv.gz", ".tsv", ".txt")
# times of day as numbers: 0915 and 091500, and 915 and 91500 where a spreadsheet took the zero
_BARE_CLOCKS = (
    (r"^(\d)(\d\d)$", r"0\1:\2"),
    (r"^(\d\d)(\d\d)$", r"\1:\2"),
    (r"^(\d)(\d\d)(\d\d)$", r"0\1:\2:\3"),
    (r"^(\d\d)(\d\d)(\d\d)$", r"\1:\2:\3"),
)
ENDINGS = (*CSV_ENDINGS, ".parquet", ".pq")


@dataclass
class RawBatch:
    """`columns`: field -> Arrow array as the file has it; `lines`: int64 line or row numbers."""

    lines: np.ndarray
    columns: "dict[str, pa.Array]"


class Source:
    """One file: its fields, its rows if known before reading, and its batches.

    Raises NotFound, or ImportRefused when the file as a whole cannot be read.
    """

    def __init__(self, path: Path, options: ImportOptions) -> None:
        self.path = path
        if not path.is_file():
            raise NotFound(f"no file {path}: check the spelling")
        self.is_csv = path.name.lower().endswith(CSV_ENDINGS)
        if not self.is_csv and not path.name.lower().endswith(ENDINGS):
            raise ImportRefused(f"{path}: only {', '.join(ENDINGS)} files can be imported")
        self._names = self._csv_names() if self.is_csv else self._parquet_names()
        self.fields = find_columns(self._names, options.columns, str(path), options.ticks)

    def _csv_names(self) -> list[str]:
        with _open_bytes(self.path) as file:
            head = file.read(1 << 16)
        try:
            first = bytes(head).decode("utf-8-sig", errors="strict" if len(head) < 1 << 16 else "ignore").splitlines()
        except UnicodeDecodeError:
            raise ImportRefused(f"{self.path} is not UTF-8 text: save it as CSV UTF-8") from None
        if not first or not first[0].strip():
            raise ImportRefused(f"{self.path} is empty or begins with a blank line: its first line names the columns")
        self.delimiter = max(",;\t|", key=first[0].count)
        mean = max(1, len(head) // len(first))
        self.rows_total: int | None = None
        if not self.path.name.lower().endswith(".gz"):
            self.rows_total = max(len(first) - 1, 0) if len(head) < 1 << 16 else self.path.stat().st_size // mean
        return next(csv.reader(io.StringIO(first[0]), delimiter=self.delimiter))

    def _parquet_names(self) -> list[str]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path) as file:
                self.rows_total = file.metadata.num_rows
                return list(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise ImportRefused(f"{self.path} cannot be read as Parquet: {error}") from error

    def batches(self, findings: Findings) -> Iterator[RawBatch]:
        """All rows in order; lines with a wrong number of columns go to `findings`."""
        import pyarrow as pa

        try:
            yield from self._csv_batches(findings) if self.is_csv else self._parquet_batches()
        except (pa.ArrowException, OSError) as error:
            raise ImportRefused(f"{self.path} cannot be read: {error}") from error

    def _csv_batches(self, findings: Findings, only: tuple[str, ...] | None = None) -> Iterator[RawBatch]:
        from pyarrow import csv as arrow_csv
        from pyarrow import string

        wanted = {field: name for field, name in self.fields.items() if only is None or field in only}
        # repeated names of columns nobody asked for must not matter
        unique = [name if name in wanted.values() else f"\0{i}" for i, name in enumerate(self._names)]
        bad: list[int] = []

        def on_bad_row(row) -> str:  # type: ignore[no-untyped-def]
            bad.append(row.number)
            findings.add(row.number, f"has {row.actual_columns} columns, the header names {row.expected_columns}")
            return "skip"

        with _open_bytes(self.path) as file:
            reader = arrow_csv.open_csv(
                file,
                # one thread: with more, Arrow does not know line numbers
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, block_size=BLOCK_BYTES, skip_rows=1, column_names=unique
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.delimiter, ignore_empty_lines=False, invalid_row_handler=on_bad_row
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(wanted.values(), string()),
                    include_columns=list(wanted.values()),
                    strings_can_be_null=False,
                ),
            )
            line = 2
            for batch in reader:
                lines = np.arange(line, line + batch.num_rows, dtype="i8")
                while bad and len(lines) and bad[0] <= lines[-1]:
                    lines[lines >= bad.pop(0)] += 1
                line = int(lines[-1]) + 1 if len(lines) else line
                columns = {field: batch.column(name) for field, name in wanted.items()}
                yield _without_blank(RawBatch(lines, columns))

    def _parquet_batches(self, only: tuple[str, ...] | None = None) -> Iterator[RawBatch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        wanted = {field: name for field, name in self.fields.items() if only is None or field in only}
        with pq.ParquetFile(self.path, memory_map=True, pre_buffer=False) as file:
            row = 1
            for batch in file.iter_batches(BATCH_ROWS, columns=list(wanted.values()), use_threads=False):
                columns = {field: batch.column(name) for field, name in wanted.items()}
                for field, column in columns.items():
                    if pa.types.is_dictionary(column.type):
                        columns[field] = column.dictionary_decode()
                yield RawBatch(np.arange(row, row + batch.num_rows, dtype="i8"), columns)
                row += batch.num_rows

    def time_texts(self) -> Iterator[str]:
        """The texts of the date or time column, from the start."""
        field = next(f for f in ("datetime", "date", "time") if f in self.fields)
        ignored = Findings(str(self.path))
        for batch in self._csv_batches(ignored, (field,)) if self.is_csv else self._parquet_batches((field,)):
            yield from batch.columns[field].to_pylist()


def time_column(columns: "dict[str, pa.Array]") -> "pa.Array":
    """The one time column, or date and time of day joined as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if "date" in columns and "time" in columns:
        date, time = columns["date"].cast(pa.string()), columns["time"].cast(pa.string())
        if pa.types.is_time(columns["time"].type):
            time = pc.replace_substring_regex(time, r"\.0+$", "")
        time = pc.utf8_trim_whitespace(time)
        for digits, clock in _BARE_CLOCKS:
            time = pc.replace_substring_regex(time, digits, clock)
        return pc.binary_join_element_wise(pc.utf8_trim_whitespace(date), time, " ")
    return next(columns[field] for field in ("datetime", "date", "time") if field in columns)


def _without_blank(batch: RawBatch) -> RawBatch:
    """Drop blank lines, which Arrow hands on as rows of empty texts so that line numbers stay right."""
    import pyarrow.compute as pc

    empty = None
    for column in batch.columns.values():
        here = pc.equal(column, "")
        empty = here if empty is None else pc.and_(empty, here)
        if not pc.any(here).as_py():
            return batch
    keep = pc.invert(empty)
    mask = keep.to_numpy(zero_copy_only=False)
    return RawBatch(batch.lines[mask], {field: column.filter(keep) for field, column in batch.columns.items()})


def _open_bytes(path: Path):  # type: ignore[no-untyped-def]
    import pyarrow as pa

    return pa.input_stream(str(path), compression="detect")


def expand(paths: list[Path]) -> list[Path]:
    """Folders stand for the bar files directly in them, by name. Raises NotFound and ImportRefused."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and p.name.lower().endswith(ENDINGS))
            if not inside:
                raise ImportRefused(f"{path} holds no {', '.join(ENDINGS)} file")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise NotFound(f"no file {path}: check the spelling")
    if len({file.resolve() for file in files}) != len(files):
        raise ImportRefused("one file is named twice: name each once")
    return files


def stem(path: Path) -> str:
    """A file's name without its endings."""
    name = path.name
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
