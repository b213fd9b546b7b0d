"""Export: what comes out is what is on the tape, in names, words, decimals and times that other programs read."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from adapters.tape.export import FORMATS, Names, export_rows, format_of, schema_of
from kernel.codes import Kind, Reason, Side
from kernel.errors import ConfigError
from kernel.schema import FAMILIES, MONEY, PRICE, TIME
from tests.adapters.tape.rows import make_rows, some_rows

NAMES = Names({0: "ACC", 1: "TCS"}, {1: "ema_cross"})
ORDER = frozenset(int(kind) for kind in next(f for f in FAMILIES if f.name == "order").kinds)
ALL = frozenset(int(kind) for kind in Kind)


def orders(count: int = 50) -> np.ndarray:
    rows = make_rows([int(Kind.ORDER_CANCELED), int(Kind.ORDER_TRIGGERED)] * (count // 2), 3)
    rows["instrument"], rows["strategy"] = np.arange(count) % 2, 1
    rows["side"], rows["reason"] = np.where(np.arange(count) % 3, 1, -1), np.arange(count) % 3
    rows["ts_init"] = rows["ts_event"] = 1_704_080_700_123_456_789 + np.arange(count)
    return rows


def batches(rows: np.ndarray, size: int = 7):
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield part, {int(part["seq"][0]): f'note {start}, "quoted"'}


def read(path: Path, form: str) -> pa.Table:
    if form == "parquet":
        return pq.read_table(path)
    if form == "arrow":
        return pa.ipc.open_file(path).read_all()
    types = {field.name: field.type for field in schema_of(next(f for f in FAMILIES if f.name == "order"))}
    options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False)
    return pyarrow.csv.read_csv(path, convert_options=options)


def plain(table: pa.Table) -> dict:
    """All columns but the times, whose nanoseconds Python's datetime cannot hold."""
    return table.drop_columns(["ts_event", "ts_init"]).to_pydict()


@pytest.mark.parametrize("form", FORMATS)
def test_round_trip(tmp_path, form):
    rows = orders()
    made = export_rows(batches(rows), tmp_path / f"o.{form}", form, NAMES, ORDER)
    assert made == {tmp_path / f"o.{form}": 50} and sorted(p.name for p in tmp_path.iterdir()) == [f"o.{form}"]
    table = plain(read(tmp_path / f"o.{form}", form))
    assert table["seq"] == rows["seq"].tolist()
    assert table["symbol"] == ["ACC", "TCS"] * 25 and set(table["strategy"]) == {"ema_cross"}
    assert table["kind"] == ["ORDER_CANCELED", "ORDER_TRIGGERED"] * 25
    assert table["side"] == [Side(int(side)).name for side in rows["side"]]
    assert table["reason"] == [Reason(int(r)).name if r else None for r in rows["reason"]]
    assert table["px"] == [Decimal(int(px)).scaleb(-4) for px in rows["px"]], "to the last unit, whatever the size"
    assert table["note"] == [f'note {k - k % 7}, "quoted"' if k % 7 == 0 else None for k in range(50)]
    at = read(tmp_path / f"o.{form}", form).column("ts_init")
    assert at.type == pa.timestamp("ns", "UTC") and at.cast(pa.int64()).to_pylist() == rows["ts_init"].tolist()


def test_raw_units_are_the_integers_of_the_tape(tmp_path):
    rows = orders()
    export_rows(batches(rows), tmp_path / "o.parquet", "parquet", NAMES, ORDER, raw_units=True)
    table = pq.read_table(tmp_path / "o.parquet")
    for name in ("px", "trigger_px", "reserve_px", "qty", "order_id"):
        assert table.column(name).type == pa.int64() and table.column(name).to_pylist() == rows[name].tolist()


def test_duckdb_reads_all_that_it_can(tmp_path):
    rows = orders()
    for form in ("parquet", "csv"):
        export_rows(batches(rows), tmp_path / f"o.{form}", form, NAMES, ORDER)
        got = duckdb.sql(
            f"select count(*), sum(qty::hugeint), count(distinct symbol) from '{tmp_path}/o.{form}'"
        ).fetchall()[0]
        assert got == (50, sum(rows["qty"].tolist()), 2)
    total = duckdb.sql(
        f"select sum(px::decimal(38,4)), min(ts_init)::timestamptz from '{tmp_path}/o.parquet'"
    ).fetchall()[0]
    assert total[0] == Decimal(sum(rows["px"].tolist())).scaleb(-4)
    assert total[1].astimezone(dt.UTC).isoformat()[:19] == "2024-01-01T03:45:00"


def test_every_family_has_a_file(tmp_path):
    rows = some_rows(2_000)
    made = export_rows(batches(rows, 100), tmp_path / "all.parquet", "parquet", NAMES, ALL)
    assert {path.relative_to(tmp_path).as_posix() for path in made} == {f"all/{f.name}.parquet" for f in FAMILIES}
    assert sum(made.values()) == 2_000
    for family in FAMILIES:
        table = pq.read_table(tmp_path / "all" / f"{family.name}.parquet")
        assert set(table.column("kind").to_pylist()) <= {kind.name for kind in family.kinds}
        for name, what in family.slots:
            wanted = {TIME: pa.timestamp("ns", "UTC"), PRICE: pa.decimal128(38, 4), MONEY: pa.decimal128(38, 4)}
            assert table.schema.field(name).type == wanted.get(what, pa.int64()), name


def test_one_kind_and_unknown_numbers(tmp_path):
    rows = orders()
    rows["instrument"][1], rows["strategy"][3], rows["reason"][1] = 77, 9, 250
    made = export_rows(batches(rows), tmp_path / "f.parquet", "parquet", NAMES, frozenset([int(Kind.ORDER_TRIGGERED)]))
    table = plain(pq.read_table(tmp_path / "f.parquet"))
    assert list(made.values()) == [25] and set(table["kind"]) == {"ORDER_TRIGGERED"}
    assert (table["symbol"][0], table["strategy"][1], table["reason"][0]) == ("77", "9", "250")


def test_nothing_asked_for_is_an_empty_file(tmp_path):
    made = export_rows(batches(orders()), tmp_path / "q.parquet", "parquet", NAMES, frozenset([int(Kind.QUOTE)]))
    assert list(made.values()) == [0] and pq.read_table(tmp_path / "q.parquet").num_rows == 0


def test_nothing_is_left_of_an_export_that_failed(tmp_path):
    def broken():
        yield from batches(orders())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        export_rows(broken(), tmp_path / "o.parquet", "parquet", NAMES, ORDER)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.sim
def test_memory_does_not_grow_with_the_tape(tmp_path):
    def many():
        rows = orders(10_000)
        for k in range(30):
            rows["seq"] = 1 + k * 10_000 + np.arange(10_000)
            yield rows.copy(), {}

    made = export_rows(many(), tmp_path / "o.parquet", "parquet", NAMES, ORDER)
    assert list(made.values()) == [300_000]
    about = pq.read_metadata(tmp_path / "o.parquet")
    assert about.num_row_groups >= 4 and all(about.row_group(k).num_rows <= 80_000 for k in range(about.num_row_groups))


def test_names_say_the_format():
    assert [format_of(Path(name)) for name in ("a.parquet", "a.CSV", "a.arrow", "folder")] == [*FORMATS, "parquet"]
    assert format_of(Path("folder"), "csv") == "csv"
    with pytest.raises(ConfigError, match="xlsx is no format"):
        format_of(Path("a.xlsx"))
