"""A small home whose instruments have a calendar: a few bars a day up to the close, and a strategy with DAY orders."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from adapters.market.actions import action_columns
from adapters.market.instruments import Instrument, Registry
from adapters.market.writer import MarketWriter

MINUTE = 60 * 10**9
DAY = 1_440 * MINUTE
MONDAY = 1_704_047_400 * 10**9  # 2024-01-01, midnight in Kolkata
TIMES = (9 * 60 + 20, 12 * 60, 15 * 60 + 25, 15 * 60 + 30)  # when bars are available, minutes of the day
PATIENT = '''
from onetape import HOLD, buy_limit, strategy, with_tif

DAY = 3


@strategy
class Patient:
    """Bids below the market for the day, once there is neither a position nor an order."""

    def on_bar(self, bar, ctx):
        if ctx.position == 0 and ctx.working == 0:
            return with_tif(buy_limit(10, bar.close - 5.0), DAY)
        return HOLD
'''


def at(day: int, minute: int, seconds: int = 0) -> int:
    """ns UTC of a local time, days counted from MONDAY."""
    return MONDAY + day * DAY + minute * MINUTE + seconds * 10**9


def add_instruments(home: Path, instruments: Sequence[Instrument]) -> list[Instrument]:
    registry = Registry.load(home)
    known = registry.add(instruments)
    registry.save()
    return known


def write_days(
    home: Path, name: str, days: Sequence[int], numbers: Sequence[int], dip: tuple[int, int] = (-1, -1), lag: int = 0
) -> None:
    """Bars at 100 on `days` of the instruments; in `dip` (day, minute) they trade down to 90."""
    registry = Registry.load(home)
    keys = [(day, minute, number) for day in days for minute in TIMES for number in sorted(numbers)]
    px = np.full(len(keys), 1_000_000)
    low = np.array([900_000 if key[:2] == dip else 1_000_000 for key in keys])
    columns: dict[str, Any] = {
        "ts_init": np.array([at(day, minute) + lag for day, minute, _ in keys]),
        "instrument": np.array([number for *_, number in keys], "i4"),
        "span": np.full(len(keys), 5 * MINUTE),
        **dict.fromkeys(("open", "high", "close"), px),
        "low": low,
        "volume": np.full(len(keys), 100),
    }
    if lag:
        columns["lag"] = np.full(len(keys), lag)
    with MarketWriter(home, name, [(n, registry[n].symbol) for n in numbers], ["lag"] if lag else []) as tape:
        tape.add(columns)
        tape.finish(action_columns([]), [], {})


def make_home(home: Path, days: int = 3, calendar: str = "NSE_EQ", **how: Any) -> Path:
    """Two shares on the tape `nse`, and the strategy file `patient.py`."""
    shares = [replace(Instrument(-1, symbol, 500), calendar=calendar) for symbol in ("ACC", "TCS")]
    known = add_instruments(home, shares)
    write_days(home, "nse", range(days), [one.number for one in known], **how)
    (home / "patient.py").write_text(PATIENT)
    return home
