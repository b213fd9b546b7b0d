"""Days made of bars: what one loop says, whatever the batches and zones; never a day that is not over."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.market import daily
from adapters.market.daily import DailyFeed
from adapters.market.zones import DAY, to_local, to_utc
from kernel.codes import Flag, Kind
from kernel.schema import EVENT, join_rows

HOUR = 3_600 * 10**9
ZONES = ["Asia/Kolkata", "America/New_York", "Asia/Kolkata"]
BEGIN = 19_790 * DAY  # 2024-03-08: the clocks of New York change two days later


class Rows:
    """A feed of given rows, `most` at a time."""

    def __init__(self, rows, most):
        self.rows, self.most = rows, most

    def read_into(self, records):
        count = min(len(records), self.most, len(self.rows))
        records[:count], self.rows = self.rows[:count], self.rows[count:]
        return count


def made(steps) -> np.ndarray:
    """Rows in order of time out of (hours since the last, instrument, price, kind)."""
    rows, ts = np.zeros(len(steps), EVENT), BEGIN
    for row, (hours, instrument, px, is_split) in zip(rows, steps, strict=True):
        ts += hours * HOUR
        row["ts_init"], row["ts_event"], row["ts_open"], row["instrument"] = ts, ts - 5, ts - HOUR, instrument
        row["kind"] = int(Kind.SPLIT if is_split else Kind.BAR)
        if not is_split:
            row["open"], row["high"], row["low"], row["close"] = px, px + 3, px - 3, px + 1
            row["volume"], row["open_interest"] = px, px * 2
    return rows


def taken(feed, table) -> np.ndarray:
    records, parts = np.zeros(table, EVENT), []
    while count := feed.read_into(records):
        parts.append(records[:count].copy())
    return join_rows(parts)


def oracle(rows, last_ts) -> list[tuple]:
    days: dict[tuple[int, int], list] = {}
    for row in rows[rows["kind"] == int(Kind.BAR)]:
        zone, one = ZONES[row["instrument"]], np.array([row["ts_init"]])
        end = int(to_utc((to_local(one, zone) // DAY + 1) * DAY, zone)[0][0]) - 1
        days.setdefault((end, int(row["instrument"])), []).append(row)
    return [
        (end, k, int(d[0]["ts_open"]), int(d[-1]["ts_event"]), int(d[0]["open"]), max(int(r["high"]) for r in d),
         min(int(r["low"]) for r in d), int(d[-1]["close"]), sum(int(r["volume"]) for r in d), int(d[-1]["open_interest"]))
        for (end, k), d in sorted(days.items()) if last_ts is None or end <= last_ts
    ]  # fmt: skip


STEPS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 2), st.integers(10, 99), st.integers(0, 9).map(lambda n: n == 0)),
    max_size=30,
)


@settings(max_examples=60)
@given(STEPS, st.none() | st.integers(0, 200), st.sampled_from([1, 2, 7, 64]), st.sampled_from([1, 3, 50]))
def test_days_are_a_sum(steps, hours, batch, table):
    rows = made(steps)
    last_ts = None if hours is None else BEGIN + hours * HOUR
    rows = rows if last_ts is None else rows[rows["ts_init"] <= last_ts]
    found = taken(DailyFeed(Rows(rows, batch), ZONES, last_ts), table)
    assert (np.diff(found["ts_init"]) >= 0).all(), "the kernel takes inputs in order of time"
    bars = found[found["kind"] == int(Kind.BAR)]
    names = ("ts_init", "instrument", "ts_open", "ts_event", "open", "high", "low", "close", "volume", "open_interest")
    assert [tuple(int(row[name]) for name in names) for row in bars] == oracle(rows, last_ts)
    ends = np.append(bars["ts_init"][1:] != bars["ts_init"][:-1], True) if len(bars) else np.zeros(0, bool)
    assert (bars["flags"] == ends * int(Flag.SLICE_END)).all()
    splits = rows[rows["kind"] == int(Kind.SPLIT)]
    assert found[found["kind"] == int(Kind.SPLIT)].tobytes() == splits.tobytes()


def test_more_rows_than_a_batch_holds(monkeypatch):
    monkeypatch.setattr(daily, "BATCH_ROWS", 2)
    rows = made([(1, 0, 50, False)] * 40)
    assert len(taken(DailyFeed(Rows(rows, 100), ZONES, None), 5)) == len(oracle(rows, None)) == 2
