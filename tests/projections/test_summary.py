import io
import json

import pytest
from rich.console import Console

from api.report import html_report, terminal_report
from kernel.codes import Kind
from kernel.errors import NotFound
from projections.marks import value_at
from projections.summary import run_report
from tests.api.test_report import run as report_of_tests
from tests.projections.handmade import BUY, HandTape
from tests.projections.recording import record, with_actions
from tests.projections.test_projector import database, project

BY_CALLER = {"run_id", "seconds", "inputs_per_second", "digests", "inputs"}
GIVEN = {
    "run_id": "r-1", "seconds": None, "inputs_per_second": None, "inputs": [],
    "digests": {"tape": "aa", "decision": "bb", "state": "cc", "code": "dd"},
}  # fmt: skip


def dividend(bars):
    return with_actions(bars, 300, Kind.DIVIDEND, 1, amount=12345)


@pytest.fixture(scope="module")
def made():
    rows, notes, engine = record(change=dividend, limits={"max_order_notional": 1_050_000_00}.items())
    return project(rows, notes), engine


def same_shape(found, wanted):
    """Keys of dicts, and of the dicts in lists, are those of the contract."""
    for name, value in wanted.items():
        if isinstance(value, list) and value and isinstance(value[0], dict) and found[name]:
            assert found[name][0].keys() == value[0].keys(), name
        elif isinstance(value, dict) and name not in ("settings", "digests"):
            assert found[name].keys() == value.keys(), name


def test_the_report_is_the_data_contract(made):
    report = run_report(made[0], "t")
    wanted = report_of_tests(3, 3)
    assert report.keys() | BY_CALLER == wanted.keys() and not report.keys() & BY_CALLER
    same_shape(report, {name: value for name, value in wanted.items() if name not in BY_CALLER})
    json.dumps(report)


def test_figures_are_the_engines(made):
    connection, engine = made
    value_at(connection, "t", {f"SYM{n}": int(engine.state.markets["mark"][n]) for n in range(3)})
    report, account = run_report(connection, "t"), engine.account
    assert report["final_equity"] == engine.purse.cash + engine.purse.market_value
    for name in ("realized", "fees", "dividends", "market_value", "signals", "orders", "fills", "denied", "bars"):
        assert report[name] == (engine.purse[name] if name in engine.purse.dtype.names else account[name]), name
    assert report["dividends"] > 0 and report["denied"] > 0
    assert report["unrealized"] == engine.purse.market_value - engine.purse.cost
    assert report["events"] == account.seq
    for rows in (report["by_instrument"], report["by_strategy"]):
        assert sum(row["net"] for row in rows) == report["final_equity"] - report["cash"]
        assert sum(row["unrealized"] for row in rows) == report["unrealized"]
    assert sum(row["trades"] for row in report["by_strategy"]) == len(report["trades"])
    assert report["max_drawdown"] == max(
        p - e for p, e in zip(report["equity"]["peak"], report["equity"]["equity"], strict=True)
    )
    start, low = report["max_drawdown_ts"]
    assert start < low


def test_an_open_result_that_cannot_be_told_is_none(made):
    report = run_report(made[0], "t")
    assert None in {row["unrealized"] for row in report["by_instrument"]}
    rows, notes, engine = record(60, 1, specs=("buy_and_hold",))
    (row,) = run_report(project(rows, notes), "t")["by_instrument"]
    assert row["unrealized"] == engine.purse.market_value - engine.purse.cost


def test_both_reports_show_it(made):
    for rows, notes in ((None, None), record(0)[:2]):
        connection = project(rows, notes) if rows is not None else made[0]
        data = run_report(connection, "t") | GIVEN
        assert "onetape replay r-1" in html_report(data)
        terminal_report(data, Console(file=io.StringIO(), width=80))


def test_strategies_of_one_name_are_told_apart():
    tape = HandTape()
    for strategy in (1, 2, 3):
        tape.trade(strategy, 0, BUY, 1, 1000)
    report = run_report(project(tape.rows(), tape.notes), "t")
    assert [row["name"] for row in report["strategies"]] == ["one", "two#2", "two#3"]
    assert {row["strategy"] for row in report["by_strategy"]} == {"one", "two#2", "two#3"}


def test_an_unknown_run_is_not_found():
    with pytest.raises(NotFound):
        run_report(database(), "t")
