"""Events for people: one line each, time in the tape's zone, amounts in currency, reasons in words."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from adapters.tape.export import Names
from kernel.codes import REASON_TEXT, Flag, Kind, OrderType, Reason, Side, TimeInForce, TimerCode
from kernel.schema import FAMILY_OF, MONEY, ORDERS, PRICE, TIME
from projections.plain import EPOCH, SCALE, event, time_text

NOTE_WIDTH = 100
DIM, RED, GREEN, YELLOW, CYAN, OFF = "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[36m", "\033[0m"
_BAD = (
    Kind.ORDER_DENIED,
    Kind.ORDER_REJECTED,
    Kind.STRATEGY_FAULT,
    Kind.ANOMALY,
    Kind.TAPE_TRUNCATED,
    Kind.CLOCK_ANOMALY,
)
COLOURS = {Kind.ORDER_FILLED: GREEN, Kind.BAR: DIM, Kind.QUOTE: DIM, Kind.TRADE: DIM, Kind.EQUITY: DIM,
           **dict.fromkeys(_BAD, RED)}  # fmt: skip


def amount(units: int) -> str:
    """Units of 1/10,000 as 1,234.50: two decimals, more where they are needed."""
    whole, rest = divmod(abs(units), SCALE)
    decimals = f"{rest:04d}"
    return f"{'-' if units < 0 else ''}{whole:,}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def local_time(ns: int, zone: ZoneInfo) -> str:
    """ns UTC as local time: milliseconds, or all digits where there are more."""
    seconds, rest = divmod(ns, 10**9)
    digits = f"{rest // 10**6:03d}" if rest % 10**6 == 0 else f"{rest:09d}"
    return f"{(EPOCH + timedelta(seconds=seconds)).astimezone(zone):%Y-%m-%d %H:%M:%S}.{digits}"


def minute(ns: int | None) -> str:
    """ns UTC as 2024-01-01 09:15, empty for none."""
    return "" if ns is None else time_text(ns)[:16].replace("T", " ")


class EventText:
    """Makes lines of one tape's events. `colour` adds terminal colours."""

    def __init__(self, names: Names, timezone: str, colour: bool = False) -> None:
        self._names, self._zone, self._colour = names, ZoneInfo(timezone), colour

    def line(self, row: np.void, note: str | None) -> str:
        kind = Kind(int(row["kind"])) if int(row["kind"]) in Kind._value2member_map_ else None
        word = kind.name if kind else f"kind {int(row['kind'])}"
        symbol = self._names.symbols.get(int(row["instrument"]), "") if int(row["instrument"]) >= 0 else ""
        parts = [f"{int(row['seq']):>9}", local_time(int(row["ts_init"]), self._zone), f"{word:<21}", f"{symbol:<12}"]
        said = self._said(row, kind) if kind else []
        if cause := int(row["cause"]):
            said.append(f"<- {cause}")
        if note is not None:
            said.append(f'"{_short(note)}"')
        text = "  ".join([*parts, *said]).rstrip()
        return f"{_colour_of(kind)}{text}{OFF}" if self._colour else text

    def _said(self, row: np.void, kind: Kind) -> list[str]:
        family = FAMILY_OF[kind].name
        said = _order(row) if family in ORDERS else _bar(row) if family == "bar" else _slots(row, kind)
        if strategy := int(row["strategy"]):
            said.append(self._names.strategies.get(strategy, f"strategy {strategy}"))
        if int(row["flags"]) & int(Flag.WARM_UP):
            said.append("(warm-up)")
        if code := int(row["reason"]):
            said.append(REASON_TEXT[Reason(code)] if code in Reason._value2member_map_ else f"reason {code}")
        return said

    def json(self, row: np.void, note: str | None) -> dict[str, Any]:
        """The same event as a JSON value, with the names of its family."""
        symbol = self._names.symbols.get(int(row["instrument"]))
        return event(row, note) | ({"symbol": symbol} if symbol else {})


def _colour_of(kind: Kind | None) -> str:
    if kind is None:
        return RED
    return COLOURS.get(kind, CYAN if kind.name.startswith("ORDER") else OFF if kind == Kind.SIGNAL else YELLOW)


def _bar(row: np.void) -> list[str]:
    prices = " ".join(f"{name[0]} {amount(int(row[name]))}" for name in ("open", "high", "low", "close"))
    interest = int(row["open_interest"])
    return [f"{prices} v {int(row['volume']):,}" + (f" oi {interest:,}" if interest else "")]


def _order(row: np.void) -> list[str]:
    """`buy 20 LIMIT @ 101.05 GTC`, then what only some kinds have."""
    side = {int(Side.BUY): "buy", int(Side.SELL): "sell"}.get(int(row["side"]), "")
    words = [side, f"{int(row['qty']):,}" if row["qty"] else "", _word(OrderType, int(row["order_type"]))]
    words += [f"@ {amount(int(row['px']))}" if row["px"] else "", _word(TimeInForce, int(row["tif"]))]
    said = [" ".join(word for word in words if word)]
    if row["trigger_px"]:
        said.append(f"trigger {amount(int(row['trigger_px']))}")
    if int(row["kind"]) == Kind.ORDER_FILLED:
        said.append(f"fee {amount(int(row['fee']))}, {int(row['cum_qty']):,} done, {int(row['leaves_qty']):,} left")
    if row["order_id"] and int(row["order_id"]) != int(row["seq"]):
        said.append(f"order {int(row['order_id'])}")
    return [text for text in said if text]


def _word(words: Any, code: int) -> str:
    return words(code).name if code in words._value2member_map_ else ""


def _slots(row: np.void, kind: Kind) -> list[str]:
    """Every slot that says something, by name."""
    if kind == Kind.TIMER:
        return [f"{_word(TimerCode, int(row['code'])) or int(row['code'])} of calendar {int(row['setting'])}"]
    shown = []
    for name, what in FAMILY_OF[kind].slots:
        number = int(row[name])
        if number:
            text = amount(number) if what in (PRICE, MONEY) else str(number) if what == TIME else f"{number:,}"
            shown.append(f"{name} {text}")
    return [" ".join(shown)] if shown else []


def _short(note: str) -> str:
    """A note on one line: control characters do not reach the terminal."""
    clean = "".join(c if c.isprintable() else " " for c in note)
    left = len(clean) - NOTE_WIDTH
    return clean if left <= 20 else f"{clean[:NOTE_WIDTH]}... ({left:,} more, see --json)"
