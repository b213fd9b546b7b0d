"""`onetape sql`: the figures of a run and the events of a home, asked in SQL, and nothing else."""

import csv
import io
import json
import re
import threading
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pytest

from adapters.tape.digest import notes_within
from adapters.tape.reader import durable_seq
from adapters.tape.rolling import seal_closed
from adapters.tape.scan import segment_paths
from adapters.tape.sealed import SealedWriter
from adapters.tape.writer import TapeWriter
from api.sql import ask
from kernel.codes import Kind
from kernel.schema import events
from tests.api.conftest import SYMBOLS
from tests.api.running import FILLED, SIGNAL, TWO, stored
from tests.bench.data import write_home
from tests.projections.handmade import CONFIG, HandTape


@pytest.fixture
def run(home, good):
    return good(home, "backtest", *TWO)


@pytest.mark.sim
def test_figures_agree_with_the_run(home, run, good):
    def one(query: str):
        [row] = good(home, "sql", query)
        [value] = row.values()
        return value

    assert one("select count(*) n from fills") == run["fills"]
    assert one("select count(*) n from orders") == run["orders"]
    assert one("select count(*) n from bars") == run["bars"]
    assert one("select sum(fee)::bigint f from fills") == round(run["fees"] * 10_000)
    assert one("select last(equity order by seq) e from equity") == round(run["final_equity"] * 10_000)
    assert one("select string_agg(distinct symbol, ',' order by symbol) s from fills") == ",".join(sorted(SYMBOLS))
    assert one("select run_id from runs") == run["run_id"]


def test_csv_json_and_text(home, run, call):
    query = "select symbol, count(*) as n from fills group by 1 order by 1"
    as_json = call(home, "sql", query, "--json").json
    as_csv = list(csv.DictReader(io.StringIO(call(home, "sql", query, "--csv").out)))
    assert [(r["symbol"], str(r["n"])) for r in as_json] == [(r["symbol"], r["n"]) for r in as_csv]
    assert len(as_json) == len(SYMBOLS)
    text = call(home, "sql", query)
    assert text.code == 0 and all(symbol in text.out for symbol in SYMBOLS)


@pytest.mark.sim
def test_which_run(home, run, good):
    other = good(home, "backtest", *TWO[:2], "--symbols", "ACC")
    query = "select count(*) n from fills"
    assert good(home, "sql", query)[0]["n"] == other["fills"]
    assert good(home, "sql", query, "--run", run["run_id"])[0]["n"] == run["fills"]
    paper = good(home, "live", *TWO[:2], "--symbols", "ACC", "--feed", "replay:nse@max")
    assert good(home, "sql", query, "--run", "main-paper")[0]["n"] == paper["fills"] == other["fills"]


def test_questions_that_are_none(home, run, call):
    for query, word in (("selec 1", "selec"), ("select x from fills", "x"), ("select * from nothing", "nothing")):
        said = call(home, "sql", query)
        assert said.code == 2 and said.err.startswith("onetape: sql: ") and word in said.err and said.out == ""


def test_without_a_run(home, call, good):
    assert good(home, "sql", "select count(*) n from bars")[0]["n"] > 1_000
    assert call(home, "sql", "select * from fills").code == 2


# Events over sealed files and frames ----------------------------------------------------------------------------------


def counts(good, home, where=""):
    rows = good(home, "sql", f"select tape, kind, count(*) n from events {where} group by all")
    return {(row["tape"], row["kind"]): row["n"] for row in rows}


def counts_of(folder):
    kinds, numbers = np.unique(stored(folder)[0]["kind"], return_counts=True)
    return {(folder.name, Kind(int(kind)).name): int(n) for kind, n in zip(kinds, numbers, strict=True)}


@pytest.mark.sim
def test_events_are_what_is_on_the_tapes_sealed_or_not(home, run, good):
    good(home, "live", *TWO[:2], "--feed", "replay:nse@max")
    account = home / "tapes" / "accounts" / "main-paper"
    wanted = counts_of(home / "runs" / run["run_id"]) | counts_of(account)
    fills = "select tape, seq, symbol, side, qty, px::varchar px, fee::varchar fee, epoch_ns(ts_init) ts from order_filled order by all"
    assert counts(good, home) == wanted
    before = good(home, "sql", fills)
    seal_closed(account, whole=True)
    assert counts(good, home) == wanted and good(home, "sql", fills) == before
    rows = stored(account)[0]
    filled = rows[rows["kind"] == FILLED]
    mine = [row for row in before if row["tape"] == "main-paper"]
    assert [(r["seq"], r["qty"], Decimal(r["px"]) * 10_000, Decimal(r["fee"]) * 10_000, r["ts"]) for r in mine] == [
        (int(f["seq"]), int(f["qty"]), int(f["px"]), int(f["fee"]), int(f["ts_init"])) for f in filled
    ]
    notes = good(home, "sql", "select tape, note from notes where seq = 1 order by tape")
    assert [row["tape"] for row in notes] == [run["run_id"], "main-paper"] and all(
        '"strategies"' in n["note"] for n in notes
    )


@pytest.fixture
def growing(tmp_path):
    """A home with an account tape of four segments, two of them sealed, the last being written."""
    home = tmp_path / "growing"
    folder = home / "tapes" / "accounts" / "hand-paper"
    tape = HandTape(3).wander(900)
    rows = tape.rows()
    with TapeWriter(folder, segment_bytes=1 << 15) as writer:
        for part in np.array_split(rows, 40):
            writer.append(part, notes_within(part, tape.notes))
            if len(segment_paths(folder)) == 3 and not (folder / "sealed").exists():
                seal_closed(folder)
    assert (folder / "sealed").is_dir() and segment_paths(folder)
    return home


@pytest.mark.sim
def test_a_tape_that_is_partly_sealed_is_whole(growing, good):
    folder = growing / "tapes" / "accounts" / "hand-paper"
    assert counts(good, growing) == counts_of(folder)
    last = int(stored(folder)[0]["seq"][-1])
    [row] = good(growing, "sql", "select count(*) n, max(seq) last, count(distinct seq) different from events")
    assert row == {"n": len(stored(folder)[0]), "last": last, "different": row["n"]}
    assert good(growing, "sql", "select tape, mode, last_seq from tapes") == [
        {"tape": "hand-paper", "mode": "PAPER", "last_seq": last}
    ]
    [row] = good(
        growing,
        "sql",
        "select count(*) n from events_as_of($tape, $seq)",
        "--param",
        "tape=hand-paper",
        "--param",
        "seq=200",
    )
    assert row["n"] == int((stored(folder)[0]["seq"] <= 200).sum())


@pytest.mark.sim
def test_questions_beside_a_writer_see_a_whole_beginning(tmp_path):
    """A tape that grows and is sealed meanwhile: every answer has all its rows up to some seq, once each."""
    folder = tmp_path / "tapes" / "accounts" / "hand-paper"
    tape = HandTape(5).wander(900)
    rows = tape.rows()
    stop = threading.Event()

    def write():
        with TapeWriter(folder, segment_bytes=1 << 14) as writer:
            for k, part in enumerate(np.array_split(rows, 300)):
                writer.append(part, notes_within(part, tape.notes))
                if k % 20 == 19:
                    seal_closed(folder)
        stop.set()

    writing = threading.Thread(target=write)
    writing.start()
    question, seen = "select count(*), max(seq), count(distinct seq) from events", []
    while not stop.is_set():
        if (folder / "watermark").exists() and durable_seq(folder):
            seen += ask(tmp_path, None, question, {}).fetchall()
    writing.join()
    seen += ask(tmp_path, None, question, {}).fetchall()
    for count, last, different in seen:
        assert count == different == int((rows["seq"] <= last).sum())
    assert [last for _, last, _ in seen] == sorted(last for _, last, _ in seen) and seen[-1][0] == len(rows)


def plan(call, home, query):
    """(row groups read, row groups, files) of each Parquet scan, from EXPLAIN ANALYZE."""
    text = call(home, "sql", f"explain analyze {query}").out
    scanned = re.findall(r"READ_PARQUET.*?(?=╰)", text, re.S)
    found = []
    for scan in scanned:
        files, read = re.search(r"Total Files Read: (\d+)", scan), re.search(r"Row Groups Scanned: (\d+) / (\d+)", scan)
        found.append((int(read[1]) if read else 0, int(read[2]) if read else 0, int(files[1]) if files else 0))
    return found


@pytest.fixture(scope="module")
def long_home(tmp_path_factory):
    """600,000 bars on a market tape, and two sealed runs of 200,000 bars and 20,000 signals each, over many days."""
    home = tmp_path_factory.mktemp("long")
    write_home(home, 10, 60_000)
    for k in range(2):
        rows = events(220_000)
        rows["seq"] = np.arange(1, len(rows) + 1)
        rows["ts_init"] = rows["ts_event"] = np.int64(1_704_067_200 * 10**9) + rows["seq"] * (60 * 10**9)
        rows["kind"], rows["close"] = int(Kind.BAR), 100
        rows["kind"][::11] = SIGNAL
        rows["kind"][0] = int(Kind.RUN_STARTED)
        with SealedWriter(home / "runs" / f"r{k}") as tape:
            tape.add(rows, {1: json.dumps(CONFIG)})
            tape.finish({"config": CONFIG, "summary": {}, "run_id": f"r{k}"})
    return home


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("select * from bars where day = '2015-03-02'", 2),
        ("select * from bars where symbol = 'S03' and day = '2015-03-02'", 2),
        ("select symbol, close from bars where available >= '2015-03-02' and available < '2015-03-03'", 2),
        ("select * from bar where tape = 'r1' and day = '2024-02-01'", 2),
        ("select kind, seq from events where tape = 'r1' and ts_init >= '2024-02-01' and ts_init < '2024-02-02'", 3),
        ("select * from events_as_of('r1', 300)", 3),
        ("select * from signal where tape = 'r0' and seq between 1000 and 1100", 1),
        ("select count(*) from events where kind = 'EQUITY'", 2),
    ],
)
@pytest.mark.sim
def test_a_question_reads_few_row_groups(long_home, call, query, most):
    """By day, seq, tape and kind: what EXPLAIN ANALYZE says was read."""
    scans = plan(call, long_home, query)
    assert scans and sum(read for read, _, _ in scans) <= most, scans


def test_a_view_of_a_kind_reads_the_files_of_its_family(long_home, call):
    text = call(long_home, "sql", "explain analyze select count(*), max(value) from signal where tape = 'r0'").out
    assert "r0/ticket.parquet" in text and "bar.parquet" not in text


# What cannot be done --------------------------------------------------------------------------------------------------

REFUSED = [
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from read_text('/etc/hostname')",
    "select * from glob('/etc/*')",
    "select * from read_text('{home}/secrets/api.key')",
    "select * from read_text('{home}/runs/../secrets/api.key')",
    "copy (select 1) to '{home}/runs/x.csv'",
    "copy (select 1) to '/tmp/onetape-must-not-be.csv'",
    "explain analyze copy (select 1) to '{home}/runs/x.csv'",
    "explain analyze /* so */ copy (select 1) to '{home}/runs/x.csv'",
    "select 1; copy (select 1) to '{home}/runs/x.csv'",
    "attach '{home}/runs/x.duckdb'",
    "attach ':memory:' as other",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "pragma enable_external_access",
    "export database '{home}/runs/x'",
    "create table x as select 1",
    "drop view bars",
    "delete from instruments",
    "select * from query('copy bars to ''{home}/runs/x.csv''')",
    "call enable_logging()",
    "",
    "  -- nothing",
]


@pytest.mark.parametrize("query", REFUSED)
def test_only_questions_about_the_home_are_answered(home, call, query):
    (home / "secrets").mkdir()
    (home / "secrets" / "api.key").write_text("secret")
    (home / "runs").mkdir()
    there = sorted(home.rglob("*"))
    said = call(home, "sql", query.format(home=home))
    assert said.code == 2 and said.out == "" and said.err.startswith("onetape: sql: "), said
    assert (
        "secret\n" not in said.err
        and sorted(home.rglob("*")) == there
        and not Path("/tmp/onetape-must-not-be.csv").exists()
    )


def test_parameters_are_bound(home, call, good):
    query = "select count(*) n from bars where symbol = $symbol and close > $least and available < $before"
    given = ("--param", "symbol=ACC", "--param", "least=0.5", "--param", "before=2024-01-02")
    assert 0 < good(home, "sql", query, *given)[0]["n"] < good(home, "sql", "select count(*) n from bars")[0]["n"]
    evil = "ACC' or 1=1 --"
    assert good(home, "sql", "select count(*) n from bars where symbol = $s", "--param", f"s={evil}") == [{"n": 0}]
    assert good(home, "sql", "select $s as s, $n as n", "--param", 's="12"', "--param", "n=12") == [
        {"s": "12", "n": 12}
    ]
    for given, word in (("symbol", "name=value"), ("1x=2", "name=value"), ("other=1", "symbol")):
        said = call(home, "sql", "select count(*) from bars where symbol = $symbol", "--param", given)
        assert said.code == 2 and word in said.err


# The page -------------------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
BLOCKS = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.S)


@pytest.mark.sim
def test_every_question_of_the_page_is_answered(home, run, good, call):
    """All in one home: the runs are what takes time."""
    good(home, "live", *TWO[:2], "--feed", "replay:nse@max")
    seal_closed(home / "tapes" / "accounts" / "main-paper", whole=True)
    assert call(home, "publish").code == 0
    empty = []
    for block in BLOCKS:
        if block.startswith("-- with "):  # charges: tests/projections/test_settled.py, ticks: test_market_views.py
            continue
        if block.startswith("-- tape.duckdb"):
            with duckdb.connect(str(home / "views" / "tape.duckdb"), read_only=True) as connection:
                rows = connection.sql(block).fetchall()
        else:
            where = ("--run", "main-paper") if block.startswith("-- onetape sql --run main-paper") else ()
            rows = good(home, "sql", block, *where)
        empty += [block] if not rows else []
    assert len(BLOCKS) > 8 and not empty
