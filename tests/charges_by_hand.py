"""A contract note worked out in Decimal from rates typed here by hand: a second opinion on schedule and kernel.

It reads no table of ours and shares no code with them. A note covers a day. Each item is summed exactly and the sum
rounded half up, STT to the rupee and all else to the paisa; GST is a share of the other items as rounded. Rates are in
percent, money in rupees. Where a list spans days, the answer is the sum of its notes.
"""

from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

ITEMS = ("BROKERAGE", "STT", "TRANSACTION", "IPFT", "SEBI", "STAMP", "GST", "DP")
GST = Decimal(18)
SEBI = Decimal("0.0001")


class Trade(NamedTuple):
    """A fill; `day` is YYYY-MM-DD, `product` DELIVERY or INTRADAY (futures and options: any), `group` BSE's."""

    day: str
    exchange: str
    kind: str
    product: str
    side: str
    qty: int
    price: Decimal
    order: str
    instrument: str
    group: str = ""

    @property
    def value(self) -> Decimal:
        return self.qty * self.price


class Exercise(NamedTuple):
    """An option held to expiry and in the money by `intrinsic` a unit."""

    day: str
    instrument: str
    qty: int
    intrinsic: Decimal


def at(day: str, *bands: tuple[str, str]) -> Decimal:
    """The rate of the last band that has begun."""
    assert day >= "2023-04-01", "nothing is known before"
    return Decimal([rate for first, rate in bands if first <= day][-1])


def stt(trade: Trade) -> Decimal:
    if trade.kind == "EQUITY" and trade.product != "INTRADAY":
        return Decimal("0.1")
    if trade.side == "BUY":
        return Decimal(0)
    if trade.kind == "EQUITY":
        return Decimal("0.025")
    if trade.kind == "FUTURE":
        return at(trade.day, ("2023-04-01", "0.0125"), ("2024-10-01", "0.02"), ("2026-04-01", "0.05"))
    return at(trade.day, ("2023-04-01", "0.0625"), ("2024-10-01", "0.1"), ("2026-04-01", "0.15"))


def transaction(trade: Trade) -> Decimal:
    day, kind = trade.day, trade.kind
    if trade.exchange == "NSE":
        if kind == "EQUITY":
            return at(day, ("2023-04-01", "0.00325"), ("2024-04-01", "0.00322"), ("2024-10-01", "0.00297"))
        if kind == "FUTURE":
            return at(day, ("2023-04-01", "0.0019"), ("2024-04-01", "0.00188"), ("2024-10-01", "0.00173"))
        return at(day, ("2023-04-01", "0.05"), ("2024-04-01", "0.0495"), ("2024-10-01", "0.03503"))
    if kind == "EQUITY":
        special = {"X": "0.1", "XT": "0.1", "Z": "0.1", "SS": "1", "ST": "1"}
        return Decimal(special.get(trade.group, "0.00375"))
    if kind == "FUTURE":
        return Decimal(0)
    if trade.group == "OTHER":
        return Decimal("0.005")
    return at(
        day, ("2023-04-01", "0.005"), ("2023-11-01", "0.0375"), ("2024-05-13", "0.0495"), ("2024-10-01", "0.0325")
    )


def ipft(trade: Trade) -> Decimal:
    if trade.exchange != "NSE":
        return Decimal(0)
    return Decimal("0.0005") if trade.kind == "OPTION" else Decimal("0.0001")


def stamp(trade: Trade) -> Decimal:
    if trade.side == "SELL":
        return Decimal(0)
    if trade.kind == "EQUITY":
        return Decimal("0.003") if trade.product == "INTRADAY" else Decimal("0.015")
    return Decimal("0.002") if trade.kind == "FUTURE" else Decimal("0.003")


def brokerage(plan: str, trade: Trade, value: Decimal) -> Decimal:
    """What an order executed to `value` costs, in rupees; `trade` is a fill of it."""
    if plan == "zero":
        return Decimal(0)
    assert plan == "upstox"
    before = trade.day < "2024-10-01"
    if trade.kind == "OPTION":
        return Decimal(20)
    if trade.kind == "FUTURE":
        percent = Decimal("0.05")
    elif trade.product == "INTRADAY":
        percent = Decimal("0.05") if before else Decimal("0.1")
    elif before:
        percent = Decimal("2.5")
    else:
        return Decimal(20)
    return min(Decimal(20), value * percent / 100)


def depository(plan: str, day: str) -> Decimal:
    if plan == "zero":
        return Decimal(0)
    return Decimal("18.50") if day < "2024-10-01" else Decimal(20)


def rounded(amount: Decimal, unit: str = "0.01") -> Decimal:
    return (amount / Decimal(unit)).quantize(Decimal(1), ROUND_HALF_UP) * Decimal(unit)


def contract_note(trades: list[Trade], plan: str, exercises: tuple[Exercise, ...] = ()) -> dict[str, Decimal]:
    """The items of the notes for `trades` and `exercises`, summed over their days."""
    total = dict.fromkeys(ITEMS, Decimal("0.00"))
    executed: dict[str, Decimal] = defaultdict(Decimal)  # of an order so far, over all days
    for day in sorted({trade.day for trade in trades} | {event.day for event in exercises}):
        note = note_of_day([t for t in trades if t.day == day], [e for e in exercises if e.day == day], plan, executed)
        for item in ITEMS:
            total[item] += note[item]
    return total


def note_of_day(
    trades: list[Trade], exercises: list[Exercise], plan: str, executed: dict[str, Decimal]
) -> dict[str, Decimal]:
    exact: dict[str, Decimal] = defaultdict(Decimal)
    net: dict[str, int] = defaultdict(int)
    for trade in trades:
        for item, rate in (("STT", stt), ("TRANSACTION", transaction), ("IPFT", ipft), ("STAMP", stamp)):
            exact[item] += trade.value * rate(trade) / 100
        exact["SEBI"] += trade.value * SEBI / 100
        before = executed[trade.order]
        executed[trade.order] = before + trade.value
        paid = brokerage(plan, trade, before) if before else Decimal(0)
        exact["BROKERAGE"] += brokerage(plan, trade, executed[trade.order]) - paid
        if trade.kind == "EQUITY" and trade.product != "INTRADAY":
            net[trade.instrument] += trade.qty if trade.side == "BUY" else -trade.qty
    for event in exercises:
        percent = at(event.day, ("2023-04-01", "0.125"), ("2026-04-01", "0.15"))
        exact["STT"] += event.qty * event.intrinsic * percent / 100
    exact["DP"] = sum((depository(plan, trades[0].day) for qty in net.values() if qty < 0), Decimal(0))
    note = {item: rounded(exact[item], "1" if item == "STT" else "0.01") for item in ITEMS}
    taxed = sum((note[item] for item in ("BROKERAGE", "TRANSACTION", "SEBI", "IPFT", "DP")), Decimal(0))
    note["GST"] = rounded(taxed * GST / 100)
    return note
