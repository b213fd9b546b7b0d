"""Read models and tape rows as JSON values: money and prices as exact decimal text, times as ISO 8601 text in UTC.

Integers of that size would lose digits in any reader whose numbers are doubles. Quantities, ids and seqs stay numbers.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from kernel.codes import Kind, OrderType, Origin, Product, Reason, Side, Status, TimeInForce
from kernel.schema import FAMILY_OF, MONEY, PRICE, TIME

SCALE = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PRICES = frozenset(("px", "trigger_px", "avg_fill_px", "entry_px", "exit_px", "mark"))
AMOUNTS = frozenset(
    (
        *(*PRICES, "fee", "fees", "charges", "amount", "realized", "unrealized"),
        *("pnl", "net", "cost", "cash", "paid_in", "reserved", "short_hold", "dividends", "equity", "market_value"),
        *("peak", "drawdown", "max_drawdown", "exposure", "final_equity", "filled_value", "entry_value", "exit_value"),
    )
)
CODES = {
    "side": Side, "order_type": OrderType, "tif": TimeInForce, "status": Status, "reason": Reason, "product": Product,
}  # fmt: skip


def amount_text(units: int, scale: int = SCALE) -> str:
    """Units of 1/10,000, or of another power of ten, as exact decimal text."""
    whole, rest = divmod(abs(units), scale)
    places = len(str(scale)) - 1
    return f"{'-' if units < 0 else ''}{whole}" + (f".{rest:0{places}d}" if places else "")


def time_text(ns: int) -> str:
    """ns UTC as 2024-01-01T03:45:00.000000000Z."""
    seconds, rest = divmod(ns, 10**9)
    return f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def plain(value: Any, name: str = "", scale: int = SCALE) -> Any:
    """A value of the read models for JSON; its name says whether it is an amount or a time. Prices beside a `px_scale`
    are of that scale."""
    if isinstance(value, Mapping):
        own = value.get("px_scale", scale)
        return {key: plain(inner, key, own) for key, inner in value.items() if key != "px_scale"}
    if isinstance(value, list | tuple):
        return [plain(inner, name, scale) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool):
        if name in AMOUNTS:
            return amount_text(value, scale if name in PRICES else SCALE)
        if name == "ts" or name.endswith("_ts"):
            return time_text(value)
    return value


def event(row: np.void, note: str | None, px_scale: int = SCALE) -> dict[str, Any]:
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
        if what in (PRICE, MONEY):
            said[name] = amount_text(number, px_scale if what == PRICE else SCALE)
        else:
            said[name] = time_text(number) if what == TIME else number
    if family.value:
        said["value"] = float(row["value"])
    return said | ({"note": note} if note is not None else {})
