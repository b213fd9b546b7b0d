"""What a limit measured and what it allows, in plain words: the numbers of an event are in the units of the limit."""

from collections.abc import Mapping

from kernel.codes import KillLevel, Product, Reason, TimeInForce
from kernel.units import SCALE

PX, MONEY, COUNT, SPAN, MOMENT, SHARE, NOTHING = "px", "money", "count", "span", "moment", "share", ""
UNITS: Mapping[Reason, str] = {
    **dict.fromkeys((Reason.COLLAR, Reason.PRICE_NOT_POSITIVE), PX),
    **dict.fromkeys((Reason.CASH, Reason.NOTIONAL_OVER_LIMIT, Reason.DAY_LOSS), MONEY),
    **dict.fromkeys((Reason.GROSS_OVER_LIMIT, Reason.NET_OVER_LIMIT, Reason.UNDERLYING_OVER_LIMIT), MONEY),
    Reason.OVER_CAPITAL: MONEY,
    **dict.fromkeys((Reason.STALE_PRICE, Reason.DUPLICATE_ORDER), SPAN),
    **dict.fromkeys((Reason.TIME_PASSED, Reason.INSTRUMENT_EXPIRED), MOMENT),
    Reason.DRAWDOWN: SHARE,
    **dict.fromkeys((Reason.UNKNOWN_INSTRUMENT, Reason.NOT_TRADABLE, Reason.NOT_ALLOWED, Reason.SQUARED_OFF), NOTHING),
    **dict.fromkeys((Reason.NO_MARK, Reason.NO_RATE, Reason.UNKNOWN_ORDER_TYPE, Reason.STRATEGY_STOPPED), NOTHING),
    **dict.fromkeys((Reason.TRADING_HALTED, Reason.PARENT_GONE, Reason.SESSION_CLOSED), NOTHING),
    **dict.fromkeys((Reason.GROUP_DENIED, Reason.NOTHING_TO_CHANGE, Reason.NOT_WORKING), NOTHING),
}  # of all others a count


def amount(units: int, scale: int = SCALE) -> str:
    """Fixed-point units as 1,234.50: two decimals, more where they are needed."""
    places = len(str(scale)) - 1
    whole, rest = divmod(abs(units), scale)
    decimals = f"{rest:0{places}d}" if places else ""
    return f"{'-' if units < 0 else ''}{whole:,}.{decimals[:2]:0<2}{decimals[2:].rstrip('0')}"


def span_text(ns: int) -> str:
    """A length of time in seconds: 1.5 s."""
    whole, rest = divmod(ns, 10**9)
    return f"{whole:,}" + (f".{rest:09d}".rstrip("0") if rest else "") + " s"


def _moment(ns: int) -> str:
    from projections.plain import time_text

    return time_text(ns)[:19].replace("T", " ")


def _number(number: int, units: str, scale: int) -> str:
    if units == PX:
        return amount(number, scale)
    if units == MONEY:
        return amount(number)
    if units == SHARE:
        return f"{amount(number * 100, 10**9)}%"
    return span_text(number) if units == SPAN else _moment(number) if units == MOMENT else f"{number:,}"


def denied_text(reason: int, actual: int, allowed: int, px_scale: int = SCALE) -> str:
    """What an ORDER_DENIED says: `COLLAR 96.95 allowed 97.00`."""
    why = _reason(reason)
    if why is None:
        return f"reason {reason}: {actual:,} allowed {allowed:,}"
    if why == Reason.SELF_CROSS:
        return f"{why.name} {amount(actual, px_scale)} with order {allowed}"
    if why == Reason.KILLED:
        return f"{why.name} {_word(KillLevel, actual)}"
    if why in (Reason.PRODUCT_MIXED, Reason.TIF_NOT_POSSIBLE):
        words = Product if why == Reason.PRODUCT_MIXED else TimeInForce
        return f"{why.name} {_word(words, actual)} allowed {_word(words, allowed)}"
    units = UNITS.get(why, COUNT)
    if units == NOTHING:
        return why.name
    return f"{why.name} {_number(actual, units, px_scale)} allowed {_number(allowed, units, px_scale)}"


def trip_text(reason: int, measured: int, bound: int) -> str:
    """What tripped: `DAY_LOSS 100.50 over 100.00`; only the reason where a person did it."""
    why = _reason(reason)
    name = f"reason {reason}" if why is None else "" if why == Reason.NONE else why.name
    if measured == bound == 0 or why is None:
        return name
    units = UNITS.get(why, COUNT)
    return f"{name} {_number(measured, units, SCALE)} over {_number(bound, units, SCALE)}"


def _reason(number: int) -> Reason | None:
    return Reason(number) if number in Reason._value2member_map_ else None


def _word(words: type[KillLevel] | type[Product] | type[TimeInForce], number: int) -> str:
    return words(number).name if number in words._value2member_map_ else str(number)
