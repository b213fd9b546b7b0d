"""A second opinion on a tape in plain Python: orders, positions, cash, limits and the kill switch, row by row.

It is made from the tape alone and shares nothing with the step but the words and the table of legal moves. Every row is
a prefix: what must hold, holds there. `compare` holds it against an engine's tables.
"""

from collections import Counter, deque

import numpy as np

from kernel.codes import Flag, InstrumentClass, KillLevel, Kind, OrderType, Origin, Product, Reason, Status, TimerCode
from kernel.lifecycle import TRANSITION
from kernel.rows import LIMITS
from kernel.state import Terms
from kernel.units import SCALE, SHARE
from tests.kernel.play import worth

MOVES = TRANSITION.tolist()
SECOND, MINUTE, DAY = 10**9, 60 * 10**9, 86_400 * 10**9
NAMES = LIMITS.names
WORDS = ("kind", "origin", "instrument", "strategy", "flags", "side", "order_type", "tif", "status", "reason", "product")
ENDED = (Status.CANCELED, Status.REJECTED, Status.EXPIRED)
CLOSING = (Reason.SQUARED_OFF, Reason.FLATTENED)  # signals of the kernel that pass every limit
NOT_REFUSED = (Reason.LATE_FILL,)
PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
RATIO_FROM = 100
TOLERATED = {"answers", "banded", "changes", "delivered", "folded", "halted", "overtaken", "restated", "slices"}  # known defects, each with a test of its own that fails: see test_state_machine.py


class Order:
    """A working order as the tape tells it."""

    __slots__ = (
        "cum", "flags", "full", "id", "instrument", "leaves", "more", "next_reserve", "notional", "parent", "product",
        "px", "replacing", "reserve", "side", "status", "stood", "strategy", "trigger", "type",
    )  # fmt: skip

    @property
    def qty(self):
        return self.leaves + self.cum


class Row:
    """One event: the header's small fields by name, the nine words of the body in order."""

    __slots__ = (*WORDS, "body", "cause", "refused", "seq", "ts", "ts_event")


def half_even(a: int, b: int) -> int:
    """a / b to the nearest whole number, a tie to the even one."""
    whole, rest = divmod(abs(a), abs(b))
    whole += 2 * rest > abs(b) or (2 * rest == abs(b) and whole % 2 == 1)
    return whole if (a < 0) == (b < 0) else -whole


class Model:
    """`take` rows of a tape in order; `limits` as an Engine takes them. `exposed` False leaves out what needs marks."""

    def __init__(self, cash: int, terms, limits: dict, strategies: int, currencies: int = 1, exposed: bool = True):
        listed = [Terms(*row) for row in terms]
        self.rows = {row.number: row for row in listed}
        self.exposed, self.strategies = exposed, strategies
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
        self.kill = self.state = self.seq = self.ts = self.fills = self.moves = self.trips = 0
        self.stopped: set[int] = set()
        self.messages: list[deque] = [deque() for _ in range(strategies + 1)]
        self.sent, self.filled = Counter(), Counter()  # messages and fills by row
        self.today, self.filled_today = Counter(), Counter()  # by (row, day)
        self.last_sent: dict[tuple, tuple] = {}
        self.trade_ids: set[int] = set()
        self.kinds, self.denials = Counter(), Counter()
        self.tolerated = TOLERATED
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
            self.last_sent[o.strategy, o.instrument] = (o.side, e.body[2], e.body[3], e.ts)
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
        after = MOVES[o.status][e.kind]
        assert after != Status.ILLEGAL, f"{Status(o.status).name} and {Kind(e.kind).name}"
        self.seen[o.status, e.kind] += 1
        self.moves += 1
        cum, kind = o.cum, e.kind
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
                self.gone[o.id] = o

    def was_refused(self, o: Order | None, e: Row) -> None:
        """A report the kernel did not believe: it must have had the reason it gives."""
        if e.refused == Reason.ILLEGAL_MOVE:
            assert MOVES[o.status][e.kind] == Status.ILLEGAL
        elif e.refused == Reason.UNKNOWN_ORDER:
            assert o is None
        elif e.refused == Reason.OVERFILL:
            one = o or self.gone[e.body[0]]
            assert e.body[2] > one.leaves + one.more
        elif e.refused == Reason.DUPLICATE:
            assert e.body[1] in self.trade_ids
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
        self.pay(e.strategy, e.instrument, -sum(e.body[1:9]))

    def settled(self, e: Row) -> None:
        held, _, qty, px = e.body[:4]
        assert held == self.qty[e.strategy, e.instrument]
        if e.reason != Reason.VARIATION:  # what a future gains is in what it costs then: see `compare`
            self.qty[e.strategy, e.instrument] += e.side * qty
            self.pay(e.strategy, e.instrument, -e.side * self.worth(e.instrument, qty, px))

    def split(self, e: Row) -> None:
        if e.refused:
            return
        up, down, px = e.body[:3]
        assert px == self.mark[e.instrument] or not self.exposed
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

    def rated(self, e: Row) -> None:
        if not e.refused:
            self.rate[e.body[0]] = e.body[1]

    # -- prices

    def bar(self, e: Row) -> None:
        self.mark[e.instrument], self.ts_mark[e.instrument] = e.body[4], e.ts_event

    def quote(self, e: Row) -> None:
        bid, ask = e.body[:2]
        bad = min(e.body[:4]) < 0 or bid > ask > 0
        if not bad and bid > 0 and ask > 0 and e.instrument not in self.traded:
            self.mark[e.instrument], self.ts_mark[e.instrument] = (bid + ask) // 2, e.ts_event

    def trade(self, e: Row) -> None:
        if e.body[0] > 0 and e.body[1] >= 0:
            self.traded.add(e.instrument)
            self.mark[e.instrument], self.ts_mark[e.instrument] = e.body[0], e.ts_event

    # -- control

    def timer(self, e: Row) -> None:
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
        self.trips += 1
        if e.strategy:
            assert e.body[0] == 0 or e.origin == Origin.EXTERNAL
            self.stopped.add(e.strategy)
        else:
            self.kill = max(self.kill, e.body[0])

    def reset(self, e: Row) -> None:
        if not e.refused:
            assert e.origin == Origin.EXTERNAL and self.kill > 0
            self.kill = 0

    # -- limits

    def least(self, o: Order, name: str) -> int:
        return min(self.limits[0][name], self.limits[o.strategy][name])

    def trading_state(self) -> int:
        return max(self.state, min(self.kill, KillLevel.NO_NEW_ORDERS))

    def working(self, o: Order) -> int:
        """What works on an order's side of its position and may open, without itself."""
        return sum(
            y.leaves + y.more
            for y in self.orders.values()
            if (y.strategy, y.instrument, y.side) == (o.strategy, o.instrument, o.side)
            and not y.flags & Flag.REDUCE_ONLY
            and y is not o
        )

    def hold_size(self, o: Order, qty: int, reserve: int) -> None:
        assert qty <= self.least(o, "max_order_qty")
        assert self.in_base(o.instrument, self.worth(o.instrument, qty, reserve)) <= self.least(o, "max_order_notional")

    def hold_position(self, o: Order, total: int) -> None:
        held = self.qty[o.strategy, o.instrument]
        assert abs(held + o.side * total) <= self.least(o, "max_position_qty"), "a position could pass its limit"
        if o.side < 0 and not self.least(o, "allow_short"):
            assert self.rows[o.instrument].asset == InstrumentClass.FUTURE or held - total >= 0, "a short sale"

    def hold_place(self, o: Order, opening: int) -> None:
        state = self.trading_state()
        assert state < 2, "sent while trading is halted"
        assert state == 0 or opening == 0, "it opens while trading only reduces"
        assert (0, o.instrument) not in self.barred
        assert not opening or (o.strategy, o.instrument) not in self.barred
        assert not (opening and o.instrument in self.squared and o.product == Product.INTRADAY)
        hours = self.limits[0]["session_hours"] or self.limits[o.strategy]["session_hours"]
        assert not (hours and o.instrument in self.closed), "sent while the exchange is closed"

    def hold_limits(self, o: Order, e: Row, qty: int) -> None:
        """That an order which is sent is within every limit, what is there already with it."""
        closes = max(0, -o.side * self.qty[o.strategy, o.instrument])
        working = self.working(o)
        opening = 0 if o.flags & Flag.REDUCE_ONLY else qty - min(qty, max(0, closes - working))
        self.hold_place(o, opening)
        self.hold_size(o, qty, o.reserve)
        if opening:
            self.hold_position(o, working + qty)
        for row in {0, o.strategy}:
            self.hold_price(o, self.limits[row], opening)
            if opening:
                self.hold_flow(o, e, row)
                self.hold_exposure(o, row, qty)

    def hold_price(self, o: Order, limit: dict, opening: int) -> None:
        mark, px = self.mark[o.instrument], o.px if o.type in PRICED else o.trigger
        if not self.exposed:
            return
        assert not (limit["stale_after"] and opening) or self.ts - self.ts_mark[o.instrument] <= limit["stale_after"]
        assert not (limit["collar"] and px) or abs(px - mark) <= mark * limit["collar"] // SHARE, "outside the collar"
        if limit["self_cross"] and o.type == OrderType.LIMIT:
            for y in self.orders.values():
                if y.instrument == o.instrument and y.side == -o.side and y.type == OrderType.LIMIT and y.leaves:
                    assert (o.px - y.px) * o.side < 0, "it crosses an order of this account"

    def hold_flow(self, o: Order, e: Row, row: int) -> None:
        limit, day = self.limits[row], e.ts // DAY
        if "slices" in self.tolerated and o.flags & Flag.SLICE:
            return
        there = sum(row in (0, y.strategy) for y in self.orders.values())
        for name, measured in (
            ("max_open_orders", there),
            ("max_orders_day", self.today[row, day]),
            ("max_trades_day", self.filled_today[row, day]),
            ("max_orders_second", self.within(row, e.ts, SECOND)),
            ("max_orders_minute", self.within(row, e.ts, MINUTE)),
        ):
            assert limit[name] == 0 or measured < limit[name], f"{name}: {measured + 1} of {limit[name]}"
        if limit["max_messages_fill"] and self.sent[row] >= RATIO_FROM and not o.flags & Flag.SLICE:
            assert self.sent[row] + 1 <= limit["max_messages_fill"] * max(1, self.filled[row])
        side, qty, px, ts = self.last_sent.get((o.strategy, o.instrument), (0, 0, 0, 0))
        banded = o.type == OrderType.MARKET and "banded" in self.tolerated
        if limit["duplicate_within"] and not o.flags & Flag.SLICE and not banded:
            same = (side, qty, px) == (o.side, e.body[2], e.body[3])
            assert not same or e.ts - ts >= limit["duplicate_within"], "the same order again"

    def within(self, row: int, ts: int, span: int) -> int:
        count = 0
        for sent in reversed(self.messages[row]):
            if sent <= ts - span or count == 1024:
                break
            count += 1
        return count

    def hold_exposure(self, o: Order, row: int, qty: int) -> None:
        limit = self.limits[row]
        if not self.exposed or not (limit["max_gross"] or limit["max_net"]):
            return
        gross = net = 0
        for number in self.rows:
            held = sum(n for (strategy, i), n in self.qty.items() if i == number and row in (0, strategy))
            value = self.in_base(number, self.worth(number, held, self.mark[number]))
            gross, net = gross + abs(value), net + value
        worked = sum(y.notional for y in self.orders.values() if row in (0, y.strategy))
        mine = self.notional(o, qty)
        assert not limit["max_gross"] or gross + worked + mine <= limit["max_gross"], "over max_gross"
        assert not limit["max_net"] or o.side * net < 0 or abs(net) + mine <= limit["max_net"], "over max_net"

    def notional(self, o: Order, qty: int) -> int:
        """What an order may open is worth, first currency, by the rate of its last event."""
        if o.flags & Flag.REDUCE_ONLY or qty <= 0 or o.status == Status.PENDING_NEW:
            return 0
        return self.in_base(o.instrument, self.worth(o.instrument, qty, max(o.reserve, o.next_reserve)))

    def hold_change(self, o: Order, e: Row) -> None:
        """That a working order is within the limits as what it is to become."""
        if "halted" not in self.tolerated or not o.flags & Flag.REDUCE_ONLY:
            assert self.trading_state() < 2, "changed while trading is halted"
        self.hold_size(o, e.body[2], o.next_reserve)
        if "changes" not in self.tolerated:
            self.hold_changed_place(o, e)
        grows = e.body[2] > o.qty
        if grows and not o.flags & Flag.REDUCE_ONLY:
            total, held = self.working(o) + o.leaves + o.more, self.qty[o.strategy, o.instrument]
            if total > max(0, -o.side * held):
                assert self.trading_state() == 0
                self.hold_position(o, total)

    def hold_changed_place(self, o: Order, e: Row) -> None:
        """The limits of place, price and number, for a change that strategies ask for."""
        self.hold_place(o, 0)
        px, trigger, o.px, o.trigger = o.px, o.trigger, e.body[3], e.body[4]
        for row in {0, o.strategy}:
            self.hold_price(o, self.limits[row], 0)
        o.px, o.trigger = px, trigger

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


def check_reserve(engine) -> None:
    """Like `play.check_reserve`, for any product and class: what is set aside covers the unluckiest order of fills."""
    s = engine.state
    orders = s.orders[s.orders["order_id"] != 0]
    table = s.positions.reshape(s.books.size, s.markets.size)
    for strategy, instrument, side in {(int(o["strategy"]), int(o["instrument"]), int(o["side"])) for o in orders}:
        p, row, name = table[strategy, instrument], s.instruments[instrument], "buy" if side > 0 else "sell"
        mine = orders[(orders["strategy"] == strategy) & (orders["instrument"] == instrument) & (orders["side"] == side)]
        assert int(mine["value"].sum()) == int(p[f"value_{name}"])
        mine = mine[(mine["flags"] & Flag.REDUCE_ONLY) == 0]
        closes = max(0, -side * int(p["qty"]))
        prices = sorted(px for o in mine for px in [int(o["reserve_px"])] * int(o["leaves_qty"]))[closes:]
        option, levered = row["asset"] == InstrumentClass.OPTION, row["asset"] != InstrumentClass.EQUITY
        products = {int(o["product"]) for o in mine} if "delivered" in TOLERATED else {int(p["product"])}
        levered |= row["margin"] != SHARE and products <= {Product.INTRADAY, Product.MARGIN}
        share = int(row["margin"]) if levered and not (option and side > 0) else SHARE
        total = len(prices) * int(row["strike"]) if option and side < 0 else sum(prices)
        rounding = len(mine) + 1
        least = total * int(row["num"]) // int(row["den"]) * share // SHARE - rounding
        assert int(p[f"reserved_{name}"]) >= least, "an unlucky order of fills overdraws"


DOES = {
    Kind.BAR: Model.bar,
    Kind.QUOTE: Model.quote,
    Kind.TRADE: Model.trade,
    Kind.SPLIT: Model.split,
    Kind.DIVIDEND: Model.dividend,
    Kind.FX_RATE: Model.rated,
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
assert SCALE == 10_000
