"""Facts in a feed: they come at their times, before what else there is of them, and change nothing else."""

from itertools import pairwise
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adapters.market import feed as feed_module
from adapters.market.dated import Facts, newest_of
from adapters.market.feed import MarketFeed, Selection
from kernel.codes import Kind
from kernel.schema import EVENT, join_rows
from tests.adapters.market.test_feed import ACTIONS, Bar, bars_of, home_in_memory, take, write_tape
from tests.adapters.market.test_feed_timers import Ticking

FX_RATE, TERMS_CHANGED, CASH_ADJUSTED, TIMER = (
    int(kind) for kind in (Kind.FX_RATE, Kind.TERMS_CHANGED, Kind.CASH_ADJUSTED, Kind.TIMER)
)
FACTS = (FX_RATE, TERMS_CHANGED, CASH_ADJUSTED)
Told = tuple[int, int, int, int]  # kind, ts_init, instrument, currency or tick


def rates(listed: list[tuple[int, int]]) -> np.ndarray:
    """FX_RATE rows of (time, currency), each with a rate of its own."""
    rows = np.zeros(len(listed), EVENT)
    rows["kind"], rows["instrument"] = FX_RATE, -1
    for k, (row, (ts, currency)) in enumerate(zip(rows, sorted(listed), strict=True)):
        row["ts_init"] = row["ts_event"] = ts
        row["currency"], row["rate"] = currency, k + 1
    return rows


def terms(ts: int, instrument: int, tick: int) -> np.ndarray:
    rows = np.zeros(1, EVENT)
    rows["kind"], rows["ts_init"], rows["ts_event"] = TERMS_CHANGED, ts, ts
    rows["instrument"], rows["tick"], rows["lot"] = instrument, tick, 1
    return rows


def cash() -> np.ndarray:
    rows = np.zeros(1, EVENT)
    rows["kind"], rows["instrument"], rows["code"], rows["amount_money"] = CASH_ADJUSTED, -1, 1, 500
    return rows


@given(
    st.tuples(bars_of(0), bars_of(1)),
    ACTIONS,
    st.lists(st.tuples(st.integers(0, 130).map(lambda n: n * 10), st.integers(1, 3)), max_size=12),
    st.lists(st.integers(0, 130).map(lambda n: n * 10), max_size=8),
    st.integers(0, 300),
    st.sampled_from([1, 2, 3, 64]),
    st.sampled_from([1, 2, 5, 1_000]),
)
def test_facts_change_nothing_else(tapes, actions, told, times, more, batch, table):
    bars = {(b.ts, b.instrument): b for part in tapes for b in part}
    halves = [[b for b in bars.values() if b.tape == k] for k in range(2)]
    with home_in_memory() as home, patch.object(feed_module, "BATCH_ROWS", batch):
        paths = [write_tape(home, k, sorted(part), actions if k else []) for k, part in enumerate(halves)]
        plain = take(MarketFeed(paths, Selection(), Ticking(times, more)), table)
        got = take(MarketFeed(paths, Selection(), Ticking(times, more), Facts(rates(told), cash())), table)
    facts = got[np.isin(got["kind"], FACTS)]
    assert got[~np.isin(got["kind"], FACTS)].tobytes() == plain.tobytes()
    if not bars:
        assert len(got) == 0
        return
    first, last = min(bars.values()), max(b.ts for b in bars.values())
    opened, listed = first.ts - first.lag - first.span, rates(told)
    before = {int(row["currency"]): int(row["rate"]) for row in listed if row["ts_init"] <= opened}
    after = [row for row in listed if opened < row["ts_init"] <= last + more]
    count = len(before) + 1
    assert {int(row["currency"]): int(row["rate"]) for row in facts[: count - 1]} == before
    assert (facts["ts_init"][:count] == opened).all() and facts["kind"][count - 1] == CASH_ADJUSTED
    assert facts["rate"][count:].tolist() == [int(row["rate"]) for row in after]
    assert (np.diff(got["ts_init"]) >= 0).all()
    for one, other in pairwise(got):
        late = other["kind"] in FACTS and one["kind"] not in FACTS
        assert not (late and one["ts_init"] == other["ts_init"])


def test_a_run_that_goes_on_is_told_what_is_new(tmp_path):
    bars = [Bar(100 * k, i, 0, 60, 50, 0, 0) for k in range(1, 5) for i in (0, 1)]
    path = write_tape(tmp_path, 0, bars, [])
    listed = rates([(10, 1), (20, 1), (40, 2), (100, 1), (150, 2), (250, 1), (400, 1), (401, 1)])
    whole = take(MarketFeed([path], Selection(), None, Facts(listed, cash())), 100)
    of = whole[np.isin(whole["kind"], FACTS)]
    assert of["ts_init"].tolist() == [40, 40, 40, 100, 150, 250, 400], "the last of each by then, and none after bars"
    assert of["ts_event"].tolist() == [20, 40, 40, 100, 150, 250, 400]
    for ts in np.unique(whole["ts_init"]).tolist()[:-1]:
        rest = take(MarketFeed([path], Selection(first_ts=ts + 1, timers_from=ts + 1), None, Facts(listed, cash())), 3)
        assert join_rows([whole[whole["ts_init"] <= ts], rest]).tobytes() == whole.tobytes()


def test_newest_of_each_sort():
    rows = join_rows([rates([(1, 1), (2, 2), (3, 1)]), terms(4, 0, 5), terms(5, 1, 5), terms(6, 0, 7), cash()])
    assert [(int(r["ts_init"]), int(r["kind"])) for r in newest_of(rows)] == [
        (2, FX_RATE), (3, FX_RATE), (5, TERMS_CHANGED), (6, TERMS_CHANGED), (0, CASH_ADJUSTED),
    ]  # fmt: skip
    assert len(newest_of(rows[:0])) == 0
