"""What the kernel knows: a handful of 1-D record arrays, so that table sizes never reach a type and nothing recompiles.

`STATE` lists them all. Persistent tables are the state proper: their bytes are its digest and its snapshot. Scratch
tables carry nothing from one event to the next.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kernel.codes import TradingState
from kernel.errors import LimitExceeded
from kernel.schema import EVENT, Record

TIME_MIN = -(2**62)  # ns: before any event
HERE = -(2**31)  # instrument of an intent: the one the strategy was called for; no arithmetic arrives at it
INTENTS = 16  # signals a strategy may place in one call


def packed_record(*fields: tuple) -> np.dtype:
    dtype = np.dtype((Record, [f if len(f) == 3 else (f[0], f[1]) for f in fields]))
    end = 0
    for name in dtype.names:
        part, offset = dtype.fields[name][:2]
        step = min(part.base.itemsize, 8) if part.base.names is None else 8
        assert offset == end and offset % step == 0, f"{name}: padding or misalignment"
        end = offset + part.itemsize
    assert dtype.itemsize % 8 == 0
    return dtype


ACCOUNT = packed_record(
    ("seq", "i8"),
    ("ts", "i8"),  # ts_init of the last event
    ("ts_slice", "i8"),  # ts_init of the open slice
    ("cash", "i8"),
    ("reserved", "i8"),  # set aside for working orders that open risk
    ("short_hold", "i8"),  # collateral of short positions: their proceeds, and as much again or what they cost now
    ("market_value", "i8"),  # sum over positions of qty * mark
    ("exposure", "i8"),  # the same in absolute value
    ("cost", "i8"),  # sum of open cost: unrealized = market_value - cost
    ("realized", "i8"),
    ("fees", "i8"),
    ("dividends", "i8"),
    ("paid_in", "i8"),  # opening cash and later payments
    ("peak", "i8"),  # highest equity at a slice end
    ("fall", "i8"),  # deepest fall from the peak that stands, money, >= 0
    ("drawdown", "i8"),  # deepest fall from any peak so far, money
    ("drawdown_share", "i8"),  # largest fall as a share of its peak so far, in 1e-9: often another fall
    ("equity_due", "i8"),  # ts from which the next slice is in a new equity interval
    ("cursor", "i8"),  # calls of the open slice's decision already made, -1 when none is under way
    ("bars", "i8"),
    ("slices", "i8"),
    ("signals", "i8"),
    ("orders", "i8"),
    ("denied", "i8"),
    ("fills", "i8"),
    ("faults", "i8"),
    ("open_orders", "i8"),
    ("free_slot", "i8"),  # head of the free list of order slots, -1 when full
    ("touched", "i8"),  # instruments with a bar in the open slice
    ("pending_fills", "i8"),  # fills in the open slice that on_fill has not seen
    ("trading_state", "i8"),
)
BOOK = packed_record(  # one a strategy; book 0 is the account itself
    ("cash_flow", "i8"),
    ("realized", "i8"),
    ("fees", "i8"),
    ("dividends", "i8"),
    ("stopped", "i8"),  # 0 running, 1 paused, 2 fault
    ("open_orders", "i8"),
)
POSITION = packed_record(  # one a strategy x instrument
    ("qty", "i8"),
    ("cost", "i8"),  # signed: what the open quantity cost, average method
    ("realized", "i8"),
    ("fees", "i8"),
    ("dividends", "i8"),
    ("open_orders", "i8"),
    ("working_buy", "i8"),  # leaves_qty of its working orders, by side
    ("working_sell", "i8"),
    ("pending", "i8"),  # signed leaves_qty of its market orders: on their way, whatever the price
    ("value_buy", "i8"),  # what its working orders of a side are worth together, fees included, money
    ("value_sell", "i8"),
    ("reserved_buy", "i8"),  # cash set aside for what they can come to open, money
    ("reserved_sell", "i8"),
)
MARKET = packed_record(  # one an instrument: what trading did to it
    ("mark", "i8"),  # last close, 0 before the first bar
    ("ts_mark", "i8"),
    ("bar_seq", "i8"),
    ("net_qty", "i8"),  # sum of positions over strategies
    ("short_qty", "i8"),  # sum of the short ones among them, >= 0, what they were sold for, and their collateral
    ("short_cost", "i8"),
    ("short_hold", "i8"),
    ("adjustment", "f8"),  # causal forward factor of prices: product of splits so far
    ("slice", "i8"),  # number of the slice of its last bar
    ("order_head", "i8"),  # first and last slot of its working orders, -1 for none
    ("order_tail", "i8"),
    ("ts_open", "i8"),  # the last bar, for the strategies at the end of the slice
    ("open", "i8"),
    ("high", "i8"),
    ("low", "i8"),
    ("volume", "i8"),
    ("open_interest", "i8"),
    ("warm_up", "i8"),
)
ORDER = packed_record(
    ("order_id", "i8"),  # 0 marks a free slot
    ("next", "i8"),
    ("previous", "i8"),
    ("ts_submitted", "i8"),
    ("qty", "i8"),
    ("leaves_qty", "i8"),
    ("cum_qty", "i8"),
    ("px", "i8"),
    ("trigger_px", "i8"),
    ("reserve_px", "i8"),  # what risk valued a unit of it at
    ("value", "i8"),  # what is left of it is worth that much, fee included, money
    ("triggered_by", "i8"),  # seq of the bar or report that set a stop off
    ("instrument", "i8"),
    ("strategy", "i8"),
    ("side", "i8"),
    ("order_type", "i8"),
    ("tif", "i8"),
    ("status", "i8"),
)
FILL = packed_record(  # waits for on_fill until the slice ends
    ("order_id", "i8"),
    ("qty", "i8"),
    ("px", "i8"),
    ("fee", "i8"),
    ("seq", "i8"),
    ("ts", "i8"),
    ("instrument", "i8"),
    ("strategy", "i8"),
    ("side", "i8"),
)
LIMITS = packed_record(  # settings a LIMIT_CHANGED event can move, in this order
    ("max_order_qty", "i8"),
    ("max_order_notional", "i8"),
    ("max_position_qty", "i8"),
    ("allow_short", "i8"),
    ("market_buffer_bps", "i8"),  # a market order reserves mark * (1 + this)
)
RULES = packed_record(  # fixed for the run
    ("simulate", "i8"),  # 1: the kernel's own venue answers orders
    ("equity_interval", "i8"),  # ns between EQUITY events, 0 for none
    ("fee_rate", "i8"),  # charges as a share of a fill's value, in 1e-9
    ("fee_flat", "i8"),  # and per fill, money
    ("fee_min", "i8"),
    ("fee_max", "i8"),  # 0 for none
    ("fee_round", "i8"),  # a fill's charge is rounded half up to a multiple of this, money
    ("strategies", "i8"),
    ("instruments", "i8"),
    ("seed", "i8"),
)
INSTRUMENT = packed_record(
    ("tick", "i8"),
    ("lot", "i8"),
    ("selected", "i8"),  # 1: part of this run
)
PROGRAM = packed_record(  # where a strategy's code and memory are in this process; never on tape, never in a digest
    ("address", "i8"),
    ("memory", "i8"),  # address of the record of instrument 0
    ("stride", "i8"),  # bytes from one instrument's record to the next
    ("frame", "i8"),  # address of the frame table
    ("on_fill", "i8"),  # 1: has that hook
)
BAR_VIEW = packed_record(  # what `bar` is inside a strategy: prices adjusted for the splits known so far
    ("ts", "i8"),
    ("ts_open", "i8"),
    ("open", "f8"),
    ("high", "f8"),
    ("low", "f8"),
    ("close", "f8"),
    ("volume", "f8"),
    ("open_interest", "f8"),
)
FILL_VIEW = packed_record(  # what `fill` is inside on_fill
    ("ts", "i8"),
    ("side", "i8"),
    ("qty", "i8"),
    ("price", "f8"),  # adjusted, as `bar` is
    ("fee", "f8"),
    ("order_id", "i8"),
)
INTENT = packed_record(
    ("side", "i8"),  # 0: cancel
    ("qty", "i8"),
    ("order_type", "i8"),
    ("tif", "i8"),
    ("instrument", "i8"),
    ("ref", "i8"),  # cancel: which order, 0 for all working ones here
    ("price", "f8"),
    ("trigger_price", "f8"),
    ("strength", "f8"),
)
CONTEXT = packed_record(  # what `ctx` is inside a strategy
    ("ts", "i8"),
    ("instrument", "i8"),
    ("strategy", "i8"),
    ("position", "i8"),  # this strategy's signed quantity here
    ("working", "i8"),  # its working orders here
    ("working_qty", "i8"),  # signed quantity of those
    ("pending_qty", "i8"),  # of the market orders among them
    ("ready", "i8"),  # 1 once every declared indicator is warm
    ("warming", "i8"),  # 1 before the run's first day: signals are dropped
    ("entry_price", "f8"),  # average cost of the position, adjusted; 0 when flat
    ("price", "f8"),  # last close as traded: quantity * price is what it costs, whatever splits came before
    ("cash", "f8"),  # free to spend
    ("equity", "f8"),
    ("tick", "f8"),
    ("lot", "i8"),
    ("count", "i8"),  # intents placed so far in this call
    ("intents", INTENT, (INTENTS,)),
)
FRAME = packed_record(  # the one argument of a program beside its memory
    ("hook", "i8"),
    ("bar", BAR_VIEW),
    ("fill", FILL_VIEW),
    ("ctx", CONTEXT),
)
HOOK_BAR, HOOK_FILL = 0, 1
PROGRAM_OK = 0

TOUCHED = packed_record(("instrument", "i8"))
BYTE = np.dtype("u1")


class State(NamedTuple):
    """Every table the kernel reads or writes, in the order of `STATE`."""

    account: np.ndarray
    books: np.ndarray
    positions: np.ndarray
    markets: np.ndarray
    orders: np.ndarray
    fills: np.ndarray
    touched: np.ndarray
    limits: np.ndarray
    rules: np.ndarray
    instruments: np.ndarray
    memory: np.ndarray
    programs: np.ndarray
    frame: np.ndarray
    inputs: np.ndarray
    out: np.ndarray


STATE: tuple[tuple[str, np.dtype], ...] = (
    ("account", ACCOUNT),
    ("books", BOOK),
    ("positions", POSITION),
    ("markets", MARKET),
    ("orders", ORDER),
    ("fills", FILL),
    ("touched", TOUCHED),
    ("limits", LIMITS),
    ("rules", RULES),
    ("instruments", INSTRUMENT),
    ("memory", BYTE),
    ("programs", PROGRAM),
    ("frame", FRAME),
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


def room_for_a_call(open_orders: int) -> int:
    """Most events one input or one strategy call can lead to: two an open order, five an intent, and a notice."""
    return 8 + 2 * (open_orders + INTENTS) + 5 * INTENTS


def new_state(
    capacity: Capacity,
    rules: Rules,
    limits: dict[str, int],
    instruments: Iterable[tuple[int, int, int]],
    memory_strides: list[int],
) -> State:
    """Zeroed tables for a run: `instruments` are (number, tick, lot), `memory_strides` bytes a strategy.

    Raises LimitExceeded when a table would be larger than `capacity` says.
    """
    listed = list(instruments)
    rows = max((number for number, *_ in listed), default=-1) + 1
    strategies = len(memory_strides)
    for what, need, have in (
        ("instruments", rows, capacity.instruments),
        ("strategies", strategies, capacity.strategies),
    ):
        if need > have:
            raise LimitExceeded(f"the run needs {need:,} {what}, capacity.{what} is {have:,}: raise it in onetape.toml")
    sizes = {
        "account": 1,
        "books": strategies + 1,
        "positions": (strategies + 1) * rows,
        "markets": rows,
        "orders": capacity.open_orders,
        "fills": capacity.open_orders,
        "touched": rows,
        "limits": 1,
        "rules": 1,
        "instruments": rows,
        "memory": sum(memory_strides) * rows,
        "programs": strategies + 1,
        "frame": strategies + 1,  # row 0 is in use; the others keep the call a strategy failed in
        "inputs": capacity.batch,
        "out": max(2 * room_for_a_call(capacity.open_orders), capacity.batch),
    }
    state = State(*(aligned_zeros(max(1, sizes[name]), dtype) for name, dtype in STATE))
    _fill_tables(state, rules, limits, listed, strategies, rows)
    return state


def aligned_zeros(count: int, dtype: np.dtype) -> np.ndarray:
    """Zeroed array that starts on a cache line."""
    raw = np.zeros(count * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * dtype.itemsize].view(dtype)


def _fill_tables(state: State, rules: Rules, limits: dict[str, int], listed: list, strategies: int, rows: int) -> None:
    account, rule = state.account[0], state.rules[0]
    account.cash = account.paid_in = account.peak = rules.cash
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
    for name in RULES.names:
        if hasattr(rules, name):
            rule[name] = int(getattr(rules, name))
    rule.strategies, rule.instruments = strategies, rows
    for name in LIMITS.names:
        state.limits[0][name] = limits[name]
    for number, tick, lot in listed:
        state.instruments[number] = (tick, lot, 1)


def tables_of(state: State) -> np.ndarray:
    """The TABLES record that tells the kernel where `state` lives; valid while both live."""
    tables = np.zeros(1, TABLES)
    for name, table in zip(State._fields, state, strict=True):
        assert table.flags.c_contiguous
        tables[name], tables[f"{name}_count"] = table.ctypes.data, table.size
    return tables


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
