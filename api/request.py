"""What a user asks of a run, beside the settings."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What a user asks of a run, beside the settings. Dates are local days of the run's timezone, inclusive."""

    strategies: Sequence[str]
    symbols: Sequence[str] = ()
    first_day: str | None = None
    last_day: str | None = None
    cash: str | None = None
    fees: str | None = None
    charges: str | None = None
    product: str | None = None
    venue: str | None = None
    seed: int | None = None
    tapes: Sequence[str] = ()
    warm_up_days: int | None = None
    universe: str | None = None
    square_off: str | None = None
    bars: str | None = None
    currency: str | None = None
    fx: str | None = None
