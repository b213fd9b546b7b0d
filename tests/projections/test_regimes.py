"""Regimes as rows, and what a report makes of them, against the events themselves."""

import numpy as np
import pytest

from kernel.codes import Kind, Regime
from projections.summary import run_report
from tests.projections.recording import config, make_bars, run
from tests.projections.test_projector import one, project, tables

RULES = {
    "regime_period": 5, "regime_average": 20, "regime_trend": 2_500, "regime_range": 2_000, "regime_volatile": 115,
    "regime_calm": 105, "regime_turn": 500,
}  # fmt: skip


@pytest.fixture(scope="module")
def told():
    """(rows without bars, notes) of a run that tells regimes."""
    made, programs = config(("ema_cross,fast=3,slow=8,quantity=10",))
    rows, notes, _ = run(made | {"rules": made["rules"] | RULES}, programs, make_bars(300, 3, 1))
    return rows[rows["kind"] != Kind.BAR], notes


def changes_of(rows):
    return rows[rows["kind"] == Kind.REGIME_CHANGED]


def test_every_change_is_a_row_that_holds_to_the_next(told):
    rows, notes = told
    found = one(project(rows, notes), "SELECT valid_from, valid_to, symbol, regime, direction, before FROM v_regimes")
    changes = changes_of(rows)
    assert len(found) == len(changes) > 20
    for valid_from, valid_to, symbol, regime, direction, before in found:
        [e] = changes[changes["seq"] == valid_from]
        later = changes[(changes["instrument"] == e["instrument"]) & (changes["seq"] > valid_from)]
        assert valid_to == (later["seq"][0] if len(later) else None) and symbol == f"SYM{e['instrument']}"
        assert (regime, direction) == (Regime(e["regime"]).name, e["direction"])
        assert before == (Regime(e["before"]).name if e["before"] else None)


def test_rebuild_equals_incremental(told):
    rows, notes = told
    cuts = np.flatnonzero(rows["kind"] == Kind.REGIME_CHANGED)[[0, 7, 15]]
    assert tables(project(rows, notes, [*cuts, *(cuts + 1)], fresh=True)) == tables(project(rows, notes))


def test_a_trade_has_the_regime_that_was_known_before_its_opening(told):
    rows, notes = told
    sql = "SELECT opened_seq, symbol, regime, direction FROM v_trade_regimes"
    found, changes, seen = one(project(rows, notes), sql), changes_of(rows), set()
    for opened_seq, symbol, regime, direction in found:
        before = changes[(changes["instrument"] == int(symbol[3:])) & (changes["seq"] < opened_seq)]
        last = (Regime(before["regime"][-1]).name, before["direction"][-1]) if len(before) else (None, None)
        assert (regime, direction) == last
        seen.add(regime)
    assert len(seen) > 2


def test_the_report_counts_the_time_and_the_trades_of_each(told):
    rows, notes = told
    report = run_report(project(rows, notes), "t")
    counted, points = dict.fromkeys((regime.name for regime in Regime), 0), 0
    now = [Regime.UNKNOWN] * 3
    for e in rows:
        if e["kind"] == Kind.REGIME_CHANGED:
            now[e["instrument"]] = Regime(e["regime"])
        elif e["kind"] == Kind.EQUITY:
            points += 1
            for regime in now:
                counted[regime.name] += 1
    found = report["regimes"]
    assert {row["regime"]: row["points"] for row in found["rows"]} == counted and sum(counted.values()) == 3 * points
    assert sum(row["trades"] for row in found["rows"]) == len(report["trades"])
    assert sum(row["net"] for row in found["rows"]) == sum(trade["pnl"] for trade in report["trades"])
    assert found["left_out"] == 0
    trades = [sum(t["symbol"] == one["symbol"] for t in report["trades"]) for one in found["instruments"]]
    assert trades == sorted(trades, reverse=True) and len(trades) == 3
    for one_of in found["instruments"]:
        assert sum(one_of["points"].values()) == points and len(one_of["ts"]) == len(one_of["regime"]) > 5


def test_a_run_that_tells_none_has_none():
    made, programs = config(("buy_and_hold",))
    rows, notes, _ = run(made, programs, make_bars(20, 1, 1))
    assert run_report(project(rows, notes), "t")["regimes"] is None
