"""The limits, once more in plain Python: what was sent was within each when it was sent. A part of `model.py`."""

from kernel.codes import Flag, InstrumentClass, KillLevel, OrderType, Product, Status
from kernel.units import SHARE
from tests.kernel.told import DAY, MINUTE, PRICED, RATIO_FROM, SECOND, TOLERATED, Order, Row


class Bounds:
    """`hold_limits` an order that is sent, `hold_change` one that is to become another; the rest is the Model's."""

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
        assert not opening or not {(0, o.instrument), (o.strategy, o.instrument)} & set(self.barred)
        assert not (opening and o.instrument in self.squared and o.product == Product.INTRADAY)
        hours = self.limits[0]["session_hours"] or self.limits[o.strategy]["session_hours"]
        assert not (hours and o.instrument in self.closed), "sent while the exchange is closed"

    def hold_limits(self, o: Order, e: Row, qty: int) -> None:
        """That an order which is sent is within every limit, what is there already with it."""
        closes = max(0, -o.side * self.qty[o.strategy, o.instrument])
        working = self.working(o)
        opening = 0 if o.flags & Flag.REDUCE_ONLY else qty - min(qty, max(0, closes - working))
        self.hold_place(o, opening)
        if opening:
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
        if o.trigger and abs(o.trigger - mark) > abs(px - mark):
            px = o.trigger
        assert not (limit["stale_after"] and opening) or self.ts - self.ts_mark[o.instrument] <= limit["stale_after"]
        assert not (limit["collar"] and px) or abs(px - mark) <= mark * limit["collar"] // SHARE, "outside the collar"
        if limit["self_cross"] and o.type == OrderType.LIMIT:
            for y in self.orders.values():
                if y.instrument == o.instrument and y.side == -o.side and y.type == OrderType.LIMIT and y.leaves:
                    assert (o.px - y.px) * o.side < 0, "it crosses an order of this account"

    def hold_flow(self, o: Order, e: Row, row: int) -> None:
        limit, day = self.limits[row], e.ts // DAY
        if "slices" in TOLERATED and o.flags & Flag.SLICE:
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
        banded = o.type == OrderType.MARKET and "banded" in TOLERATED
        if limit["duplicate_within"] and not o.flags & Flag.SLICE and not banded:
            same = (side, qty, px) == (o.side, e.body[2], o.px if o.type in PRICED else o.trigger)
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
        if not (limit["max_gross"] or limit["max_net"]):
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
        if "halted" not in TOLERATED or not o.flags & Flag.REDUCE_ONLY:
            assert self.trading_state() < 2, "changed while trading is halted"
        total, held = self.working(o) + e.body[2] - o.cum, self.qty[o.strategy, o.instrument]
        opens = not o.flags & Flag.REDUCE_ONLY and total > max(0, -o.side * held)
        if opens and (e.body[2] > o.qty or e.body[3] != o.px):
            self.hold_size(o, e.body[2], o.next_reserve)
        if "changes" not in TOLERATED:
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
