"""A table of a charge file and its place in it: readers of its fields, whose errors name file, row and field."""

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from adapters.reference.sessions_file import YEAR_MAX, YEAR_MIN, known_are
from adapters.settings_text import shown
from kernel.errors import ConfigError

_PLAIN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)


class Row:
    """Every reader raises ConfigError with file, row, field and what is allowed."""

    def __init__(self, item: Any, where: str):
        self.item: Mapping[str, Any] = item
        self.where = where
        if not isinstance(item, dict):
            raise ConfigError(f"{where} must be a table, not {shown(item)}")

    def error(self, key: str, what: str) -> ConfigError:
        return ConfigError(f"{self.where} {key} {what}")

    def keys(self, needed: Collection[str], optional: Collection[str]) -> None:
        allowed = [*needed, *optional]
        for key in self.item:
            if key not in allowed:
                raise self.error(key, f"is an unknown key{known_are(key, allowed)}")
        missing = [key for key in needed if key not in self.item]
        if missing:
            raise ConfigError(f"{self.where} lacks {' and '.join(missing)}")

    def rows(self, key: str) -> list["Row"]:
        listed = self.item.get(key, [])
        if not isinstance(listed, list):
            raise self.error(key, f"must be tables [[{key}]], not {shown(listed)}")
        return [Row(item, f"{self.where} {key} {number}") for number, item in enumerate(listed, 1)]

    def tables(self, key: str) -> dict[str, "Row"]:
        inner = Row(self.item.get(key, {}), f"{self.where} {key}")
        return {name: Row(item, f"{self.where} {key}.{name}") for name, item in inner.item.items()}

    def text(self, key: str) -> str:
        value = self.item[key]
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self.error(key, f"must be one line of text, not {shown(value)}")
        return value

    def name(self, key: str) -> str:
        value = self.item[key]
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise self.error(key, f"must be 1 to 32 of letters, digits, - and _, not {shown(value)}")
        return value

    def names(self, key: str) -> tuple[str, ...]:
        value = self.item[key]
        if not isinstance(value, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in value):
            raise self.error(key, f'must be a list of names such as ["NSE"], not {shown(value)}')
        return tuple(value)

    def known(self, key: str, word: Any, words: Collection[str]) -> str:
        if word not in words:
            listed = known_are(str(word), words) if words else ": none is declared, add a [[group]] first"
            raise self.error(key, f"{shown(word)} is unknown{listed}")
        return str(word)

    def word(self, key: str, words: Collection[str]) -> str:
        return self.known(key, self.item[key], words)

    def words(self, key: str, words: Collection[str]) -> tuple[str, ...]:
        """One of `words` or a list of them; all of them when the key is left out."""
        value = self.item.get(key, list(words))
        listed = value if isinstance(value, list) else [value]
        if not listed or len({str(word) for word in listed}) < len(listed):
            raise self.error(key, f"must name one or more, each once, not {shown(value)}")
        return tuple(self.known(key, word, words) for word in listed)

    def flag(self, key: str, default: bool) -> bool:
        value = self.item.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, not {shown(value)}")
        return value

    def day(self, key: str) -> date:
        value = self.item[key]
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self.error(key, f"{shown(value)} is no date: write YYYY-MM-DD without quotes")
        if not YEAR_MIN <= value.year <= YEAR_MAX:
            raise self.error(key, f"{value} is not between {YEAR_MIN} and {YEAR_MAX}")
        return value

    def number(self, key: str, per_unit: int, highest: int, unit: str) -> int:
        """A decimal text as whole units, exactly."""
        value = self.item[key]
        if not isinstance(value, str) or not _PLAIN.fullmatch(value):
            raise self.error(key, f'must be a plain number of {unit} in quotes such as "0.05", not {shown(value)}')
        units = Fraction(value) * per_unit
        if units.denominator != 1:
            raise self.error(key, f"{value} has more than {len(str(per_unit)) - 1} decimals: a charge counts no finer")
        if units > highest * per_unit:
            raise self.error(key, f"{value} is over {highest} {unit}")
        return int(units)
