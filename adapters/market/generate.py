"""Seeded minute sessions shaped like the NSE's, for tests, demonstrations and benchmarks.

Integers throughout, drawn from PCG64's raw 64-bit words, which numpy keeps the same in every version: one
(seed, symbols, days, first_day) is one set of bars anywhere.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from adapters.files import import_lock
from adapters.market.actions import action_columns
from adapters.market.instruments import Instrument, Registry
from adapters.market.prices import SCALE
from adapters.market.tape import Columns, Manifest
from adapters.market.writer import ROW_GROUP, MarketWriter, free_name
from adapters.market.zones import DAY, MINUTE

MINUTES = 375  # 09:15 to 15:30 IST
TICK = 500  # units: 0.05
_OPEN_UTC = 225 * MINUTE  # 09:15 IST
_IST = 330 * MINUTE
_EPOCH = date(1970, 1, 1)


def trading_days(first_day: date, count: int, holidays: Iterable[date] = ()) -> list[date]:
    """`count` weekdays from `first_day` on that are no `holidays`."""
    closed, day = set(holidays), first_day
    days: list[date] = []
    while len(days) < count:
        if day.weekday() < 5 and day not in closed:
            days.append(day)
        day += timedelta(days=1)
    return days


def _draw(words: np.random.PCG64, shape: tuple[int, ...], below: int) -> np.ndarray:
    """Integers in 0..below-1; the bias of a remainder of 2**64 is far below anything that shows."""
    return (words.random_raw(int(np.prod(shape))) % np.uint64(below)).astype("i8").reshape(shape)


def generate_sessions(
    seed: int,
    symbols: Sequence[str],
    days: int,
    first_day: date = date(2024, 1, 1),
    holidays: Iterable[date] = (),
) -> Columns:
    """Columns as in tape.BAR_COLUMNS, in tape order; `instrument` is the place in `symbols`. Prices in units.

    Every fifth symbol is illiquid: about a third of its minutes has no bar, another part is flat with no
    volume.
    """
    dates = trading_days(first_day, days, holidays)
    parts = [_session(seed, len(symbols), n, day) for n, day in enumerate(dates)]
    level = _draw(np.random.PCG64(seed), (len(symbols),), 40_000) + 2_000  # 100 to 2100 in ticks of 0.05
    for part in parts:
        _anchor(part, level)
    names = ("ts_init", "instrument", "span", "open", "high", "low", "close", "volume")
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _session(seed: int, count: int, number: int, day: date) -> Columns:
    """Steps in ticks of one day, minute by minute; `_anchor` turns them into prices."""
    words = np.random.PCG64([seed, number + 1])
    shape = (MINUTES, count)
    # the sum of three small draws: bell-shaped, bounded
    steps = _draw(words, (3, *shape), 5).sum(axis=0) - 6
    opened = (day - _EPOCH).days * DAY + _OPEN_UTC + np.arange(MINUTES, dtype="i8") * MINUTE
    illiquid = np.arange(count) % 5 == 4
    chance = _draw(words, shape, 100)
    return {
        "ts_init": np.repeat(opened + MINUTE, count),
        "instrument": np.tile(np.arange(count, dtype="i4"), MINUTES),
        "span": np.full(MINUTES * count, MINUTE, "i8"),
        "gap": _draw(words, (count,), 61) - 30,
        "steps": steps,
        "up": _draw(words, shape, 4),
        "down": _draw(words, shape, 4),
        "size": (_draw(words, shape, 400) + 1) * (_draw(words, shape, 50) + 1),
        "flat": illiquid & (chance >= 35) & (chance < 50),
        "absent": illiquid & (chance < 35),
    }


def _anchor(part: Columns, level: np.ndarray) -> None:
    """Prices of a day from `level` (ticks, the last close), which moves on to the day's last close."""
    unit = np.maximum(1, level // 8_000)  # dearer shares move by more ticks
    idle = part["flat"] | part["absent"]
    steps = np.where(idle, 0, part.pop("steps")) * unit
    first = np.maximum(level + part.pop("gap") * unit, 200)
    close = np.maximum(first + np.cumsum(steps, axis=0), 100)
    opened = np.vstack([first[None, :], close[:-1]])
    flat, keep = part.pop("flat"), ~part.pop("absent").ravel()
    high = np.maximum(opened, close) + np.where(flat, 0, part.pop("up")) * unit
    low = np.maximum(np.minimum(opened, close) - np.where(flat, 0, part.pop("down")) * unit, 50)
    volume = np.where(flat, 0, part.pop("size"))
    for name, ticks in (("open", opened), ("high", high), ("low", low), ("close", close)):
        part[name] = (ticks * TICK).ravel()
    part["volume"] = volume.ravel()
    for name in part:
        part[name] = part[name][keep]
    level[:] = close[-1]


def write_generated_tape(
    home: Path,
    name: str,
    seed: int,
    symbols: Sequence[str],
    days: int,
    first_day: date = date(2024, 1, 1),
    holidays: Iterable[date] = (),
) -> Manifest:
    """Generate straight into a market tape of `home`, registering the symbols with tick 0.05, INR."""
    holidays = list(holidays)
    columns = generate_sessions(seed, symbols, days, first_day, holidays)
    home = Path(home)
    with import_lock(home):
        registry = Registry.load(home)
        by_symbol = {i.symbol: i for i in registry.add(Instrument(-1, symbol, TICK) for symbol in symbols)}
        registry.save()
        numbers = np.array([by_symbol[symbol].number for symbol in symbols], "i4")
        columns["instrument"] = numbers[columns["instrument"]]
        order = np.lexsort((columns["instrument"], columns["ts_init"]))
        named = [(i.number, i.symbol) for i in by_symbol.values()]
        with MarketWriter(home, free_name(home, name), named) as tape:
            for start in range(0, len(order), ROW_GROUP):
                rows = order[start : start + ROW_GROUP]
                tape.add({column: values[rows] for column, values in columns.items()})
            made_by: dict[str, object] = {
                "generator": 1,
                "seed": seed,
                "days": days,
                "first_day": first_day.isoformat(),
            }
            made_by["holidays"] = sorted(day.isoformat() for day in holidays)
            return tape.finish(action_columns([]), [], made_by)


def write_generated_csv(path: Path, columns: Columns, symbols: Sequence[str]) -> None:
    """`columns` of `generate_sessions` as a CSV a vendor could send: local open times, prices with two
    decimals."""
    from pyarrow import Table, array, csv, timestamp

    cents = {name: array(columns[name] // (SCALE // 100)) for name in ("open", "high", "low", "close")}
    opened = (columns["ts_init"] - columns["span"] + _IST) // 10**9
    table = {"symbol": array(np.array(symbols, object)[columns["instrument"]])}
    table["datetime"] = array(opened).cast(timestamp("s"))
    for name, values in cents.items():
        table[name] = _hundredths(values)
    table["volume"] = array(columns["volume"])
    csv.write_csv(Table.from_pydict(table), path)


def _hundredths(cents):  # type: ignore[no-untyped-def]
    """Whole cents as decimals, without passing through floats."""
    from pyarrow import Array, decimal64, py_buffer

    return Array.from_buffers(decimal64(18, 2), len(cents), [None, py_buffer(cents.to_numpy())])
