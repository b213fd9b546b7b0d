"""Timers in a run: DAY orders meet the session's last bar and end with it, in a backtest and a paper day alike."""

import json

import pytest

from api.request import Request
from kernel.codes import Kind, TimerCode
from tests.api.running import FILLED, SUBMITTED, account_of, live, stored
from tests.api.sessions_home import DAY, add_instruments, at, make_home, write_days

TIMER, EXPIRED = int(Kind.TIMER), int(Kind.ORDER_EXPIRED)
CLOSE = 15 * 60 + 30


@pytest.fixture
def home(tmp_path, load):
    return make_home(tmp_path / "home", dip=(1, CLOSE))


def patient(home):
    return ("--strategy", f"{home}/patient.py:Patient")


def timers(rows):
    rows = rows[rows["kind"] == TIMER]
    return [(int(r["ts_init"]), TimerCode(int(r["code"])).name) for r in rows]


def rows_of(home, run):
    return stored(home / "runs" / run["run_id"])


def test_a_day_order_meets_the_last_bar_and_ends_with_the_session(home, good):
    run = good(home, "backtest", *patient(home), "--square-off", "15:20")
    rows, notes = rows_of(home, run)
    config = json.loads(notes[1])
    assert [row["calendar"] for row in config["instruments"]] == [1, 1]
    assert [(row["number"], row["name"]) for row in config["calendars"]] == [(1, "NSE_EQ")]
    assert config["session"] == {"close_grace": 5 * 10**9, "square_off": "15:20"}
    assert timers(rows) == [
        (at(day, minute, seconds), name)
        for day in range(3)
        for minute, seconds, name in ((555, 0, "SESSION_OPEN"), (920, 0, "SQUARE_OFF"), (CLOSE, 5, "SESSION_CLOSE"),
                                      (CLOSE + 60, 0, "DAY_END"))
    ]  # fmt: skip
    expired, filled = (rows[rows["kind"] == kind] for kind in (EXPIRED, FILLED))
    assert expired["ts_init"].tolist() == [at(0, CLOSE, 5)] * 2 and expired["ts_event"].tolist() == [at(0, CLOSE)] * 2
    assert filled["ts_init"].tolist() == [at(1, CLOSE)] * 2  # sent on Tuesday, filled by its last bar
    assert run["bars"] == 24 and run["final_equity"]


def test_replay_and_verify(home, good, call):
    run = good(home, "backtest", *patient(home))
    again = good(home, "replay", run["run_id"])
    assert again["identical"] and again["tape_digest"] == run["tape_digest"]
    assert good(home, "verify")["damaged"] == []
    assert good(home, "sql", "select count(*) as n from timer", "--run", run["run_id"])
    table = home / "instruments" / "sessions.toml"
    table.write_text('[[special]]\nof = ["NSE_EQ"]\ndays = [2025-01-04]\nname = "Drill"\nregular = true\n')
    assert good(home, "replay", run["run_id"])["identical"]  # that is none of its days
    table.write_text('[[special]]\nof = ["NSE_EQ"]\ndays = [2024-01-02]\nname = "Strike"\nclosed = true\n')
    said = call(home, "replay", run["run_id"])
    assert said.code == 2 and "calendar NSE_EQ is not what the run used" in said.err and "sessions.toml" in said.err


@pytest.mark.parametrize("stops", [[], [1], [2, 6], [8, 8, 2], [16]])
def test_live_is_the_backtest(home, good, stops):
    run = good(home, "backtest", *patient(home))
    request = Request([f"{home}/patient.py:Patient"])
    for stop in stops:
        assert live(home, stop, request)["stopped"]
    found = live(home, None, request)
    assert (found["decision_digest"], found["bars"]) == (run["decision_digest"], run["bars"])
    rows, _ = stored(account_of(home))
    assert timers(rows) == timers(rows_of(home, run)[0])
    assert good(home, "replay", "main-paper")["identical"] and good(home, "verify")["damaged"] == []
    assert live(home, None, request)["new_bars"] == 0


def test_a_day_at_a_time(home, good):
    """Each morning a tape of its own: what closed the day before is not told again."""
    run = good(home, "backtest", *patient(home))
    request = Request([f"{home}/patient.py:Patient"])
    live(home, None, request)
    write_days(home, "next", [3, 4], [0, 1])
    after = live(home, None, Request(request.strategies, tapes=("next",)))
    assert after["new_bars"] == 16 and after["bars"] == run["bars"] + 16
    rows, _ = stored(account_of(home))
    assert [ts for ts, name in timers(rows) if name == "DAY_END"] == [at(day, CLOSE + 60) for day in range(5)]
    assert [ts for ts, name in timers(rows) if name == "SESSION_OPEN"] == [at(day, 555) for day in range(5)]


@pytest.mark.parametrize(("grace", "filled"), [("5", 0), ("90", 2)])
def test_bars_that_come_late(tmp_path, load, good, monkeypatch, grace, filled):
    """The last bar comes a minute after the close: it meets the orders of the day only within the grace."""
    home = make_home(tmp_path / "home", dip=(1, CLOSE), lag=60 * 10**9)
    monkeypatch.setenv("ONETAPE_SESSION__CLOSE_GRACE", grace)
    rows, _ = rows_of(home, good(home, "backtest", *patient(home)))
    assert (rows["kind"] == FILLED).sum() == filled


def test_off(home, good, call, monkeypatch):
    monkeypatch.setenv("ONETAPE_SESSION__TIMERS", "false")
    rows, notes = rows_of(home, good(home, "backtest", *patient(home)))
    config = json.loads(notes[1])
    assert not timers(rows) and (rows["kind"] == SUBMITTED).sum() == 2 and not (rows["kind"] == EXPIRED).any()
    assert "calendars" not in config and "session" not in config and "calendar" not in config["instruments"][0]
    said = call(home, "backtest", *patient(home), "--square-off", "15:20")
    assert said.code == 2 and "no timers" in said.err
    said = call(home, "backtest", *patient(home), "--square-off", "25:00")
    assert said.code == 2 and "--square-off must be a time of day" in said.err


def test_a_part_of_the_days(home, good):
    rows, _ = rows_of(home, good(home, "backtest", *patient(home), "--from", "2024-01-02", "--to", "2024-01-02"))
    assert [ts for ts, _ in timers(rows)] == [at(1, 555), at(1, CLOSE, 5), at(1, CLOSE + 60)]
    assert (rows["kind"] == FILLED).sum() == 2


def test_days_the_calendar_does_not_know(tmp_path, load, call, monkeypatch):
    home = make_home(tmp_path / "home", days=1)
    write_days(home, "old", [-3000], [0, 1])
    said = call(home, "backtest", *patient(home))
    assert said.code == 2 and "outside what calendar NSE_EQ knows" in said.err and "`timers = false`" in said.err
    monkeypatch.setenv("ONETAPE_SESSION__TIMERS", "false")
    assert call(home, "backtest", *patient(home)).code == 0


def test_two_calendars(tmp_path, load, good):
    """Timers are of the calendars of the run's own instruments, and end the orders of theirs alone."""
    from adapters.market.instruments import Instrument

    home = make_home(tmp_path / "home")
    add_instruments(home, [Instrument(-1, "COIN", 500, calendar="ALWAYS")])
    write_days(home, "coin", range(3), [2])
    _, notes = rows_of(home, good(home, "backtest", *patient(home), "--symbols", "ACC"))
    assert [row["name"] for row in json.loads(notes[1])["calendars"]] == ["NSE_EQ"]
    rows, notes = rows_of(home, good(home, "backtest", *patient(home)))
    assert [row["calendar"] for row in json.loads(notes[1])["instruments"]] == [2, 2, 1]
    expired = rows[rows["kind"] == EXPIRED]
    midnight = 330 * 60 * 10**9  # UTC's, in Kolkata
    ends = {0: at(0, CLOSE), 1: at(0, CLOSE), 2: at(0, 0) + DAY + midnight}
    assert {n: int(expired["ts_event"][expired["instrument"] == n][0]) for n in range(3)} == ends


def test_shown(home, good, call):
    good(home, "backtest", *patient(home))
    shown = call(home, "tape", "show", "latest", "--kind", "TIMER").out
    assert "SESSION_CLOSE of calendar 1" in shown and shown.count("DAY_END") == 3
    for text in ("20240102", "2024-1-2"):
        said = call(home, "backtest", *patient(home), "--from", text)
        assert said.code == 2 and "write YYYY-MM-DD" in said.err
