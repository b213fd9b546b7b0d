"""What a feed adds to the sort of its tapes: timers, numbers of the run, memberships of a universe."""

from itertools import pairwise
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.market import feed as feed_module
from adapters.market.feed import MarketFeed, Selection
from adapters.market.members import Members
from api.live import Slices
from kernel.codes import Flag, Kind
from kernel.schema import EVENT, join_rows
from tests.adapters.market.test_feed import ACTIONS, Action, Bar, bars_of, home_in_memory, take, write_tape

BAR, TIMER, SPLIT, WARM_UP, SLICE_END = (
    int(Kind.BAR), int(Kind.TIMER), int(Kind.SPLIT), int(Flag.WARM_UP), int(Flag.SLICE_END),
)  # fmt: skip
LEFT = int(Flag.LEFT)
WHEN = {WARM_UP: "before", 0: "in", LEFT: "left"}


class Due(NamedTuple):
    ts: int
    code: int
    calendar: int
    ts_event: int
    instrument: int = -1


class Ticking:
    """Timers at given times; a session that the last bar ends is over `more` later."""

    def __init__(self, times, more: int = 0) -> None:
        self.due = [Due(ts, k % 5 + 1, k % 3, ts - 1) for k, ts in enumerate(sorted(times))]
        self.more = more

    def between(self, first_ts: int, last_ts: int) -> list[Due]:
        return [due for due in self.due if first_ts <= due.ts <= last_ts]

    def over(self, ts: int) -> int:
        return ts + self.more


def kinds(rows: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(rows["kind"].tolist(), rows["ts_init"].tolist(), strict=True))


@given(
    st.tuples(bars_of(0), bars_of(1)),
    ACTIONS,
    st.lists(st.integers(0, 130).map(lambda n: n * 10), max_size=12),
    st.integers(0, 300),
    st.sampled_from([1, 2, 3, 7, 64]),
    st.sampled_from([1, 2, 5, 13, 1_000]),
)
def test_timers_change_nothing_else(tapes, actions, times, more, batch, table):
    bars = {(b.ts, b.instrument): b for part in tapes for b in part}
    halves = [[b for b in bars.values() if b.tape == k] for k in range(2)]
    with home_in_memory() as home, patch.object(feed_module, "BATCH_ROWS", batch):
        paths = [write_tape(home, k, sorted(part), actions if k else []) for k, part in enumerate(halves)]
        plain = take(MarketFeed(paths, Selection()), table)
        got = take(MarketFeed(paths, Selection(), Ticking(times, more)), table)
    timers = got[got["kind"] == TIMER]
    assert got[got["kind"] != TIMER].tobytes() == plain.tobytes()
    if not bars:
        assert len(got) == 0
        return
    first, last = min(bars.values()), max(b.ts for b in bars.values())
    wanted = Ticking(times).between(first.ts - first.lag - first.span, last + more)
    assert [tuple(int(row[n]) for n in ("ts_init", "code", "setting", "ts_event")) for row in timers] == [
        due[:4] for due in wanted
    ]
    assert (timers["instrument"] == -1).all() and not timers["flags"].any() and not timers["high"].any()
    assert (np.diff(got["ts_init"]) >= 0).all()
    for before, after in pairwise(got):  # a timer comes before all that is of its time
        assert not (after["kind"] == TIMER and before["kind"] != TIMER and before["ts_init"] == after["ts_init"])


def test_a_run_that_goes_on_misses_no_timer_and_repeats_none(tmp_path):
    path = write_tape(tmp_path, 0, [Bar(100 * k, i, 0, 60, 50, 0, 0) for k in range(1, 5) for i in (0, 1)], [])
    ticking = Ticking([40, 41, 100, 150, 200, 250, 400, 410, 460], more=50)
    whole = take(MarketFeed([path], Selection(), ticking), 100)
    for ts in np.unique(whole["ts_init"]).tolist():
        before = whole[whole["ts_init"] <= ts]
        rest = take(MarketFeed([path], Selection(first_ts=ts + 1, timers_from=ts + 1), ticking), 3)
        if ts < 400:  # afterwards there is no bar to bring the timers
            assert kinds(join_rows([before, rest])) == kinds(whole)
        else:
            assert len(rest) == 0
    assert kinds(whole)[:3] == [(TIMER, 40), (TIMER, 41), (TIMER, 100)] and kinds(whole)[-1] == (TIMER, 410)
    assert kinds(take(MarketFeed([path], Selection(last_ts=405), ticking), 9))[-1] == (BAR, 400)


@given(st.lists(st.sampled_from([50, 100, 120, 150, 200, 210, 220]), max_size=6), st.sampled_from([1, 2, 3, 50]))
def test_slices_end_at_bars_and_at_timers_that_stand_alone(times, table):
    with home_in_memory() as home:
        bars = [Bar(100 * k, i, 0, 60, 50, 0, 0) for k in (1, 2) for i in (0, 1, 2)]
        path = write_tape(home, 0, bars, [Action(130, 1, SPLIT, 2, 1)])
        whole = take(MarketFeed([path], Selection(), Ticking(times, 30)), 100)
        slices = Slices(MarketFeed([path], Selection(), Ticking(times, 30)), np.zeros(table, EVENT))
        parts = []
        while len(rows := slices.next()):
            parts.append(rows.copy())
    assert join_rows(parts).tobytes() == whole.tobytes()
    for part, after in pairwise(parts):  # whoever stops between two has seen all of the first's time, or nothing of it
        assert part["ts_init"][-1] < after["ts_init"][0] or after["kind"][0] == SPLIT
        assert part["kind"][-1] == TIMER or part["flags"][-1] & SLICE_END


def test_numbers_of_the_run(tmp_path):
    bars = [Bar(100, i, 0, 60, 50 + i, 0, 0) for i in range(4)]
    path = write_tape(tmp_path, 0, bars, [Action(50, 3, SPLIT, 2, 1), Action(60, 1, SPLIT, 2, 1)])
    got = take(MarketFeed([path], Selection((1, 3))), 2)
    assert got["instrument"].tolist() == [1, 0, 0, 1] and got["open"].tolist()[2:] == [51, 53]
    got = take(MarketFeed([path], Selection({1: 1, 3: 3})), 10)
    assert got["instrument"].tolist() == [3, 1, 1, 3]


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_members_and_those_outside(tmp_path, monkeypatch, batch):
    """Bars begin a lead before an instrument joins; before it joins they are for learning, after it leaves for
    learning and closing."""
    monkeypatch.setattr(feed_module, "BATCH_ROWS", batch)
    path = write_tape(tmp_path, 0, [Bar(100 * k, i, 0, 60, 50, 0, 0) for k in range(1, 8) for i in range(4)], [])
    rows = ((1, 300, 400), (1, 600, 600), (3, 0, 9_999), (2, 500, 550))
    got = take(MarketFeed([path], Selection((1, 2, 3), members=Members(rows, lead=100))), 5)
    seen = {n: [(int(r["ts_init"]) // 100, WHEN[int(r["flags"]) & (WARM_UP | LEFT)]) for r in got if r["instrument"] == n]
            for n in range(3)}  # fmt: skip
    assert seen[0] == [(2, "before"), (3, "in"), (4, "in"), (5, "left"), (6, "in"), (7, "left")]
    assert seen[1] == [(4, "before"), (5, "in"), (6, "left"), (7, "left")]
    assert seen[2] == [(k, "in") for k in range(1, 8)]
    assert [int(r["ts_init"]) for r in got if r["flags"] & SLICE_END] == [100 * k for k in range(1, 8)]
