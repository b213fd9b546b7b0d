"""What a user is told of strategies that failed: the right strategy, its line, the symbol, the local time."""

import os

import pytest

from api.request import Request
from api.show import report_data
from tests.api.running import live

pytestmark = pytest.mark.sim  # many runs of whole processes; CI has the paths they share

LATE = """
@strategy
class Late:
    seen = Int()

    def on_bar(self, bar, ctx):
        self.seen += 1
        place(ctx, buy(1))
        assert self.seen < 40
"""
EARLY = """
@strategy
class Early:
    def on_bar(self, bar, ctx):
        return buy(1 // (ctx.position - ctx.position))
"""


@pytest.fixture
def specs(strategy_file):
    """The strategy that fails late, then the one that fails early."""
    return [str(strategy_file(LATE, "late.py")), str(strategy_file(EARLY, "early.py"))]


def test_each_fault_has_its_own_words(home, call, specs):
    """The first of the run failed last."""
    said = call(home, "backtest", "--strategy", specs[0], "--strategy", specs[1], "--symbols", "ACC", "--json")
    assert said.code == 1
    late, early = said.json["faults_text"]
    assert late.startswith("late stopped at 2024-01-01 09:55:00 IST, ACC: ")
    assert late.endswith("late.py:10: AssertionError: 'assert self.seen < 40'")
    assert early.startswith("early stopped at 2024-01-01 09:16:00 IST, ACC: ") and "ZeroDivisionError" in early
    faults = report_data(home / "runs" / said.json["run_id"])["faults"]
    assert [(fault["strategy"], fault["text"]) for fault in faults] == [("early", early), ("late", late)]
    shown = call(home, "report")
    assert shown.code == 0 and shown.out.index(early[:40]) < shown.out.index(late[:40])


@pytest.mark.sim
def test_two_of_one_strategy_have_their_own_words(home, call, strategy_file):
    """Names that two share get their number."""
    path = strategy_file(LATE.replace("Int()", "Int()\n    last = Param(40)").replace("< 40", "< self.last"))
    asked = ["--strategy", f"{path},last=40", "--strategy", f"{path},last=20", "--symbols", "ACC", "--json"]
    said = call(home, "backtest", *asked)
    faults = report_data(home / "runs" / said.json["run_id"])["faults"]
    assert [fault["strategy"] for fault in faults] == ["late#2", "late#1"]
    assert [fault["text"] for fault in faults] == said.json["faults_text"][::-1]


@pytest.mark.skipif(os.environ.get("ONETAPE_JIT") == "0", reason="a start and another, slow interpreted")
def test_a_later_start_says_that_it_had_stopped(home, specs):
    """The call that failed was kept in memory, by a process that is gone."""
    request = Request((specs[1],), symbols=("ACC",))
    first = live(home, 20, request)
    assert "early.py:" in first["fault_texts"][0] and "IST, ACC" in first["fault_texts"][0]
    (said,) = live(home, request=request)["fault_texts"]
    assert said == "early stopped before this start and is not called again: see its STRATEGY_FAULT event"
