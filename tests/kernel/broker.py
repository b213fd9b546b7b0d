"""A broker that keeps its word and nothing else: reports come late, twice, out of order, and among rubbish.

Its own books are sound: no order is filled for more than it is for, a change or a cancel is answered once. What reaches
the kernel is another matter. Once everything has arrived, both sides must agree.
"""

from random import Random

import numpy as np

from kernel.codes import Kind, OrderType, Status
from tests.kernel.chance import TERMS
from tests.kernel.model import Model
from tests.kernel.play import event
from tests.kernel.told import MOVES, TOLERATED

NEW, OPEN, OVER = range(3)
RARE = (Kind.ORDER_REJECTED, Kind.ORDER_EXPIRED, Kind.ORDER_CANCELED)
ONCE = {Kind.ORDER_RESTATED}  # docs/limits.md
LOWEST = -(2**63)


class Deal:
    """An order at the exchange."""

    def __init__(self, order_id, instrument, strategy, side, order_type, qty, px, trigger):
        self.id, self.instrument, self.strategy, self.side, self.type = order_id, instrument, strategy, side, order_type
        self.qty, self.px, self.trigger, self.cum, self.state = qty, px, trigger, 0, NEW
        self.frozen = False  # what it is said to be now must be heard before it changes
        self.asked: list[tuple] = []  # changes and cancels that have not been answered


class Broker:
    def __init__(self, seed: int, wild: frozenset):
        self.rng, self.wild = Random(seed), wild
        self.deals: dict[int, Deal] = {}
        self.out: list[dict] = []  # reports under way, oldest first
        self.qty: dict[tuple, int] = {}
        self.trades = 0
        self.told: list[dict] = []  # delivered already: what may come again

    # -- what the kernel sends

    def hear(self, tape: np.ndarray) -> None:
        rows = tape[
            (tape["kind"] >= Kind.ORDER_SUBMITTED) & (tape["kind"] <= Kind.ORDER_RELEASED) & (tape["origin"] == 1)
        ]
        for e in rows:
            kind, number = int(e["kind"]), int(e["order_id"])
            if kind == Kind.ORDER_RELEASED or (kind == Kind.ORDER_SUBMITTED and e["status"] == Status.SUBMITTED):
                self.deals[number] = Deal(
                    number, *(int(e[name]) for name in ("instrument", "strategy", "side", "order_type", "qty", "px", "trigger_px"))
                )  # fmt: skip
            elif kind == Kind.ORDER_CANCEL_SUBMITTED:
                self.deals[number].asked.append(("cancel", int(e["seq"])))
            elif kind == Kind.ORDER_REPLACE_SUBMITTED:
                self.deals[number].asked.append(
                    ("change", int(e["seq"]), *(int(e[name]) for name in ("qty", "px", "trigger_px")))
                )

    # -- what happens at the exchange

    def trade(self, rounds: int) -> None:
        """Something happens to some of the orders."""
        rng = self.rng
        live = [d for d in self.deals.values() if d.state != OVER or d.asked]
        for _ in range(min(rounds, 2 * len(live))):
            self.touch(rng.choice(live), rng.random())

    def touch(self, d: Deal, roll: float) -> None:
        rng = self.rng
        if d.frozen:
            return
        if d.state == NEW:
            if roll < 0.1:
                self.end(d, Kind.ORDER_REJECTED)
            else:
                d.state = OPEN
                self.say(d, Kind.ORDER_ACCEPTED)
        elif d.asked and (d.state == OVER or roll < 0.45):
            self.answer(d, *d.asked.pop(0))
        elif d.state == OPEN and roll < 0.85:
            left = d.qty - d.cum
            self.fill(d, left if rng.random() < 0.4 else rng.randint(1, left))
        elif d.state == OPEN and roll < 0.92:
            if d.type not in (OrderType.MARKET, OrderType.LIMIT):
                self.say(d, Kind.ORDER_TRIGGERED)
        elif d.state == OPEN and roll < 0.96:
            self.end(d, rng.choice(RARE if d.cum == 0 else RARE[1:]))
        elif d.state == OPEN and not d.asked and all(one["order_id"] != d.id for one in self.out):
            d.frozen = "reordered" in self.wild  # docs/limits.md: one that is overtaken by a later change is believed
            self.say(d, Kind.ORDER_RESTATED, qty=d.qty, cum_qty=d.cum, leaves_qty=d.qty - d.cum, trigger_px=d.trigger)

    def fill(self, d: Deal, qty: int) -> None:
        d.cum += qty
        d.state = OVER if d.cum == d.qty else OPEN
        place = d.strategy, d.instrument
        self.qty[place] = self.qty.get(place, 0) + d.side * qty
        self.trades += 1
        tick = TERMS[d.instrument].tick
        px = max(tick, (d.px or d.trigger or 2_000 * tick) // tick * tick)
        self.say(d, Kind.ORDER_FILLED, qty=qty, px=px, fee=self.rng.choice([0, 7, 12_345]), ref=self.trades)

    def answer(self, d: Deal, what: str, seq: int, qty: int = 0, px: int = 0, trigger: int = 0) -> None:
        """To the request that was event `seq`: an answer that is told twice is not taken for that to a later one."""
        refuses = d.state == OVER or self.rng.random() < 0.25
        if what == "cancel":
            if refuses:
                self.say(d, Kind.ORDER_CANCEL_REJECTED, ref=seq)
            else:
                self.end(d, Kind.ORDER_CANCELED)
        elif refuses:
            self.say(d, Kind.ORDER_REPLACE_REJECTED, ref=seq)
        else:
            d.qty, d.px, d.trigger = max(qty, d.cum), px, trigger
            d.state = OVER if d.qty == d.cum else OPEN
            self.say(d, Kind.ORDER_REPLACED, qty=d.qty, px=px, trigger_px=trigger, ref=seq)

    def end(self, d: Deal, kind: int) -> None:
        """It is over; what was asked meanwhile is refused."""
        d.state = OVER
        self.say(d, kind)

    def say(self, d: Deal, kind: int, **fields) -> None:
        fields.setdefault("px", d.px)
        self.out.append({"kind": kind, "instrument": d.instrument, "order_id": d.id, **fields})

    # -- what the kernel hears

    def deliver(self, ts: int, model: Model, everything: bool = False) -> list:
        """Some of the reports that are under way, in whatever order, with repetitions and rubbish."""
        rng, found = self.rng, []
        if "reordered" in self.wild:
            rng.shuffle(self.out)
        late = 0 if everything or "late" not in self.wild else rng.randint(0, len(self.out))
        now, self.out = self.out[: len(self.out) - late], self.out[len(self.out) - late :]
        now = self.hold_back(now)
        for one in now:
            found.append(one)
            self.deals[one["order_id"]].frozen &= one["kind"] != Kind.ORDER_RESTATED
            if one["kind"] not in ONCE:
                self.told.append(one)
            if "twice" in self.wild and self.told and rng.random() < 0.5:
                found.append(self.told[-1] if rng.random() < 0.5 else rng.choice(self.told))
            if "rubbish" in self.wild and rng.random() < 0.2:
                found.append(self.rubbish(model))
        del self.told[:-50]
        rows = []
        for one in found:
            e = event(
                one["kind"], 0.0, one["instrument"], **{k: v for k, v in one.items() if k not in ("kind", "instrument")}
            )
            e["ts_event"] = e["ts_init"] = ts
            rows.append(e)
        return rows

    def hold_back(self, now: list[dict]) -> list[dict]:
        """Keep an order's end until the change before it was told: a known defect."""
        if "overtaken" not in TOLERATED:
            return now
        changed = {one["order_id"] for one in (*now, *self.out) if one["kind"] == Kind.ORDER_REPLACED}
        kept = [one for one in now if one["kind"] in RARE and one["order_id"] in changed]
        self.out += kept
        return [one for one in now if one not in kept]

    def rubbish(self, model: Model) -> dict:
        """A report that must change nothing."""
        rng = self.rng
        kind = rng.choice(
            [Kind.ORDER_ACCEPTED, Kind.ORDER_FILLED, Kind.ORDER_FILLED, Kind.ORDER_CANCELED, Kind.ORDER_REPLACED]
        )
        one = {
            "kind": kind,
            "instrument": rng.randrange(len(TERMS)),
            "order_id": 10**9,
            "qty": 1,
            "px": 1,
            "strategy": 77,
        }
        working = [o for o in model.orders.values() if MOVES[o.status][Kind.ORDER_FILLED] != Status.ILLEGAL]
        if not working or rng.random() < 0.3:
            if rng.random() < 0.3 and not ("folded" in TOLERATED and kind == Kind.ORDER_FILLED):
                one["instrument"] = rng.choice([-1, 99, 2**31 - 1])
            return one
        o = rng.choice(working)
        one |= {"order_id": o.id, "instrument": o.instrument, "side": rng.choice([0, -128]), "kind": Kind.ORDER_FILLED}
        one |= rng.choice([
            {"qty": 2**45}, {"qty": 0}, {"qty": -5}, {"px": 0}, {"px": -1}, {"px": 2**60}, {"fee": LOWEST}, {"qty": LOWEST},
            {"fee": 2**62}, {"qty": 2**62, "px": 2**62}, {"order_id": -o.id}, {"instrument": (o.instrument + 1) % len(TERMS)},
        ])  # fmt: skip
        return one

    def is_done(self) -> bool:
        return not self.out and all(d.state != NEW and not d.asked for d in self.deals.values())

    def agree(self, model: Model) -> None:
        """Both sides have the same positions and the same working orders."""
        ours = {place: qty for place, qty in model.qty.items() if qty}
        assert ours == {place: qty for place, qty in self.qty.items() if qty}, "the broker has another position"
        working = {o.id: (o.leaves, o.cum) for o in model.orders.values() if o.status != Status.PENDING_NEW}
        mine = {d.id: (d.qty - d.cum, d.cum) for d in self.deals.values() if d.state == OPEN}
        assert working == mine, (
            f"working orders differ: {dict(working.items() - mine.items())} here, {dict(mine.items() - working.items())} there"
        )
