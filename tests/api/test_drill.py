"""`onetape drill`: when a limit would have tripped, what it would have saved, and how near a run came."""

from decimal import Decimal

import numpy as np
import pytest

from kernel.codes import KillLevel, Kind, Reason
from tests.api.running import TWO, files_of, stored
from tests.api.test_cli import refused

ASKS = """
from onetape import HOLD, Int, buy, buy_limit, modify, reduce_only, sell_limit, strategy


@strategy
class Asks:
    bars = Int()
    exits = Int()

    def on_bar(self, bar, ctx):
        self.bars += 1
        if self.bars == 1:
            return buy(10)
        if ctx.position > 0 and self.exits == 0:
            self.exits = 1
            return reduce_only(sell_limit(10, bar.close * 2))
        if self.bars % 2 == 0:
            modify(ctx, price=bar.close * 2 + 1)
            return HOLD
        return buy_limit(1, bar.close / 2)
"""


def drilled(home, good, *arguments):
    before = files_of(home)
    found = good(home, "drill", *arguments)
    assert files_of(home) == before, "nothing is written"
    return found


def test_a_drill_is_the_run_with_that_limit(traded, good, monkeypatch):
    """When, why and the end are those of a backtest that had the limit; without it, those of the run."""
    run = good(traded, "backtest", *TWO)
    for level in ("cancel_all", "flatten"):
        found = drilled(traded, good, "--kill", "max_day_loss=40", "--level", level, run["run_id"])
        monkeypatch.setenv("ONETAPE_LIMITS__MAX_DAY_LOSS", "40")
        monkeypatch.setenv("ONETAPE_LIMITS__TRIP_LEVEL", str(int(KillLevel[level.upper()])))
        limited = good(traded, "backtest", *TWO)
        monkeypatch.delenv("ONETAPE_LIMITS__MAX_DAY_LOSS")
        monkeypatch.delenv("ONETAPE_LIMITS__TRIP_LEVEL")
        rows, _ = stored(traded / "runs" / limited["run_id"])
        trip = rows[rows["kind"] == int(Kind.TRIPPED)][0]
        when = found["tripped"]
        assert (when["seq"], when["ts"], when["reason"]) == (int(trip["seq"]), int(trip["ts_event"]), "DAY_LOSS")
        assert Decimal(str(when["measured"])) == Decimal(int(trip["measured"])) / 10_000
        assert (when["limit"], found["level"]) == (40, level.upper())
        assert (found["equity_with"], found["equity_without"]) == (limited["final_equity"], run["final_equity"])
        assert found["saved"] == pytest.approx(limited["final_equity"] - run["final_equity"])
        later, killed = rows["seq"] > trip["seq"], rows["reason"] == int(Reason.KILLED)
        assert when["denied"] == (later & killed & (rows["kind"] == int(Kind.ORDER_DENIED))).sum() > 0
        assert when["fills"] == (later & (rows["kind"] == int(Kind.ORDER_FILLED))).sum()
        assert when["orders"] == (later & (rows["kind"] == int(Kind.ORDER_SUBMITTED))).sum()
        as_it_was, _ = stored(traded / "runs" / run["run_id"])
        assert np.array_equal(as_it_was[as_it_was["seq"] < trip["seq"]], rows[rows["seq"] < trip["seq"]])
        later = as_it_was[as_it_was["seq"] >= trip["seq"]]["kind"]
        assert when["orders_without"] == (later == int(Kind.ORDER_SUBMITTED)).sum() > when["orders"]
        assert when["fills_without"] == (later == int(Kind.ORDER_FILLED)).sum() > when["fills"]
        assert found["max_drawdown_with"] == limited["max_drawdown"]
        assert found["max_drawdown_without"] == run["max_drawdown"]
        if level == "flatten":
            assert found["positions_held"] == 0


def test_the_equity_then_is_what_was_measured(traded, good):
    """On the first day the loss is counted from the opening cash: equity then is cash less the loss."""
    found = drilled(traded, good, "--kill", "max_day_loss=30", "latest")
    assert found["tripped"]["time"].startswith("2024-01-01 ")
    assert found["tripped"]["equity"] == pytest.approx(1_000_000 - found["tripped"]["measured"])


def test_a_limit_that_is_not_reached(traded, good, call):
    near = drilled(
        traded,
        good,
        "--kill",
        "max_day_loss=900000",
        "--kill",
        "max_drawdown=90",
        "--kill",
        "max_errors_minute=5",
        "latest",
    )
    assert near["tripped"] is None and near["saved"] == 0
    assert near["equity_with"] == near["equity_without"]
    most = near["nearest"]
    assert (
        0 < most["max_day_loss"] < 900_000 and 0 < float(most["max_drawdown"]) < 90 and most["max_errors_minute"] == 0
    )
    just = f"{most['max_day_loss']:.4f}"
    assert good(traded, "drill", "--kill", f"max_day_loss={just}", "latest")["tripped"] is None, "over it, not at it"
    less = f"{most['max_day_loss'] - 0.0001:.4f}"
    assert good(traded, "drill", "--kill", f"max_day_loss={less}", "latest")["tripped"] is not None
    said = call(traded, "drill", "--kill", "max_day_loss=900000", "--kill", "max_errors_minute=5", "latest")
    assert said.code == 0 and "it never trips" in said.out and "(0%)" in said.out
    assert "came to 0 a minute of 5 a minute (0%)" in said.out


def test_the_first_of_several(traded, good, call):
    both = drilled(traded, good, "--kill", "max_day_loss=40", "--kill", "max_drawdown=50", "latest")
    assert both["tripped"] == drilled(traded, good, "--kill", "max_day_loss=40", "latest")["tripped"]
    said = call(traded, "drill", "--kill", "max_drawdown=0.002", "latest")
    for words in (
        *("tripped at", "the fall from the peak", "it would have", "without  ", "deepest fall", "orders after it"),
        *("refused", "Asia/Kolkata", "max_drawdown 0.002%", "₹"),
    ):
        assert words in said.out


def test_a_limit_of_the_runs_own_is_told_from_those_asked_for(traded, good, call, monkeypatch):
    """It tripped then, and it trips with and without: that is no merit of the limit that was asked for."""
    monkeypatch.setenv("ONETAPE_LIMITS__MAX_DAY_LOSS", "40")
    run = good(traded, "backtest", *TWO)
    monkeypatch.delenv("ONETAPE_LIMITS__MAX_DAY_LOSS")
    found = drilled(traded, good, "--kill", "max_drawdown=50", "latest")
    assert found["tripped"]["by_own_limit"] and found["tripped"]["reason"] == "DAY_LOSS" and found["saved"] == 0
    assert found["equity_with"] == found["equity_without"] == run["final_equity"]
    assert 0 < float(found["nearest"]["max_drawdown"]) < 50
    said = call(traded, "drill", "--kill", "max_drawdown=50", "latest").out
    assert "it never trips: the run's own max_day_loss of ₹40.00 does, at 2024-01-01" in said
    assert "max_drawdown         came to 0.0" in said and "% of 50% (0%)" in said
    stricter = drilled(traded, good, "--kill", "max_day_loss=20", "latest")
    assert not stricter["tripped"]["by_own_limit"] and stricter["tripped"]["limit"] == 20


def test_what_is_refused_counts_orders_and_no_changes(traded, good, tmp_path):
    """A strategy that asks for an order at one bar and for a change of it at every other."""
    file = tmp_path / "asks.py"
    file.write_text(ASKS)
    good(traded, "backtest", "--strategy", f"{file}:Asks", "--symbols", "ACC")
    found = drilled(traded, good, "--kill", "max_drawdown=0.01", "--level", "no_new_orders", "latest")
    when = found["tripped"]
    assert when["denied"] == found["tripped"]["orders_without"] > 10, "each of the orders it would have sent, once"


def test_an_account_tape(traded, good):
    run = drilled(traded, good, "--kill", "max_day_loss=40", "latest")
    account = drilled(traded, good, "--kill", "max_day_loss=40", "main-paper")
    for name in ("equity_with", "equity_without", "saved"):
        assert run[name] == account[name]
    assert {**run["tripped"], "seq": 0} == {**account["tripped"], "seq": 0}


def test_batches_do_not_matter(traded, good, monkeypatch):
    found = good(traded, "drill", "--kill", "max_day_loss=40", "latest")
    monkeypatch.setattr("api.drill.BATCH", 1_000)
    assert good(traded, "drill", "--kill", "max_day_loss=40", "latest") == found


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("max_day_loss", ["LIMIT=VALUE"]),
        ("max_day_los=3", ["did you mean max_day_loss?"]),
        ("collar=3", ["no limit", "max_drawdown"]),
        ("max_day_loss=lots", ["is no max_day_loss"]),
        ("max_day_loss=-3", ["is no max_day_loss"]),
        ("max_drawdown=0", ["0 is no limit"]),
        ("max_errors_minute=1.5", ["is no max_errors_minute"]),
    ],
)
def test_limits_that_are_none(traded, call, limit, words):
    refused(call(traded, "drill", "--kill", limit, "latest"), 2, *words)


def test_runs_that_are_none(traded, call):
    refused(call(traded, "drill", "--kill", "max_day_loss=1", "nothing"), 2, "no run 'nothing'")
    refused(call(traded, "drill", "--kill", "max_day_loss=1", "--level", "x", "latest"), 2, "--level")
    assert call(traded, "drill", "latest").code == 2
