"""Ticks through runs: backtest, replay, verify, bars made of them by the session, and paper days that stop and go on."""

import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from adapters.bars_text import parse_bars
from adapters.market.instruments import Instrument
from adapters.market.retire import retire_ticks
from adapters.market.tape import open_tape, tapes_folder
from adapters.market.verify import verify_tape
from adapters.reference import sessions
from adapters.reference.due import DueTimers
from adapters.settings_source import load_settings
from adapters.tape.reader import read_refs
from api import live as live_module
from api.live import parse_feed, run_live
from api.request import Request
from kernel.codes import Kind, Origin, TimerCode
from tests.api.running import FILLED, account_of, damage, rewrite, stored
from tests.api.sessions_home import MINUTE, add_instruments, at, write_days
from tests.api.tick_home import CLOSE, OPEN, make_home

BAR, QUOTE, TRADE, TIMER = (int(kind) for kind in (Kind.BAR, Kind.QUOTE, Kind.TRADE, Kind.TIMER))
GRACE = 2 * 10**9


@pytest.fixture(scope="module")
def made(tmp_path_factory, load):
    return make_home(tmp_path_factory.mktemp("ticks") / "home")


@pytest.fixture
def home(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "home"))


def asked(home, *more):
    return ("--strategy", f"{home}/ticker.py:Ticker", *more)


def backtest(good, home, *more):
    run = good(home, "backtest", *asked(home, *more))
    return run, *stored(home / "runs" / run["run_id"])


def test_a_backtest_is_replayed_and_verified(home, good):
    run, rows, notes = backtest(good, home, "--bars", "1m")
    assert run["ticks"] == 2 * 2 * 900 and run["fills"] > 20 and run["bad_ticks"] == 0 and run["ticks_per_second"] > 0
    assert set(rows["kind"]) & {QUOTE, TRADE} == set()  # they are on the market tape
    config = json.loads(notes[1])
    assert config["selection"]["merge"] == "ts_init,instrument,tape,seq"
    assert (config["rules"]["bar_kind"], config["rules"]["bar_size"], config["rules"]["bar_grace"]) == (
        1,
        MINUTE,
        GRACE,
    )
    assert set(rows[rows["kind"] == BAR]["origin"]) == {Origin.KERNEL}
    again = good(home, "replay", run["run_id"])
    assert again["identical"] and again["tape_digest"] == run["tape_digest"]
    found = good(home, "verify", run["run_id"])
    assert found["events"] == run["events"] == run["stored_events"] + run["ticks"]
    assert "quotes" in good(home, "verify", "ticks")["tapes"][0]


def test_the_reference_counts_each_sort(home, good, call):
    run, *_ = backtest(good, home)
    tape = open_tape(tapes_folder(home) / "ticks")
    (ref,) = read_refs(home / "runs" / run["run_id"])
    assert ref["counts"] == {"bars": 0, "quotes": tape.quotes, "trades": tape.trades} and ref["count"] == tape.ticks
    rewrite(home / "runs" / run["run_id"], lambda rows: rows[np.arange(len(rows)) != 5])
    assert call(home, "verify", run["run_id"]).code == 65


def test_damaged_ticks_are_told_from_a_divergence(home, good, call):
    run, *_ = backtest(good, home)
    damage(tapes_folder(home) / "ticks" / "trades.parquet", 100)
    for command in (("replay", run["run_id"]), ("verify",), ("backtest", *asked(home))):
        said = call(home, *command)
        assert said.code == 65 and "trades.parquet" in said.err


def test_retired_ticks_are_no_replay_and_no_damage(home, good, call):
    run, *_ = backtest(good, home, "--bars", "1m")
    path = tapes_folder(home) / "ticks"
    before = open_tape(path)
    said = call(home, "tape", "retire", "ticks", "--before", "2025-01-01", "--yes")
    assert said.code == 2 and f"{run['run_id']} was fed from ticks" in said.err
    free = retire_ticks(path, "2026-01-01T00:00:00Z")
    assert free > 10_000 and {p.name for p in path.iterdir()} == {"bars.parquet", "manifest.json"}
    assert open_tape(path).content_digest == before.content_digest == verify_tape(path).content_digest
    for command in (("replay", run["run_id"]), ("backtest", *asked(home))):
        said = call(home, *command)
        assert said.code == 2 and "NOT REPLAYABLE: input retired" in said.err, said
    said = call(home, "verify")
    assert said.code == 0 and "3,600 ticks of them retired: no replay" in said.out
    assert "quotes.parquet, trades.parquet retired: no replay" in said.out
    (path / "trades.parquet").write_bytes(b"left by a crash")
    assert retire_ticks(path, "later") == 0 and not (path / "trades.parquet").exists()


def test_retiring_by_command(home, call):
    assert call(home, "tape", "retire", "ticks", "--before", "2024-01-02").code == 2  # it has ticks of that day
    said = call(home, "tape", "retire", "ticks", "--before", "2025-01-01")
    assert said.code == 2 and "3,600 ticks" in said.out
    said = call(home, "tape", "retire", "ticks", "--before", "2025-01-01", "--yes")
    assert said.code == 0 and "retired 3,600 ticks" in said.out and call(home, "verify").code == 0
    assert call(home, "tape", "retire", "ticks", "--before", "2025-01-01", "--yes").code == 2


@pytest.mark.parametrize("bars", ["1m", "5m", "1h"])
def test_every_minute_of_an_nse_day(home, good, bars):
    """375 minutes a day of each share, from 09:15 to 15:30, none missing at the end and none that drifts."""
    size = parse_bars(bars)[1]
    run, rows, _ = backtest(good, home, "--bars", bars)
    found = rows[rows["kind"] == BAR]
    count = -(-375 * MINUTE // size)
    assert len(found) == 2 * 2 * count
    for day in range(2):
        for share in range(2):
            mine = found[
                (found["instrument"] == share)
                & (found["ts_open"] // (1_440 * MINUTE) == at(day, OPEN) // (1_440 * MINUTE))
            ]
            assert mine["ts_open"].tolist() == [at(day, OPEN) + k * size for k in range(count)]
            assert (mine["ts_event"] == mine["ts_open"] + size).all() and (mine["ts_init"] >= mine["ts_event"]).all()
    timers = rows[(rows["kind"] == TIMER) & (rows["code"] == TimerCode.BAR_CLOSE)]
    assert len(timers) == 2 * count and (timers["ts_init"] - timers["ts_event"] == GRACE).all()
    assert int(found["volume"].sum()) == 10 * open_tape(tapes_folder(home) / "ticks").trades - 10 * run["late_ticks"]


def test_other_bars_and_none(home, good):
    for bars, rule in (
        ("20 trades", (2, 20)),
        ("500 volume", (3, 500)),
        ("1e5 value", (4, 10**9)),
        ("0.30 range", (5, 3_000)),
    ):
        run, rows, notes = backtest(good, home, "--bars", bars)
        rules = json.loads(notes[1])["rules"]
        assert (rules["bar_kind"], rules["bar_size"]) == rule and run["bars"] > 10
        assert TimerCode.BAR_CLOSE not in rows[rows["kind"] == TIMER]["code"]
    run, _, notes = backtest(good, home)
    assert run["bars"] == 0 and "bar_kind" not in json.loads(notes[1])["rules"]


def test_bars_from_settings(home, good, monkeypatch):
    monkeypatch.setenv("ONETAPE_BARS__MAKE", "5m")
    monkeypatch.setenv("ONETAPE_BARS__GRACE", "7")
    run, _, notes = backtest(good, home)
    assert json.loads(notes[1])["rules"]["bar_grace"] == 7 * 10**9 and run["bars"] == 300
    assert backtest(good, home, "--bars", "none")[0]["bars"] == 0


def test_without_a_calendar_a_later_trade_closes_a_bar(tmp_path, load, good):
    home = make_home(tmp_path / "home", days=1, calendar="")
    run, rows, _ = backtest(good, home, "--bars", "1m")
    bars = rows[rows["kind"] == BAR]
    assert not (rows["kind"] == TIMER).any() and 700 < len(bars) <= 2 * 374  # nothing closes the last ones
    assert (bars["ts_init"] >= bars["ts_event"] + GRACE).all() and (bars["ts_open"] % MINUTE == 0).all()


def test_what_cannot_be(home, good, call):
    write_days(home, "nse", [5], [0])
    said = call(home, "backtest", *asked(home))
    assert said.code == 2 and "S0 has ticks (tape ticks) and bars (tape nse)" in said.err and "--tapes" in said.err
    assert good(home, "backtest", *asked(home, "--tapes", "ticks"))["ticks"] == 3_600
    said = call(home, "backtest", *asked(home, "--tapes", "nse", "--bars", "1m"))
    assert said.code == 2 and "no trades to make bars of" in said.err
    said = call(home, "backtest", *asked(home, "--tapes", "ticks", "--bars", "1 mile"))
    assert said.code == 2 and "--bars 1 mile" in said.err
    said = call(home, "backtest", *asked(home, "--tapes", "ticks", "--from", "2024-01-02", "--warm-up-days", "1"))
    assert said.code == 2 and "not with ticks" in said.err


def test_days_and_symbols_are_chosen(home, good):
    run, _, notes = backtest(good, home, "--symbols", "S1", "--from", "2024-01-02", "--bars", "1m")
    assert run["ticks"] == 900 and run["bars"] == 375
    assert [row["symbol"] for row in json.loads(notes[1])["instruments"]] == ["S1"]
    assert good(home, "replay", run["run_id"])["identical"] and good(home, "verify", run["run_id"])


def test_timers_of_bars_do_not_depend_on_the_stretch():
    day = at(0, OPEN)
    due = DueTimers([(1, sessions.load("NSE_EQ"))], 5 * 10**9, bars=(7 * MINUTE, GRACE))
    first, last = day - 10 * MINUTE, at(1, CLOSE + 60)
    whole = due.between(first, last)
    for step in (MINUTE, 13 * MINUTE + 1, 600 * MINUTE):
        parts, begin = [], first
        while begin <= last:
            parts += due.between(begin, min(begin + step - 1, last))
            begin += step
        assert parts == whole
    closes = [one for one in whole if one.code == TimerCode.BAR_CLOSE]
    assert len(closes) == 2 * 54 and closes[53].ts_event == day + 54 * 7 * MINUTE  # 375 is no multiple of 7
    assert due.opened(day + 1) == day == due.opened(day) and due.opened(day - 1) == day - 1
    assert due.over(at(0, CLOSE) - 1) == at(0, CLOSE + 60)  # the bar ends with the session


# Paper days


def live(home, stop_after=None, account="main"):
    stop = threading.Event()

    def seen(count):
        if stop_after is not None and count >= stop_after:
            stop.set()

    request = Request([f"{home}/ticker.py:Ticker"], tapes=("ticks",), bars="1m")
    return run_live(home, load_settings(), request, parse_feed("replay:ticks@max"), account, stop, seen)


def test_a_paper_day_that_goes_on_loses_nothing_and_repeats_nothing(home, good, monkeypatch):
    """Stopped anywhere, also between ticks of one time: the same decisions as in one go, and as the backtest."""
    run, *_ = backtest(good, home, "--bars", "1m")
    monkeypatch.setattr(live_module, "_ends", lambda rows: (rows["kind"] <= TRADE) | (rows["kind"] == TIMER))
    for count in (1, 2, 700, 1, 1, None):
        found = live(home, count)
    rows, _ = stored(account_of(home))
    ticks = rows[(rows["kind"] == QUOTE) | (rows["kind"] == TRADE)]
    assert len(ticks) == run["ticks"] and found["decision_digest"] == run["decision_digest"]
    assert len(np.unique(ticks["ts_init"])) < len(ticks) - 50
    assert (found["bars"], found["fills"], len(rows[rows["kind"] == FILLED])) == (
        run["bars"],
        run["fills"],
        run["fills"],
    )
    again = good(home, "replay", "main-paper")
    assert again["identical"] and again["decision_digest"] == run["decision_digest"]
    assert good(home, "verify", "main-paper")["tape_digest"] == again["tape_digest"]


@pytest.mark.e2e
def test_late_ticks_are_refused(home, call):
    from tests.api.tick_home import write_ticks

    live(home, 1_500)
    write_ticks(home, "late", [1], [0], 400, seed=5)
    said = call(home, "live", *asked(home, "--bars", "1m", "--feed", "replay:all@max"))
    assert said.code == 2 and "ticks" in said.err and "late data" in said.err
    assert live(home)["ticks"] == 3_600


def test_a_feed_of_other_ticks_is_refused(home):
    from adapters.market.feed import MarketFeed, Selection
    from api.live_cut import Rest
    from kernel.errors import NotReplayable
    from kernel.schema import EVENT

    path = tapes_folder(home) / "ticks"
    table = np.zeros(10, EVENT)
    MarketFeed([path], Selection()).read_into(table)
    for size in (1, 3, 100):
        feed, records = Rest(MarketFeed([path], Selection()), table[:4].copy()), np.zeros(size, EVENT)
        feed.read_into(records)
        assert records[0].tobytes() == table[4].tobytes()
    table["bid_qty"][2] += 1
    with pytest.raises(NotReplayable, match="do not hold what the account was fed"):
        Rest(MarketFeed([path], Selection()), table[:4].copy()).read_into(np.zeros(9, EVENT))


# A real day

REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not (REAL / "us_ibm_trade_ticks_20131007.parquet").exists(), reason="shared/data is not here")
def test_a_real_day_of_ibm(tmp_path, load, good, call):
    home = tmp_path / "home"
    for kind, count in (("quotes", 109_067), ("trades", 24_293)):
        path = REAL / f"us_ibm_{kind[:-1]}_ticks_20131007.parquet"
        more = ("--ticks", kind, "--tick", "0.01", "--currency", "USD", "--tz", "America/New_York", "--lot", "1")
        assert good(home, "import", path, *more)["new"] == count
    from tests.api.tick_home import STRATEGY

    assert call(home, "instruments", "set", "IBM", "calendar=XNYS").code == 0
    (home / "ticker.py").write_text(STRATEGY)
    run, rows, _ = backtest(good, home, "--bars", "1m")
    assert run["ticks"] == 133_360 and run["fills"] > 100 and run["faults"] == 0
    bars = rows[rows["kind"] == BAR]
    opened = 1_381_152_600 * 10**9  # 09:30 in New York
    regular = (bars["ts_open"] >= opened) & (bars["ts_open"] < opened + 390 * MINUTE)
    assert bars["ts_open"][regular].tolist() == [opened + k * MINUTE for k in range(390)]
    assert good(home, "replay", run["run_id"])["identical"]
    assert good(home, "verify")["damaged"] == []
    assert os.path.getsize(tapes_folder(home) / "us_ibm_quote_ticks_20131007" / "quotes.parquet") < 8 * 109_067


def test_bars_of_one_share_beside_ticks_of_another(tmp_path, load, good):
    """One run of both: every bar decided once, bars made of ticks only for the share that has them."""
    home = make_home(tmp_path / "home", days=1)
    (bars,) = add_instruments(home, [Instrument(-1, "BARS", 500, calendar="NSE_EQ")])
    write_days(home, "nse", [0], [bars.number])
    run, rows, notes = backtest(good, home, "--symbols", "S1,BARS", "--bars", "1m")
    assert (run["ticks"], run["bars"]) == (900, 375 + 4)
    assert read_refs(home / "runs" / run["run_id"])[0]["counts"]["bars"] == 4
    assert good(home, "replay", run["run_id"])["identical"] and good(home, "verify", run["run_id"])
    request = Request([f"{home}/ticker.py:Ticker"], symbols=("S1", "BARS"), bars="1m")
    for count in (300, 500, None):
        stop = threading.Event()
        found = run_live(home, load_settings(), request, parse_feed("replay:all@max"), "main", stop,
                         lambda n, count=count, stop=stop: stop.set() if count and n >= count else None)  # fmt: skip
    assert found["decision_digest"] == run["decision_digest"] and found["bars"] == 379
