"""Worlds by chance: rules, instruments, asked orders and inputs that a seed and a handful of switches give.

The switches are what hypothesis shrinks: a failure is told with as few of them, and as few slices, as still show it.
"""

from random import Random

import numpy as np

from kernel.codes import Basis, Flag, InstrumentClass, Item, Kind, Product, TimerCode, TradingState
from kernel.frame import CANCEL, HERE, INTENT, NEW, REPLACE
from kernel.rows import LIMITS
from kernel.schema import EVENT, take_rows
from kernel.state import Terms
from kernel.units import SHARE
from tests.kernel.play import MINUTE, TICK, WIDE, event, make_engine, run_bars, units
from tests.kernel.scripted import SIGNALS

FUTURE, OPTION, INDEX = InstrumentClass.FUTURE, InstrumentClass.OPTION, InstrumentClass.INDEX
BUY, SELL, EVER, DAY = 1, -1, 2**62, 24 * 60  # of minutes
MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING = 1, 2, 3, 4, 5
GTC, IOC, DAY_ORDER, FOK, GTD = 1, 2, 3, 4, 5
HELD, OCO, REDUCE_ONLY = Flag.HELD, Flag.OCO, Flag.REDUCE_ONLY
STRATEGIES = 2
SWITCHES = (
    "actions", "adjustments", "band", "charges", "expiries", "fees", "fifo", "garbage", "guards", "kill", "latency",
    "limits", "linked", "little_cash", "participation", "queue", "slippage", "states", "ticks", "timers", "trade_bars",
)  # fmt: skip
TERMS = (
    Terms(0, TICK, 1, calendar=1, margin=SHARE // 5, segment=1, settles=1),
    Terms(1, TICK, 5, calendar=1, segment=1, freeze=40),
    Terms(2, TICK, 1, calendar=1, asset=FUTURE, margin=SHARE // 6, segment=2, underlying=0, physical=1),
    Terms(
        3, TICK, 1, calendar=1, asset=OPTION, margin=SHARE // 8, segment=3, underlying=0, physical=1, strike=units(90),
        right=1,
    ),
    Terms(4, 50_000, 1, calendar=2, currency=1, den=100, px_scale=10**6, margin=SHARE // 3),
    Terms(5, TICK, 1, calendar=2, asset=FUTURE, margin=SHARE // 9, num=25),
    Terms(6, TICK, 1, calendar=1, asset=INDEX),
    Terms(7, TICK, 1, calendar=1, asset=OPTION, margin=SHARE // 8, underlying=0, strike=units(110), right=-1),
)  # fmt: skip


def rule(item, segment, percent=0.0, basis=Basis.VALUE, *, product=0, side=0, flat=0, cap=0, of=0, rounded=100):
    return (item, segment, product, side, -EVER, EVER, basis, round(percent * SHARE / 100), flat, cap, of, rounded)


CHARGES = (
    rule(Item.BROKERAGE, 1, 0.1, Basis.ORDER, cap=units(20)),
    rule(Item.STT, 1, 0.1, product=Product.DELIVERY, rounded=10_000),
    rule(Item.STT, 1, 0.025, product=Product.INTRADAY, side=SELL, rounded=10_000),
    rule(Item.TRANSACTION, 1, 0.00297),
    rule(Item.GST, 1, 18, Basis.ITEMS, of=1 << Item.BROKERAGE | 1 << Item.TRANSACTION),
    rule(Item.DP, 1, basis=Basis.DAY, flat=units(18.5), product=Product.DELIVERY, side=SELL),
    rule(Item.BROKERAGE, 2, basis=Basis.ORDER, flat=units(20)),
    rule(Item.STAMP, 2, 0.002, side=BUY),
    rule(Item.STT, 3, 0.1, side=SELL, rounded=10_000),
    rule(Item.STT, 3, 0.125, Basis.EXERCISE, rounded=10_000),
)
SETTINGS = {  # what a limit is set to, account or strategy
    "max_order_qty": (10, 40, 10**9),
    "max_order_notional": (units(1_500), units(20_000), 10**16),
    "max_position_qty": (15, 60, 10**9),
    "allow_short": (0, 1, 1),
    "market_buffer_bps": (0, 100),
    "max_slices": (1, 2, 25),
    "collar": (0, SHARE // 50, SHARE // 5),
    "stale_after": (0, MINUTE, 5 * MINUTE),
    "max_gross": (0, units(10_000), units(100_000)),
    "max_net": (0, units(5_000), units(50_000)),
    "max_underlying": (0, units(5_000), units(50_000)),
    "max_trades_day": (0, 20, 200),
    "max_orders_day": (0, 30, 300),
    "max_open_orders": (0, 4, 20),
    "max_orders_second": (0, 3, 10),
    "max_orders_minute": (0, 5, 30),
    "duplicate_within": (0, MINUTE // 2, 3 * MINUTE),
    "repeat_count": (0, 3),
    "repeat_within": (0, 5 * MINUTE),
    "self_cross": (0, 1),
    "max_messages_fill": (0, 2, 8),
    "session_hours": (0, 1),
}
GUARDS = {
    "max_day_loss": (0, units(500), units(5_000)),
    "max_drawdown": (0, SHARE // 500, SHARE // 20),
    "max_rejects_minute": (0, 2, 5),
    "max_errors_minute": (0, 3, 10),
    "trip_level": (0, 1, 2, 3, 4),
}


class World:
    """An engine of two scripted strategies in a world of its own; `go` gives the inputs of some slices."""

    def __init__(self, program, seed: int, on: frozenset, simulate: bool = True):
        self.rng, self.on, self.program, self.simulate = Random(seed), on, program, simulate
        self.t, self.ended = DAY + 9 * 60, set()
        self.ticks = np.array([2_000, 2_400, 2_010, 250, 2_000, 1_000, 2_000, 300])
        self.by_ticks = [0, 2, 3, 5] if "ticks" in on or "trade_bars" in on else []
        if "trade_bars" in on:
            self.by_ticks = list(range(len(TERMS)))
        self.rules, self.limits = self.choose_rules(), self.choose_limits()
        self.engine = self.make()
        self.opening = [
            event(Kind.CASH_ADJUSTED, self.t, code=1, amount_money=units(100_000)),
            event(Kind.FX_RATE, self.t, currency=1, rate=83 * SHARE // 10),
        ]

    def make(self):
        charges = CHARGES if "charges" in self.on else ()
        one = (self.program.program, self.program.params)
        return make_engine(
            [one] * STRATEGIES, instruments=TERMS, charges=charges, limits=self.limits, simulate=self.simulate,
            cash=self.cash / 10_000, currencies=2, batch=2048, lots=256, **self.rules,
        )  # fmt: skip

    def choose_rules(self) -> dict:
        rng, on, rules = self.rng, self.on, {"seed": self.rng.randrange(2**31), "fifo": int("fifo" in self.on)}
        self.cash = units(15_000 if "little_cash" in on else 5_000_000)
        rules["equity_interval"] = rng.choice([0, 10 * MINUTE, DAY * MINUTE])
        rules["product"] = rng.choice([0, 0, Product.INTRADAY, Product.DELIVERY, Product.MARGIN])
        rules["unsettled_block"] = rng.choice([0, 0, SHARE // 5, SHARE])
        if "fees" in on:
            rules |= {"fee_rate": rng.choice([0, 300_000]), "fee_flat": rng.choice([0, units(1)]), "fee_round": 100}
            rules |= {"fee_min": rng.choice([0, units(2)]), "fee_max": rng.choice([0, units(20)])}
        if "slippage" in on:
            rules |= {"slip_ticks": rng.choice([0, 2]), "slip_share": rng.choice([0, SHARE // 5_000])}
            rules |= {"slip_range": rng.choice([0, SHARE // 10]), "slip_impact": rng.choice([0, SHARE // 2])}
            rules["slip_random"] = rng.choice([0, 5])
        if "participation" in on:
            rules["participation"] = rng.choice([SHARE // 100, SHARE // 10, SHARE])
        if "band" in on:
            rules["band"] = rng.choice([SHARE // 1_000, SHARE // 50])
        if "latency" in on:
            rules |= {"latency_ns": rng.choice([0, 1, 2 * MINUTE]), "latency_events": rng.choice([0, 1, 3])}
        if "queue" in on:
            rules["queue"] = 1
        if "trade_bars" in on:
            rules["bar_kind"] = rng.randint(1, 5)
            rules["bar_size"] = {1: 3 * MINUTE, 2: 4, 3: 60, 4: units(9_000), 5: 8 * TICK}[rules["bar_kind"]]
            rules["bar_grace"] = rng.choice([0, MINUTE])
        return rules

    def choose_limits(self) -> dict:
        rng, found = self.rng, {**WIDE, "strategies": {}}
        named = (SETTINGS if "limits" in self.on else {}) | (GUARDS if "guards" in self.on else {})
        for name, choices in named.items():
            if rng.random() < 0.25:
                found[name] = rng.choice(choices)
            elif rng.random() < 0.15 and name not in ("max_rejects_minute", "max_errors_minute", "trip_level"):
                found["strategies"].setdefault(str(rng.randint(1, STRATEGIES)), {})[name] = rng.choice(choices)
        return found

    def restart(self) -> None:
        """Another process goes on from a snapshot."""
        saved, digest = self.engine.save(), self.engine.digest()
        self.engine = self.make()
        self.engine.load(saved)
        assert self.engine.digest() == digest

    # -- inputs

    def feed(self, listed) -> np.ndarray:
        return run_bars(self.engine, listed)

    def before(self, rng: Random) -> list:
        """What happens before the next slices: a night, a split, a contract that ends."""
        found = []
        if rng.random() < 0.3:
            if "timers" in self.on:
                found += [event(Kind.TIMER, self.t, code=TimerCode.SESSION_CLOSE, setting=c) for c in (1, 2)]
                found += [event(Kind.TIMER, self.t, code=TimerCode.DAY_END, setting=c) for c in (1, 2)]
            self.t = (self.t // DAY + 1) * DAY + 9 * 60
            if "timers" in self.on:
                found += [event(Kind.TIMER, self.t, code=TimerCode.SESSION_OPEN, setting=c) for c in (1, 2)]
        if "actions" in self.on and rng.random() < 0.4:
            up, down = rng.choice([(2, 1), (3, 2), (1, 2), (1, 10), (7, 5)])
            instrument = rng.choice([0, 1, 4])
            if 200 < self.ticks[instrument] * down // up < 50_000:
                found.append(event(Kind.SPLIT, self.t, instrument, numerator=up, denominator=down))
                self.ticks[instrument] = self.ticks[instrument] * down // up
        if "actions" in self.on and rng.random() < 0.4:
            found.append(event(Kind.DIVIDEND, self.t, rng.choice([0, 1, 4]), amount=rng.choice([1, 12_345, 20_000])))
        if "actions" in self.on and rng.random() < 0.2:
            terms = {"tick": rng.choice([TICK, 100, 1_000]), "lot": rng.choice([1, 5, 7]), "freeze_qty": 40}
            found.append(event(Kind.TERMS_CHANGED, self.t, rng.choice([0, 1, 5]), **terms))
        if "expiries" in self.on and rng.random() < 0.2:
            left = [i for i in (2, 3, 5, 7) if i not in self.ended]
            if left:
                instrument = rng.choice(left)
                self.ended.add(instrument)
                px = rng.choice([0, units(80), units(101.37)])
                found.append(event(Kind.EXPIRY, self.t, instrument, underlying_px=px))
        return found

    def control(self, rng: Random, t: float) -> list:
        """Now and then somebody or the clock says something."""
        found, on = [], self.on
        if "limits" in on and rng.random() < 0.15:
            found.append(self.change_of_limit(rng, t, SETTINGS))
        if "guards" in on and rng.random() < 0.1:
            found.append(self.change_of_limit(rng, t, GUARDS))
        if "states" in on and rng.random() < 0.1:
            state = rng.choice([TradingState.ACTIVE] * 3 + [TradingState.REDUCING, TradingState.HALTED])
            found.append(event(Kind.TRADING_STATE_CHANGED, t, setting=state))
            kind = rng.choice([Kind.STRATEGY_PAUSED, Kind.STRATEGY_RESUMED, Kind.STRATEGY_RESUMED])
            found.append(event(kind, t, strategy=rng.randint(1, STRATEGIES)))
        if "kill" in on and rng.random() < 0.12:
            found.append(event(Kind.TRIPPED, t, level=rng.randint(1, 4), strategy=rng.choice([0, 0, 0, 1])))
        if ("kill" in on or "guards" in on) and rng.random() < 0.25:
            found.append(event(Kind.KILL_RESET, t))
            found.append(event(Kind.STRATEGY_RESUMED, t, strategy=rng.randint(1, STRATEGIES)))
        if "timers" in on and rng.random() < 0.15:
            code = rng.choice(
                [TimerCode.SESSION_OPEN, TimerCode.SESSION_CLOSE, TimerCode.SQUARE_OFF, TimerCode.DAY_END]
            )
            found.append(event(Kind.TIMER, t, code=code, setting=rng.randint(1, 2)))
        if "trade_bars" in on and rng.random() < 0.5:
            found.append(event(Kind.TIMER, t, code=TimerCode.BAR_CLOSE, setting=rng.randint(1, 2)))
        if "adjustments" in on and rng.random() < 0.1:
            money = rng.choice([units(1_000), -units(500), 1])
            found.append(event(Kind.CASH_ADJUSTED, t, code=rng.randint(0, 1), amount_money=money))
            found.append(event(Kind.FX_RATE, t, currency=1, rate=rng.randrange(SHARE, 100 * SHARE)))
        if "garbage" in on and rng.random() < 0.2:
            found.append(
                event(
                    rng.choice([16, 17, 18, 19, 20, 35, 36, 37, 38, 39, 42, 43]), t, rng.choice([-1, 99]),
                    strategy=rng.choice([0, 9]), code=rng.choice([-1, 99]), setting=-1, amount_money=2**63 - 1,
                )
            )  # fmt: skip
        return found

    def change_of_limit(self, rng: Random, t: float, choices: dict):
        strategy = rng.choice([0, 0, 1, 2])
        if rng.random() < 0.15:
            return event(
                Kind.LIMIT_CHANGED, t, rng.randrange(len(TERMS)), strategy=strategy, setting=rng.choice([0, 1, 1])
            )
        name = rng.choice(list(choices))
        code, setting = LIMITS.names.index(name), rng.choice(choices[name])
        return event(Kind.LIMIT_CHANGED, t, -1, strategy=strategy, code=code, setting=setting)

    def go(self, seed: int, slices: int) -> list[np.ndarray]:
        """The inputs of the next slices, each an array of its own, and what is asked for at their bars."""
        rng, chance = Random(seed), np.random.default_rng([seed, 5])
        listed = [self.opening + self.before(rng)] if self.opening else [self.before(rng)]
        self.opening = []
        count = len(TERMS)
        steps = np.rint(chance.standard_normal((slices, count, 4)) * np.maximum(2, self.ticks / 150)[None, :, None])
        path = self.ticks[None, :, None] + np.cumsum(steps.reshape(slices, count * 4), axis=0).reshape(slices, count, 4)
        path = np.maximum(path.astype(np.int64), 20)
        self.ticks = path[-1, :, -1].copy() if slices else self.ticks
        there = chance.random((slices, count)) > 0.2
        there[:, 4] |= ~there.any(axis=1)
        size = np.array([row.tick for row in TERMS])
        for k in range(slices):
            self.t += 1
            listed.append(self.control(rng, self.t))
            if self.by_ticks:
                listed.append(self.some_ticks(chance, path[k], there[k], size))
            if "trade_bars" not in self.on:
                listed.append(self.bars(chance, path[k], there[k], size))
        self.ask(rng, path, there)
        joined = (
            one if isinstance(one, np.ndarray) else np.frombuffer(b"".join(e.tobytes() for e in one), EVENT)
            for one in listed
        )
        return [rows for rows in joined if len(rows)]

    def bars(self, chance, path, there, size) -> np.ndarray:
        rows = np.zeros(len(TERMS), EVENT)
        rows["kind"], rows["instrument"] = Kind.BAR, np.arange(len(TERMS))
        rows["ts_event"] = rows["ts_init"] = self.t * MINUTE
        rows["ts_open"] = (self.t - 1) * MINUTE
        rows["open"], rows["close"] = path[:, 0] * size, path[:, -1] * size
        rows["high"], rows["low"] = path.max(axis=1) * size, path.min(axis=1) * size
        rows["volume"] = chance.integers(0, 2_000, len(TERMS))
        rows = take_rows(rows, np.flatnonzero(there))
        rows["flags"][-1] = Flag.SLICE_END
        return rows

    def some_ticks(self, chance, path, there, size) -> np.ndarray:
        """A quote and a trade of each instrument that has ticks, whichever comes first."""
        places = np.array([i for i in self.by_ticks if there[i]], np.int64)
        count = len(places)
        rows, px = np.zeros(2 * count, EVENT), path[places] * size[places, None]
        quotes, trades = rows[:count], rows[count:]
        quotes["kind"], quotes["bid_px"], quotes["ask_px"] = (
            Kind.QUOTE,
            px[:, 0] - size[places],
            px[:, 0] + size[places],
        )
        quotes["bid_qty"], quotes["ask_qty"] = chance.integers(0, 30, (2, count))
        trades["kind"], trades["trade_px"], trades["trade_qty"] = Kind.TRADE, px[:, 3], chance.integers(1, 40, count)
        quotes["instrument"] = trades["instrument"] = places
        turns = np.arange(2 * count) // 2 + count * ((np.arange(2 * count) % 2) ^ (np.arange(2 * count) // 2 % 2))
        rows = take_rows(rows, turns)
        rows["ts_init"] = self.t * MINUTE
        rows["ts_event"] = self.t * MINUTE - MINUTE // 2 + np.arange(2 * count)
        return rows

    # -- orders

    def ask(self, rng: Random, path, there) -> None:
        """Write what the strategies ask for at the bars to come."""
        memory = [self.engine.memory_of(strategy) for strategy in range(1, STRATEGIES + 1)]
        orders = self.engine.state.orders
        for i, terms in enumerate(TERMS):
            known = orders["order_id"][(orders["order_id"] > 0) & (orders["instrument"] == i)].tolist() or [0]
            if terms.asset == INDEX and rng.random() < 0.9:
                continue
            self.adjustment = float(self.engine.state.markets["adjustment"][i])
            slices = np.flatnonzero(there[:, i]).tolist()
            for one in memory:
                at, signals = [], []
                seen = int(one["bars_seen"][i])
                for number, k in enumerate(slices, seen + 1):
                    if rng.random() < 0.45 and len(signals) < SIGNALS - 6:
                        found: list[tuple] = []
                        for _ in range(rng.choice([1, 1, 2])):
                            self.some_order(rng, terms, int(path[k, i, -1]), known, found)
                        signals += found
                        at += [number] * len(found)
                part = one[i]["on_bars"]
                part["size"] = len(signals)
                if signals:
                    part["at"][: len(at)] = at
                    part["signals"][: len(at)] = np.array(signals, INTENT)

    def some_order(self, rng: Random, terms: Terms, ticks: int, known: list[int], found: list) -> None:
        roll = rng.random()
        if roll < 0.08:
            found.append(self.intent(CANCEL, ref=rng.choice([0, 0, *known])))
        elif roll < 0.2:
            px = self.price(terms, ticks, rng.gauss(0, 0.01)) if rng.random() < 0.6 else 0.0
            qty = rng.randint(1, 30) if rng.random() < 0.6 else 0
            found.append(self.intent(REPLACE, qty=qty, price=px, ref=rng.choice([0, 0, *known])))
        elif roll < 0.25 and "garbage" in self.on:
            found.append(self.intent(
                NEW, rng.choice([1, -1, 0]), rng.choice([0, -5, 2**60, 7]), rng.choice([1, 2, 9]), rng.choice([1, 8]),
                instrument=rng.choice([HERE, -1, 99, 6]), price=rng.choice([float("nan"), -1.0, 1e300]), flags=255,
            ))  # fmt: skip
        elif roll < 0.5 and "linked" in self.on:
            self.some_group(rng, terms, ticks, found)
        else:
            found.append(self.plain(rng, terms, ticks, rng.choice([BUY, SELL])))

    def some_group(self, rng: Random, terms: Terms, ticks: int, found: list) -> None:
        """A bracket, an entry with one exit, or a pair of which one cancels the other."""
        side, first = rng.choice([BUY, SELL]), len(found) + 1
        away = rng.uniform(0.001, 0.015) * side
        if rng.random() < 0.3:
            qty = terms.lot * rng.randint(1, 8)
            for k in range(2):
                px = self.price(terms, ticks, -away if k == 0 else away)
                price = {"price": px} if k == 0 else {"trigger_price": px}
                ref = first if k else 0
                found.append(self.intent(NEW, side, qty, LIMIT if k == 0 else STOP, flags=OCO, ref=ref, **price))
            return
        entry = self.plain(rng, terms, ticks, side)
        qty = entry[2]
        found.append(entry)
        flags = HELD | (OCO if rng.random() < 0.7 else 0)
        stop, trail = self.price(terms, ticks, -away), 0.0
        if rng.random() < 0.3:
            stop, trail = 0.0, max(terms.tick, round(abs(away) * ticks) * terms.tick) / terms.px_scale * self.adjustment
        order_type = TRAILING if trail else STOP
        found.append(self.intent(NEW, -side, qty, order_type, trigger_price=stop, trail=trail, flags=flags, ref=first))
        if flags & OCO:
            px = self.price(terms, ticks, away)
            found.append(self.intent(NEW, -side, qty, LIMIT, price=px, flags=flags, ref=first))

    def plain(self, rng: Random, terms: Terms, ticks: int, side: int) -> tuple:
        order_type = rng.choice([MARKET, MARKET, LIMIT, LIMIT, STOP, STOP_LIMIT, TRAILING])
        tif = rng.choice([GTC, GTC, GTC, DAY_ORDER, GTD, *([IOC, FOK] if order_type in (MARKET, LIMIT) else [])])
        qty = terms.lot * rng.choice([1, 2, 5, 8, 13, 30])
        off = rng.gauss(0, 0.006)
        more = {"price": 0.0, "trigger_price": 0.0, "trail": 0.0}
        if order_type in (LIMIT, STOP_LIMIT):
            more["price"] = self.price(terms, ticks, off)
        if order_type in (STOP, STOP_LIMIT):
            more["trigger_price"] = self.price(terms, ticks, abs(off) * side)
        if order_type == TRAILING:
            more["trail"] = max(1, round(abs(off) * ticks)) * terms.tick / terms.px_scale * self.adjustment
        expires = (self.t + rng.randint(-2, 10)) * MINUTE if tif == GTD else 0
        product = rng.choice([0] * 16 + [Product.INTRADAY, Product.DELIVERY, Product.MARGIN])
        flags = REDUCE_ONLY if rng.random() < 0.1 else 0
        return self.intent(NEW, side, qty, order_type, tif, flags=flags, product=product, expire_ts=expires, **more)

    def price(self, terms: Terms, ticks: int, off: float) -> float:
        return max(1, round(ticks * (1 + off))) * terms.tick / terms.px_scale * self.adjustment

    def intent(
        self, action, side=0, qty=0, order_type=0, tif=GTC, instrument=HERE, *, ref=0, flags=0, product=0, expire_ts=0,
        price=0.0, trigger_price=0.0, trail=0.0,
    ) -> tuple:  # fmt: skip
        return (
            action, side, qty, order_type, tif, instrument, ref, int(flags), int(product), expire_ts, price,
            trigger_price, trail, 0.0, 0, 0,
        )  # fmt: skip
