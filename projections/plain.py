"""Read models and tape rows as JSON values: money and prices as exact decimal text, times as ISO 8601 text in UTC.

Integers of that size would lose digits in any reader whose numbers are doubles. Quantities, ids and seqs stay numbers.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from kernel.codes import Kind, OrderType, Origin, Reason, Side, Status, TimeInForce
from kernel.schema import FAMILY_OF, MONEY, PRICE, TIME

SCALE = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AMOUNTS = frozenset(
    (
        *("px", "trigger_px", "avg_fill_px", "entry_px", "exit_px", "mark", "fee", "fees", "realized", "unrealized"),
        *("pnl", "net", "cost", "cash", "paid_in", "reserved", "short_hold", "dividends", "equity", "market_value"),
        *("peak", "drawdown", "max_drawdown", "exposure", "final_equity", "filled_value", "entry_value", "exit_value"),
    )
)
CODES = {"side": Side, "order_type": OrderType, "tif": TimeInForce, "status": Status, "reason": Reason}


def amount_text(units: int) -> str:
    """Units of 1/10,000 as exact decimal text."""
    whole, rest = divmod(abs(units), SCALE)
    return f"{'-' if units < 0 else ''}{whole}.{rest:04d}"


def time_text(ns: int) -> str:
    """ns UTC as 2024-01-01T03:45:00.000000000Z."""
    seconds, rest = divmod(ns, 10**9)
    return f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def plain(value: Any, name: str = "") -> Any:
    """A value of the read models for JSON; its name says whether it is an amount or a time."""
    if isinstance(value, Mapping):
        return {key: plain(inner, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, name) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool):
        if name in AMOUNTS:
            return amount_text(value)
        if name == "ts" or name.endswith("_ts"):
            return time_text(value)
    return value


def event(row: np.void, note: str | None) -> dict[str, Any]:
    """One EVENT record with the names of its family; codes as words, unused codes left out."""
    kind = Kind(int(row["kind"]))
    family = FAMILY_OF[kind]
    said: dict[str, Any] = {name: int(row[name]) for name in ("seq", "cause", "instrument", "strategy", "flags")}
    said |= {"ts_event": time_text(int(row["ts_event"])), "ts_init": time_text(int(row["ts_init"]))}
    said |= {"kind": kind.name, "origin": Origin(int(row["origin"])).name}
    for name, words in CODES.items():
        if code := int(row[name]):
            said[name] = words._value2member_map_[code].name if code in words._value2member_map_ else code
    for name, what in family.slots:
        number = int(row[name])
        said[name] = amount_text(number) if what in (PRICE, MONEY) else time_text(number) if what == TIME else number
    if family.value:
        said["value"] = float(row["value"])
    return said | ({"note": note} if note is not None else {})
