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
from kernel.frame import FRAME, INTENTS, LINKS, PROGRAM, SLICES
from kernel.rows import (
    ACCOUNT,
    BOOK,
    FILL,
    GONE,
    INSTRUMENT,
    LIMITS,
    MARKET,
    ORDER,
    POSITION,
    RULES,
    TIME_MIN,
    TOUCHED,
    packed_record,
)
from kernel.schema import EVENT

BYTE = np.dtype("u1")


class State(NamedTuple):
    """Every table the kernel reads or writes, in the order of `STATE`."""

    account: np.ndarray
    books: np.ndarray
    positions: np.ndarray
    markets: np.ndarray
    orders: np.ndarray
    gone: np.ndarray
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
    ("gone", GONE),
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
    product: int = 0


LATER_LIMITS = {"max_slices": SLICES}  # what tapes that were begun before there was such a limit go by


class Terms(NamedTuple):
    """What the kernel has to know of an instrument: price units, quantities, the number of its session table."""

    number: int
    tick: int
    lot: int
    freeze: int = 0
    calendar: int = 0


def room_for_a_call(open_orders: int, linked: int) -> int:
    """Most events one input or one strategy call can lead to.

    An input may fill or end every open order (two events each, or three), and each of these change those linked to it
    (two each); a call may cancel them all, and each intent may become the most there are, be canceled again, or change
    one and all that hang on it.
    """
    return 16 + 3 * open_orders + 2 * open_orders * min(LINKS, linked) + INTENTS * (2 + 4 * SLICES + 2 * LINKS)


def new_state(
    capacity: Capacity,
    rules: Rules,
    limits: dict[str, int],
    instruments: Iterable[tuple[int, ...]],
    memory_strides: list[int],
) -> State:
    """Zeroed tables for a run: `instruments` are Terms, `memory_strides` bytes a strategy.

    Raises LimitExceeded when a table would be larger than `capacity` says.
    """
    listed = [Terms(*row) for row in instruments]
    rows = max((row.number for row in listed), default=-1) + 1
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
        "gone": capacity.open_orders,
        "fills": capacity.open_orders,
        "touched": rows,
        "limits": 1,
        "rules": 1,
        "instruments": rows,
        "memory": sum(memory_strides) * rows,
        "programs": strategies + 1,
        "frame": strategies + 1,  # row 0 is in use; the others keep the call a strategy failed in
        "inputs": capacity.batch,
        "out": max(2 * room_for_a_call(capacity.open_orders, LINKS), capacity.batch),
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
        state.limits[0][name] = limits.get(name, LATER_LIMITS.get(name))
    for row in listed:
        state.instruments[row.number] = (row.tick, row.lot, row.freeze, row.calendar, 1)


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
