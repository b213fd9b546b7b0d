"""Play bars and reports through a real engine and read back everything that was on the tape, in order.

Prices and cash are in currency here, so that a test reads like the trade it is about; what comes back is in units.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kernel.codes import Flag, InstrumentClass, Kind, OrderType, Product, Status, TimeInForce, TimerCode
from kernel.engine import Engine
from kernel.frame import CANCEL, HERE, NEW, REPLACE, SLICES
from kernel.schema import EVENT, join_rows
from kernel.state import Capacity, Rules
from kernel.units import SCALE, SHARE
from onetape import Signal

SCRIPTED = f"{Path(__file__).parent / 'scripted.py'}:Scripted"
MINUTE = 60 * 10**9
TICK = 500  # 0.05
WIDE = {
    "max_order_qty": 10**9,
    "max_order_notional": 10**17,
    "max_position_qty": 10**9,
    "allow_short": 1,
    "market_buffer_bps": 0,
    "max_slices": SLICES,
}
LINKED = Flag.HELD | Flag.OCO | Flag.REDUCE_ONLY
MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
STOP, STOP_LIMIT = OrderType.STOP_MARKET, OrderType.STOP_LIMIT
GTC, IOC, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK


def units(currency: float) -> int:
    return round(currency * SCALE)


def event(kind: int, t: float, instrument: int = -1, **fields) -> np.ndarray:
    """An EXTERNAL event at minute `t`; `fields` in units, as on the tape."""
    e = np.zeros(1, EVENT)[0]
    e["kind"], e["instrument"] = kind, instrument
    e["ts_event"] = e["ts_init"] = int(t * MINUTE)
    for name, value in fields.items():
        e[name] = value
    return e


def bar(t, o, h, low, c, instrument=0, *, end=True, warm_up=False, volume=1_000, minutes=1):
    """The bar that closes at minute `t`, prices in currency; `end` marks the last of its slice."""
    e = event(Kind.BAR, t, instrument, volume=volume, ts_open=int((t - minutes) * MINUTE))
    e["open"], e["high"], e["low"], e["close"] = units(o), units(h), units(low), units(c)
    e["flags"] = (Flag.SLICE_END if end else 0) | (Flag.WARM_UP if warm_up else 0)
    return e


def flat(t, px, instrument=0, **more):
    """A bar that stays at one price."""
    return bar(t, px, px, px, px, instrument, **more)


def split(t, numerator, denominator, instrument=0):
    return event(Kind.SPLIT, t, instrument, numerator=numerator, denominator=denominator)


def dividend(t, currency, instrument=0):
    return event(Kind.DIVIDEND, t, instrument, amount=units(currency))


def day_end(t, calendar=1):
    return event(Kind.TIMER, t, code=TimerCode.DAY_END, setting=calendar)


def order(
    side, qty, order_type=MARKET, px=0.0, trigger=0.0, tif=GTC, instrument=HERE, strength=0.0,
    *, trail=0.0, flags=0, product=0, expires=0, link=0,
) -> Signal:  # fmt: skip
    """What a scripted strategy asks for; prices in currency."""
    return Signal(
        NEW,
        side,
        qty,
        int(order_type),
        int(tif),
        instrument,
        link,
        flags,
        product,
        expires,
        px,
        trigger,
        trail,
        strength,
    )


def cancel_order(order_id=0) -> Signal:
    return Signal(CANCEL, 0, 0, 0, int(GTC), HERE, order_id, 0, 0, 0, 0.0, 0.0, 0.0, 0.0)


def change_order(order_id=0, qty=0, px=0.0, trigger=0.0) -> Signal:
    return Signal(REPLACE, 0, qty, 0, int(GTC), HERE, order_id, 0, 0, 0, px, trigger, 0.0, 0.0)


def script(engine: Engine, strategy: int, instrument: int, at_bars=(), at_fills=()) -> None:
    """Write (number, signal) pairs for a Scripted strategy: which bar of the instrument, or which fill, from 1."""
    memory = engine.memory_of(strategy)[instrument]
    for part, pairs in (("on_bars", at_bars), ("on_fills", at_fills)):
        memory[part]["size"] = len(pairs)
        for k, (number, signal) in enumerate(pairs):
            asked = {**signal._asdict(), "expire_ts": signal.expires}
            memory[part]["at"][k] = number
            memory[part]["signals"][k] = tuple(asked.get(name, 0) for name in memory[part]["signals"].dtype.names)


def make_engine(
    programs: Sequence,
    *,
    cash=1_000_000.0,
    instruments=((0, TICK, 1),),
    open_orders=32,
    batch=4096,
    limits=None,
    charges=(),
    lots=64,
    **rules,
) -> Engine:
    """An engine over (program, values) pairs, rules without fees and EQUITY events unless given."""
    chosen = {"equity_interval": 0, **rules}
    capacity = Capacity(instruments=64, strategies=16, open_orders=open_orders, batch=batch, lots=lots)
    return Engine(
        capacity, Rules(cash=units(cash), **chosen), {**WIDE, **(limits or {})}, instruments, programs, charges
    )


def market(seed: int, slices: int, instruments: int = 3, gaps: float = 0.1, sigma: float = 0.004) -> np.ndarray:
    """Seeded random-walk bars of `instruments`, in order of time and instrument; some have no bar in some slices."""
    rng = np.random.default_rng([seed, 7])
    there = rng.random((slices, instruments)) >= gaps
    there[np.arange(slices), rng.integers(0, instruments, slices)] = True
    steps = rng.standard_normal((slices, instruments, 4)) * sigma
    log_px = (
        np.log([100.0 * (k + 1) for k in range(instruments)])[None, :, None]
        + np.cumsum(np.cumsum(steps, axis=2)[:, :, -1], axis=0)[:, :, None]
    )
    ticks = np.maximum(np.rint(np.exp(log_px + np.cumsum(steps, axis=2)) * SCALE / TICK), 1).astype(np.int64)
    out = np.zeros((slices, instruments), EVENT)
    out["kind"] = Kind.BAR
    out["ts_open"] = (np.arange(slices) * MINUTE)[:, None]
    out["ts_event"] = out["ts_init"] = out["ts_open"] + MINUTE
    out["instrument"] = np.arange(instruments)[None, :]
    out["open"], out["close"] = ticks[:, :, 0] * TICK, ticks[:, :, -1] * TICK
    out["high"], out["low"] = ticks.max(axis=2) * TICK, ticks.min(axis=2) * TICK
    out["volume"] = rng.integers(1, 10_000, (slices, instruments))
    last = instruments - 1 - np.argmax(there[:, ::-1], axis=1)
    out["flags"][np.arange(slices), last] = Flag.SLICE_END
    return out[there]


def as_events(listed) -> np.ndarray:
    if isinstance(listed, np.ndarray) and listed.ndim == 1 and listed.dtype == EVENT:
        return listed.copy()
    out = np.zeros(len(listed), EVENT)
    for k, e in enumerate(listed):
        out[k] = e
    return out


def run_bars(engine: Engine, listed, batch: int | None = None) -> np.ndarray:
    """Feed events in batches; returns inputs and outputs merged in `seq` order."""
    inputs, parts = as_events(listed), []
    batch = min(batch or engine.inputs.size, engine.inputs.size)
    for start in range(0, len(inputs), batch):
        piece = inputs[start : start + batch]
        engine.inputs[: len(piece)] = piece
        done, idle = 0, 0
        while done < len(piece):
            took = engine.run(done, len(piece) - done)
            parts.append(engine.outputs.copy())
            idle = 0 if took or len(engine.outputs) else idle + 1
            assert idle < 2, "the engine neither takes nor gives"
            done += took
        parts.append(engine.inputs[: len(piece)].copy())
    merged = join_rows(parts)
    return merged[np.argsort(merged["seq"], kind="stable")]


def of(tape: np.ndarray, *kinds: int) -> np.ndarray:
    """The events of these kinds."""
    return tape[np.isin(tape["kind"], kinds)]


def fills(tape: np.ndarray) -> list[tuple[int, int, float]]:
    """(minute, side * qty, price in currency) of every fill."""
    return [
        (int(e["ts_event"]) // MINUTE, int(e["side"]) * int(e["qty"]), int(e["px"]) / SCALE)
        for e in of(tape, Kind.ORDER_FILLED)
    ]


def words(tape: np.ndarray) -> list[str]:
    """The kinds on the tape, by name."""
    return [Kind(int(k)).name for k in tape["kind"]]


def tape_digest(tape: np.ndarray) -> str:
    return hashlib.sha256(tape.tobytes()).hexdigest()


def check_books(engine: Engine) -> None:
    """Every conservation law of kernel/accounting.py, to the unit."""
    s = engine.state
    a, books, positions, markets, orders = s.account[0], s.books, s.positions, s.markets, s.orders
    table = positions.reshape(books.size, markets.size)
    check_money(s, table)
    assert (table["qty"].sum(axis=0) == markets["net_qty"]).all()
    assert (table["cost"].sum(axis=0) == markets["cost"]).all()
    assert ((table["qty"] != 0).sum(axis=0) == markets["positions"]).all()
    assert ((positions["qty"] != 0) | (positions["cost"] == 0)).all(), "a flat position has no cost"
    assert ((positions["cost"] == 0) | ((positions["cost"] > 0) == (positions["qty"] > 0))).all()
    working = orders[orders["order_id"] != 0]
    assert len(working) == int(a["open_orders"]) == int(books["open_orders"].sum())
    reserved = table["reserved_buy"].sum(axis=0) + table["reserved_sell"].sum(axis=0)
    for number, q in enumerate(s.purses):
        assert int(reserved[s.instruments["currency"] == number].sum()) == int(q["reserved"]) >= 0
    check_reserve(table, working)
    held = working["status"] == Status.PENDING_NEW
    assert ((working["leaves_qty"] + working["more_qty"] > 0) != held).all()
    assert (working["leaves_qty"] + working["cum_qty"] == working["qty"]).all()
    reducing, linked = (working["flags"] & Flag.REDUCE_ONLY) != 0, (working["flags"] & LINKED) != 0
    for side, which, name in (
        (1, ~reducing, "working_buy"), (-1, ~reducing, "working_sell"),
        (1, reducing, "reducing_buy"), (-1, reducing, "reducing_sell"),
    ):  # fmt: skip
        expected = np.zeros_like(table[name])
        mine = working[(working["side"] == side) & which]
        np.add.at(expected, (mine["strategy"], mine["instrument"]), mine["leaves_qty"] + mine["more_qty"])
        assert (expected == table[name]).all(), name
    assert int(linked.sum()) == int(a["linked"]) == int(positions["linked"].sum())
    assert int((working["order_type"] == OrderType.TRAILING_STOP).sum()) == int(markets["trailing"].sum())
    for number, t in enumerate(s.tallies):
        mine = working if number == 0 else working[working["strategy"] == number]
        assert (len(mine), int(mine["notional"].sum())) == (int(t["open_orders"]), int(t["notional"]))
    assert chained_slots(engine) == sorted(np.flatnonzero(orders["order_id"]).tolist())


def worth(row: np.void, qty: int, px: int) -> int:
    """What a quantity is worth, money, to the nearest unit, a tie to the even one."""
    whole, rest = divmod(abs(int(qty) * int(px) * int(row["num"])), int(row["den"]))
    whole += 2 * rest > int(row["den"]) or (2 * rest == int(row["den"]) and whole % 2 == 1)
    return whole if (qty < 0) == (px < 0) else -whole


def check_money(s, table: np.ndarray) -> None:
    """The laws of each currency, and that the books of the strategies sum to the account."""
    rows, markets = s.instruments, s.markets
    future = rows["asset"] == InstrumentClass.FUTURE
    values = [worth(row, m["net_qty"], m["mark"]) for row, m in zip(rows, markets, strict=True)]
    assert values == markets["worth"].tolist()
    assert [v - int(m["cost"]) * bool(f) for v, m, f in zip(values, markets, future, strict=True)] == markets[
        "value"
    ].tolist()
    for number, q in enumerate(s.purses):
        mine = rows["currency"] == number
        equity = int(q["cash"]) + int(q["market_value"])
        unrealized = int(q["market_value"]) - int(q["cost"])
        assert int(q["realized"]) + unrealized + int(q["dividends"]) == equity - int(q["paid_in"]) + int(q["fees"])
        assert int(q["market_value"]) == int(markets["value"][mine].sum())
        assert int(q["exposure"]) == int(np.abs(markets["worth"][mine]).sum())
        assert int(q["net"]) == int(markets["worth"][mine].sum())
        assert int(q["cost"]) == int(markets["cost"][mine & ~future].sum())
        assert int(q["hold"]) == int(markets["hold"][mine].sum())
        for name in ("realized", "fees", "dividends"):
            assert int(table[name][:, mine].sum()) == int(q[name]), name
    for name in ("realized", "fees", "dividends"):
        assert (table[name].sum(axis=1) == s.books[name]).all(), name
    assert int(s.purses["cash"].sum()) == int(s.purses["paid_in"].sum()) + int(s.books["cash_flow"].sum())
    check_holds(s, table)
    if s.rules["fifo"][0]:
        check_lots(s, table)


def check_holds(s, table: np.ndarray) -> None:
    """What positions hold, reckoned anew from the positions themselves."""
    for i, (row, m) in enumerate(zip(s.instruments, s.markets, strict=True)):
        sums = dict.fromkeys(
            ("short_qty", "short_cost", "margin_long", "margin_long_cost", "margin_short", "margin_short_cost"), 0
        )
        for p in table[:, i]:
            levered = row["asset"] != InstrumentClass.EQUITY or (
                row["margin"] != SHARE and p["product"] in (Product.INTRADAY, Product.MARGIN)
            )
            names = (
                ("short_qty", "short_cost")
                if p["qty"] < 0 and not levered
                else ("margin_short", "margin_short_cost")
                if p["qty"] < 0
                else ("margin_long", "margin_long_cost")
            )
            if p["qty"] < 0 or (p["qty"] > 0 and levered and row["asset"] != InstrumentClass.OPTION):
                sums[names[0]] += abs(int(p["qty"]))
                sums[names[1]] += abs(int(p["cost"]))
        assert sums == {name: int(m[name]) for name in sums}
        if row["asset"] == InstrumentClass.EQUITY and row["margin"] == SHARE:
            assert int(m["hold"]) == sums["short_cost"] + max(
                sums["short_cost"], worth(row, sums["short_qty"], m["mark"])
            )


def check_lots(s, table: np.ndarray) -> None:
    """Lots sum to their positions, and every lot is either in a chain or free."""
    used = 0
    for p in table.ravel():
        qty = cost = 0
        slot, last = int(p["lot_head"]), -1
        while slot >= 0:
            one = s.lots[slot]
            assert one["qty"] > 0
            qty, cost, last, slot, used = (
                qty + int(one["qty"]),
                cost + int(one["cost"]),
                slot,
                int(one["next"]),
                used + 1,
            )
        assert (qty, cost, last) == (abs(int(p["qty"])), int(p["cost"]), int(p["lot_tail"]))
    assert used == int(s.account["lots"][0])


def check_reserve(table: np.ndarray, working: np.ndarray) -> None:
    """What is set aside covers the worst order in which a position's orders can fill: the cheapest close it."""
    for side, name in ((1, "buy"), (-1, "sell")):
        values = np.zeros_like(table["qty"])
        np.add.at(values, (working["strategy"], working["instrument"]), working["value"] * (working["side"] == side))
        assert (values == table[f"value_{name}"]).all()
        for strategy, instrument in np.argwhere((table[f"working_{name}"] > 0) | (table[f"reserved_{name}"] > 0)):
            p = table[strategy, instrument]
            mine = working[(working["strategy"] == strategy) & (working["instrument"] == instrument)]
            mine = mine[(mine["side"] == side) & ((mine["flags"] & Flag.REDUCE_ONLY) == 0)]
            prices = sorted(px for o in mine for px in [int(o["reserve_px"])] * min(int(o["leaves_qty"]), 10_000))
            closes = max(0, -side * int(p["qty"]))
            if int(mine["leaves_qty"].max(initial=0)) <= 10_000:
                assert int(p[f"reserved_{name}"]) >= sum(prices[closes:]), "an unlucky order of fills overdraws"
            assert (int(p[f"reserved_{name}"]) == 0) == (int(p[f"working_{name}"]) <= closes)


def chained_slots(engine: Engine) -> list[int]:
    """Slots reached from the instruments' chains, which must be sound both ways and oldest first."""
    orders, seen = engine.state.orders, []
    for market in engine.state.markets:
        slot, before, last = int(market["order_head"]), -1, 0
        while slot >= 0:
            assert orders[slot]["previous"] == before
            assert orders[slot]["order_id"] > last
            last = orders[slot]["order_id"]
            seen.append(slot)
            before, slot = slot, int(orders[slot]["next"])
        assert int(market["order_tail"]) == before
    free, slot = set(), int(engine.account.free_slot)
    while slot >= 0:
        assert slot not in free
        free.add(slot)
        slot = int(orders[slot]["next"])
    assert not free & set(seen)
    assert len(free) + len(seen) == orders.size
    return sorted(seen)
