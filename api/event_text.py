"""Events for people: one line each, time in the tape's zone, amounts in currency, reasons in words."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from adapters.tape.export import Names
from kernel.codes import REASON_TEXT, Flag, KillLevel, Kind, OrderType, Product, Reason, Side, TimeInForce, TimerCode
from kernel.schema import FAMILY_OF, MONEY, ORDERS, PRICE, TIME
from projections.bounds import amount, denied_text, trip_text
from projections.folding import ITEMS
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
    Kind.TRIPPED,
)
COLOURS = {Kind.ORDER_FILLED: GREEN, Kind.BAR: DIM, Kind.QUOTE: DIM, Kind.TRADE: DIM, Kind.EQUITY: DIM,
           **dict.fromkeys(_BAD, RED)}  # fmt: skip


def local_time(ns: int, zone: ZoneInfo) -> str:
    """ns UTC as local time: milliseconds, or all digits where there are more."""
    seconds, rest = divmod(ns, 10**9)
    digits = f"{rest // 10**6:03d}" if rest % 10**6 == 0 else f"{rest:09d}"
    return f"{(EPOCH + timedelta(seconds=seconds)).astimezone(zone):%Y-%m-%d %H:%M:%S}.{digits}"


def minute(ns: int | None) -> str:
    """ns UTC as 2024-01-01 09:15, empty for none."""
    return "" if ns is None else time_text(ns)[:16].replace("T", " ")


class EventText:
    """Makes lines of one tape's events. `colour` adds terminal colours; `scales` are the price scales of instruments
    where they are not 1/10,000.
    """

    def __init__(
        self, names: Names, timezone: str, colour: bool = False, scales: Mapping[int, int] | None = None
    ) -> None:
        self._names, self._colour, self._scales = names, colour, scales or {}
        self.zone = ZoneInfo(timezone)

    def line(self, row: np.void, note: str | None) -> str:
        kind = Kind(int(row["kind"])) if int(row["kind"]) in Kind._value2member_map_ else None
        word = kind.name if kind else f"kind {int(row['kind'])}"
        symbol = self._names.symbols.get(int(row["instrument"]), "") if int(row["instrument"]) >= 0 else ""
        parts = [f"{int(row['seq']):>9}", local_time(int(row["ts_init"]), self.zone), f"{word:<21}", f"{symbol:<12}"]
        said = self._said(row, kind) if kind else []
        if cause := int(row["cause"]):
            said.append(f"<- {cause}")
        if note is not None:
            said.append(f'"{_short(note)}"')
        text = "  ".join([*parts, *said]).rstrip()
        return f"{_colour_of(kind)}{text}{OFF}" if self._colour else text

    def asked(self, row: np.void) -> str:
        """What a SIGNAL wishes for, without time and symbol."""
        return "  ".join(_order(row, self._scales.get(int(row["instrument"]), SCALE)))

    def _said(self, row: np.void, kind: Kind) -> list[str]:
        family, scale = FAMILY_OF[kind].name, self._scales.get(int(row["instrument"]), SCALE)
        if family == "settlement":
            said = _settled(row, scale)
        elif family in ORDERS:
            said = _order(row, scale)
        elif family == "bar":
            said = _bar(row, scale)
        elif kind in (Kind.FX_RATE, Kind.CASH_ADJUSTED, Kind.BALANCE):
            said = self._money(row, kind)
        else:
            said = _SAID[family](row) if family in _SAID else _slots(row, kind, scale)
        if strategy := int(row["strategy"]):
            said.append(self._names.strategies.get(strategy, f"strategy {strategy}"))
        if int(row["flags"]) & int(Flag.WARM_UP):
            said.append("(warm-up)")
        if code := int(row["reason"]):
            said.append(REASON_TEXT[Reason(code)] if code in Reason._value2member_map_ else f"reason {code}")
        if kind == Kind.ORDER_DENIED:
            said.append(f"({denied_text(code, int(row['actual']), int(row['allowed']), scale)})")
        return said

    def _money(self, row: np.void, kind: Kind) -> list[str]:
        """`USD at 83.25 INR`, `USD 1,000.00`, or a purse's sums by name."""
        names, number = self._names.currencies, int(row["code" if kind == Kind.CASH_ADJUSTED else "currency"])
        name = names.get(number, f"currency {number}")
        if kind == Kind.FX_RATE:
            return [f"{name} at {amount(int(row['rate']), 10**9)} {names.get(0, '')}".rstrip()]
        if kind == Kind.CASH_ADJUSTED:
            return [f"{name} {amount(int(row['amount_money']))}"]
        return [
            name,
            " ".join(f"{slot} {amount(int(row[slot]))}" for slot, _ in FAMILY_OF[kind].slots[1:] if row[slot]),
        ]

    def json(self, row: np.void, note: str | None) -> dict[str, Any]:
        """The same event as a JSON value, with the names of its family."""
        symbol = self._names.symbols.get(int(row["instrument"]))
        return event(row, note, self._scales.get(int(row["instrument"]), SCALE)) | (
            {"symbol": symbol} if symbol else {}
        )


def _colour_of(kind: Kind | None) -> str:
    if kind is None:
        return RED
    return COLOURS.get(kind, CYAN if kind.name.startswith("ORDER") else OFF if kind == Kind.SIGNAL else YELLOW)


def _bar(row: np.void, scale: int) -> list[str]:
    prices = " ".join(f"{name[0]} {amount(int(row[name]), scale)}" for name in ("open", "high", "low", "close"))
    interest = int(row["open_interest"])
    return [f"{prices} v {int(row['volume']):,}" + (f" oi {interest:,}" if interest else "")]


def _order(row: np.void, scale: int) -> list[str]:
    """`buy 20 LIMIT @ 101.05 GTC`, then what only some kinds have."""
    side = {int(Side.BUY): "buy", int(Side.SELL): "sell"}.get(int(row["side"]), "")
    words = [side, f"{int(row['qty']):,}" if row["qty"] else "", _word(OrderType, int(row["order_type"]))]
    words += [f"@ {amount(int(row['px']), scale)}" if row["px"] else "", _word(TimeInForce, int(row["tif"]))]
    words += [_word(Product, int(row["product"])) if row["product"] else ""]
    said = [" ".join(word for word in words if word)]
    if row["trigger_px"]:
        said.append(f"trigger {amount(int(row['trigger_px']), scale)}")
    if int(row["kind"]) == Kind.ORDER_FILLED:
        said.append(f"fee {amount(int(row['fee']))}, {int(row['cum_qty']):,} done, {int(row['leaves_qty']):,} left")
    if row["order_id"] and int(row["order_id"]) != int(row["seq"]):
        said.append(f"order {int(row['order_id'])}")
    return [text for text in said if text]


def _settled(row: np.void, scale: int) -> list[str]:
    """`VARIATION of 100 @ 103.00: 300.00`, or `EXERCISED: sell 10 @ 12.00`."""
    qty, px = int(row["held_qty"]), amount(int(row["px"]), scale)
    if int(row["reason"]) == Reason.VARIATION:
        return [f"{qty:,} held @ {px}: {amount(int(row['variation']))}"]
    side = {int(Side.BUY): "buy", int(Side.SELL): "sell"}.get(int(row["side"]), "")
    return [f"{side} {int(row['qty']):,} @ {px}, {qty:,} held before"]


def _charged(row: np.void) -> list[str]:
    """`stt 10.00 gst 1.80 = 11.80  order 12`."""
    items = [(name, int(row[name])) for name in ITEMS if row[name]]
    said = [" ".join(f"{name} {amount(money)}" for name, money in items) + f" = {amount(sum(m for _, m in items))}"]
    return [*said, f"order {int(row['order_id'])}"] if row["order_id"] else said


def _guard(row: np.void) -> list[str]:
    """`CANCEL_ALL  DAY_LOSS 130.00 over 100.00`."""
    level = _word(KillLevel, int(row["level"])) if row["level"] else ""
    text = trip_text(int(row["reason"]), int(row["measured"]), int(row["bound"]))
    return [said for said in (level, text) if said]


_SAID = {"charge": _charged, "guard": _guard}


def _word(words: Any, code: int) -> str:
    return words(code).name if code in words._value2member_map_ else ""


def _timer(code: int) -> str:
    """SESSION_OPEN, CLOCK 15:10."""
    if code < TimerCode.CLOCK:
        return _word(TimerCode, code) or str(code)
    return f"CLOCK {code % 10_000 // 100:02}:{code % 100:02}"


def _slots(row: np.void, kind: Kind, scale: int) -> list[str]:
    """Every slot that says something, by name."""
    if kind == Kind.TIMER:
        return [f"{_timer(int(row['code']))} of calendar {int(row['setting'])}"]
    shown = []
    for name, what in FAMILY_OF[kind].slots:
        number = int(row[name])
        if number:
            if what in (PRICE, MONEY):
                text = amount(number, scale if what == PRICE else SCALE)
            else:
                text = str(number) if what == TIME else f"{number:,}"
            shown.append(f"{name} {text}")
    return [" ".join(shown)] if shown else []


def _short(note: str) -> str:
    """A note on one line: control characters do not reach the terminal."""
    clean = "".join(c if c.isprintable() else " " for c in note)
    left = len(clean) - NOTE_WIDTH
    return clean if left <= 20 else f"{clean[:NOTE_WIDTH]}... ({left:,} more, see --json)"
