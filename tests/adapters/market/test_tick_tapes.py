"""Ticks on market tapes: import, digest, damage, and the feed that merges them with bars against a plain sort."""

from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.bars_text import parse_bars
from adapters.market import feed as feed_module
from adapters.market.actions import action_columns
from adapters.market.feed import MarketFeed, Selection
from adapters.market.importer import import_files
from adapters.market.instruments import Registry
from adapters.market.options import ImportOptions
from adapters.market.reader import tick_batches
from adapters.market.tape import TICK_COLUMNS, TICK_FILES, open_tape, tapes_folder
from adapters.market.verify import verify_tape
from adapters.market.writer import MarketWriter
from kernel.codes import Flag, Kind
from kernel.errors import ConfigError, ImportRefused, TapeCorrupt
from kernel.schema import EVENT
from tests.adapters.market.test_feed import BAR, SYMBOLS, home_in_memory, one_bar, take, write_tape

QUOTE, TRADE = int(Kind.QUOTE), int(Kind.TRADE)
NINE = 1_704_102_300 * 10**9  # 2024-01-01 09:45 UTC, 15:15 in Kolkata
TRADES = """ts,symbol,price,qty,open_interest
2024-01-01 15:15:00.000000001,ACC,100.05,10,7
2024-01-01 15:15:00.000000001,ACC,100.05,10,7
2024-01-01 15:15:00.5,TCS,200,1,
2024-01-01 15:15:01,ACC,100.10,5,8
"""
QUOTES = """datetime,symbol,bid,ask,bid size,ask size
2024-01-01T09:45:00.000000001Z,ACC,100.05,100.10,10,20
2024-01-01T09:45:00.000000002Z,ACC,,100.10,,20
2024-01-01T09:45:00.000000002Z,ACC,100.00,0,5,0
"""


@pytest.fixture
def bring(tmp_path):
    """`bring(text, "trades", ...)`: import a CSV file of this text into `tmp_path/home`."""

    def called(text: str, ticks: str, name: str = "ticks", **options):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        return import_files(tmp_path / "home", [path], ImportOptions(ticks=ticks, tick="0.05", **options))

    return called


def stored(home: Path, name: str, kind: str) -> dict[str, list[int]]:
    batches = list(tick_batches(tapes_folder(home) / name, kind))
    return {column: np.concatenate([batch[column] for batch in batches]).tolist() for column in batches[0]}


def said(report) -> str:
    return "; ".join(str(finding) for file in report.files for finding in file.findings)


class TestImport:
    def test_trades(self, bring, tmp_path):
        report = bring(TRADES, "trades", latency="5ms")
        assert (report.new, report.tapes) == (4, ["ticks"])
        got = stored(tmp_path / "home", "ticks", "trades")
        numbers = {row.symbol: row.number for row in Registry.load(tmp_path / "home")}
        assert got["ts_init"] == [NINE + 5_000_000 + ns for ns in (1, 1, 500_000_000, 10**9)]
        assert got["lag"] == [5_000_000] * 4 and got["trade_interest"] == [7, 7, 0, 8]
        assert got["instrument"] == [numbers[symbol] for symbol in ("ACC", "ACC", "TCS", "ACC")]
        assert got["trade_px"] == [1_000_500, 1_000_500, 2_000_000, 1_001_000] and got["trade_qty"] == [10, 10, 1, 5]

    def test_quotes_may_show_one_side(self, bring, tmp_path):
        assert bring(QUOTES, "quotes").new == 3
        got = stored(tmp_path / "home", "ticks", "quotes")
        assert got["bid_px"] == [1_000_500, 0, 1_000_000] and got["ask_px"] == [1_001_000, 1_001_000, 0]
        assert got["bid_qty"] == [10, 0, 5] and got["ask_qty"] == [20, 20, 0]
        assert got["ts_init"] == [NINE + 1, NINE + 2, NINE + 2] and "lag" not in got

    def test_the_manifest_counts_and_verify_proves(self, bring, tmp_path):
        bring(TRADES, "trades")
        path = tapes_folder(tmp_path / "home") / "ticks"
        manifest = verify_tape(path)
        assert (manifest.bars, manifest.trades, manifest.quotes, manifest.ticks) == (0, 4, 0, 4)
        assert [(i.symbol, i.trades, i.quotes) for i in manifest.instruments] == [("ACC", 3, 0), ("TCS", 1, 0)]
        assert (manifest.first_ts, manifest.last_ts) == (NINE + 1, NINE + 10**9)
        assert set(manifest.files) == {"bars.parquet", "trades.parquet"}

    def test_the_same_again_adds_nothing_and_more_adds_that(self, bring, tmp_path):
        bring(TRADES, "trades")
        assert (again := bring(TRADES, "trades")).new == 0 and again.files[0].skipped == 4 and not again.tapes
        more = bring(TRADES + "2024-01-01 15:15:01,ACC,100.10,5,8\n2024-01-01 15:15:02,TCS,201,1,\n", "trades", "more")
        assert (more.new, more.files[0].skipped) == (2, 4)
        third = bring(
            TRADES + "2024-01-01 15:15:01,ACC,100.10,5,8\n2024-01-01 15:15:02,TCS,201,1,\n", "trades", "third"
        )
        assert (third.new, third.files[0].skipped) == (0, 6)
        slower = bring(TRADES, "trades", "slower", latency="1s")
        assert (slower.new, slower.files[0].skipped) == (0, 4)
        part = bring("\n".join(TRADES.splitlines()[:3]) + "\n", "trades", "part")
        assert (part.new, part.files[0].skipped) == (0, 2)

    @pytest.mark.parametrize(
        ("changed", "line"),
        [
            (TRADES.replace("15:15:01,ACC,100.10,5", "15:15:01,ACC,100.10,6"), 5),
            (TRADES.replace("2024-01-01 15:15:00.000000001,ACC,100.05,10,7\n", "", 1), 4),
            (TRADES.replace("10,7\n2024-01-01 15:15:00.5", "10,9\n2024-01-01 15:15:00.5"), 3),
        ],
    )
    def test_what_is_stored_never_changes(self, bring, changed, line):
        bring(TRADES, "trades")
        report = bring(changed, "trades", "changed")
        assert report.refused and f"changed.csv:{line}: ACC at" in said(report) and "tape ticks" in said(report)

    def test_files_of_one_import_follow_each_other(self, tmp_path):
        first, second = tmp_path / "a.csv", tmp_path / "b.csv"
        first.write_text(TRADES)
        second.write_text(TRADES.replace("15:15", "15:14"))
        third = tmp_path / "c.csv"
        third.write_text(TRADES.replace(":00.5", ":00.6"))
        options = ImportOptions(ticks="trades", tick="0.05")
        report = import_files(tmp_path / "home", [first, second, third], options)
        assert report.new == 8 and "c.csv:2: its ticks of ACC" in said(report)
        got = stored(tmp_path / "home", report.tapes[0], "trades")
        assert got["ts_init"] == sorted(got["ts_init"])

    @pytest.mark.parametrize(
        ("text", "kind", "finding"),
        [
            (TRADES.replace("100.10,5", "100.11,5"), "trades", "5: price 100.11 is off the tick 0.05"),
            (TRADES.replace("200,1,", "0,1,"), "trades", "4: price 0 is not positive"),
            (TRADES.replace("200,1,", ",1,"), "trades", "4: price is missing"),
            (TRADES.replace("200,1,", "200,x,"), "trades", "4: qty is 'x', which is not a number"),
            (TRADES.replace("200,1,", "200,-1,"), "trades", "4: qty -1 is negative"),
            (TRADES.replace("200,1,", "200,1.5,"), "trades", "4: qty 1.5 is fractional"),
            (TRADES.replace("15:15:01", "15:14:01"), "trades", "5: time of ACC goes back"),
            (TRADES.replace("15:15:01", "noon"), "trades", "5: time is '2024-01-01 noon'"),
            (TRADES.replace("TCS", ""), "trades", "4: symbol is missing"),
            (QUOTES.replace("100.00,0", "-1,0"), "quotes", "4: bid -1 is not a price"),
            (QUOTES.replace("100.00,0", "0,0"), "quotes", "4: has neither bid nor ask"),
            (QUOTES.replace("100.00,0", "100.01,0"), "quotes", "4: bid 100.01 is off the tick 0.05"),
            ("date,price,qty\n2024-01-01,1,1\n", "trades", "its times are dates"),
            ("ts,price,qty\n", "trades", "holds no ticks"),
        ],
    )
    def test_bad_rows_are_named(self, bring, tmp_path, text, kind, finding):
        report = bring(text, kind)
        assert report.refused and finding in said(report) and not report.tapes
        assert not list(tapes_folder(tmp_path / "home").glob("*"))

    def test_sort_and_empty_and_rounding(self, bring, tmp_path):
        lines = TRADES.splitlines()
        mixed = "\n".join([lines[0], lines[4], lines[3], "2024-01-01 15:15:03,ACC,,,", lines[1], lines[2]]) + "\n"
        report = bring(mixed.replace("100.10", "100.11"), "trades", sort=True, skip_empty=True, round_to_tick=True)
        assert (report.new, report.files[0].empty) == (4, 1) and "rounded to the tick" in report.notes[0]
        got = stored(tmp_path / "home", "ticks", "trades")
        assert got["ts_init"] == sorted(got["ts_init"]) and got["trade_px"][-1] == 1_001_000

    @pytest.mark.parametrize(
        "options", [{"latency": "5"}, {"latency": "2h"}, {"ticks": "prints"}, {"columns": {"open": "px"}}]
    )
    def test_options(self, tmp_path, options):
        with pytest.raises(ConfigError):
            import_files(tmp_path, [tmp_path], ImportOptions(**{"ticks": "trades", **options}))

    def test_a_file_of_bars_is_no_file_of_ticks(self, bring):
        with pytest.raises(ImportRefused, match="no column for price, qty"):
            bring("date,open,high,low,close\n2024-01-01,1,1,1,1\n", "trades")


REAL = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize(("kind", "count"), [("quotes", 109_067), ("trades", 24_293)])
def test_a_real_day(tmp_path, kind, count):
    path = REAL / f"us_ibm_{kind[:-1]}_ticks_20131007.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    options = ImportOptions(ticks=kind, tick="0.01", currency="USD", tz="America/New_York")
    report = import_files(tmp_path, [path], options)
    assert report.new == count and import_files(tmp_path, [path], options).new == 0
    assert verify_tape(tapes_folder(tmp_path) / report.tapes[0]).ticks == count


def test_damage_is_named(bring, tmp_path):
    bring(TRADES, "trades")
    path = tapes_folder(tmp_path / "home") / "ticks" / "trades.parquet"
    whole = path.read_bytes()
    for at in range(4, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(TapeCorrupt, match=r"trades\.parquet"):
            verify_tape(path.parent)
    path.unlink()
    with pytest.raises(TapeCorrupt, match=r"trades\.parquet is missing"):
        verify_tape(path.parent)


def test_the_digest_does_not_depend_on_pieces(tmp_path):
    columns = {name: np.arange(9).astype(width) for name, width in TICK_COLUMNS["quotes"].items() if name != "lag"}
    found = set()
    for size in (1, 2, 9):
        with MarketWriter(tmp_path, f"t{size}", SYMBOLS) as tape:
            for start in range(0, 9, size):
                tape.add_ticks("quotes", {name: values[start : start + size] for name, values in columns.items()})
            found.add(tape.finish(action_columns([]), [], {}).content_digest)
    assert len(found) == 1


# The feed


@dataclass(frozen=True)
class Tick:
    ts: int
    instrument: int
    tape: int
    kind: int
    px: int
    lag: int


def write_ticks(home: Path, number: int, ticks: list[Tick]) -> Path:
    """A tape of `ticks`, each sort stably by (ts, instrument); optional columns where there is any value."""
    with MarketWriter(home, f"tape-{number}", SYMBOLS) as tape:
        for kind, code in (("quotes", QUOTE), ("trades", TRADE)):
            rows = sorted((t for t in ticks if t.kind == code), key=lambda t: (t.ts, t.instrument))
            if not rows:
                continue
            columns = {
                "ts_init": np.array([t.ts for t in rows], "i8"),
                "instrument": np.array([t.instrument for t in rows], "i4"),
            }
            for k, name in enumerate([n for n in TICK_COLUMNS[kind] if n.endswith(("px", "qty"))]):
                columns[name] = np.array([t.px + k for t in rows], "i8")
            if any(t.lag for t in rows):
                columns["lag"] = np.array([t.lag for t in rows], "i8")
            tape.add_ticks(kind, columns)
        return tape.finish(action_columns([]), [], {}).path


def ticks_of(tape: int):
    one = st.tuples(st.integers(1, 8), st.integers(0, 1), st.sampled_from([QUOTE, TRADE]), st.integers(10, 99),
                    st.sampled_from([0, 0, 3]))  # fmt: skip
    return st.lists(one, max_size=20).map(
        lambda rows: [Tick(ts * 100, i, tape, kind, px, lag) for ts, i, kind, px, lag in rows]
    )


@given(
    ticks_of(0),
    ticks_of(1),
    st.lists(st.tuples(st.integers(1, 8), st.integers(2, 3)), unique=True, max_size=8),
    st.sampled_from([1, 2, 3, 64]),
    st.sampled_from([1, 2, 5, 1_000]),
    st.none() | st.integers(0, 900),
)
def test_the_feed_is_a_sort(first, second, bars, batch, table, begin):
    """By (ts_init, instrument, tape, sort, place): ticks of 0 and 1 on two tapes, bars of 2 and 3 on a third."""
    bars = [one_bar(ts * 100, i, px=50 + i) for ts, i in sorted(bars)]
    with home_in_memory() as home, patch.object(feed_module, "BATCH_ROWS", batch):
        paths = [write_ticks(home, 0, first), write_ticks(home, 1, second), write_tape(home, 2, bars, [])]
        got = take(MarketFeed(paths, Selection(first_ts=begin)), table)
    rows = [(t.ts, t.instrument, t.tape, t.kind, t.px, t.lag) for t in (*first, *second)]
    rows += [(b.ts, b.instrument, 2, BAR, b.px, 0) for b in bars]
    rows = sorted((row for row in rows if begin is None or row[0] >= begin), key=lambda row: row[:4])
    px = {QUOTE: "bid_px", TRADE: "trade_px", BAR: "open"}
    assert [(int(e["ts_init"]), int(e["instrument"]), int(e["kind"]), int(e[px[int(e["kind"])]])) for e in got] == [
        (ts, i, kind, price) for ts, i, _, kind, price, _ in rows
    ]
    assert got["ts_event"].tolist() == [ts - lag for ts, *_, lag in rows]
    for k, (ts, _, _, kind, price, _) in enumerate(rows):
        last = k + 1 == len(rows) or rows[k + 1][0] != ts
        last_bar = kind == BAR and not any(row[0] == ts and row[3] == BAR for row in rows[k + 1 :])
        assert bool(got["flags"][k] & Flag.SLICE_END) == (last or last_bar)
        body = [int(got[k][name]) for name in ("ts_open", "open", "high", "low", "close", "volume", "open_interest")]
        if kind != BAR:
            count = 4 if kind == QUOTE else 2
            assert body == [price + j for j in range(count)] + [0] * (7 - count)


def test_bars_and_ticks_of_one_instrument(tmp_path):
    paths = [write_ticks(tmp_path, 0, [Tick(100, 1, 0, TRADE, 50, 0)]), write_tape(tmp_path, 1, [one_bar(100, 1)], [])]
    with pytest.raises(ConfigError, match=r"S1 has ticks \(tape tape-0\) and bars \(tape tape-1\): choose .* --tapes"):
        MarketFeed(paths, Selection())
    assert len(take(MarketFeed(paths, Selection((0,))), 9)) == 0  # neither is wanted


def test_memory_is_flat(tmp_path):
    """A table of any size is filled from batches: never more than a few of them are held."""
    path = write_ticks(tmp_path, 0, [Tick(k // 3, k % 2, 0, TRADE, k + 1, 0) for k in range(5_000)])
    with patch.object(feed_module, "BATCH_ROWS", 100):
        feed, records, most, total = MarketFeed([path], Selection()), np.zeros(64, EVENT), 0, 0
        while count := feed.read_into(records):
            most, total = max(most, feed._size), total + count
    assert total == 5_000 and most <= 300


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("none", (0, 0)), ("1m", (1, 60 * 10**9)), ("5m", (1, 300 * 10**9)), ("30s", (1, 30 * 10**9)),
        ("1h", (1, 3_600 * 10**9)), ("100 trades", (2, 100)), ("10000 volume", (3, 10_000)),
        ("1e6 value", (4, 10**10)), ("0.50 range", (5, 5_000)), ("2.5e3 volume", (3, 2_500)),
    ],
)  # fmt: skip
def test_what_bars_are_made(text, found):
    assert parse_bars(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "1d1",
        "7m30",
        "11m",
        "0m",
        "0 trades",
        "1.5 trades",
        "5 ticks",
        "0.00001 range",
        "1e99 value",
        "-1 volume",
    ],
)
def test_no_bars(text):
    with pytest.raises(ValueError, match="bar"):
        parse_bars(text)


def test_files_are_those_of_the_manifest(tmp_path):
    path = write_ticks(tmp_path, 0, [Tick(1, 0, 0, QUOTE, 9, 0), Tick(1, 0, 0, TRADE, 9, 0)])
    assert set(open_tape(path).files) == {"bars.parquet", *TICK_FILES.values()}
