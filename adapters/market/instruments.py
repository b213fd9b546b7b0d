"""The instrument table of a home: which number a symbol has on every tape, and how it trades."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from adapters.files import canonical_json, make_folder, write_whole
from kernel.errors import ConfigError, NotFound, TapeCorrupt

FORMAT = 1


@dataclass(frozen=True)
class Instrument:
    """`number` is its name on tapes; `tick` is in 1/10,000 of `currency`, `lot` in shares, `tz` an IANA
    name."""

    number: int
    symbol: str
    tick: int
    lot: int = 1
    multiplier: int = 1
    currency: str = "INR"
    tz: str = "Asia/Kolkata"


_TERMS = ("tick", "lot", "multiplier", "currency", "tz")
_TYPES = {
    "number": int,
    "symbol": str,
    "tick": int,
    "lot": int,
    "multiplier": int,
    "currency": str,
    "tz": str,
}


class Registry:
    """`<home>/instruments/instruments.json`: numbers are dense from 0 and never re-used."""

    def __init__(self, path: Path, instruments: Iterable[Instrument] = ()) -> None:
        self.path = path
        self._by_number: list[Instrument] = list(instruments)
        self._by_symbol = {instrument.symbol: instrument for instrument in self._by_number}

    @classmethod
    def load(cls, home: Path) -> "Registry":
        """The table of `home`, empty when there is none yet. Raises TapeCorrupt when it cannot be read."""
        path = Path(home) / "instruments" / "instruments.json"
        if not path.exists():
            return cls(path)
        try:
            document = json.loads(path.read_bytes())
            if document["format"] != FORMAT:
                raise TapeCorrupt(
                    f"{path} has format {document['format']}, this version reads {FORMAT}: update Onetape"
                )
            instruments = [_instrument(row) for row in document["instruments"]]
        except (ValueError, KeyError, TypeError) as error:
            raise TapeCorrupt(f"{path} is not an instrument table ({error}): restore it from a backup") from error
        registry = cls(path, instruments)
        dense = all(instrument.number == i for i, instrument in enumerate(instruments))
        if not dense or len(registry._by_symbol) != len(instruments):
            raise TapeCorrupt(f"{path} has gaps or repeats in its numbers or symbols: restore it from a backup")
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

    def find(self, symbol: str) -> Instrument | None:
        """By symbol, exactly as spelled, or None."""
        return self._by_symbol.get(symbol)

    def check(self, wanted: Instrument) -> None:
        """Raise ConfigError when `wanted.symbol` is known with other terms; its number is not looked at."""
        known = self.find(wanted.symbol)
        if known is None:
            return
        for term in _TERMS:
            ours, theirs = getattr(known, term), getattr(wanted, term)
            if ours != theirs:
                raise ConfigError(
                    f"{wanted.symbol} is already instrument {known.number} with {term} "
                    f"{_shown(term, ours)}, and this "
                    f"import says {_shown(term, theirs)}: give {term} {_shown(term, ours)}, or another symbol"
                )

    def add(self, wanted: Iterable[Instrument]) -> list[Instrument]:
        """Register what is new, in order of symbol; returns all of `wanted` with their numbers. Does not
        save.

        The numbers inside `wanted` are ignored. Raises ConfigError on other terms for a known symbol.
        """
        ordered = sorted(wanted, key=lambda instrument: instrument.symbol)
        for instrument in ordered:  # all or nothing
            self.check(instrument)
        numbered = []
        for instrument in ordered:
            known = self.find(instrument.symbol)
            if known is None:
                known = replace(instrument, number=len(self._by_number))
                self._by_number.append(known)
                self._by_symbol[known.symbol] = known
            numbered.append(known)
        return numbered

    def save(self) -> None:
        """Write the table durably, replacing the old one in one step."""
        make_folder(self.path.parent)
        rows = [asdict(instrument) for instrument in self._by_number]
        write_whole(self.path, canonical_json({"format": FORMAT, "instruments": rows}))


def _instrument(row: dict) -> Instrument:
    if set(row) != {field.name for field in fields(Instrument)}:
        raise ValueError(f"an instrument has the fields {sorted(row)}")
    for name, kind in _TYPES.items():
        if type(row[name]) is not kind:
            raise ValueError(f"{name} of {row['symbol']!r} is {row[name]!r}")
    if min(row["tick"], row["lot"], row["multiplier"]) < 1 or not row["symbol"]:
        raise ValueError(f"tick, lot or multiplier of {row['symbol']!r} is not positive")
    return Instrument(**row)


def _shown(term: str, value: object) -> str:
    if term == "tick":
        from adapters.market.prices import show_px

        return show_px(int(value))  # type: ignore[call-overload]
    return str(value)
