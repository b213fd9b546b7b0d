"""`onetape check`: each check finds what it looks for and nothing else; the command says it in words and in JSON."""

from dataclasses import replace

import numpy as np
import pytest

from adapters.settings import Settings
from adapters.strategies.load import check_strategy
from adapters.strategies.suspects import Place as Named
from api.bootstrap import load_strategies, make_config
from api.check_decisions import check_modes, check_other_future, check_prefixes, check_start, check_twice, cuts_of
from api.check_finding import FAILED, NOT_MADE, PASSED, WARNED, Words
from api.check_hindsight import check_foresight, check_tables
from api.check_neighbours import check_neighbours, neighbours_of, steps_of
from api.check_process import Answer
from api.check_run import Outcome, Place, Runner, Trial
from api.check_trades import Trades, check_evidence, check_spread, trades_of
from api.request import Request
from kernel.errors import StrategyError
from kernel.strategy import Param
from projections.statistics import DAY_NS
from tests.cheats.cheating import SYMBOL, plant

CROSS = "ema_cross,fast=3,slow=9,quantity=20"


def place_of(home, spec=CROSS, **asked):
    request = Request([spec], **asked)
    loaded = load_strategies([spec], home)
    config = make_config(home, Settings(), request, loaded, "BACKTEST")
    return Place(home, config, loaded[0].origin, Settings().capacity.batch)


@pytest.fixture(scope="module")
def place(market):
    return place_of(market)


@pytest.fixture(scope="module")
def run(place):
    return Runner(place)


@pytest.fixture(scope="module")
def base(run):
    return run(Trial(keep=True, bars=True))


@pytest.fixture(scope="module")
def words(place):
    return Words(place.config)


def answer_of(outcome: Outcome, **constants) -> Answer:
    return Answer(outcome, constants, [], [], [])


def without(outcome: Outcome, place: int) -> Outcome:
    """The same with one decision less."""
    return replace(outcome, signals=np.delete(outcome.signals, place), digest="another")


# Runs


def test_a_run_is_a_backtest(base, market, tmp_path, good, home):
    found = good(home, "backtest", "--strategy", CROSS)
    assert base.digest == found["decision_digest"]
    assert len(base.signals) == found["signals"] > 40 and len(base.bars["close"]) == found["bars"]
    assert base.net == round((float(found["final_equity"]) - 1_000_000) * 10_000)


@pytest.mark.e2e
def test_trades_are_those_of_the_report(base, place, home, good):
    found = good(home, "backtest", "--strategy", CROSS)
    query = "select pnl, fees from trades where closed_seq is not null order by opened_seq"
    rows = good(home, "sql", query, "--run", found["run_id"])
    trades = trades_of(place.config, base.rows)
    assert trades.count == len(rows) > 20
    assert trades.pnl.tolist() == [int(row["pnl"]) for row in rows]


def test_parameters_and_times_of_a_trial(run, base):
    other = run(Trial(params={"fast": 4}))
    assert other.digest != base.digest
    middle = int(base.bars["ts_init"][len(base.bars["ts_init"]) // 2])
    early, late = run(Trial(last_ts=middle, bars=True)), run(Trial(first_ts=middle, bars=True))
    assert early.bars["ts_init"].max() == middle == late.bars["ts_init"].min()


def test_the_other_market(run, base):
    """Real up to the time; after it every rise is a fall, and bars stay bars."""
    middle = int(base.bars["ts_init"][700])
    other = run(Trial(real_until=middle, bars=True))
    real = base.bars["ts_init"] <= middle
    for name, values in base.bars.items():
        assert np.array_equal(values[real], other.bars[name][real])
    one = base.bars["instrument"] == 0
    here, there = (np.sign(np.diff(bars["close"][one & ~real])) for bars in (base.bars, other.bars))
    assert (here * there <= 0).all() and (here * there < 0).mean() > 0.5
    low, high = other.bars["low"], other.bars["high"]
    assert (low <= np.minimum(other.bars["open"], other.bars["close"])).all()
    assert (high >= np.maximum(other.bars["open"], other.bars["close"])).all() and (low > 0).all()


# Decisions


def test_the_same_twice(base, words):
    assert check_twice(base, base, answer_of(base), {}, words).status == PASSED
    here = check_twice(base, without(base, 3), answer_of(base), {}, words)
    assert here.status == FAILED and "a second run decided differently: first" in here.found
    assert here.where == words.when(base.signals[3])
    there = check_twice(base, base, answer_of(without(base, 0), a="2"), {"a": "1"}, words)
    assert there.status == FAILED and "in another process" in there.found and there.mend.startswith("a is worked out")
    changed = check_twice(base, base, answer_of(base, **{"m:on_bar:N": "2"}), {"m:on_bar:N": "1"}, words)
    assert changed.status == FAILED and changed.found.startswith("N: another value")


def test_cuts_are_at_decisions_and_fills(base):
    cuts = cuts_of(base)
    assert cuts == sorted(set(cuts)) and {int(base.signals["ts_init"][0]), int(base.signals["ts_init"][-1])} <= set(
        cuts
    )
    assert any(b - a == 1 for a, b in zip(cuts, cuts[1:], strict=False)), "right before a fill and with it"


def test_without_the_future(base, run, words):
    assert check_prefixes(base, run, words).status == PASSED
    assert check_other_future(base, run, words).status == PASSED

    def peeks(trial: Trial) -> Outcome:
        """Decides on a bar only if there is one after it, as it was recorded."""
        end = trial.last_ts if trial.last_ts is not None else trial.real_until
        kept = base.signals["ts_init"] < end
        return replace(base, signals=base.signals[kept])

    for check in (check_prefixes, check_other_future):
        found = check(base, peeks, words)
        assert found.status == FAILED and "nothing" in found.found and "MARKET" in found.found
        assert found.where.split()[-1] in ("ACC", "INFY", "TCS", "NIFTY", "ZEEL")


def test_both_modes(base, words):
    names = ("compiled", "interpreted")
    assert check_modes(base, answer_of(base), names, [], words).status == PASSED
    found = check_modes(base, answer_of(without(base, 5)), names, [Named("BOX.n", "mine.py:7")], words)
    assert found.status == FAILED and "BOX.n (mine.py:7)" in found.means
    silent = replace(base, signals=base.signals[:0])
    assert check_modes(silent, answer_of(silent), names, [], words).status == WARNED


def test_a_later_start(base, run):
    assert check_start(base, run).status == PASSED
    half = len(base.signals) // 2
    found = check_start(base, lambda trial: replace(base, signals=base.signals[:half]))
    assert found.status == WARNED and "hangs on the day the run begins" in found.means
    assert check_start(replace(base, bars={"ts_init": base.bars["ts_init"][:50]}), run).status == NOT_MADE


# Hindsight

KNOWS = ("closes_from_a_file", "best_bars")


@pytest.mark.parametrize("name", KNOWS)
def test_a_table_of_the_tape(home, tmp_path, load, name):
    path = plant(name, home, tmp_path)
    place = place_of(home, str(path), symbols=[SYMBOL])
    run = Runner(place)
    base, words = run(Trial(keep=True, bars=True)), Words(place.config)
    tables, foresight = check_tables(check_strategy(str(path)).reach, base, words), check_foresight(base, run)
    assert foresight.status == FAILED and "100%" in foresight.found
    assert tables.status == (FAILED if name == KNOWS[0] else PASSED)
    if name == KNOWS[0]:
        assert "CLOSES holds the close prices of ACC from 2024-01-01 09:1" in tables.found
        assert tables.where.startswith(f"{path}:")


def test_tables_that_are_not_of_the_tape(base, words, strategy_file):
    text = "W = tuple(float(x) for x in range(1, 400))\nV = tuple([0.5, 0.25] * 100)\n"
    text += "@strategy\nclass Mine:\n    n = Int()\n    def on_bar(self, bar, ctx):\n"
    text += "        return buy(W[self.n] + V[self.n] + (1, 2, 3, 4, 5, 6, 7, 8)[self.n] + 2024)\n"
    found = check_tables(check_strategy(str(strategy_file(text))).reach, base, words)
    assert found.status == PASSED and found.found.startswith("3 tables")


def test_moments_of_the_tape(base, words, strategy_file):
    ts = int(base.bars["ts_init"][400])
    for moments, status in (((ts,), WARNED), ((ts, ts + 60 * 10**9, ts + 120 * 10**9), FAILED), ((ts * 2,), PASSED)):
        test = " or ".join(f"bar.ts == {moment}" for moment in moments)
        text = f"@strategy\nclass Mine:\n    def on_bar(self, bar, ctx):\n        return buy(1) if {test} else HOLD\n"
        found = check_tables(check_strategy(str(strategy_file(text))).reach, base, words)
        assert found.status == status, moments


# Results


def test_steps_keep_to_the_bounds():
    assert steps_of(Param(10, low=2, high=200), 10) == [9, 11]
    assert steps_of(Param(2, low=2, high=200), 2) == [3]
    assert steps_of(Param(100), 100) == [90, 110]
    assert steps_of(Param(0.5, high=0.5), 0.5) == [0.45]
    assert steps_of(Param(0.0), 0.0) == [-0.1, 0.1]


def test_neighbours(base, run, place, words):
    definition = check_strategy(CROSS).definition
    params = {"fast": 3, "slow": 9, "quantity": 20}

    def other(net: int):
        def made(trial: Trial) -> Outcome:
            if trial.params.get("fast") == 2:
                raise StrategyError("no")
            return replace(base, summary=base.summary | {"net": net if "slow" in trial.params else base.net})

        return made

    profit = replace(base, summary=base.summary | {"net": 1_000_000})
    for net, said in ((-400_000, "slow=9 but -₹40.00 with 8"), (100_000, "slow=9 but +₹10.00"), (900_000, "")):
        near = neighbours_of(definition, params, place.config, other(net))
        assert [(one.name, one.value) for one in near if one.net is None] == [("fast", 2)]
        near = [one for one in near if one.name == "slow"]
        found = check_neighbours(profit, trades_of(place.config, base.rows), near, params, words)
        assert found.status == (WARNED if said else PASSED) and said in found.found
    assert check_neighbours(profit, trades_of(place.config, base.rows), [], params, words).status == NOT_MADE


def trades(pnl, instrument=None):
    """Closed trades of a day each."""
    count = len(pnl)
    opened = np.arange(count, dtype=np.int64) * DAY_NS
    where = np.array(instrument if instrument is not None else [0] * count)
    return Trades(np.array(pnl, np.int64), np.zeros(count, np.int64), opened, opened + DAY_NS // 2, where, 1.0)


def test_evidence_and_spread(words):
    assert check_evidence(trades([1] * 29)).status == WARNED
    assert check_evidence(trades([1] * 30)).status == PASSED
    assert check_spread(trades([100] * 30, list(range(30))), words).status == PASSED
    lucky = check_spread(trades([1_000, *[1] * 30]), words)
    assert lucky.status == WARNED and "one trade made 97% of it" in lucky.found and "one day" in lucky.found
    one = check_spread(trades([50, 50, 50, 1, 1], [1, 1, 1, 2, 3]), words)
    assert "one symbol (INFY) made 99% of it" in one.found
    assert check_spread(trades([-5, 3]), words).status == PASSED
