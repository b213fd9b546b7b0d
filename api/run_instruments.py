"""The instruments of a run: which, under what symbol and terms, and the numbers they have in it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from adapters.market.instrument import FOREVER, Instrument
from adapters.market.instrument_rows import to_row
from adapters.market.instruments import Registry
from api.days import local_day
from kernel.errors import NotFound

Row = dict[str, Any]
SAID = (  # written where they are not as by default
    *("kind", "exchange", "segment", "isin", "expiry", "strike", "right", "underlying", "settlement"),
    *("multiplier", "price_decimals", "qty_decimals"),
)
TERMS = ("tick", "lot", "freeze")  # what a run is told when it changes


def find_symbol(registry: Registry, symbol: str, on: str | None = None) -> int:
    """The registry number of what `symbol` means on a date (None: now). Raises NotFound saying what to write."""
    found = registry.find(symbol, on)
    if found is not None:
        return found.number
    owners = registry.owners(symbol)
    if not owners:
        near = get_close_matches(symbol, [i.symbol for i in registry], 1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "`onetape runs --tapes` lists what was imported"
        raise NotFound(f"no instrument {symbol!r}: {hint}")
    assert on is not None
    spans = ", ".join(f"{o.start or 'ever'} to {'now' if o.end == FOREVER else f'before {o.end}'}" for o in owners)
    names = {registry[o.number].terms_at(on).symbol for o in owners if registry[o.number].trades_on(on)} - {symbol}
    mend = f"write {' or '.join(sorted(names))}, its name on that day" if names else "begin the run then, with --from"
    raise NotFound(f"nothing is called {symbol!r} on {on}, the run's first day, only from {spans}: {mend}")


def instrument_rows(
    chosen: Sequence[Instrument], day: str | None, calendars: Mapping[str, int], first_ts: int | None = None
) -> list[Row]:
    """The rows of a configuration: numbers from 0 in order of the registry's, with the symbol of `day`, or as it is
    now, and the terms of the local day of `first_ts`, ns UTC, or of `day`; `master` is the registry number where that
    is another. `calendars`: numbers by name.
    """
    ordered = sorted(chosen, key=lambda one: one.number)
    names = _names(ordered, day)
    days = [day if first_ts is None else local_day(first_ts, one.tz) for one in ordered]
    return [_row(place, one, names[place], days[place], calendars) for place, one in enumerate(ordered)]


def _row(place: int, one: Instrument, name: str, day: str | None, calendars: Mapping[str, int]) -> Row:
    terms = one.terms_at(day) if day else one
    row: Row = {"number": place, "symbol": name, "tick": terms.tick, "lot": terms.lot}
    row |= {"currency": one.currency, "tz": one.tz}
    row |= {"freeze": terms.freeze} if terms.freeze else {}
    row |= {"master": one.number} if one.number != place else {}
    row |= {"calendar": calendars[one.calendar]} if one.calendar in calendars else {}
    blank = Instrument(-1, "", 1)
    stored = to_row(one)
    return row | {name: stored[name] for name in SAID if getattr(one, name) != getattr(blank, name)}


def _names(chosen: Sequence[Instrument], day: str | None) -> list[str]:
    """What each is called; one that shares its symbol with another of the run and does not have it on the day gets its
    registry number behind it.
    """
    names = [one.terms_at(day).symbol if day else one.symbol for one in chosen]
    uses = Counter(names)
    return [
        name if uses[name] == 1 or _has(one, name, day) else f"{name}#{one.number}"
        for one, name in zip(chosen, names, strict=True)
    ]


def _has(one: Instrument, name: str, day: str | None) -> bool:
    if day is None:
        return any(owned.symbol == name and owned.end == FOREVER for owned in one.owned())
    return any(owned.symbol == name and owned.start <= day < owned.end for owned in one.owned())


def master_of(row: Mapping[str, Any]) -> int:
    """The registry number of a row of a configuration; those of before runs had numbers of their own have that one."""
    return int(row.get("master", row["number"]))


def masters_of(rows: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """Numbers of a run by registry number."""
    return {master_of(row): int(row["number"]) for row in rows}


def as_begun(rows: Sequence[Row], before: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The same rows under the numbers the same instruments had before, and with the terms they began with: what changed
    since then are events. Unchanged where these are others."""
    begun = {int(row["number"]): row for row in before}
    found = []
    for row in numbered_as(rows, before):
        first = begun.get(int(row["number"]), {})
        terms = {name: first[name] for name in TERMS if name in first} if master_of(row) == _master(first) else {}
        found.append({name: value for name, value in row.items() if not terms or name not in TERMS} | terms)
    return found


def _master(row: Mapping[str, Any]) -> int:
    return master_of(row) if row else -1


def numbered_as(rows: Sequence[Row], before: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The same rows under the numbers the same instruments had before; unchanged where these are others."""
    known = masters_of(before)
    if set(known) != {master_of(row) for row in rows}:
        return list(rows)
    found = []
    for row in rows:
        master = master_of(row)
        same = {name: value for name, value in row.items() if name != "master"} | {"number": known[master]}
        found.append(same | ({"master": master} if known[master] != master else {}))
    return found
