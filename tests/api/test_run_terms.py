"""Tick, lot and freeze that change within a run: NIFTY futures of 75 a lot become futures of 65."""

import json

import numpy as np
import pytest

from adapters.market.instrument import Instrument, InstrumentKind
from adapters.market.instruments import Registry
from api.request import Request
from kernel.codes import Kind, Reason
from tests.api.running import FILLED, account_of, live, stored
from tests.api.sessions_home import TIMES, add_instruments, at, write_days
from tests.api.tick_home import make_home as make_tick_home

TERMS_CHANGED, DENIED = int(Kind.TERMS_CHANGED), int(Kind.ORDER_DENIED)
NIFTY = Instrument(
    -1, "NIFTY FUT", 500, 75, kind=InstrumentKind.FUTURE, expiry="2024-03-28", freeze=1_800, calendar="NSE_FO"
)
DAYS = 4
BUYER = '''
from onetape import Param, buy, strategy


@strategy
class Buyer:
    """Buys a fixed quantity with every bar, whatever a lot is."""

    quantity = Param(75, low=1)

    def on_bar(self, bar, ctx):
        return buy(self.quantity)


@strategy
class ByLot:
    """Buys a lot with every bar."""

    def on_bar(self, bar, ctx):
        return buy(ctx.lot)
'''


@pytest.fixture
def home(tmp_path, load):
    """A share and a future whose lot is 65 from Wednesday on; bars of Monday to Thursday."""
    home = tmp_path / "home"
    add_instruments(home, [Instrument(-1, "ACC", 500, calendar="NSE_EQ"), NIFTY])
    change(home, "2024-01-03", lot=65, freeze=1_755)
    write_days(home, "nse", range(DAYS), [0, 1])
    (home / "buyer.py").write_text(BUYER)
    return home


def change(home, start: str, **terms) -> None:
    registry = Registry.load(home)
    registry.change("NIFTY FUT", start, **terms)
    registry.save()


def told(rows: np.ndarray) -> list[tuple[int, ...]]:
    names = ("ts_init", "instrument", "tick", "lot", "freeze_qty")
    return [tuple(int(row[name]) for name in names) for row in rows[rows["kind"] == TERMS_CHANGED]]


def buyer(home, name: str = "Buyer") -> tuple[str, str]:
    return "--strategy", f"{home}/buyer.py:{name}"


FUTURES = ("--symbols", "NIFTY FUT", "--cash", "100000000")


def test_an_order_of_the_old_lot_is_denied_after_the_change(home, good, call):
    run = good(home, "backtest", *buyer(home), *FUTURES)
    rows, notes = stored(home / "runs" / run["run_id"])
    config = json.loads(notes[1])
    assert (config["instruments"][0]["lot"], config["instruments"][0]["freeze"]) == (75, 1_800)
    assert config["terms"] == [[at(2, 0), 0, 500, 65, 1_755]]
    assert told(rows) == [(at(2, 0), 0, 500, 65, 1_755)], "at midnight, before the session opens"
    denied, filled = rows[rows["kind"] == DENIED], rows[rows["kind"] == FILLED]
    wednesday = at(2, 0)
    assert [(Reason(r["reason"]), r["actual"], r["allowed"]) for r in denied] == [(Reason.QTY_OFF_LOT, 75, 65)] * 8
    assert (denied["ts_init"] > wednesday).all()
    assert filled["qty"].tolist() == [75] * 8 and filled["ts_init"].max() == at(2, TIMES[0]), "sent on Tuesday"
    again = good(home, "replay", run["run_id"])
    assert again["identical"] and again["tape_digest"] == run["tape_digest"]
    shown = call(home, "tape", "show", "latest", "--kind", "TERMS_CHANGED,ORDER_DENIED").out
    assert (
        "NIFTY FUT" in shown and "tick 0.05 lot 65 freeze_qty 1,755" in shown and "QTY_OFF_LOT 75 allowed 65" in shown
    )


def test_a_strategy_sees_the_lot_in_force(home, good):
    run = good(home, "backtest", *buyer(home, "ByLot"), *FUTURES)
    rows, _ = stored(home / "runs" / run["run_id"])
    assert rows["qty"][rows["kind"] == FILLED].tolist() == [75] * 8 + [65] * 7 and run["denied"] == 0


def test_a_change_is_in_sql(home, good):
    good(home, "backtest", *buyer(home), *FUTURES)
    said = good(home, "sql", "select symbol, tick, lot, freeze_qty, ts_init::varchar as ts from terms_changed")
    assert said[0]["symbol"] == "NIFTY FUT" and (said[0]["lot"], said[0]["freeze_qty"]) == (65, 1_755)
    assert str(said[0]["tick"]).startswith("0.05") and said[0]["ts"].startswith("2024-01-02 18:30")
    assert good(home, "sql", "select count(*) as n from events where kind = 'TERMS_CHANGED'") == [{"n": 1}]


@pytest.mark.parametrize("stops", [[], [7, 9], [16, 2]])
def test_live_is_the_backtest(home, good, stops, monkeypatch):
    monkeypatch.setenv("ONETAPE_ACCOUNT__CASH", "100000000")
    request = Request([f"{home}/buyer.py:ByLot"])
    run = good(home, "backtest", *buyer(home, "ByLot"))
    for stop in stops:
        assert live(home, stop, request)["stopped"]
    found = live(home, None, request)
    assert found["decision_digest"] == run["decision_digest"]
    rows, _ = stored(account_of(home))
    assert told(rows) == [(at(2, 0), 1, 500, 65, 1_755)]
    assert good(home, "replay", "main-paper")["identical"] and good(home, "verify")["damaged"] == []


def test_a_day_at_a_time_also_over_a_change_without_bars(tmp_path, load, good, monkeypatch):
    """The account sleeps over Wednesday; on Thursday's tape the lot is another already."""
    monkeypatch.setenv("ONETAPE_ACCOUNT__CASH", "100000000")
    home = tmp_path / "home"
    add_instruments(home, [Instrument(-1, "ACC", 500), NIFTY])
    write_days(home, "first", [0, 1], [1])
    (home / "buyer.py").write_text(BUYER)
    request = Request([f"{home}/buyer.py:ByLot"], tapes=("first",))
    live(home, None, request)
    change(home, "2024-01-03", lot=65)  # told in the evening
    write_days(home, "later", [3], [1])
    live(home, None, Request(request.strategies, tapes=("later",)))
    rows, _ = stored(account_of(home))
    assert told(rows) == [(at(2, 0), 0, 500, 65, 1_800)]
    quantities = rows["qty"][rows["kind"] == int(Kind.ORDER_SUBMITTED)].tolist()
    assert quantities == [75] * 8 + [65] * 4
    assert good(home, "replay", "main-paper")["identical"]


def test_a_change_that_the_table_was_told_late(home, good, monkeypatch):
    """On Friday somebody notes that the lot was 50 since Monday: the account learns it when it goes on."""
    monkeypatch.setenv("ONETAPE_ACCOUNT__CASH", "100000000")
    request = Request([f"{home}/buyer.py:ByLot"])
    live(home, None, request)
    change(home, "2024-01-03", lot=50)
    write_days(home, "next", [4], [0, 1])
    live(home, None, Request(request.strategies, tapes=("next",)))
    rows, _ = stored(account_of(home))
    morning = at(4, 9 * 60 + 15)  # when its session opened again
    assert told(rows) == [(at(2, 0), 1, 500, 65, 1_755), (morning, 1, 500, 50, 1_755)]
    sent = rows[(rows["kind"] == int(Kind.ORDER_SUBMITTED)) & (rows["instrument"] == 1)]
    assert sent["qty"].tolist()[-4:] == [50] * 4
    assert good(home, "replay", "main-paper")["identical"]


def test_a_part_of_the_days_begins_with_their_terms(home, good):
    run = good(home, "backtest", *buyer(home, "ByLot"), *FUTURES, "--from", "2024-01-03")
    rows, notes = stored(home / "runs" / run["run_id"])
    assert json.loads(notes[1])["instruments"][0]["lot"] == 65 and "terms" not in json.loads(notes[1])
    assert not told(rows)
    run = good(home, "backtest", *buyer(home, "ByLot"), *FUTURES, "--to", "2024-01-02")
    rows, notes = stored(home / "runs" / run["run_id"])
    assert json.loads(notes[1])["instruments"][0]["lot"] == 75 and not told(rows)


def test_a_replay_does_not_look_at_the_table(home, good):
    run = good(home, "backtest", *buyer(home), *FUTURES)
    change(home, "2024-01-03", lot=40)
    assert good(home, "replay", run["run_id"])["identical"]


def test_a_run_over_a_rename_has_one_instrument(tmp_path, load, good):
    """Bars that came under both names are one instrument's, called by the name of the run's first day."""
    home = tmp_path / "home"
    for name, day in (("ZOMATO", "2024-01-01"), ("ETERNAL", "2024-01-03")):
        path = tmp_path / f"{name}.csv"
        path.write_text(
            "date,symbol,open,high,low,close,volume\n"
            + "".join(f"2024-01-0{int(day[-1]) + k},{name},100,101,99,100,10\n" for k in range(2))
        )
        if name == "ETERNAL":
            registry = Registry.load(home)
            registry.rename("ZOMATO", "ETERNAL", "2024-01-03")
            registry.save()
        good(home, "import", str(path))
    run = good(home, "backtest", "--strategy", "buy_and_hold,quantity=1")
    _, notes = stored(home / "runs" / run["run_id"])
    assert [row["symbol"] for row in json.loads(notes[1])["instruments"]] == ["ETERNAL"] and run["bars"] == 4
    run = good(home, "backtest", "--strategy", "buy_and_hold,quantity=1", "--from", "2024-01-01", "--symbols", "ZOMATO")
    assert run["bars"] == 4 and run["fills"] == 1
    assert good(home, "replay", run["run_id"])["identical"]


TICKED = '''
from onetape import HOLD, buy, strategy


@strategy
class ByTick:
    """Buys a lot with every trade that finds no order working."""

    def on_trade(self, trade, ctx):
        if ctx.working == 0:
            return buy(ctx.lot)
        return HOLD

    def on_bar(self, bar, ctx):
        return HOLD
'''


@pytest.mark.e2e
def test_ticks_over_a_change(tmp_path, load, good):
    """Trades of two days; on the second the lot is another, from before its first tick on."""
    home = make_tick_home(tmp_path / "home")
    registry = Registry.load(home)
    registry.change("S0", "2024-01-02", lot=20)
    registry.save()
    (home / "by_tick.py").write_text(TICKED)
    request = Request([f"{home}/by_tick.py:ByTick"])
    run = good(home, "backtest", "--strategy", request.strategies[0])
    rows, _ = stored(home / "runs" / run["run_id"])
    assert told(rows) == [(at(1, 0), 0, 500, 20, 0)]
    sent = rows[(rows["kind"] == int(Kind.ORDER_SUBMITTED)) & (rows["instrument"] == 0)]
    late = sent["ts_init"] > at(1, 0)
    assert late.any() and not late.all()
    assert (sent["qty"][~late] == 1).all() and (sent["qty"][late] == 20).all()
    assert good(home, "replay", run["run_id"])["identical"]
    found = live(home, None, Request(request.strategies, tapes=("ticks",)))
    assert found["decision_digest"] == run["decision_digest"] and good(home, "replay", "main-paper")["identical"]
