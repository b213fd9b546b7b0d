"""A tape written by hand: random orders, part fills, flips, refused reports, splits, dividends, some bars."""

import json

import numpy as np

from kernel.codes import Kind, Origin, Reason, Side, Status
from kernel.schema import events, join_rows
from tests.projections.recording import LIMITS, START

SYMBOLS, STRATEGIES = ("ALPHA", "BETA"), ("one", "two", "two")
CONFIG = {
    "mode": "PAPER",
    "currency": "INR",
    "timezone": "Asia/Kolkata",
    "cash": 10**12,
    "fees": "zero",
    "rules": {"simulate": 0, "equity_interval": 0, "seed": 0},
    "limits": LIMITS,
    "capacity": {"open_orders": 32, "instruments": 4, "strategies": 4},
    "instruments": [
        {"number": n, "symbol": s, "tick": 1, "lot": 1, "currency": "INR", "tz": "Asia/Kolkata"}
        for n, s in enumerate(SYMBOLS)
    ],
    "strategies": [
        {"number": n, "name": s, "origin": s, "code_hash": "0", "params": {}} for n, s in enumerate(STRATEGIES, 1)
    ],
    "selection": {},
    "seed": 0,
}


class HandTape:
    """Rows one after the other; seqs jump now and then, as over bars that are elsewhere."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.seq, self.made, self.notes, self.working = 0, [], {}, {}
        self.put(Kind.RUN_STARTED, note=json.dumps(CONFIG))

    def put(self, kind, note=None, origin=Origin.EXTERNAL, gap=0, **fields):
        self.seq += 1 + gap
        row = events(1)
        row["seq"], row["kind"], row["origin"], row["instrument"] = self.seq, kind, origin, -1
        row["ts_event"] = row["ts_init"] = START + self.seq * 1000
        for name, value in fields.items():
            row[name] = value
        self.made.append(row)
        if note:
            self.notes[self.seq] = note
        return self.seq

    def submit(self, strategy, instrument, side, qty, **fields):
        order_id = self.seq + 1
        self.put(
            Kind.ORDER_SUBMITTED, origin=Origin.KERNEL, strategy=strategy, instrument=instrument, side=side, qty=qty,
            order_id=order_id, status=Status.SUBMITTED, order_type=1, tif=1, cause=order_id - 1, **fields,
        )  # fmt: skip
        self.working[order_id] = [strategy, instrument, side, qty]
        return order_id

    def fill(self, order_id, qty, px, fee=0, **fields):
        strategy, instrument, side, leaves = self.working[order_id]
        seq = self.put(
            Kind.ORDER_FILLED, order_id=order_id, instrument=instrument, qty=qty, px=px, fee=fee,
            **{"strategy": strategy, "side": side, **fields},
        )  # fmt: skip
        if qty > leaves:
            self.anomaly(seq, order_id, Reason.OVERFILL)
        elif qty == leaves:
            del self.working[order_id]
        else:
            self.working[order_id][3] -= qty
        return seq

    def anomaly(self, cause, order_id, reason):
        self.put(Kind.ANOMALY, origin=Origin.KERNEL, cause=cause, order_id=order_id, reason=reason)

    def trade(self, strategy, instrument, side, qty, px, fee=0):
        """An order filled at once."""
        return self.fill(self.submit(strategy, instrument, side, qty), qty, px, fee)

    def rows(self):
        return join_rows(self.made)

    def wander(self, steps):
        """Anything that may happen, `steps` times."""
        pick = self.random.integers
        for _ in range(steps):
            what, strategy, instrument = pick(0, 20), int(pick(1, 4)), int(pick(0, 2))
            side, qty, px = int(pick(0, 2)) * 2 - 1, int(pick(1, 60)), int(pick(1, 50_000))
            if what < 8 and len(self.working) < 20:
                self.submit(strategy, instrument, side, qty, gap=int(pick(0, 3)))
            elif what < 14 and self.working:
                order_id = int(pick(0, len(self.working)))
                order_id = list(self.working)[order_id]
                leaves = self.working[order_id][3]
                self.fill(order_id, min(qty, leaves) if pick(0, 9) else leaves + 1, px, int(pick(-20, 100)))
            elif what == 14:
                seq = self.put(Kind.ORDER_REJECTED, "unknown to us", order_id=999_999, instrument=instrument)
                self.anomaly(seq, 999_999, Reason.UNKNOWN_ORDER)
            elif what == 15 and self.working:
                order_id = next(iter(self.working))
                strategy, instrument, *_ = self.working.pop(order_id)
                self.put(Kind.ORDER_CANCELED, "exchange says no", order_id=order_id, instrument=instrument)
            elif what == 16:
                self.put(Kind.SPLIT, instrument=instrument, numerator=int(pick(1, 4)), denominator=int(pick(1, 4)))
            elif what == 17:
                self.put(Kind.DIVIDEND, instrument=instrument, amount=int(pick(0, 500)))
            elif what == 18:
                self.put(Kind.BAR, instrument=instrument, open=px, high=px, low=px, close=px, flags=1)
            else:
                self.put(Kind.EQUITY, origin=Origin.KERNEL, equity=px, peak=50_000, ts_event=START + self.seq)
        return self


BUY, SELL = int(Side.BUY), int(Side.SELL)
