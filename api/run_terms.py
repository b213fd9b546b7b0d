"""Terms of a run's instruments in time: those of its first day, and what changes within it as TERMS_CHANGED events."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from adapters.market.instrument import Instrument
from adapters.market.instruments import Registry
from api.days import day_bounds, local_day
from api.run_instruments import TERMS, master_of
from kernel.codes import Kind
from kernel.schema import EVENT
from kernel.state import State

Config = dict[str, Any]
Row = Mapping[str, Any]
Change = tuple[int, int, int, int, int]  # ns UTC, number in the run, tick, lot, freeze


def terms_config(registry: Registry, rows: Iterable[Row], first_ts: int, last_ts: int) -> Config:
    """What a configuration says of terms that change after the day of `first_ts`, up to `last_ts`: rows of Change, each
    at the beginning of its local day. Nothing where none do."""
    found: list[Change] = []
    for row in rows:
        one = registry[master_of(row)]
        found += _changes(one, int(row["number"]), local_day(first_ts, one.tz), last_ts)
    return {"terms": [list(change) for change in sorted(found)]} if found else {}


def _changes(one: Instrument, number: int, day: str, last_ts: int) -> list[Change]:
    found, held = [], one.terms_at(day)[1:]
    for start in sorted({start for name in TERMS for start, _ in one.timeline(name) if start > day}):
        ts, terms = day_bounds(start, one.tz)[0], one.terms_at(start)[1:]
        if terms != held and ts <= last_ts:
            found.append((ts, number, *terms))
        held = terms
    return found


def terms_rows(config: Config) -> np.ndarray:
    """The changes of a configuration as TERMS_CHANGED events (EVENT), in order."""
    return _events(config.get("terms", ()))


def terms_missed(registry: Registry, rows: Iterable[Row], state: State, ts: int) -> np.ndarray:
    """TERMS_CHANGED at `ts` for each instrument whose terms of that day are not those in `state`: the table was told
    late, or the account slept over a change."""
    found = []
    for row in rows:
        number, one = int(row["number"]), registry[master_of(row)]
        terms = one.terms_at(local_day(ts, one.tz))[1:]
        if terms != tuple(int(state.instruments[number][name]) for name in TERMS):
            found.append((ts, number, *terms))
    return _events(sorted(found))


def _events(changes: Sequence[Sequence[int]]) -> np.ndarray:
    rows = np.zeros(len(changes), EVENT)
    rows["kind"] = int(Kind.TERMS_CHANGED)
    for row, (ts, number, tick, lot, freeze) in zip(rows, changes, strict=True):
        row["ts_init"] = row["ts_event"] = ts
        row["instrument"], row["tick"], row["lot"], row["freeze_qty"] = number, tick, lot, freeze
    return rows
