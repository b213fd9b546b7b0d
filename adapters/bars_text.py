"""What bars of ticks are made: `none`, a length of time, or so many trades, so much volume, value or range."""

import re
from fractions import Fraction
from typing import Annotated

from adapters.settings_text import Allowed, checked, shown

SECOND, SCALE, MOST = 10**9, 10_000, 2**62
TIMES = {"s": SECOND, "m": 60 * SECOND, "min": 60 * SECOND, "h": 3_600 * SECOND}
SIZES = {"trades": (2, 1), "volume": (3, 1), "value": (4, SCALE), "range": (5, SCALE)}  # bar_kind, units in one
BY_TIME = 1
SYNTAX = 'none, a time such as 1m, or "100 trades", "10000 volume", "1e6 value", "0.50 range"'
_TIME = re.compile(r"([0-9]{1,5})(s|m|min|h)", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?(?:e[0-9]{1,2})?) +([a-z]+)", re.ASCII)


def parse_bars(text: str) -> tuple[int, int]:
    """(bar_kind, bar_size) of kernel.state.Rules; (0, 0) for none. Raises ValueError."""
    plain = text.strip().lower()
    if plain == "none":
        return 0, 0
    if match := _TIME.fullmatch(plain):
        size = int(match[1]) * TIMES[match[2]]
        if not 0 < size <= 86_400 * SECOND or (86_400 * SECOND) % size:
            raise ValueError(f"{shown(text)}: bars of time are a whole part of a day, such as 30s, 1m or 1h")
        return BY_TIME, size
    match = _SIZE.fullmatch(plain)
    if not match or match[2] not in SIZES:
        raise ValueError(f"{shown(text)} are no bars: write {SYNTAX}")
    kind, units = SIZES[match[2]]
    number, _, power = match[1].partition("e")
    found = Fraction(number) * 10 ** int(power or 0) * units
    if found.denominator != 1 or not 0 < found < MOST:
        raise ValueError(
            f"{shown(text)}: {match[2]} of a bar are more than 0, as finely as quantities or prices are kept"
        )
    return kind, int(found)


BarRule = Annotated[str, checked(parse_bars), Allowed(SYNTAX)]
