"""The instrument table of a home: which number a symbol has on every tape, now and at any date, and how it trades."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from adapters.files import canonical_json, make_folder, write_whole
from adapters.market.instrument import FOREVER, Instrument, InstrumentKind, Owned, Terms, fault_of, is_day
from adapters.market.instrument_rows import from_row, to_row
from adapters.market.prices import show_px
from kernel.errors import ConfigError, NotFound, TapeCorrupt

__all__ = ["Instrument", "InstrumentKind", "Registry"]
FORMAT = 2

_SAME = ("multiplier", "currency", "tz", "price_decimals", "qty_decimals")  # of a known symbol, always
_IF_SAID = ("kind", "exchange", "segment", "isin", "expiry", "strike", "right", "underlying", "settlement")
_BLANK = Instrument(-1, "", 1)


class Registry:
    """`<home>/instruments/instruments.json`: numbers are dense from 0 and never re-used, and a symbol means one
    instrument at any date. `imported` is the date of the newest master that was brought in, by its source."""

    def __init__(self, path: Path, instruments: Iterable[Instrument] = ()) -> None:
        self.path = path
        self.imported: dict[str, str] = {}
        self._by_number: list[Instrument] = []
        self._owners: dict[str, list[Owned]] = {}  # by symbol, oldest first
        self._keys: dict[tuple[str, str], list[int]] | None = None
        self.edit((), instruments)

    @classmethod
    def load(cls, home: Path) -> "Registry":
        """The table of `home`, empty when there is none yet. Raises TapeCorrupt when it cannot be read."""
        path = Path(home) / "instruments" / "instruments.json"
        if not path.exists():
            return cls(path)
        try:
            document = json.loads(path.read_bytes())
            version = document["format"]
            if version not in (1, FORMAT):
                raise TapeCorrupt(f"{path} has format {version}, this version reads 1 to {FORMAT}: update Onetape")
            instruments = [from_row(row, version) for row in document["instruments"]]
            imported = {str(source): _day(day) for source, day in document.get("imported", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
            raise TapeCorrupt(f"{path} is not an instrument table ({error}): restore it from a backup") from error
        if any(instrument.number != i for i, instrument in enumerate(instruments)):
            raise TapeCorrupt(f"{path} has gaps or repeats in its numbers: restore it from a backup")
        try:
            registry = cls(path, instruments)
        except ConfigError as error:
            raise TapeCorrupt(f"{path}: {error}: restore it from a backup") from error
        registry.imported = imported
        return registry

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_number)

    def __getitem__(self, number: int) -> Instrument:
        """By number. Raises NotFound."""
        if not 0 <= number < len(self._by_number):
            raise NotFound(f"no instrument has number {number}: {self.path} holds 0 to {len(self) - 1}")
        return self._by_number[number]

    def find(self, symbol: str, on: str | None = None) -> Instrument | None:
        """By symbol, exactly as spelled: what it means on a date, or the newest that ever had it."""
        owners = self._owners.get(symbol, [])
        if on is None:
            return self._by_number[owners[-1].number] if owners else None
        _day(on)
        return next((self._by_number[o.number] for o in owners if o.start <= on < o.end), None)

    def owners(self, symbol: str) -> list[Owned]:
        """All that ever had `symbol`, oldest first."""
        return list(self._owners.get(symbol, ()))

    def had(self, number: int, symbol: str) -> bool:
        """Whether instrument `number` has or ever had `symbol`: what a tape of any age may call it."""
        return any(owned.number == number for owned in self._owners.get(symbol, ()))

    def find_key(self, broker: str, key: str, on: str | None = None) -> Instrument | None:
        """By a broker's key; brokers use one again after an expiry, so of several the one that trades on a date, or the
        newest."""
        if self._keys is None:
            self._keys = {}
            for one in self._by_number:
                for pair in one.broker_keys.items():
                    self._keys.setdefault(pair, []).append(one.number)
        found = [self._by_number[number] for number in self._keys.get((broker, key), ())]
        fitting = found if on is None else [one for one in found if one.trades_on(on)]
        return max(fitting, key=lambda one: (one.gone, one.number), default=None)

    def check(self, wanted: Instrument) -> None:
        """Raise ConfigError when `wanted.symbol` is known with terms it never had; its number is not looked at."""
        known = self._meant(wanted)
        if known is None:
            return
        said = [name for name in _IF_SAID if getattr(wanted, name) != getattr(_BLANK, name)]
        for term in ("tick", "lot", *_SAME, *said):
            theirs = getattr(wanted, term)
            ours = [value for _, value in known.timeline(term)]
            if theirs not in ours:
                raise ConfigError(
                    f"{wanted.symbol} is already instrument {known.number} with {term} "
                    f"{_shown(term, ours[-1])}, and this "
                    f"import says {_shown(term, theirs)}: give {term} {_shown(term, ours[-1])}, or another symbol"
                )

    def _meant(self, wanted: Instrument) -> Instrument | None:
        """The known instrument that `wanted` describes; one listed when its symbol was nobody's is a new one."""
        return self.find(wanted.symbol, wanted.listed or None)

    def add(self, wanted: Iterable[Instrument]) -> list[Instrument]:
        """Register what is new, in order of symbol; returns all of `wanted` with their numbers, under the symbols
        asked for. Does not save.

        The numbers inside `wanted` are ignored. Raises ConfigError on other terms for a known symbol, on two symbols of
        one instrument, and where a new one's symbol is another's at the time; then nothing is added.
        """
        ordered = sorted(wanted, key=lambda instrument: instrument.symbol)
        for instrument in ordered:  # all or nothing
            _sound(instrument)
            self.check(instrument)
        known = [self._meant(instrument) for instrument in ordered]
        seen: dict[int, str] = {}
        for instrument, one in zip(ordered, known, strict=True):
            if one is not None and seen.setdefault(one.number, instrument.symbol) != instrument.symbol:
                raise ConfigError(
                    f"{seen[one.number]} and {instrument.symbol} are two names of instrument {one.number}: bring their "
                    "files in one after the other"
                )
        added = iter(self.edit((), [new for new, one in zip(ordered, known, strict=True) if one is None]))
        return [
            next(added) if one is None else one if one.symbol == asked.symbol else replace(one, symbol=asked.symbol)
            for asked, one in zip(ordered, known, strict=True)
        ]

    def edit(self, changed: Iterable[Instrument], added: Iterable[Instrument] = ()) -> list[Instrument]:
        """Put `changed` in the place of their numbers and give `added` new ones, all or nothing; returns the added.

        Raises ConfigError on a value that cannot be, or a symbol that would mean two instruments at one date.
        """
        first = len(self._by_number)
        new = {one.number: one for one in changed} | {
            k: one if one.number == k else replace(one, number=k) for k, one in enumerate(added, first)
        }
        owners: dict[str, list[Owned]] = {}
        for number, one in new.items():
            _sound(one)
            for owned in [*(self[number].owned() if number < first else ()), *one.owned()]:
                if owned.symbol not in owners:
                    owners[owned.symbol] = [o for o in self._owners.get(owned.symbol, ()) if o.number not in new]
        for one in new.values():
            for owned in one.owned():
                owners[owned.symbol].append(owned)
        for symbol, all_of_it in owners.items():
            all_of_it.sort()
            for before, after in pairwise(all_of_it):
                if after.start < before.end:
                    raise ConfigError(_overlap(symbol, before, after))
        self._owners.update(owners)
        self._by_number += [new[number] for number in sorted(new) if number >= first]
        for number, one in new.items():
            self._by_number[number] = one
        self._keys = None
        return self._by_number[first:]

    def change(self, symbol: str, start: str, /, **terms: Any) -> Instrument:
        """Other tick, lot, freeze or symbol of what `symbol` means on `start` ("": from the beginning), from that date
        until the next change that is known. Raises NotFound, ConfigError."""
        known = self.find(symbol, start or None) or self.find(symbol)
        if known is None:
            raise NotFound(f"no instrument {symbol!r}: `onetape instruments` lists them")
        if unknown := set(terms) - set(Terms._fields):
            raise ConfigError(f"{', '.join(sorted(unknown))}: what changes by date is {', '.join(Terms._fields)}")
        if start:
            _day(start)
        after = known.changed(start, **terms)
        self.edit([after])
        return after

    def rename(self, old: str, new: str, start: str) -> Instrument:
        """Call what would be `old` on `start` by `new` from then on; it keeps its number. Raises NotFound,
        ConfigError."""
        _day(start)
        known = self.find(old, start)
        if known is None:
            newest = self.find(old)
            why = f"it is {newest.terms_at(start).symbol} by then" if newest else "`onetape instruments` lists them"
            raise NotFound(f"no instrument is called {old!r} on {start}: {why}")
        if new == old:
            raise ConfigError(f"{old} is called that already")
        return self.change(old, start, symbol=new)

    def save(self) -> None:
        """Write the table durably, replacing the old one in one step."""
        make_folder(self.path.parent)
        document = {"format": FORMAT, "instruments": [to_row(one) for one in self._by_number]}
        if self.imported:
            document["imported"] = self.imported
        write_whole(self.path, canonical_json(document))


def _day(text: str) -> str:
    if not isinstance(text, str) or not is_day(text):
        raise ConfigError(f"{text!r} is not a date: write YYYY-MM-DD")
    return text


def _sound(one: Instrument) -> None:
    if fault := fault_of(one):
        raise ConfigError(f"{one.symbol}: {fault}")


def _overlap(symbol: str, one: Owned, other: Owned) -> str:
    end = "with no end" if one.end == FOREVER else f"until {one.end}"
    return (
        f"{symbol} would mean two instruments: {one.number} {end}, and {other.number} from "
        f"{other.start or 'the beginning'}; say when the first was renamed or delisted, or when the other was listed"
    )


def _shown(term: str, value: object) -> str:
    return show_px(int(value)) if term == "tick" else str(value)  # type: ignore[call-overload]
