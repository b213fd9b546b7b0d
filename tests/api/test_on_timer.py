"""on_timer: the session's timers and a strategy's own times, in a backtest, live, its replay and under other code."""

import pytest

from api.request import Request
from kernel.codes import Kind
from tests.api.running import FILLED, account_of, live, stored
from tests.api.sessions_home import at, make_home

TIMER, SIGNAL, FAULT = int(Kind.TIMER), int(Kind.SIGNAL), int(Kind.STRATEGY_FAULT)
OWN = '''from onetape import CLOCK, DAY_END, HOLD, SESSION_CLOSE, SESSION_OPEN, Int, Param, buy, strategy, target


@strategy
class Clocked:
    """Buys at half past nine, is flat at ten past three, and counts what it is told of."""

    clock = ("15:10", "09:30")
    quantity = Param(7, low=1)
    opens = Int()
    closes = Int()
    ends = Int()
    others = Int()

    def on_bar(self, bar, ctx):
        return HOLD

    def on_timer(self, timer, ctx):
        if timer.code == CLOCK and timer.time == 930:
            return target(ctx, self.quantity)
        if timer.code == CLOCK and timer.time == 1510:
            return target(ctx, 0)
        if timer.code == SESSION_OPEN:
            self.opens += 1
        elif timer.code == SESSION_CLOSE:
            self.closes += 1
        elif timer.code == DAY_END:
            self.ends += 1
        else:
            self.others += 1
        return HOLD


@strategy
class Ends:
    """Buys one at the end of each day, and does not know the clock of others."""

    told = Int()

    def on_bar(self, bar, ctx):
        return HOLD

    def on_timer(self, timer, ctx):
        self.told += 1
        if timer.code == CLOCK:
            return buy(1 // (ctx.position * 0))
        return buy(1) if timer.code == SESSION_OPEN else HOLD
'''


@pytest.fixture
def home(tmp_path, load):
    home = make_home(tmp_path / "home")
    (home / "own.py").write_text(OWN)
    return home


def asked(home, *more):
    return ("--strategy", f"{home}/own.py:Clocked", "--strategy", f"{home}/own.py:Ends", "--product", "intraday", *more)


def rows_of(home, run):
    return stored(home / "runs" / run["run_id"])[0]


def test_it_is_called_at_its_times_and_the_sessions(home, good, call):
    run = good(home, "backtest", *asked(home))
    rows = rows_of(home, run)
    clock = rows[(rows["kind"] == TIMER) & (rows["code"] > 10_000)]
    assert clock["ts_init"].tolist() == [at(day, minute) for day in range(3) for minute in (570, 910)]
    signals = rows[(rows["kind"] == SIGNAL) & (rows["strategy"] == 1)]
    assert set(signals["cause"].tolist()) <= set(clock["seq"].tolist())
    assert set(signals["side"].tolist()) == {1, -1} and set(signals["qty"].tolist()) == {7}
    assert not (rows["kind"] == FAULT).any(), "the clock of another strategy is not its own"
    own = rows[(rows["kind"] == SIGNAL) & (rows["strategy"] == 2)]
    opens = rows[(rows["kind"] == TIMER) & (rows["code"] == 3)]["seq"]
    assert own["cause"].tolist() == [seq for seq in opens.tolist() for _ in range(2)]
    assert (rows["kind"] == FILLED).sum() > 8
    assert good(home, "replay", run["run_id"])["identical"]
    assert "CLOCK 15:10 of calendar 1" in call(home, "tape", "show", run["run_id"], "--kind", "TIMER").out


@pytest.mark.parametrize("stops", [[], [1], [2, 6], [8, 8, 2]])
def test_live_is_the_backtest(home, good, stops):
    run = good(home, "backtest", *asked(home))
    request = Request([f"{home}/own.py:Clocked", f"{home}/own.py:Ends"], product="intraday")
    for stop in stops:
        assert live(home, stop, request)["stopped"]
    found = live(home, None, request)
    assert (found["decision_digest"], found["bars"]) == (run["decision_digest"], run["bars"])
    assert good(home, "replay", "main-paper")["identical"] and good(home, "verify")["damaged"] == []


def test_other_code_goes_on(home, good):
    """Memory is made anew by the code of today: what was recorded of each call takes the place of what it asks for."""
    request = Request([f"{home}/own.py:Clocked", f"{home}/own.py:Ends"], product="intraday")
    assert live(home, 9, request)["stopped"]
    before = stored(account_of(home))[0]
    (home / "own.py").write_text(OWN + "\n# another\n")
    live(home, None, request)
    after = stored(account_of(home))[0]
    assert (after[: len(before)] == before).all() and len(after) > len(before)
    assert not (after["kind"] == FAULT).any()
    assert good(home, "verify")["damaged"] == []


def test_a_run_without_a_calendar_has_no_timers(home, call, monkeypatch):
    monkeypatch.setenv("ONETAPE_SESSION__TIMERS", "false")
    said = call(home, "backtest", *asked(home))
    assert said.code == 2 and "clocked.on_timer: the run has no timers" in said.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('clock = ("9:30",)', "is local times"),
        ("clock = 930", "is local times"),
        ('clock = "25:00"', "is local times"),
    ],
)
def test_times_that_are_none(home, call, line, says):
    (home / "own.py").write_text(OWN.replace('clock = ("15:10", "09:30")', line))
    said = call(home, "backtest", *asked(home))
    assert said.code == 2 and says in said.err and "own.py:" in said.err
