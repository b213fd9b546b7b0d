"""The feed against a plain sort: what comes out of tapes, in which order, with which flags, in any batches."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.market import feed as feed_module
from adapters.market.actions import action_columns
from adapters.market.feed import MarketFeed, Selection
from adapters.market.tape import tapes_folder
from adapters.market.writer import MarketWriter
from kernel.codes import Flag, Kind
from kernel.errors import ConfigError
from kernel.schema import EVENT, join_rows

BAR, SPLIT, DIVIDEND = int(Kind.BAR), int(Kind.SPLIT), int(Kind.DIVIDEND)
SYMBOLS = [(k, f"S{k}") for k in range(4)]


@dataclass(frozen=True, order=True)
class Bar:
    ts: int
    instrument: int
    tape: int
    span: int
    px: int
    interest: int
    lag: int


@dataclass(frozen=True, order=True)
class Action:
    ts: int
    instrument: int
    kind: int
    a: int
    b: int


@contextmanager
def home_in_memory() -> Iterator[Path]:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="onetape-test-", dir=memory) as name:
        yield Path(name)


def write_tape(home: Path, number: int, bars: list[Bar], actions: list[Action]) -> Path:
    """A market tape of `bars` (sorted) and `actions`, with the optional columns its bars need."""
    columns = {
        "ts_init": np.array([b.ts for b in bars], "i8"),
        "instrument": np.array([b.instrument for b in bars], "i4"),
        "span": np.array([b.span for b in bars], "i8"),
        "open": np.array([b.px for b in bars], "i8"),
        "high": np.array([b.px + 3 for b in bars], "i8"),
        "low": np.array([b.px - 3 for b in bars], "i8"),
        "close": np.array([b.px + 1 for b in bars], "i8"),
        "volume": np.array([b.px * 10 for b in bars], "i8"),
        "open_interest": np.array([b.interest for b in bars], "i8"),
        "lag": np.array([b.lag for b in bars], "i8"),
    }
    optional = [name for name in ("open_interest", "lag") if columns[name].any()]
    stored = action_columns([])
    ordered = sorted(set(actions))
    for name, values in {
        "ts_init": [a.ts for a in ordered],
        "ts_event": [a.ts for a in ordered],
        "instrument": [a.instrument for a in ordered],
        "kind": [a.kind for a in ordered],
        "numerator": [a.a if a.kind == SPLIT else 0 for a in ordered],
        "denominator": [a.b for a in ordered],
        "amount": [a.a if a.kind == DIVIDEND else 0 for a in ordered],
    }.items():
        stored[name] = np.array(values, stored[name].dtype)
    with MarketWriter(home, f"tape-{number}", SYMBOLS, optional) as tape:
        if bars:
            tape.add(
                {name: v for name, v in columns.items() if name in optional or name not in ("open_interest", "lag")}
            )
        return tape.finish(stored, [], {}).path


def bars_of(tape: int):
    # few times and instruments, so that slices span tapes and batches
    keys = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), unique=True, max_size=25)
    return keys.flatmap(
        lambda ks: st.lists(st.tuples(st.integers(10, 99), st.sampled_from([0, 0, 5]), st.sampled_from([0, 0, 2])),
                            min_size=len(ks), max_size=len(ks)).map(
            lambda vs: sorted(Bar(ts * 100, i, tape, 60, px, oi, lag) for (ts, i), (px, oi, lag) in zip(ks, vs, strict=True)))
    )  # fmt: skip


ACTIONS = st.lists(
    st.builds(
        lambda ts, i, kind, a, b: Action(ts * 50, i, kind, a, b if kind == SPLIT else 0),
        st.integers(0, 27), st.integers(0, 3), st.sampled_from([SPLIT, DIVIDEND]), st.integers(1, 9), st.integers(1, 9),
    ),
    max_size=5,
)  # fmt: skip


def take(feed: MarketFeed, table: int) -> np.ndarray:
    records, parts = np.zeros(table, EVENT), []
    while count := feed.read_into(records):
        parts.append(records[:count].copy())
    assert feed.read_into(records) == 0
    return join_rows(parts)


def oracle(bars: list[Bar], actions: set[Action], s: Selection) -> np.ndarray:
    """The definition, written as plainly as possible."""

    def chosen(x) -> bool:
        return (
            (s.instruments is None or x.instrument in s.instruments)
            and (s.first_ts is None or x.ts >= s.first_ts)
            and (s.last_ts is None or x.ts <= s.last_ts)
        )

    bars = sorted(bar for bar in bars if chosen(bar))
    waiting = sorted(action for action in actions if chosen(action))
    out = []
    for k, bar in enumerate(bars):
        while waiting and waiting[0].ts < bar.ts:
            out.append(waiting.pop(0))
        out.append((bar, k + 1 == len(bars) or bars[k + 1].ts != bar.ts))
    rows = np.zeros(len(out), EVENT)
    for row, item in zip(rows, out, strict=True):
        if isinstance(item, Action):
            row["kind"], row["ts_init"], row["ts_event"], row["instrument"] = (
                item.kind,
                item.ts,
                item.ts,
                item.instrument,
            )
            if item.kind == SPLIT:
                row["numerator"], row["denominator"] = item.a, item.b
            else:
                row["amount"] = item.a
            continue
        bar, ends = item
        row["kind"], row["instrument"], row["ts_init"], row["ts_event"] = BAR, bar.instrument, bar.ts, bar.ts - bar.lag
        row["ts_open"] = bar.ts - bar.lag - bar.span
        row["open"], row["high"], row["low"], row["close"] = bar.px, bar.px + 3, bar.px - 3, bar.px + 1
        row["volume"], row["open_interest"] = bar.px * 10, bar.interest
        warm = s.warm_up_ts is not None and bar.ts < s.warm_up_ts
        row["flags"] = (Flag.SLICE_END if ends else 0) | (Flag.WARM_UP if warm else 0)
    if s.instruments is not None:
        rows["instrument"] = [sorted(s.instruments).index(number) for number in rows["instrument"]]
    return rows


TIMES = st.none() | st.integers(0, 1_300)


@pytest.mark.sim
@settings(max_examples=80)
@given(
    st.integers(1, 3).flatmap(lambda n: st.tuples(*(bars_of(k) for k in range(n)))),
    ACTIONS,
    ACTIONS,
    st.none() | st.frozensets(st.integers(0, 3), min_size=1),
    TIMES,
    TIMES,
    TIMES,
    st.sampled_from([1, 2, 3, 7, 64]),
    st.sampled_from([1, 2, 5, 13, 1_000]),
)
def test_feed_is_a_sort(tapes, first_actions, last_actions, instruments, first, last, warm, batch, table):
    selection = Selection(None if instruments is None else tuple(sorted(instruments)), first, last, warm)
    with home_in_memory() as home, patch.object(feed_module, "BATCH_ROWS", batch):
        paths = [write_tape(home, k, bars, first_actions if k == 0 else last_actions if k == len(tapes) - 1 else [])
                 for k, bars in enumerate(tapes)]  # fmt: skip
        actions = {*first_actions, *(last_actions if len(tapes) > 1 else [])}
        wanted = oracle([bar for bars in tapes for bar in bars], actions, selection)
        keys = [(int(r["ts_init"]), int(r["instrument"])) for r in wanted if r["kind"] == BAR]
        feed = MarketFeed(paths, selection)
        if len(set(keys)) < len(keys):
            with pytest.raises(ConfigError, match=r"two bars at one time .* choose with --tapes"):
                take(feed, table)
            return
        got = take(feed, table)
        assert got["kind"].tolist() == wanted["kind"].tolist()
        for name in ("ts_init", "instrument", "flags", "open_interest", "ts_event", "ts_open", "close"):
            bars = wanted["kind"] == BAR
            assert got[name][bars].tolist() == wanted[name][bars].tolist(), name
        assert got.tobytes() == wanted.tobytes()
        assert feed.bars == len(keys)


def one_bar(ts: int, instrument: int = 0, tape: int = 0, span: int = 60, px: int = 50, interest: int = 0) -> Bar:
    return Bar(ts, instrument, tape, span, px, interest, 0)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_two_bars_at_one_time_on_one_tape(tmp_path, monkeypatch, batch):
    """Minute and daily bars on one tape: refused also where one batch of the reader ends between them."""
    monkeypatch.setattr(feed_module, "BATCH_ROWS", batch)
    path = write_tape(tmp_path, 0, [one_bar(100), one_bar(200), one_bar(200, span=86_400)], [])
    with pytest.raises(ConfigError, match=r"instrument 0 has two bars at one time .*tape-0"):
        take(MarketFeed([path], Selection()), 10)


@pytest.mark.parametrize("table", [1, 2, 1_000])
def test_open_interest_of_one_tape_stays_there(tmp_path, monkeypatch, table):
    """A tape without open interest goes on after one that has it: none of its bars inherits a number."""
    monkeypatch.setattr(feed_module, "BATCH_ROWS", 2)
    one = write_tape(tmp_path, 0, [one_bar(100 * k, 0, interest=77) for k in range(1, 4)], [])
    two = write_tape(tmp_path, 1, [one_bar(100 * k, 1, 1) for k in range(1, 9)], [])
    got = take(MarketFeed([one, two], Selection()), table)
    assert got["open_interest"].tolist() == [77 if row["instrument"] == 0 else 0 for row in got]


def test_actions_go_right_before_the_first_bar_after_them(tmp_path):
    bars = [one_bar(100, 0), one_bar(100, 1), one_bar(200, 1), one_bar(300, 0)]
    actions = [Action(100, 1, DIVIDEND, 5, 0), Action(150, 0, SPLIT, 2, 1), Action(99, 0, SPLIT, 3, 1),
               Action(300, 0, SPLIT, 9, 1)]  # fmt: skip
    got = take(MarketFeed([write_tape(tmp_path, 0, bars, actions)], Selection()), 3)
    assert [(int(r["kind"]), int(r["ts_init"]), int(r["instrument"])) for r in got] == [
        (SPLIT, 99, 0), (BAR, 100, 0), (BAR, 100, 1), (DIVIDEND, 100, 1), (SPLIT, 150, 0), (BAR, 200, 1), (BAR, 300, 0),
    ]  # fmt: skip
    assert got["flags"].tolist() == [0, 0, 1, 0, 0, 1, 1]


def test_a_tape_without_wanted_bars(tmp_path):
    path = write_tape(tmp_path, 0, [one_bar(100)], [Action(50, 0, SPLIT, 2, 1)])
    for selection in (Selection((3,)), Selection(None, 101), Selection(None, None, 99)):
        assert len(take(MarketFeed([path], selection), 5)) == 0
    assert tapes_folder(tmp_path).is_dir()
