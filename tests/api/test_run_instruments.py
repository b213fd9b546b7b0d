"""Which instruments a run has: its own numbers, symbols and terms of its first day, members of a universe."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from adapters.market.instrument import Instrument, InstrumentKind
from adapters.market.instruments import Registry
from adapters.settings_source import load_settings
from adapters.tape.reader import config_of, read_refs
from api.bootstrap import make_config, make_engine
from api.differences import differences
from api.request import Request
from api.run_instruments import find_symbol, instrument_rows, master_of, numbered_as
from kernel.codes import Flag, Kind
from kernel.errors import NotFound
from tests.api.running import FILLED, SUBMITTED, TWO, account_of, live, rewrite, stored
from tests.api.sessions_home import add_instruments, at, make_home, write_days

BUY = ("--strategy", "buy_and_hold,quantity=1")


def make(home, **how) -> dict:
    return make_config(home, load_settings(), Request((), **how), [], "BACKTEST")


def test_a_large_registry(tmp_path, load, good, call, monkeypatch):
    """Tables have a row for each instrument of the run, whatever its number in the table of all."""
    home, many = tmp_path / "home", 100_000
    with monkeypatch.context() as patch:
        patch.setattr("adapters.market.instruments._sound", lambda one: None)  # they are, and checking takes long
        registry = Registry(home, [Instrument(k, f"X{k:06}", 500) for k in range(many)])
    monkeypatch.setattr(Registry, "load", classmethod(lambda cls, home: registry))
    write_days(home, "nse", range(2), [3, 70_000, many - 1])
    config = make(home)
    assert [row["number"] for row in config["instruments"]] == [0, 1, 2]
    assert [row["master"] for row in config["instruments"]] == [3, 70_000, many - 1]
    assert len(make_engine(config, [], 64).state.markets) == 3
    run = good(home, "backtest", *BUY, "--symbols", "X070000,X099999")
    folder = home / "runs" / run["run_id"]
    rows, _ = stored(folder)
    assert sorted(rows["instrument"][rows["kind"] == FILLED].tolist()) == [0, 1] and run["bars"] == 16
    assert read_refs(folder)[0]["selection"]["instruments"] == [70_000, many - 1]
    assert good(home, "replay", run["run_id"])["identical"]
    assert good(home, "verify", run["run_id"])["events"] == run["events"]
    shown = call(home, "tape", "show", run["run_id"], "--kind", "ORDER_FILLED").out
    assert "X070000" in shown and "X099999" in shown


def test_rows_say_what_an_instrument_is(tmp_path):
    plain = Instrument(0, "ACC", 500, calendar="NSE_EQ")
    assert instrument_rows([plain], None, {}) == [
        {"number": 0, "symbol": "ACC", "tick": 500, "lot": 1, "currency": "INR", "tz": "Asia/Kolkata"}
    ]
    call = Instrument(
        7, "NIFTY 24000 CE", 500, 75, kind=InstrumentKind.OPTION, expiry="2026-12-29", strike=240_000_000, right="CALL",
        underlying="NIFTY", settlement="CASH", multiplier=2, price_decimals=2, qty_decimals=1, exchange="NSE",
        segment="NSE_FO", freeze=1_800, isin="INE000A01010",
    )  # fmt: skip
    index = Instrument(9, "NIFTY", 500, kind=InstrumentKind.INDEX)
    rows = instrument_rows([index, plain, call], None, {"NSE_EQ": 3})
    assert [row["number"] for row in rows] == [0, 1, 2] and [master_of(row) for row in rows] == [0, 7, 9]
    assert rows[0]["calendar"] == 3 and rows[2]["kind"] == "INDEX"
    said = {"kind": "OPTION", "expiry": "2026-12-29", "strike": 240_000_000, "right": "CALL", "underlying": "NIFTY",
            "settlement": "CASH", "multiplier": 2, "price_decimals": 2, "qty_decimals": 1, "exchange": "NSE",
            "segment": "NSE_FO", "freeze": 1_800, "isin": "INE000A01010", "master": 7}  # fmt: skip
    assert said.items() <= rows[1].items()
    json.dumps(rows)


@pytest.fixture
def renamed(tmp_path):
    """ZOMATO is ETERNAL since 2024-01-03 and had another tick before; another ZOMATO came on 2024-01-04."""
    home = tmp_path / "home"
    add_instruments(home, [Instrument(-1, "ACC", 500), Instrument(-1, "ZOMATO", 500)])
    registry = Registry.load(home)
    registry.change("ZOMATO", "2024-01-03", tick=100, lot=5)
    registry.rename("ZOMATO", "ETERNAL", "2024-01-03")
    registry.add([Instrument(-1, "ZOMATO", 700, listed="2024-01-04")])
    registry.save()
    write_days(home, "nse", range(4), [0, 1, 2])
    return home


def test_symbols_and_terms_of_the_first_day(renamed):
    def said(**how) -> list[tuple]:
        rows = make(renamed, **how)["instruments"]
        return [(row["symbol"], row["number"], master_of(row), row["tick"], row["lot"]) for row in rows]

    assert said(symbols=["ZOMATO"], first_day="2024-01-01") == [("ZOMATO", 0, 1, 500, 1)]
    assert said(symbols=["ETERNAL"], first_day="2024-01-03") == [("ETERNAL", 0, 1, 100, 5)]
    assert said(symbols=["ZOMATO"], first_day="2024-01-04") == [("ZOMATO", 0, 2, 700, 1)]
    assert said(symbols=["ETERNAL"]) == [("ETERNAL", 0, 1, 500, 1)], "the name of now, the terms of the first bar"
    assert make(renamed, symbols=["ETERNAL"])["terms"] == [[at(2, 0), 0, 100, 5, 0]]
    assert said(symbols=["ZOMATO"])[0][2] == 2
    everything = said(first_day="2024-01-01")  # two will have had the symbol: the later one is told apart
    assert [row[0] for row in everything] == ["ACC", "ZOMATO", "ZOMATO#2"]
    with pytest.raises(NotFound, match=r"'ETERNAL' on 2024-01-01.*only from 2024-01-03 to now: write ZOMATO"):
        make(renamed, symbols=["ETERNAL"], first_day="2024-01-01")
    with pytest.raises(NotFound, match=r"did you mean ETERNAL\?"):
        find_symbol(Registry.load(renamed), "ETERNALS", "2024-01-01")
    registry = Registry.load(renamed)
    registry.add([Instrument(-1, "LATE", 500, listed="2024-01-02")])
    with pytest.raises(NotFound, match=r"'LATE' on 2024-01-01.*begin the run then, with --from"):
        find_symbol(registry, "LATE", "2024-01-01")


def test_an_account_of_before_goes_on_under_its_numbers(home, good, monkeypatch):
    """Numbers of the registry were those of the run: such a tape is replayed and gone on with as it is."""
    request = Request(TWO[1::2], symbols=("TCS", "ZEEL"))
    live(home, 100, request)
    shutil.rmtree(home / "views" / "snapshots")
    config = config_of(account_of(home))
    masters = [row["master"] for row in config["instruments"]]
    assert [row["number"] for row in config["instruments"]] == [0, 1] and masters == [3, 4]
    config["instruments"] = [{k: v for k, v in row.items() if k != "master"} | {"number": master_of(row)}
                             for row in config["instruments"]]  # fmt: skip

    def renumber(rows: np.ndarray) -> np.ndarray:
        rows["instrument"] = np.where(rows["instrument"] >= 0, np.array([3, 4])[rows["instrument"]], -1)
        return rows

    rewrite(account_of(home), renumber, lambda notes: {seq: json.dumps(config) for seq in notes})
    assert good(home, "replay", "main-paper")["identical"]
    found = live(home, None, request)
    assert found["new_bars"] > 0 and good(home, "replay", "main-paper")["identical"]
    rows, _ = stored(account_of(home))
    assert set(rows["instrument"].tolist()) == {-1, 3, 4}
    assert good(home, "backtest", *TWO, "--symbols", "TCS,ZEEL")["fills"] == found["fills"] > 0
    assert numbered_as([{"number": 0}], [{"number": 0}, {"number": 1}]) == [{"number": 0}]


UNIVERSE = "symbol,from,to\nACC,2024-01-02,2024-01-03\nTCS,2023-01-01,\nDEAD,2023-01-01,2024-01-02\nGHOST,2023-01-01,\n"


@pytest.fixture
def market_of_members(tmp_path, load):
    """ACC joins and leaves, DEAD is delisted within the run, LATER is no member, GHOST has no bars."""
    home = make_home(tmp_path / "home", days=5, calendar="")
    add_instruments(home, [Instrument(-1, "DEAD", 500, delisted="2024-01-03")])
    add_instruments(home, [Instrument(-1, name, 500) for name in ("GHOST", "LATER")])
    write_days(home, "dead", range(2), [2])
    write_days(home, "later", range(5), [4])
    (home / "members.csv").write_text(UNIVERSE)
    return home


def test_a_universe_run(market_of_members, good, call):
    home = market_of_members
    good(home, "universe", "import", str(home / "members.csv"))
    range_of = ("--from", "2024-01-01", "--to", "2024-01-05", "--universe", "members", "--warm-up-days", "1")
    said = call(home, "backtest", *BUY, *range_of)
    assert said.code == 0, said.err
    run = good(home, "backtest", *BUY, *range_of)
    folder = home / "runs" / run["run_id"]
    rows, notes = stored(folder)
    config = json.loads(notes[1])
    assert [row["symbol"] for row in config["instruments"]] == ["ACC", "TCS", "DEAD"]  # the failed one is there
    assert run["bars"] == 5 * 4 + 5 * 4 + 2 * 4  # ACC from a day before it joins, on after it left
    assert config["selection"]["universe"]["name"] == "members"
    sent = rows[rows["kind"] == SUBMITTED]
    assert sent["instrument"].tolist() == [1, 2, 0]  # TCS and DEAD at once, ACC when it joins
    assert good(home, "replay", run["run_id"])["identical"] and good(home, "verify")["damaged"] == []
    assert good(home, "backtest", *BUY, *range_of[:6])["bars"] == 4 * 4 + 5 * 4 + 2 * 4  # without a warm-up


def test_bars_outside_a_membership_are_flagged(market_of_members, good):
    home = market_of_members
    good(home, "universe", "import", str(home / "members.csv"))
    request = Request(["buy_and_hold,quantity=1"], universe="members", warm_up_days=1)
    found = live(home, None, replace(request, tapes=("nse", "dead")))
    rows, _ = stored(account_of(home))
    bars = rows[rows["kind"] == int(Kind.BAR)]
    acc = bars["flags"][bars["instrument"] == 0] & int(Flag.WARM_UP) > 0
    assert acc.tolist() == [True] * 4 + [False] * 16
    left = bars["flags"][bars["instrument"] == 0] & int(Flag.LEFT) > 0
    assert left.tolist() == [False] * 12 + [True] * 8
    assert not (bars["flags"][bars["instrument"] == 1] & int(Flag.WARM_UP)).any()
    assert found["fills"] == 3 and good(home, "replay", "main-paper")["identical"]


def test_what_a_universe_run_refuses(market_of_members, call, caplog):
    home = market_of_members
    assert call(home, "universe", "import", str(home / "members.csv")).code == 0
    said = call(home, "backtest", *BUY, "--universe", "members", "--symbols", "ACC")
    assert said.code == 2 and "give one of them" in said.err
    said = call(home, "backtest", *BUY, "--universe", "member")
    assert said.code == 2 and "there are members" in said.err
    said = call(home, "backtest", *BUY, "--universe", "members", "--to", "2022-12-31")
    assert said.code == 2 and "has no members" in said.err
    caplog.clear()
    assert call(home, "backtest", *BUY, "--universe", "members").code == 0
    assert [r.getMessage() for r in caplog.records if "have no bars" in r.getMessage() and "GHOST" in r.getMessage()]


def test_an_isin_may_change_between_starts():
    """A split gives a share another one; all else that a row says holds the account to it."""
    old = {
        "instruments": [{"number": 0, "symbol": "ACC", "isin": "INE012A01025", "lot": 1}],
        "strategies": [],
        "limits": {"max_slices": 25},
    }
    new = {
        "instruments": [{"number": 0, "symbol": "ACC", "isin": "INE012A01033", "lot": 1}],
        "strategies": [],
        "limits": {"max_slices": 25},
    }
    assert differences(old, new) == []
    new["instruments"][0]["lot"] = 2
    assert differences(old, new) == ["instruments: ACC lot was 1, is now 2"]
    tables = [{"number": 1, "name": "NSE_EQ", "digest": digest} for digest in ("aa", "bb")]
    assert differences({**old, "calendars": tables[:1]}, {**old, "calendars": tables[1:]}) == []
    [said] = differences(old, {**old, "calendars": tables[:1]})
    assert said == "calendars was None, is now ['NSE_EQ']"
