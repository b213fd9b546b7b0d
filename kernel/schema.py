"""The fixed-width record everything on a tape is made of. The layout table *is* the schema.

One 128-byte slot: a common header, six small codes, nine int64 body slots and one float. Each family gives the body
slots its own honest names over the same memory (`e.close` of a bar and `e.px` of an order are one slot), so there is
one record type, one log, one loop and one digest. numpy dtypes, Arrow schemas and SQL views derive from `FAMILIES`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernel.codes import Kind

EVENT_BYTES = 128
WORD = "i8"

# name, width, offset: everything before the body
HEADER: tuple[tuple[str, str, int], ...] = (
    ("seq", "i8", 0),  # place in the logical tape, gapless from 1
    ("ts_event", "i8", 8),  # ns UTC: when it happened
    ("ts_init", "i8", 16),  # ns UTC: when it became available; never decreases along seq
    ("cause", "i8", 24),  # seq of the event that led to this one, 0 for EXTERNAL
    ("instrument", "i4", 32),  # number in the instrument table, -1 for none
    ("strategy", "u2", 36),  # number in the run's strategies, counted from 1; 0 is the account itself
    ("flags", "u2", 38),
    ("kind", "u1", 40),
    ("origin", "u1", 41),
    ("side", "i1", 42),
    ("order_type", "u1", 43),
    ("tif", "u1", 44),
    ("status", "u1", 45),
    ("reason", "u1", 46),
    ("product", "u1", 47),
)
BODY_OFFSET, BODY_SLOTS = 48, 10  # nine int64 and, last, the one float64 `value`

PRICE, MONEY, QTY, TIME, NUMBER = "price", "money", "qty", "time", "number"  # how a slot is shown


@dataclass(frozen=True)
class Family:
    """Names and meanings of the nine integer body slots for a group of kinds; unused slots are zero."""

    name: str
    kinds: tuple[Kind, ...]
    slots: tuple[tuple[str, str], ...]  # (name, what it is), in slot order
    value: str = ""  # meaning of the float slot, if used


FAMILIES: tuple[Family, ...] = (
    Family(
        "bar",
        (Kind.BAR,),
        (
            ("ts_open", TIME),  # when the bar began; ts_event is its close
            ("open", PRICE),
            ("high", PRICE),
            ("low", PRICE),
            ("close", PRICE),
            ("volume", QTY),
            ("open_interest", QTY),
        ),
    ),
    Family(
        "quote",  # the best bid and ask changed
        (Kind.QUOTE,),
        (("bid_px", PRICE), ("ask_px", PRICE), ("bid_qty", QTY), ("ask_qty", QTY)),
    ),
    Family(
        "trade",  # somebody traded
        (Kind.TRADE,),
        (("trade_px", PRICE), ("trade_qty", QTY), ("trade_interest", QTY)),  # the last: open interest, 0 for none said
    ),
    Family(
        "ticket",  # what is wished for and sent
        (Kind.SIGNAL, Kind.ORDER_SUBMITTED),
        (
            ("order_id", NUMBER),  # seq of its ORDER_SUBMITTED
            ("ref", NUMBER),  # SIGNAL: working order to cancel or replace, 0 for all
            ("qty", QTY),
            ("px", PRICE),  # limit price
            ("trigger_px", PRICE),
            ("trail", PRICE),  # TRAILING_STOP: how far behind the best price the trigger follows
            ("expire_ts", TIME),  # GTD: when its time is over, 0 for never
            ("parent", NUMBER),  # order that a held one waits for; seq of the signal that slices or a pair belong to
            ("reserve_px", PRICE),  # SUBMITTED, REPLACE_SUBMITTED: what risk valued a unit of it at
        ),
        value="signal strength, whatever the strategy says it is",
    ),
    Family(
        "denial",  # what risk refused
        (Kind.ORDER_DENIED,),
        (
            ("order_id", NUMBER),  # its own seq
            ("ref", NUMBER),  # working order it would have replaced
            ("qty", QTY),
            ("px", PRICE),
            ("trigger_px", PRICE),
            ("trail", PRICE),
            ("actual", NUMBER),  # what it came to, in the units of the limit ...
            ("parent", NUMBER),
            ("allowed", NUMBER),  # ... and what the limit allows
        ),
    ),
    Family(
        "order",  # what became of it
        (
            Kind.ORDER_CANCEL_SUBMITTED,
            Kind.ORDER_REPLACE_SUBMITTED,
            Kind.ORDER_RELEASED,
            Kind.ORDER_ACCEPTED,
            Kind.ORDER_REJECTED,
            Kind.ORDER_TRIGGERED,
            Kind.ORDER_CANCELED,
            Kind.ORDER_EXPIRED,
            Kind.ORDER_RESTATED,
            Kind.ORDER_REPLACED,
            Kind.ORDER_CANCEL_REJECTED,
            Kind.ORDER_REPLACE_REJECTED,
            Kind.ANOMALY,
        ),
        (
            ("order_id", NUMBER),  # seq of its ORDER_SUBMITTED
            ("ref", NUMBER),  # of an answer from outside, if it is known: seq of the cancel or change it is about
            ("qty", QTY),
            ("px", PRICE),  # limit price
            ("trigger_px", PRICE),
            ("trail", PRICE),
            ("cum_qty", QTY),  # filled so far
            ("leaves_qty", QTY),  # still working
            ("reserve_px", PRICE),  # REPLACE_SUBMITTED: what risk valued a unit of it at
        ),
    ),
    Family(
        "fill",
        (Kind.ORDER_FILLED,),
        (
            ("order_id", NUMBER),
            ("ref", NUMBER),
            ("qty", QTY),  # of this fill
            ("px", PRICE),  # of this fill
            ("trigger_px", PRICE),
            ("fee", MONEY),  # what the venue itself takes for this fill; CHARGED lists the rest
            ("cum_qty", QTY),  # filled so far, this fill included
            ("leaves_qty", QTY),  # still working
        ),
    ),
    Family(
        "split",
        (Kind.SPLIT,),
        (
            ("numerator", NUMBER),  # new shares ...
            ("denominator", NUMBER),  # ... for this many old ones
            ("settle_px", PRICE),  # mark before the split, at which fractions are paid; the kernel fills it in
        ),
    ),
    Family("dividend", (Kind.DIVIDEND,), (("amount", PRICE),)),  # per share, in price units
    Family(
        "expiry",  # the last of a contract
        (Kind.EXPIRY,),
        (
            ("underlying_px", PRICE),  # what it settles at; 0: the underlying's mark, which the kernel fills in
            ("strike_px", PRICE),  # of an option; the kernel fills it in
            ("settle_px", PRICE),  # what a unit of it is worth at its end; the kernel fills it in
        ),
    ),
    Family("fx", (Kind.FX_RATE,), (("currency", NUMBER), ("rate", NUMBER))),  # 1e-9 of the first currency for one of it
    Family(
        "terms",  # an instrument trades by other terms from here on: all of them, whichever changed
        (Kind.TERMS_CHANGED,),
        (
            ("tick", PRICE),  # smallest step of prices
            ("lot", QTY),  # quantities are multiples of it
            ("freeze_qty", QTY),  # most one order may carry, 0 for no bound
        ),
    ),
    Family(
        "charge",  # what a fill, an exercise or a day's note costs, line by line; it is taken from cash with this event
        (Kind.CHARGED,),
        (
            ("order_id", NUMBER),  # 0: rounding of a day's note, or what is charged by the day
            ("brokerage", MONEY),
            ("stt", MONEY),
            ("transaction", MONEY),
            ("ipft", MONEY),
            ("sebi", MONEY),
            ("stamp", MONEY),
            ("gst", MONEY),
            ("dp", MONEY),
        ),
    ),
    Family(
        "settlement",  # what became of a position without an order: the reason says why
        (Kind.SETTLED,),
        (
            ("held_qty", QTY),  # signed, before it
            ("variation", MONEY),  # VARIATION: the day's gain or loss
            ("qty", QTY),
            ("px", PRICE),
        ),
    ),
    Family(
        "control",
        (
            Kind.TIMER,
            Kind.RUN_STARTED,
            Kind.RUN_ENDED,
            Kind.LIMIT_CHANGED,
            Kind.TRADING_STATE_CHANGED,
            Kind.STRATEGY_PAUSED,
            Kind.STRATEGY_RESUMED,
            Kind.CASH_ADJUSTED,
            Kind.STRATEGY_FAULT,
        ),
        (
            # TIMER: its id; LIMIT_CHANGED: field of LIMITS, or with an instrument, whether it may be traded; FAULT:
            # hook; CASH_ADJUSTED: currency
            ("code", NUMBER),
            ("setting", NUMBER),  # new limit or trading state
            ("amount_money", MONEY),  # CASH_ADJUSTED: paid in (+) or out (-)
        ),
    ),
    Family(
        "guard",  # the kill switch, or with a strategy, what stops that
        (Kind.TRIPPED, Kind.KILL_RESET),
        (
            ("level", NUMBER),  # KillLevel; of a strategy 0
            ("measured", NUMBER),  # what tripped it, in the units of the limit ...
            ("bound", NUMBER),  # ... and the limit
        ),
    ),
    Family(
        "storage",  # bytes of a write that a crash cut short were put aside when the tape was opened again
        (Kind.TAPE_TRUNCATED,),
        (("segment", NUMBER), ("offset", NUMBER), ("lost_bytes", NUMBER)),
    ),
    Family(
        "clock",  # the machine's clock did not go on as time does
        (Kind.CLOCK_ANOMALY,),
        (("step_ns", NUMBER), ("wall_ns", TIME)),  # wall time minus what it should have been; what it said then
    ),
    Family(
        "equity",
        (Kind.EQUITY,),
        (
            ("equity", MONEY),  # cash and what the positions would fetch at their marks
            ("cash", MONEY),
            ("realized", MONEY),
            ("unrealized", MONEY),
            ("fees", MONEY),
            ("dividends", MONEY),
            ("peak", MONEY),  # highest equity at a slice end so far
            ("max_drawdown", MONEY),  # deepest fall from a peak at a slice end so far, >= 0
            ("exposure", MONEY),  # sum of |position value|
        ),
        value="largest fall from a peak at a slice end so far, as a share of that peak",
    ),
    Family(
        "balance",  # beside an EQUITY where there is more than one currency, or funds that are not settled yet
        (Kind.BALANCE,),
        (
            ("currency", NUMBER),  # place in the run's currencies, 0 for the account's own
            ("cash", MONEY),
            ("realized", MONEY),
            ("market_value", MONEY),
            ("fees", MONEY),
            ("dividends", MONEY),
            ("paid_in", MONEY),
            ("hold", MONEY),  # margin and collateral
            ("unsettled", MONEY),  # proceeds of sales that have not arrived
        ),
    ),
    Family(
        "regime",
        (Kind.REGIME_CHANGED,),
        (
            ("regime", NUMBER),  # Regime that begins with the bar `cause` ...
            ("direction", NUMBER),  # ... 1 up, -1 down, 0 none yet
            ("before", NUMBER),  # the regime until then
            ("adx", NUMBER),  # average directional index, 1/100
            ("volatility", NUMBER),  # true range against its own average, 1/100: 150 is half as much again
        ),
    ),
)
ORDERS = (
    "ticket",
    "denial",
    "order",
    "fill",
    "settlement",
)  # that use side, order_type, tif, status, product
TICKS = ("quote", "trade")  # families that retention may take away; all else is kept for good
FAMILY_OF: dict[Kind, Family] = {kind: family for family in FAMILIES for kind in family.kinds}


class Record(np.void):
    """A record whose fields are attributes, whatever numpy's own methods are called; anything else cannot be set."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        fields = np.void.__getattribute__(self, "dtype").fields
        return self[name] if name in fields else np.void.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.dtype.fields:
            raise AttributeError(f"a record has no field {name}: it has {', '.join(self.dtype.fields)}")
        self[name] = value


def _layout(families: tuple[Family, ...]) -> np.dtype:
    names, formats, offsets = (list(column) for column in zip(*HEADER, strict=True))
    known: set[str] = set()
    for family in families:
        for slot, (name, _) in enumerate(family.slots):
            if name in known:
                continue
            known.add(name)
            names.append(name)
            formats.append(WORD)
            offsets.append(BODY_OFFSET + 8 * slot)
    names.append("value")
    formats.append("f8")
    offsets.append(BODY_OFFSET + 8 * (BODY_SLOTS - 1))
    fields = {"names": names, "formats": formats, "offsets": offsets, "itemsize": EVENT_BYTES}
    return np.dtype((Record, np.dtype(fields)))


EVENT = _layout(FAMILIES)
"""The record of the kernel: every family's names over one slot."""

RAW = np.dtype(f"V{EVENT_BYTES}")
"""The same 128 bytes as opaque ones: numpy moves them several times as fast as records."""

FAMILY_DTYPES: dict[str, np.dtype] = {family.name: _layout((family,)) for family in FAMILIES}
"""The same slot seen with one family's names only, for numpy, Arrow and SQL outside the loop."""


def _check_layout() -> None:
    end = 0
    for name, width, offset in HEADER:
        assert offset == end and offset % np.dtype(width).itemsize == 0, f"{name}: padding or misalignment"
        end = offset + np.dtype(width).itemsize
    assert end == BODY_OFFSET and BODY_OFFSET + 8 * BODY_SLOTS == EVENT_BYTES == EVENT.itemsize
    assert all(len(family.slots) <= BODY_SLOTS - 1 for family in FAMILIES)
    assert len(FAMILY_OF) == len(Kind) == sum(len(family.kinds) for family in FAMILIES)
    places = {(name, slot, what) for family in FAMILIES for slot, (name, what) in enumerate(family.slots)}
    assert len(places) == len({name for name, _, _ in places}), "a name is one slot and means one thing"


_check_layout()


def events(count: int) -> np.ndarray:
    """`count` zeroed event records."""
    return np.zeros(count, EVENT)


def join_rows(parts: Sequence[np.ndarray]) -> np.ndarray:
    """EVENT rows one after the other. (np.concatenate would promote the overlapping fields to a packed layout.)"""
    raw = [np.ascontiguousarray(part).view(RAW) for part in parts]
    return np.concatenate(raw).view(EVENT) if raw else events(0)


def take_rows(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A copy of the EVENT rows at `places`."""
    return np.ascontiguousarray(rows).view(RAW)[places].view(EVENT)
