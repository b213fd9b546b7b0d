"""SQL over the bars, quotes and trades of market tapes, and how many of each a run was fed with."""

import re
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest

from adapters.market.actions import action_columns
from adapters.market.reader import tick_batches
from adapters.market.retire import retire_ticks
from adapters.market.tape import open_tape, tapes_folder
from adapters.market.writer import MarketWriter
from api.show import report_data
from tests.api.sessions_home import at, write_days
from tests.api.tick_home import make_home

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory, load):
    return make_home(tmp_path_factory.mktemp("ticks") / "home", days=1)


@pytest.fixture
def home(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "home"))


def all_ticks(home, sort):
    batches = list(tick_batches(tapes_folder(home) / "ticks", sort))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_every_tick_is_there_as_imported(home, good):
    names = {"market_quotes": ("bid_px", "ask_px"), "market_trades": ("trade_px",)}
    for view, prices in names.items():
        ticks = all_ticks(home, view.removeprefix("market_"))
        columns = ", ".join(("bid", "ask") if len(prices) == 2 else ("price",))
        found = good(
            home,
            "sql",
            f"select instrument, epoch_ns(available) as available, epoch_ns(happened) as happened, {columns} from {view}",
        )
        wanted = zip(
            *(ticks[name].tolist() for name in ("instrument", "ts_init")),
            (ticks["ts_init"] - ticks["lag"]).tolist(),
            *((ticks[name] / 10_000).tolist() for name in prices),
            strict=True,
        )
        assert sorted(tuple(row.values()) for row in found) == sorted(wanted) and len(found) > 400
    [row] = good(
        home, "sql", "select count(*) n, sum(qty) qty, any_value(tape) tape, any_value(symbol) s from market_trades"
    )
    ticks = all_ticks(home, "trades")
    assert (row["n"], row["qty"], row["tape"]) == (len(ticks["ts_init"]), int(ticks["trade_qty"].sum()), "ticks")
    assert row["s"] in ("S0", "S1") and good(home, "sql", "select * from bars") == []


def test_a_bar_that_came_late_opened_when_it_did(home, good):
    """It is of 09:15 to 09:20, and was available two seconds after that."""
    write_days(home, "late", [9], [0], lag=2 * 10**9)
    found = good(home, "sql", "select epoch_ns(opened) as opened, epoch_ns(available) as available from bars")
    assert found[0] == {"opened": at(9, 9 * 60 + 15), "available": at(9, 9 * 60 + 20, 2)}


def test_a_side_that_nobody_shows_is_null(home, good):
    with MarketWriter(home, "onesided", [(0, "S0")]) as tape:
        rows = {"ts_init": np.array([at(9, 600)]), "instrument": np.array([0])}
        tape.add_ticks("quotes", rows | {"bid_px": np.array([0]), "ask_px": np.array([7500])}
                       | {"bid_qty": np.array([0]), "ask_qty": np.array([3])})  # fmt: skip
        tape.finish(action_columns([]), [], {})
    found = good(home, "sql", "select bid, ask, ask_qty from market_quotes where tape = 'onesided'")
    assert found == [{"bid": None, "ask": 0.75, "ask_qty": 3}]


def test_retired_ticks_are_gone_from_sql(home, good):
    retire_ticks(tapes_folder(home) / "ticks", "2026-01-01T00:00:00Z")
    assert good(home, "sql", "select count(*) as n from market_quotes") == [{"n": 0}]


def test_the_question_of_the_page_and_the_published_file(home, good, call):
    [question] = re.findall(r"```sql\n(-- with ticks.*?)```", PAGE.read_text(), re.S)
    found = good(home, "sql", question)
    assert len(found) == 10 and all(row["bid"] < row["ask"] for row in found)
    assert call(home, "publish").code == 0
    with duckdb.connect(str(home / "views" / "tape.duckdb"), read_only=True) as connection:
        assert len(connection.sql(question).fetchall()) == 10


def test_a_run_counts_bars_quotes_and_trades_apart(home, good, call):
    """In the report, on its page, in SQL and for the API; bars made of trades are bars."""
    tape = open_tape(tapes_folder(home) / "ticks")
    run = good(home, "backtest", "--strategy", f"{home}/ticker.py:Ticker", "--bars", "5m")
    data = report_data(home / "runs" / run["run_id"])
    assert (data["bars"], data["quotes"], data["market_trades"]) == (run["bars"], tape.quotes, tape.trades)
    assert run["bars"] == 150 and data["inputs_per_second"] > 0
    said = f"150 bars, {tape.quotes:,} quotes, {tape.trades:,} trades"
    shown = call(home, "report", run["run_id"], "--output", str(home / "page.html"))
    assert said in shown.out and said in (home / "page.html").read_text()
    [row] = good(home, "sql", "select bars, quotes, trades from v_inputs")
    assert row == {"bars": 150, "quotes": tape.quotes, "trades": tape.trades}


def test_a_paper_account_counts_them_too(home, good):
    """It has all of them on its own tape."""
    tape = open_tape(tapes_folder(home) / "ticks")
    asked = ("--strategy", f"{home}/ticker.py:Ticker", "--bars", "5m", "--feed", "replay:ticks@max")
    good(home, "live", *asked)
    [row] = good(home, "sql", "select bars, quotes, trades from v_inputs", "--run", "main-paper")
    assert row == {"bars": 150, "quotes": tape.quotes, "trades": tape.trades}
    [row] = good(home, "sql", "select count(*) as n from quote", "--run", "main-paper")
    assert row["n"] == tape.quotes > 0
