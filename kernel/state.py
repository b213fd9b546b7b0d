"""What the kernel knows: a handful of 1-D record arrays, so that table sizes never reach a type and nothing recompiles.

`STATE` lists them all. Persistent tables are the state proper: their bytes are its digest and its snapshot. Scratch
tables carry nothing from one event to the next.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from kernel.codes import TradingState
from kernel.errors import LimitExceeded
from kernel.frame import FRAME, INTENTS, LINKS, PROGRAM, SLICES, ZONE
from kernel.rows import (
    ACCOUNT,
    BOOK,
    BOUND,
    BUILDER,
    BUILDERS,
    CHARGE,
    FILL,
    GONE,
    INSTRUMENT,
    ITEMS,
    LIMITS,
    LOT,
    MARKET,
    ORDER,
    POSITION,
    PURSE,
    REGIME,
    RING,
    RULES,
    SEGMENT,
    TALLY,
    TIME_MIN,
    TOUCHED,
    WEIGHT,
    packed_record,
)
from kernel.schema import EVENT
from kernel.units import HALF_EVEN, MONEY_MAX, SCALE, SHARE, mul_div

BYTE = np.dtype("u1")


class State(NamedTuple):
    """Every table the kernel reads or writes, in the order of `STATE`."""

    account: np.ndarray
    purses: np.ndarray
    books: np.ndarray
    positions: np.ndarray
    markets: np.ndarray
    orders: np.ndarray
    gone: np.ndarray
    fills: np.ndarray
    lots: np.ndarray
    trades: np.ndarray
    builders: np.ndarray
    touched: np.ndarray
    tallies: np.ndarray
    recents: np.ndarray
    limits: np.ndarray
    rules: np.ndarray
    instruments: np.ndarray
    charges: np.ndarray
    segments: np.ndarray
    regimes: np.ndarray
    memory: np.ndarray
    programs: np.ndarray
    frame: np.ndarray
    zones: np.ndarray
    items: np.ndarray
    bounds: np.ndarray
    weights: np.ndarray
    spare: np.ndarray
    inputs: np.ndarray
    out: np.ndarray


STATE: tuple[tuple[str, np.dtype], ...] = (
    ("account", ACCOUNT),
    ("purses", PURSE),
    ("books", BOOK),
    ("positions", POSITION),
    ("markets", MARKET),
    ("orders", ORDER),
    ("gone", GONE),
    ("fills", FILL),
    ("lots", LOT),
    ("trades", TOUCHED),
    ("builders", BUILDER),
    ("touched", TOUCHED),
    ("tallies", TALLY),
    ("recents", TOUCHED),
    ("limits", LIMITS),
    ("rules", RULES),
    ("instruments", INSTRUMENT),
    ("charges", CHARGE),
    ("segments", SEGMENT),
    ("regimes", REGIME),
    ("memory", BYTE),
    ("programs", PROGRAM),
    ("frame", FRAME),
    ("zones", ZONE),
    ("items", ITEMS),
    ("bounds", BOUND),
    ("weights", WEIGHT),
    ("spare", EVENT),
    ("inputs", EVENT),
    ("out", EVENT),
)
PERSISTENT = STATE[: [name for name, _ in STATE].index("programs")]
assert tuple(name for name, _ in STATE) == State._fields

LAYOUT = hashlib.sha256(repr([(name, dtype.descr) for name, dtype in PERSISTENT]).encode()).hexdigest()
"""Names the layout of the persistent tables: bytes of another one cannot be loaded."""

# Where the tables are: the kernel's one argument. A pointer costs nothing to pass; fifteen arrays made the engine
# compile for three minutes.
TABLES = packed_record(
    *((field, "i8") for name, _ in STATE for field in (name, f"{name}_count")),
    ("produced", "i8"),  # events in `out` after the last call
    ("room", "i8"),  # most events an input or a call could ever lead to
    ("recorded", "i8"),  # 1: `inputs` are a tape's own rows, outputs included: fold them, only memory is made anew
    ("next", "i8"),  # recorded: place of the next row, and one past the last
    ("limit", "i8"),
    ("differing", "i8"),  # recorded: calls of strategies that asked for something else than is on the tape
)


@dataclass(frozen=True)
class Capacity:
    """Table sizes, from configuration (`[capacity]`). Hitting one is an error or a denied order, never a resize."""

    instruments: int = 4096
    strategies: int = 64
    open_orders: int = 1024
    lots: int = 16_384  # of an account that is kept first in, first out
    batch: int = 16_384  # events handed to the kernel at once


@dataclass(frozen=True)
class Rules:
    """What stays fixed for a run. Money in units of 1/10,000."""

    cash: int
    simulate: bool = True
    equity_interval: int = 86_400_000_000_000
    fee_rate: int = 0
    fee_flat: int = 0
    fee_min: int = 0
    fee_max: int = 0
    fee_round: int = 1
    seed: int = 0
    product: int = 0
    currencies: int = 1
    fifo: int = 0
    unsettled_block: int = 0
    slip_ticks: int = 0
    slip_share: int = 0
    slip_range: int = 0
    slip_impact: int = 0
    slip_random: int = 0
    participation: int = 0
    band: int = 0
    latency_ns: int = 0
    latency_events: int = 0
    bar_kind: int = 0
    bar_size: int = 0
    bar_grace: int = 0
    queue: int = 0
    tick_band: int = 0
    regime_period: int = 0
    regime_average: int = 0
    regime_trend: int = 0
    regime_range: int = 0
    regime_volatile: int = 0
    regime_calm: int = 0
    regime_turn: int = 0


TRADE_IDS = 4096  # of fills from outside, remembered so that none is booked twice
NO_LIMITS = {"allow_short": 1, "max_slices": SLICES, "market_buffer_bps": 0} | dict.fromkeys(
    ("max_order_qty", "max_order_notional", "max_position_qty"), MONEY_MAX - 1
)
OF_ONE_ORDER = LIMITS.names[: LIMITS.names.index("max_slices") + 1]
WATCHED = ("max_day_loss", "max_drawdown", "max_rejects_minute", "max_errors_minute", "capital")  # after every slice
LATER_LIMITS = {"max_slices": SLICES}  # what tapes that were begun before there was such a limit go by


class Terms(NamedTuple):
    """What the kernel has to know of an instrument: the fields of INSTRUMENT."""

    number: int
    tick: int
    lot: int
    freeze: int = 0
    calendar: int = 0
    asset: int = 0
    currency: int = 0
    num: int = 1
    den: int = 1
    px_scale: int = SCALE
    margin: int = SHARE
    segment: int = 0
    security: int = -1  # -1: itself
    underlying: int = -1
    strike: int = 0
    right: int = 0
    physical: int = 0
    settles: int = 0
    last_day: int = 0


def room_for_a_call(open_orders: int, linked: int, strategies: int, bars: int) -> int:
    """Most events one input or one strategy call can lead to.

    An input may fill or end every open order (four events each: what set it off, its fill, the charges, its end), and
    each of these change those linked to it (two each); a call may cancel them all, and each intent may become the most
    there are, be canceled again, or change one and all that hang on it. A contract that ends settles each strategy's
    position, with charges, in itself and in shares. A timer may close `bars` that are made of trades.
    """
    orders = 4 * open_orders + 2 * open_orders * min(LINKS, linked)
    return 16 + bars + orders + 4 * (strategies + 1) + INTENTS * (2 + 4 * SLICES + 2 * LINKS)


def new_state(
    capacity: Capacity,
    rules: Rules,
    limits: dict[str, Any],
    instruments: Iterable[tuple[int, ...]],
    memory_strides: list[int],
    charges: Sequence[tuple[int, ...]] = (),
    whole: Sequence[int] = (),
) -> State:
    """Zeroed tables for a run: `instruments` are Terms, `memory_strides` bytes a strategy and instrument, `charges`
    rows of CHARGE, `whole` how many records a strategy has beside those of the instruments.

    Raises LimitExceeded when a table would be larger than `capacity` says.
    """
    listed = [Terms(*row) for row in instruments]
    rows = max((row.number for row in listed), default=-1) + 1
    segments = max((row.segment for row in listed), default=0)
    strategies = len(memory_strides)
    for what, need, have in (
        ("instruments", rows, capacity.instruments),
        ("strategies", strategies, capacity.strategies),
    ):
        if need > have:
            raise LimitExceeded(f"the run needs {need:,} {what}, capacity.{what} is {have:,}: raise it in onetape.toml")
    room = room_for_a_call(capacity.open_orders, LINKS, strategies, rows if rules.bar_kind else 0)
    sizes = {
        "account": 1,
        "purses": rules.currencies,
        "books": strategies + 1,
        "positions": (strategies + 1) * rows,
        "markets": rows,
        "orders": capacity.open_orders,
        "gone": capacity.open_orders,
        "fills": capacity.open_orders,
        "lots": capacity.lots if rules.fifo else 1,
        "trades": 1 if rules.simulate else TRADE_IDS,
        "builders": BUILDERS * rows,
        "touched": rows,
        "tallies": strategies + 1,
        "recents": (strategies + 3) * RING,
        "limits": strategies + 1,
        "rules": 1,
        "instruments": rows,
        "charges": len(charges),
        "segments": segments,
        "regimes": rows if rules.regime_period else 0,
        "memory": sum(stride * (rows + more) for stride, more in zip_longest(memory_strides, whole, fillvalue=0)),
        "programs": strategies + 1,
        "frame": strategies + 1,  # row 0 is in use; the others keep the call a strategy failed in
        "zones": rows,
        "items": 1,
        "bounds": rows,
        "weights": strategies + 1,
        "spare": 1,
        "inputs": capacity.batch,
        "out": max(2 * room, capacity.batch),
    }
    state = State(*(aligned_zeros(max(1, sizes[name]), dtype) for name, dtype in STATE))
    _fill_tables(state, rules, limits, listed, strategies, rows)
    _fill_charges(state, charges, listed, segments)
    _chain_kin(state, listed)
    return state


def aligned_zeros(count: int, dtype: np.dtype) -> np.ndarray:
    """Zeroed array that starts on a cache line."""
    raw = np.zeros(count * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * dtype.itemsize].view(dtype)


def _fill_tables(state: State, rules: Rules, limits: dict[str, Any], listed: list, strategies: int, rows: int) -> None:
    account, rule = state.account[0], state.rules[0]
    purse = state.purses[0]
    purse.cash = purse.paid_in = account.peak = rules.cash
    purse.rate = SHARE
    state.purses["settled_day"] = TIME_MIN
    state.weights["marks"][0] = 1
    account.trading_state = TradingState.ACTIVE
    account.cursor = -1
    account.ts = account.equity_due = TIME_MIN
    state.markets["slice"] = -1
    orders = state.orders
    orders["next"] = np.arange(1, orders.size + 1)
    orders["next"][-1] = -1
    orders["previous"] = -1
    state.markets["order_head"] = state.markets["order_tail"] = -1
    state.markets["adjustment"] = 1.0
    state.markets["px_max"] = MONEY_MAX
    state.positions["lot_head"] = state.positions["lot_tail"] = -1
    state.lots["next"] = np.arange(1, state.lots.size + 1)
    state.lots["next"][-1] = -1
    for name in RULES.names:
        if hasattr(rules, name):
            rule[name] = int(getattr(rules, name))
    rule.strategies, rule.instruments = strategies, rows
    rule.slips = int(any(rule[name] for name in RULES.names if name.startswith("slip_")))
    _fill_limits(state, limits, strategies)
    state.instruments["num"] = state.instruments["den"] = 1
    state.instruments["px_scale"] = SCALE
    for row in listed:
        security = row.number if row.security < 0 else row.security
        fields = {**row._asdict(), "security": security, "selected": 1, "kin": -1}
        state.instruments[row.number] = tuple(fields[name] for name in INSTRUMENT.names)


def _fill_limits(state: State, limits: dict[str, Any], strategies: int) -> None:
    """`limits` by name are the account's; under "strategies", by number as text, those that go beyond them."""
    own = limits.get("strategies", {})
    for number in range(strategies + 1):
        row = state.limits[number]
        given = limits if number == 0 else own.get(str(number), {})
        for name in LIMITS.names:
            row[name] = given.get(name, LATER_LIMITS.get(name, 0) if number == 0 else NO_LIMITS.get(name, 0))
        watched = any(row[name] for name in WATCHED)
        state.account[0].guarded |= int(watched)
        state.account[0].limited |= int(any(row[name] for name in LIMITS.names[len(OF_ONE_ORDER) :]))
    state.tallies[0].result = state.tallies[0].day_result = state.tallies[0].peak = state.account[0].peak


def _chain_kin(state: State, listed: list) -> None:
    """Chain the instruments that have one underlying, behind that."""
    rows, last = state.instruments, dict[int, int]()
    roots = {row.number: row.underlying if row.underlying >= 0 else int(rows[row.number]["security"]) for row in listed}
    for number in sorted(roots, key=lambda number: (roots[number] != number, number)):
        root = roots[number]
        if number != root:
            rows[last.get(root, root)]["kin"] = number
        last[root] = number


def _fill_charges(state: State, charges: Sequence[tuple[int, ...]], listed: list, segments: int) -> None:
    """The rules by segment, and of each segment where they are and how its notes are rounded."""
    rows = sorted(charges, key=lambda row: row[1])
    state.rules[0].segments = segments
    for place, row in enumerate(rows):
        state.charges[place] = (*row, 0, 0)
    for k in range(segments):
        places = [place for place, row in enumerate(rows) if row[1] == k + 1]
        at = state.segments[k]
        at["first"], at["last"] = (places[0], places[-1] + 1) if places else (0, 0)
        at["rounding"] = 1
        for place in places:
            at["rounding"][rows[place][0]] = rows[place][-1]
        at["calendar"] = next((row.calendar for row in listed if row.segment == k + 1), 0)
        at["instrument"] = next((row.number for row in listed if row.segment == k + 1), 0)


def tables_of(state: State) -> np.ndarray:
    """The TABLES record that tells the kernel where `state` lives; valid while both live."""
    tables = np.zeros(1, TABLES)
    for name, table in zip(State._fields, state, strict=True):
        assert table.flags.c_contiguous
        tables[name], tables[f"{name}_count"] = table.ctypes.data, table.size
    tables["room"] = state.out.size // 2  # `new_state` made it twice that
    return tables


def totals_of(state: State) -> dict[str, int]:
    """What all purses come to in the first currency, by the last rates, money: as an EQUITY event says it."""
    totals = dict.fromkeys(("final_equity", "cash", "realized", "unrealized", "fees", "dividends"), 0)
    for q in state.purses:
        values = {name: int(q[name]) for name in ("cash", "realized", "fees", "dividends", "market_value", "cost")}
        values["unrealized"] = values["market_value"] - values["cost"]
        values["final_equity"] = values["cash"] + values["market_value"]
        for name in totals:
            totals[name] += mul_div(values[name], int(q["rate"]), SHARE, HALF_EVEN)
    return totals


def state_digest(state: State) -> str:
    """SHA-256 over the bytes of the persistent tables; the same in any process, mode or batch size."""
    digest = hashlib.sha256()
    for name, _ in PERSISTENT:
        digest.update(np.ascontiguousarray(getattr(state, name)).view(np.uint8))
    return digest.hexdigest()


def save_state(state: State) -> dict[str, bytes]:
    """The persistent tables as bytes: a snapshot."""
    return {name: getattr(state, name).tobytes() for name, _ in PERSISTENT}


def load_state(state: State, saved: dict[str, bytes]) -> None:
    """Put a snapshot back into tables of the same sizes; raises ValueError when they differ."""
    for name, dtype in PERSISTENT:
        table = getattr(state, name)
        rows = np.frombuffer(saved[name], dtype)
        if rows.size != table.size:
            raise ValueError(f"the snapshot's table {name} has {rows.size} rows, this run's has {table.size}")
        table[:] = rows
    state.weights["marks"][0] += 1
