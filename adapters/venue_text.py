"""The simulated venue's models as a text, such as `ticks:1,volume:10,latency:250`."""

import re
from fractions import Fraction
from typing import Annotated

from adapters.settings_text import Allowed, checked, nearest, shown

SHARE, MILLISECOND = 10**9, 10**6
PARTS = {  # name: (field of Rules, units in one, highest, what it is)
    "ticks": ("slip_ticks", 1, 10_000, "ticks against every order that takes what it finds"),
    "spread": ("slip_share", SHARE // 10_000, 10_000, "basis points of the price, such as half the spread"),
    "range": ("slip_range", SHARE // 100, 100, "percent of the bar's range"),
    "impact": ("slip_impact", SHARE // 100, 1_000, "percent of the bar's range times the root of its part of volume"),
    "random": ("slip_random", 1, 10_000, "at most so many ticks, drawn by the run's seed"),
    "volume": ("participation", SHARE // 100, 100, "most percent of a bar's volume that all orders together take"),
    "band": ("band", SHARE // 100, 100, "percent of market price protection"),
    "latency": ("latency_ns", MILLISECOND, 86_400_000, "milliseconds until what is sent is there"),
    "bars": ("latency_events", 1, 1_000, "bars or ticks until what is sent is there"),
    "queue": ("queue", 1, 1, "1: an order waits for what stood before it at its price"),
    "badtick": ("tick_band", SHARE // 100, 1_000, "percent from the mark beyond which a tick is not believed"),
}  # fmt: skip
SYNTAX = f"zero, or parts such as ticks:1,volume:10 of {', '.join(PARTS)}"
_PLAIN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)


def parse_venue(text: str) -> dict[str, int]:
    """The terms of kernel.state.Rules that a text sets; none for `zero`. Raises ValueError naming the part."""
    terms: dict[str, int] = {}
    if text.strip() == "zero":
        return terms
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition(":"))
        if name not in PARTS:
            raise ValueError(
                f"{shown(text)} is no venue: {shown(name)} is no part{nearest(name, PARTS)} write {SYNTAX}"
            )
        field, units, highest, what = PARTS[name]
        if field in terms:
            raise ValueError(f"{shown(text)} is no venue: {name} is there twice")
        value = Fraction(number) if _PLAIN.fullmatch(number) else None
        if value is None or value > highest or (value * units).denominator != 1:
            raise ValueError(f"{shown(text)} is no venue: {name} takes a number up to {highest:,}: {what}")
        terms[field] = int(value * units)
    return terms


VenueRule = Annotated[str, checked(parse_venue), Allowed(SYNTAX)]
