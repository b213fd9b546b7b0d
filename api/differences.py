"""What differs between the configuration an account tape was made with and the one it is asked to go on with."""

from collections.abc import Iterator, Mapping
from typing import Any

from kernel.state import LATER_LIMITS
from kernel.units import SCALE

Config = Mapping[str, Any]


# May change from start to start; RUN_STARTED records them each time.
IGNORED = ("kernel_hash", "selection", "terms", "fx")
LOOSE = ("isin",)  # of an instrument: a split may change it


def differences(before: Config, now: Config) -> list[str]:
    """One phrase per difference that matters: `strategy ema_cross: fast was 10, is now 11`.

    The kernel, the code of strategies and the selection of bars may change from start to start.
    """
    before = {**before, "limits": {**LATER_LIMITS, **before.get("limits", {})}}  # of before there was such a limit
    before, now = _with_names(before), _with_names(now)
    found = [*_instruments(before, now), *_strategies(before, now)]
    plain = [name for name in {**before, **now} if name not in (*IGNORED, "instruments", "strategies")]
    tables = [name for name in plain if isinstance(before.get(name, now.get(name)), Mapping)]
    single = [name for name in plain if name not in tables]
    found += _values("", {name: before.get(name) for name in single}, {name: now.get(name) for name in single})
    for name in tables:
        if name != "rules" or not found:  # rules say fees and seed again, as numbers
            found += _values(f"{name}: ", before.get(name, {}), now.get(name, {}))
    return found


def _with_names(config: Config) -> Config:
    """Of calendars only the names: their timers are on the tape, so the tables may grow and be mended."""
    calendars = config.get("calendars")
    return config if calendars is None else {**config, "calendars": [row["name"] for row in calendars]}


def _values(lead: str, before: Config, now: Config) -> Iterator[str]:
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            yield f"{lead}{name} was {_shown(name, before.get(name))}, is now {_shown(name, now.get(name))}"


def _shown(name: str, value: Any) -> str:
    money = name == "cash" or name.endswith("notional")
    return f"{value / SCALE:.2f}" if money and isinstance(value, int) else str(value)


def _instruments(before: Config, now: Config) -> Iterator[str]:
    old, new = ({row["symbol"]: row for row in config["instruments"]} for config in (before, now))
    gone, more = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    if gone:
        yield f"instruments: {_some(gone)} left out"
    if more:
        yield f"instruments: {_some(more)} added"
    for symbol in sorted(old.keys() & new.keys()):
        rows = ({name: value for name, value in row[symbol].items() if name not in LOOSE} for row in (old, new))
        yield from _values(f"instruments: {symbol} ", *rows)


def _strategies(before: Config, now: Config) -> Iterator[str]:
    old, new = before["strategies"], now["strategies"]
    if [row["name"] for row in old] != [row["name"] for row in new]:
        yield f"strategies were {_some([row['name'] for row in old])}, are now {_some([row['name'] for row in new])}"
        return
    for a, b in zip(old, new, strict=True):
        lead = f"strategy {a['name']}: "
        yield from _values(lead, {"origin": a["origin"]}, {"origin": b["origin"]})
        yield from _values(lead, a["params"], b["params"])


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
