"""What a setting's text means, exactly: amounts, fee rules, intervals, zones; and the field types made of it.

Each reader raises ValueError with a predicate ("must be ..., not ...") that the loader puts behind a key.
"""

import difflib
import functools
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

# kernel.units states the same numbers, but costs an import of numba; a test compares them
SCALE = 10_000  # money and price units in one rupee or dollar
PX_MAX = QTY_MAX = 2**46
MONEY_MAX = 2**62

MINUTE, HOUR, DAY = 60_000_000_000, 3_600_000_000_000, 86_400_000_000_000  # ns
RATE_PER_BPS = 100_000  # a fee rate counts 1e-9 of a fill's value, a basis point is 1e-4 of it
FEE_FREE = {"fee_rate": 0, "fee_flat": 0, "fee_min": 0, "fee_max": 0, "fee_round": 1}
FEE_PARTS = {"bps": "fee_rate", "flat": "fee_flat", "min": "fee_min", "max": "fee_max", "round": "fee_round"}

FEE_SYNTAX = "zero, or bps:X and flat:X with min:Y, max:Z, round:W, joined by commas"
INTERVAL_SYNTAX = '"auto", "off" or a span from "1m" to "1d" such as "15m" or "1h"'
CHARGE_SYNTAX = "none, or SCHEDULE:PLAN such as india:upstox (`onetape charges` lists them)"
LIST_MAX = 4096  # entries in a list of the file

_AMOUNT = re.compile(r"[+-]?[0-9](_?[0-9])*(\.[0-9](_?[0-9])*)?", re.ASCII)
_PLAIN = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)
_INTERVAL = re.compile(r"([1-9][0-9]{0,3})([mhd])", re.ASCII)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_SHOWN = 60  # characters of a bad value that an error repeats
_EXPONENT = 40  # an amount beyond 10**40 or finer than 10**-40 is refused before any arithmetic


def shown(value: object) -> str:
    """A value as an error names it: text in quotes, everything short."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number of that size"  # beyond 4,300 digits Python would not print it
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def nearest(word: str, words: Iterable[str]) -> str:
    """`, did you mean X?` for the most alike of `words`, or nothing."""
    match = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f", did you mean {match[0]}?" if match else ""


def units_of(amount: Decimal) -> int:
    """A checked amount in 1/SCALE of the currency, exactly."""
    numerator, denominator = amount.as_integer_ratio()
    whole, rest = divmod(numerator * SCALE, denominator)
    assert rest == 0, "an amount of more than four decimals passed read_amount"
    return whole


def amount_of(units: int) -> Decimal:
    """Units of 1/SCALE as a decimal amount, exactly, without trailing zeros."""
    sign, (whole, rest) = "-" if units < 0 else "", divmod(abs(units), SCALE)
    return Decimal(f"{sign}{whole}.{rest:04}".rstrip("0").rstrip(".") if rest else f"{sign}{whole}")


def read_amount(value: object, low_units: int, high_units: int) -> Decimal:
    """A decimal text or number as an exact amount between two bounds in units, else ValueError."""
    allowed = f"must be {describe_amount(low_units, high_units)}, not {shown(value)}"
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        amount = Decimal(value)
    elif isinstance(value, float):
        amount = Decimal(repr(value))  # what was written, not its binary neighbour
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        amount = Decimal(value)
    else:
        raise ValueError(allowed)
    exponent = amount.as_tuple().exponent
    if (
        not isinstance(exponent, int) or abs(exponent) > _EXPONENT or amount.adjusted() > _EXPONENT
    ):  # letters: not finite
        raise ValueError(allowed)
    units = Fraction(amount) * SCALE
    if units.denominator != 1 or not low_units <= units <= high_units:
        raise ValueError(allowed)
    return amount


def describe_amount(low_units: int, high_units: int) -> str:
    return f"an amount from {amount_of(low_units)} to {amount_of(high_units)} with at most 4 decimals"


def parse_fee_rule(text: str) -> dict[str, int]:
    """A fee rule as the kernel's terms: fee_rate in 1e-9 of a fill's value, the others in money units.

    `zero`, or `bps:X` and `flat:X` with `min:Y`, `max:Z`, `round:W`, joined by commas; fee_max 0 means none.
    Raises ValueError naming the part that is wrong.
    """
    terms: dict[str, int] = dict(FEE_FREE)
    if text.strip() == "zero":
        return terms
    seen: set[str] = set()
    for part in text.split(","):
        name, colon, number = (piece.strip() for piece in part.partition(":"))
        if name == "zero":
            raise ValueError(_fee_error(text, "zero stands alone"))
        if name not in FEE_PARTS:
            raise ValueError(_fee_error(text, f"{shown(name)} is no part{nearest(name, FEE_PARTS)}"))
        if name in seen:
            raise ValueError(_fee_error(text, f"{name} is there twice"))
        seen.add(name)
        terms[FEE_PARTS[name]] = _fee_number(text, name, number if colon else "")
    if not seen & {"bps", "flat"}:
        raise ValueError(_fee_error(text, "min, max and round need a bps or a flat charge to work on"))
    if terms["fee_max"] and terms["fee_min"] > terms["fee_max"]:
        raise ValueError(_fee_error(text, "min is above max"))
    return terms


def _fee_error(text: str, what: str) -> str:
    end = "" if what.endswith("?") else ":"
    return f"{shown(text)} is no fee rule: {what}{end} write {FEE_SYNTAX}"


def _fee_number(text: str, name: str, number: str) -> int:
    per_unit, places, highest = (RATE_PER_BPS, 5, 10_000) if name == "bps" else (SCALE, 4, None)
    if not _PLAIN.fullmatch(number):
        raise ValueError(_fee_error(text, f"{name} needs a plain number such as {name}:2.5"))
    units = Fraction(number) * per_unit
    if units.denominator != 1:
        raise ValueError(_fee_error(text, f"{name} takes at most {places} decimals"))
    if name in ("max", "round") and units == 0:
        raise ValueError(_fee_error(text, f"{name} cannot be 0, leave it out for none"))
    limit = highest * per_unit if highest else MONEY_MAX - 1
    if units > limit:
        raise ValueError(_fee_error(text, f"{name} is at most {highest or amount_of(limit)}"))
    return int(units)


def parse_charge_rule(text: str) -> tuple[str, str] | None:
    """A schedule and a brokerage plan of it, such as `india:upstox`; None for `none`. Raises ValueError."""
    if text.strip() == "none":
        return None
    schedule, colon, plan = (piece.strip() for piece in text.partition(":"))
    if not (colon and schedule and plan):
        raise ValueError(f"{shown(text)} is no charge rule: write {CHARGE_SYNTAX}")
    return schedule, plan


def parse_interval(text: str) -> int | None:
    """Equity interval in ns: None for `auto` (the bars decide), 0 for `off`; ValueError for anything else."""
    if text in ("auto", "off"):
        return None if text == "auto" else 0
    match = _INTERVAL.fullmatch(text)
    span = int(match[1]) * {"m": MINUTE, "h": HOUR, "d": DAY}[match[2]] if match else 0
    if not MINUTE <= span <= DAY:
        raise ValueError(f"must be {INTERVAL_SYNTAX}, not {shown(text)}")
    return span


def check_clock(text: str) -> str:
    """A wall-clock time HH:MM."""
    if not _CLOCK.fullmatch(text):
        raise ValueError(f'must be a time of day such as "15:30", not {shown(text)}')
    return text


def check_clock_or_none(text: str) -> str:
    """A wall-clock time HH:MM, or nothing."""
    return check_clock(text) if text else text


def check_timezone(text: str) -> str:
    """A name the IANA time zone database of this machine knows."""
    import zoneinfo  # ValueError: a path; OSError: a folder of zones

    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        if not known:
            raise ValueError("cannot be checked: this machine has no time zones, run pip install tzdata") from None
        end = nearest(text, known)
        raise ValueError(f'must be a time zone such as "Asia/Kolkata", not {shown(text)}{end}') from None
    return text


def check_host(host: str, allow_remote: bool) -> str:
    """An address to listen on; beyond this machine only if `allow_remote`."""
    import ipaddress

    if not host or any(c.isspace() or not c.isprintable() for c in host):
        raise ValueError(f'must be a host name or address such as "127.0.0.1", not {shown(host)}')
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host.lower() == "localhost"
    if not local and not allow_remote:
        raise ValueError(
            f"is {shown(host)}, which other machines can reach: use 127.0.0.1, ::1 or localhost, "
            "or say allow_remote = true in [serve]"
        )
    return host


class Allowed(NamedTuple):
    """What a field takes, in words: for errors and for the reference page."""

    text: str


def _amount(low_units: int, high_units: int) -> tuple[BeforeValidator, Allowed]:
    read = functools.partial(read_amount, low_units=low_units, high_units=high_units)
    return BeforeValidator(read), Allowed(describe_amount(low_units, high_units))


def checked(check: Callable[[str], object]) -> AfterValidator:
    def keep(text: str) -> str:
        check(text)
        return text

    return AfterValidator(keep)


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f'must be a folder in quotes such as "data", not {shown(value)}')
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"names a user this machine does not know: {shown(str(value))}") from None


def _entries(values: list[str]) -> list[str]:
    for value in values:
        if not value.strip() or value != value.strip() or not value.isprintable():
            raise ValueError(f"must hold names without blanks around them, not {shown(value)}")
        if values.count(value) > 1:
            raise ValueError(f"names {shown(value)} twice")
    return values


Money = Annotated[Decimal, *_amount(0, MONEY_MAX - 1)]
Ceiling = Annotated[Decimal, *_amount(1, MONEY_MAX - 1)]
Percent = Annotated[Decimal, *_amount(0, 100 * SCALE)]
Price = Annotated[Decimal, *_amount(1, PX_MAX - 1)]
Slug = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$"),
    Allowed("1 to 32 of a-z, 0-9, - and _, starting with a letter or digit"),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2,7}$"), Allowed('3 to 8 capitals or digits such as "INR"')]
CurrencyOrNone = Annotated[
    str, Field(pattern=r"^([A-Z][A-Z0-9]{2,7})?$"), Allowed('3 to 8 capitals or digits such as "INR", or "" for none')
]
Zone = Annotated[str, checked(check_timezone), Allowed('a time zone such as "Asia/Kolkata"')]
ClockTime = Annotated[str, checked(check_clock), Allowed('a time of day such as "15:30"')]
ClockOrNone = Annotated[str, checked(check_clock_or_none), Allowed('a time of day such as "15:20", or "" for none')]
FeeRule = Annotated[str, checked(parse_fee_rule), Allowed(FEE_SYNTAX)]
ChargeRule = Annotated[str, checked(parse_charge_rule), Allowed(CHARGE_SYNTAX)]
Interval = Annotated[str, checked(parse_interval), Allowed(INTERVAL_SYNTAX)]
Entries = Annotated[
    list[str],
    Field(max_length=LIST_MAX),
    AfterValidator(_entries),
    Allowed(f"a list of up to {LIST_MAX} texts"),
]
Folder = Annotated[Path, BeforeValidator(_path), Allowed("a folder")]
