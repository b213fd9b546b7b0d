"""A second opinion on a tape in plain Python: orders, positions, cash, limits and the kill switch, row by row.

It is made from the tape alone and shares nothing with the step but the words and the table of legal moves. Every row is
a prefix: what must hold, holds there. `compare` holds it against an engine's tables.
"""

from collections import Counter, deque

import numpy as np

from kernel.codes import Flag, InstrumentClass, KillLevel, Kind, Origin, Reason, Status, TimerCode
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.bounds import Bounds
from tests.kernel.play import worth
from tests.kernel.told import (
    ASKED,
    CLOSING,
    DAY,
    ENDED,
    MOVES,
    NAMES,
    NOT_REFUSED,
    PRICED,
    WORDS,
    Order,
    Row,
    half_even,
)


class Model(Bounds):
    """`take` rows of a tape in order; `limits` as an Engine takes them."""

    def __init__(self, cash: int, terms, limits: dict, strategies: int, by_time: bool = False):
        listed = [Terms(*row) for row in terms]
        self.rows = {row.number: row for row in listed}
        own = limits.get("strategies", {})
        given = [limits, *(own.get(str(number), {}) for number in range(1, strategies + 1))]
        wide = {"max_order_qty": 2**61, "max_order_notional": 2**61, "max_position_qty": 2**61, "allow_short": 1}
        self.limits = [{**dict.fromkeys(NAMES, 0), **(wide if n else {}), **one} for n, one in enumerate(given)]
        self.barred, self.closed, self.squared = set(), set(), set()
        self.orders: dict[int, Order] = {}
        self.gone: dict[int, Order] = {}
        self.reasons: dict[int, int] = {}  # of signals
        self.qty: Counter = Counter()  # by (strategy, instrument)
        self.cash, self.flow = Counter({0: cash}), Counter()  # by currency; by strategy
        self.paid_in = Counter({0: cash})
        self.mark, self.ts_mark = Counter(), Counter()
        self.traded, self.rate = set(), {0: SHARE}
        self.by_time, self.edge = (
            by_time,
            Counter(),
        )  # whether bars are made of trades by time; where the last one ended
        self.kill = self.state = self.seq = self.ts = self.fills = 0
        self.stopped: set[int] = set()
        self.to_cancel: set[int] = set()  # orders that the kill switch has to take back before anything else comes
        self.day_ends: dict[int, int] = {}  # calendar by seq
        self.messages: list[deque] = [deque() for _ in range(strategies + 1)]
        self.sent, self.filled = Counter(), Counter()  # messages and fills by row
        self.today, self.filled_today = Counter(), Counter()  # by (row, day)
        self.last_sent: dict[tuple, tuple] = {}
        self.trade_ids: set[int] = set()
        self.kinds, self.denials = Counter(), Counter()
        self.seen: Counter = Counter()  # (status, kind) of every move: what the sequences reached

    # -- rows

    def take(self, tape: np.ndarray) -> None:
        refused = {
            int(e["cause"]): int(e["reason"])
            for e in tape[tape["kind"] == Kind.ANOMALY]
            if e["reason"] not in NOT_REFUSED
        }
        words = np.ascontiguousarray(tape).view(np.int64).reshape(len(tape), 16).tolist()
        columns = [tape[name].tolist() for name in WORDS]
        row = Row()
        for w, *small in zip(words, *columns, strict=True):
            row.seq, row.ts_event, row.ts, row.cause, row.body = w[0], w[1], w[2], w[3], w[6:15]
            (
                row.kind, row.origin, row.instrument, row.strategy, row.flags, row.side, row.order_type, row.tif,
                row.status, row.reason, row.product,
            ) = small  # fmt: skip
            row.refused = refused.get(row.seq, 0) if row.origin == Origin.EXTERNAL else 0
            assert row.seq == self.seq + 1 and row.ts >= self.ts
            self.seq, self.ts = row.seq, row.ts
            self.kinds[row.kind] += 1
            assert not self.to_cancel or row.origin != Origin.EXTERNAL, "the kill switch leaves orders where they are"
            does = DOES.get(row.kind)
            if does is not None:
                does(self, row)

    def worth(self, instrument: int, qty: int, px: int) -> int:
        terms = self.rows[instrument]
        return worth({"num": terms.num, "den": terms.den}, qty, px)

    def in_base(self, instrument: int, money: int) -> int:
        currency = self.rows[instrument].currency
        return money if currency == 0 else half_even(money * self.rate.get(currency, 0), SHARE)

    def pay(self, strategy: int, instrument: int, money: int) -> None:
        self.cash[self.rows[instrument].currency] += money
        self.flow[strategy] += money

    # -- orders

    def signal(self, e: Row) -> None:
        assert e.strategy not in self.stopped or e.reason in CLOSING, "a stopped strategy asks for something"
        self.reasons[e.seq] = e.reason

    def submitted(self, e: Row) -> None:
        assert MOVES[Status.NONE][e.kind] == Status.SUBMITTED and e.body[0] == e.seq
        held = bool(e.flags & Flag.HELD)
        assert e.status == (Status.PENDING_NEW if held else Status.SUBMITTED)
        o = Order()
        o.id, o.instrument, o.strategy, o.side, o.type = e.seq, e.instrument, e.strategy, e.side, e.order_type
        o.flags, o.product, o.parent, o.full = e.flags, e.product, e.body[7], e.body[2]
        o.px, o.trigger, o.reserve = e.body[3], e.body[4], e.body[8]
        o.asked = None
        o.leaves, o.cum, o.more, o.next_reserve, o.replacing = 0 if held else e.body[2], 0, 0, 0, False
        o.status = o.stood = e.status
        if held:
            parent = self.orders[o.parent]
            assert (parent.strategy, parent.instrument, parent.side) == (o.strategy, o.instrument, -o.side)
        else:
            odd = o.leaves % self.rows[o.instrument].lot  # a split may leave an odd lot to close
            assert o.leaves > 0 and (odd == 0 or o.flags & Flag.REDUCE_ONLY)
            if self.reasons[e.cause] not in CLOSING:
                self.hold_limits(o, e, o.leaves)
            self.count_message(o.strategy, e.ts)
            for row in {0, o.strategy}:
                self.today[row, e.ts // DAY] += 1
            self.last_sent[o.strategy, o.instrument] = (
                o.side,
                e.body[2],
                o.px if o.type in PRICED else o.trigger,
                e.ts,
            )
        o.notional = self.notional(o, o.leaves)
        self.orders[o.id] = o

    def denied(self, e: Row) -> None:
        assert e.status == Status.DENIED == MOVES[Status.NONE][e.kind] and e.reason != Reason.NONE
        self.denials[e.reason] += 1

    def count_message(self, strategy: int, ts: int) -> None:
        for row in {0, strategy}:
            self.messages[row].append(ts)
            self.sent[row] += 1

    def report(self, e: Row) -> None:
        o = self.orders.get(e.body[0])
        if o is not None and o.instrument != e.instrument:
            o = None
        if e.refused:
            self.was_refused(o, e)
            return
        if o is None:
            self.late_fill(e)
            return
        self.to_cancel.discard(o.id)
        after = MOVES[o.status][e.kind]
        assert after != Status.ILLEGAL, f"{Status(o.status).name} and {Kind(e.kind).name}"
        self.seen[o.status, e.kind] += 1
        cum, kind = o.cum, e.kind
        o.requests[kind] = e.seq
        WHAT.get(kind, Model.nothing)(self, o, e)
        assert o.cum >= cum or kind == Kind.ORDER_RESTATED, "what was filled becomes less"
        assert o.leaves >= 0 and o.more >= 0 and o.cum >= 0
        if after == Status.NONE:
            after = Status.PENDING_REPLACE if o.replacing else o.stood
        if o.leaves == 0 and o.more == 0 and o.cum > 0 and after not in ENDED:
            after = Status.FILLED
        if e.origin != Origin.EXTERNAL and kind != Kind.ORDER_REPLACED:
            assert e.status == after, f"{Kind(kind).name} says {e.status} and it is {after}"
            asked = kind == Kind.ORDER_REPLACE_SUBMITTED or o.status == Status.PENDING_NEW
            assert asked or (e.body[6], e.body[7]) == (o.cum, o.leaves), (
                f"{Kind(kind).name} {Status(o.status).name} says {e.body[6:8]} and it is {o.cum, o.leaves}"
            )
        o.status = after
        o.notional = self.notional(o, o.leaves + o.more)
        if after == Status.FILLED or after in ENDED:
            del self.orders[o.id]
            if after != Status.FILLED:
                o.leaves, o.more = o.leaves + o.more, 0  # a fill of the larger order may have been under way
                self.gone[o.id] = o

    def was_refused(self, o: Order | None, e: Row) -> None:
        """A report the kernel did not believe: it must have had the reason it gives."""
        if e.refused == Reason.ILLEGAL_MOVE:
            late = e.kind == Kind.ORDER_RESTATED and e.body[6] < o.cum  # told before what was filled since
            other = (
                e.kind == Kind.ORDER_REPLACED and tuple(e.body[2:5]) != o.asked
            )  # an answer to what was answered before
            assert MOVES[o.status][e.kind] == Status.ILLEGAL or late or other
        elif e.refused == Reason.UNKNOWN_ORDER:
            assert o is None
        elif e.refused == Reason.OVERFILL:
            one = o or self.gone[e.body[0]]
            assert e.body[2] > one.leaves + one.more
        elif e.refused == Reason.DUPLICATE:
            assert e.body[1] in self.trade_ids or (e.kind in ASKED and e.body[1] != o.requests[ASKED[e.kind]])
        else:
            assert e.refused in (Reason.OVERFLOW, Reason.UNKNOWN_INSTRUMENT)

    def late_fill(self, e: Row) -> None:
        assert e.kind == Kind.ORDER_FILLED, "a report about no working order was folded in"
        o = self.gone[e.body[0]]
        assert o.instrument == e.instrument
        assert e.body[2] <= o.leaves, "a late fill of more than there was"
        o.leaves -= e.body[2]
        o.cum += e.body[2]
        self.book(o, e)

    def nothing(self, o: Order, e: Row) -> None:
        if e.kind == Kind.ORDER_ACCEPTED and o.stood == Status.SUBMITTED:
            o.stood = Status.ACCEPTED
        elif e.kind == Kind.ORDER_TRIGGERED:
            o.stood = Status.TRIGGERED

    def fill(self, o: Order, e: Row) -> None:
        qty = e.body[2]
        assert 0 < qty <= o.leaves + o.more, "a fill of more than there was"
        beyond = max(0, qty - o.leaves)
        o.more -= beyond
        o.leaves += beyond - qty
        o.cum += qty
        o.stood = Status.PARTIALLY_FILLED
        self.book(o, e)

    def book(self, o: Order, e: Row) -> None:
        qty, px, fee = e.body[2], e.body[3], e.body[5]
        if e.origin == Origin.EXTERNAL and e.body[1]:
            assert e.body[1] not in self.trade_ids, "a trade is booked twice"
            self.trade_ids.add(e.body[1])
        else:
            assert e.origin == Origin.EXTERNAL or (e.side, e.strategy) == (o.side, o.strategy)
        self.qty[o.strategy, o.instrument] += o.side * qty
        self.pay(o.strategy, o.instrument, -o.side * self.worth(o.instrument, qty, px) - fee)
        self.fills += 1
        for row in {0, o.strategy}:
            self.filled[row] += 1
            self.filled_today[row, e.ts // DAY] += 1

    def released(self, o: Order, e: Row) -> None:
        assert e.body[2] > 0
        o.leaves, o.trigger, o.stood = e.body[2], e.body[4], Status.SUBMITTED
        self.count_message(o.strategy, e.ts)

    def asked_cancel(self, o: Order, e: Row) -> None:
        self.count_message(o.strategy, e.ts)

    def asked_change(self, o: Order, e: Row) -> None:
        o.asked = tuple(e.body[2:5])
        o.more, o.replacing, o.next_reserve = max(0, e.body[2] - o.qty), True, e.body[8]
        if e.origin == Origin.KERNEL and e.reason == Reason.REQUESTED:
            self.hold_change(o, e)
        self.count_message(o.strategy, e.ts)

    def replaced(self, o: Order, e: Row) -> None:
        o.leaves += max(e.body[2], o.cum) - o.qty
        o.more, o.replacing, o.px, o.trigger = 0, False, e.body[3], e.body[4]
        o.reserve, o.next_reserve = o.next_reserve or o.reserve, 0

    def not_replaced(self, o: Order, e: Row) -> None:
        o.more, o.replacing, o.next_reserve = 0, False, 0

    def restated(self, o: Order, e: Row) -> None:
        assert e.origin != Origin.EXTERNAL or e.body[6] >= o.cum, "what was filled becomes less"
        o.px, o.trigger = e.body[3], e.body[4]
        if o.status == Status.PENDING_NEW:
            o.full = e.body[2]
            return
        o.reserve = min(2**46 - 1, -(-o.reserve * o.qty // e.body[2])) if o.qty else o.reserve
        o.cum, o.leaves = e.body[6], e.body[7]

    # -- money

    def charged(self, e: Row) -> None:
        if e.cause in self.day_ends:
            assert self.rows[e.instrument].calendar == self.day_ends[e.cause], "the day of another calendar has ended"
        self.pay(e.strategy, e.instrument, -sum(e.body[1:9]))

    def settled(self, e: Row) -> None:
        held, _, qty, px = e.body[:4]
        assert held == self.qty[e.strategy, e.instrument]
        if e.reason == Reason.VARIATION:
            assert self.rows[e.instrument].calendar == self.day_ends[e.cause], "the day of another calendar has ended"
        else:  # what a future gains is in what it costs then: see `compare`
            self.qty[e.strategy, e.instrument] += e.side * qty
            self.pay(e.strategy, e.instrument, -e.side * self.worth(e.instrument, qty, px))

    def split(self, e: Row) -> None:
        if e.refused:
            return
        up, down, px = e.body[:3]
        assert px == self.mark[e.instrument]
        for (strategy, instrument), held in list(self.qty.items()):
            if instrument == e.instrument and held:
                now = abs(held) * up // down * (1 if held > 0 else -1)
                self.qty[strategy, instrument] = now
                rest = held * up - now * down  # parts of a share, each 1/up of the old price
                self.pay(strategy, instrument, half_even(self.worth(instrument, rest, px), up))
        self.mark[e.instrument] = self.mark[e.instrument] * down // up

    def dividend(self, e: Row) -> None:
        if not e.refused:
            for (strategy, instrument), held in list(self.qty.items()):
                if instrument == e.instrument and held:
                    self.pay(strategy, instrument, self.worth(instrument, held, e.body[0]))

    def adjusted(self, e: Row) -> None:
        if not e.refused:
            currency, _, money = e.body[:3]
            self.cash[currency] += money
            self.paid_in[currency] += money

    def termed(self, row: Row) -> None:
        if not row.refused:
            tick, lot, freeze = row.body[:3]
            self.rows[row.instrument] = self.rows[row.instrument]._replace(tick=tick, lot=lot, freeze=freeze)

    def rated(self, e: Row) -> None:
        if not e.refused:
            self.rate[e.body[0]] = e.body[1]

    # -- prices

    def bar(self, e: Row) -> None:
        if e.origin != Origin.EXTERNAL:  # one made of trades says nothing new of the price
            self.edge[e.instrument] = e.ts_event if self.by_time else 0
        else:
            self.mark[e.instrument], self.ts_mark[e.instrument] = e.body[4], e.ts_event

    def quote(self, e: Row) -> None:
        bid, ask = e.body[:2]
        bad = min(e.body[:4]) < 0 or bid > ask > 0
        if not bad and bid > 0 and ask > 0 and e.instrument not in self.traded:
            self.mark[e.instrument], self.ts_mark[e.instrument] = (bid + ask) // 2, e.ts_event

    def trade(self, e: Row) -> None:
        if e.body[0] > 0 and e.body[1] >= 0 and e.ts_event >= self.edge[e.instrument]:  # else it is late
            self.traded.add(e.instrument)
            self.mark[e.instrument], self.ts_mark[e.instrument] = e.body[0], e.ts_event

    # -- control

    def timer(self, e: Row) -> None:
        if e.body[0] == TimerCode.DAY_END:
            self.day_ends[e.seq] = e.body[1]
        mine = {number for number, row in self.rows.items() if row.calendar == e.body[1]}
        if e.body[0] == TimerCode.SESSION_CLOSE:
            self.closed |= mine
        elif e.body[0] == TimerCode.SESSION_OPEN:
            self.closed -= mine
            self.squared -= mine
        elif e.body[0] == TimerCode.SQUARE_OFF:
            self.squared |= mine

    def limit(self, e: Row) -> None:
        if e.refused:
            return
        field, setting = e.body[:2]
        if e.instrument >= 0:
            who = (e.strategy, e.instrument)
            self.barred.discard(who) if setting else self.barred.add(who)
        else:
            self.limits[e.strategy][NAMES[field]] = setting

    def trading(self, e: Row) -> None:
        if not e.refused:
            self.state = e.body[1]

    def paused(self, e: Row) -> None:
        if not e.refused:
            self.stopped.add(e.strategy)

    def resumed(self, e: Row) -> None:
        if not e.refused:
            self.stopped.discard(e.strategy)

    def tripped(self, e: Row) -> None:
        if e.refused:
            return
        if e.strategy:
            assert e.body[0] == 0 or e.origin == Origin.EXTERNAL
            self.stopped.add(e.strategy)
        elif e.body[0] > self.kill:
            self.kill = e.body[0]
            if self.kill >= KillLevel.CANCEL_ALL:
                waits = {
                    o.id for o in self.orders.values() if o.status == Status.PENDING_NEW and o.parent in self.orders
                }
                under_way = {o.id for o in self.orders.values() if o.status == Status.PENDING_CANCEL}
                self.to_cancel = set(self.orders) - waits - under_way  # what waits goes when its parent has

    def reset(self, e: Row) -> None:
        if not e.refused:
            assert e.origin == Origin.EXTERNAL and self.kill > 0
            self.kill = 0

    # -- the engine's tables

    def compare(self, engine) -> None:
        """Hold it against an engine that folded the same rows."""
        s = engine.state
        a = s.account[0]
        assert (self.seq, self.kill, self.state, self.fills) == (a.seq, a.kill_level, a.trading_state, a.fills)
        table = s.positions["qty"].reshape(s.books.size, s.markets.size)
        mine = np.zeros_like(table)
        for place, qty in self.qty.items():
            mine[place] = qty
        assert (mine == table).all(), "the fills do not sum to the position"
        cost = s.positions["cost"].reshape(table.shape)
        futures = s.instruments["asset"] == InstrumentClass.FUTURE
        for number, q in enumerate(s.purses):
            settled = int(cost[:, futures & (s.instruments["currency"] == number)].sum())
            assert self.cash[number] + settled == q["cash"] and self.paid_in[number] == q["paid_in"]
        for number, b in enumerate(s.books):
            assert self.flow[number] + int(cost[number, futures].sum()) == b["cash_flow"]
            assert (number in self.stopped) == (b["stopped"] != 0)
        working = s.orders[s.orders["order_id"] != 0]
        told = {o.id: (o.status, o.qty, o.leaves, o.cum, o.more, o.stood) for o in self.orders.values()}
        fields = ("status", "qty", "leaves_qty", "cum_qty", "more_qty", "stood")
        assert told == {int(o["order_id"]): tuple(int(o[name]) for name in fields) for o in working}
        for row, t in enumerate(s.tallies):
            assert (self.sent[row], self.filled[row]) == (t["messages"], t["fills"])


DOES = {
    Kind.BAR: Model.bar,
    Kind.QUOTE: Model.quote,
    Kind.TRADE: Model.trade,
    Kind.SPLIT: Model.split,
    Kind.DIVIDEND: Model.dividend,
    Kind.FX_RATE: Model.rated,
    Kind.TERMS_CHANGED: Model.termed,
    Kind.TIMER: Model.timer,
    Kind.LIMIT_CHANGED: Model.limit,
    Kind.TRADING_STATE_CHANGED: Model.trading,
    Kind.STRATEGY_PAUSED: Model.paused,
    Kind.STRATEGY_RESUMED: Model.resumed,
    Kind.CASH_ADJUSTED: Model.adjusted,
    Kind.TRIPPED: Model.tripped,
    Kind.KILL_RESET: Model.reset,
    Kind.SIGNAL: Model.signal,
    Kind.ORDER_SUBMITTED: Model.submitted,
    Kind.ORDER_DENIED: Model.denied,
    Kind.CHARGED: Model.charged,
    Kind.SETTLED: Model.settled,
    **dict.fromkeys(range(Kind.ORDER_CANCEL_SUBMITTED, Kind.ORDER_REPLACE_REJECTED + 1), Model.report),
}
WHAT = {
    Kind.ORDER_FILLED: Model.fill,
    Kind.ORDER_RELEASED: Model.released,
    Kind.ORDER_CANCEL_SUBMITTED: Model.asked_cancel,
    Kind.ORDER_REPLACE_SUBMITTED: Model.asked_change,
    Kind.ORDER_REPLACED: Model.replaced,
    Kind.ORDER_REPLACE_REJECTED: Model.not_replaced,
    Kind.ORDER_RESTATED: Model.restated,
}
