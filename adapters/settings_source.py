"""Where settings come from: the environment, else `onetape.toml`, else the defaults; each problem is one sentence."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import ValidationError

from adapters.settings import KEYS, PREFIX, SECTIONS, Key, Settings, allowed
from adapters.settings_text import nearest, shown
from kernel.errors import ConfigError

FILE_NAME = "onetape.toml"
FILE_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class Source:
    """Where settings came from: the file read, if any, and per dotted key "file" or its variable."""

    file: Path | None
    origins: Mapping[str, str]


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from `path`, else the file `ONETAPE_CONFIG` names, else ./onetape.toml; the environment wins.

    Raises ConfigError: one sentence with file and key, or variable, what is wrong and what is allowed.
    """
    return load_with_source(path, environ)[0]


def load_with_source(path: Path | None = None, environ: Mapping[str, str] | None = None) -> tuple[Settings, Source]:
    """`load_settings`, and where each value came from."""
    settings, source, problems = examine(path, environ)
    if settings is None:
        more = len(problems) - 1
        raise ConfigError(problems[0] + (f" (and {more} more problem{'s' * (more > 1)})" if more else ""))
    return settings, source


def examine(
    path: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Settings | None, Source, list[str]]:
    """Settings or None, their source, every problem as a sentence; ConfigError if the file can't be read."""
    variables = os.environ if environ is None else environ
    file = find_file(path, variables)
    data = _read_toml(file) if file else {}
    origins = {name: "file" for name, key in KEYS.items() if _has(data, key)}
    problems = _overlay(data, origins, variables)
    settings = None
    try:
        settings = Settings.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        named: dict[str, None] = {}  # a list may have many bad entries: one sentence each, no duplicates
        for item in error.errors(include_url=False):
            named[_sentence(item, file, origins)] = None
        problems = [*named, *problems]
    return (None if problems else settings), Source(file, origins), problems


def find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file that holds: asked for, named by ONETAPE_CONFIG, or ./onetape.toml if it exists."""
    if path is not None:
        return Path(path)
    named = environ.get("ONETAPE_CONFIG")
    if named is not None:
        if not named.strip():
            raise ConfigError("ONETAPE_CONFIG is empty: let it name a configuration file, or unset it")
        return Path(named)
    return Path(FILE_NAME) if os.path.lexists(FILE_NAME) else None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with open(file, "rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such configuration file (onetape init writes one)") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise ConfigError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(f"{file}: is larger than {FILE_BYTES_MAX >> 20} MiB, that is no configuration file")
    try:
        return tomllib.loads(raw.decode("utf-8-sig"), parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}: line {line} is not UTF-8 text: save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not valid TOML: {error}") from None
    except (ValueError, ArithmeticError, RecursionError):
        raise ConfigError(f"{file}: is not valid TOML: a number is too large or a value is nested too deeply") from None


def _has(data: dict[str, Any], key: Key) -> bool:
    table = data.get(key.section) if key.section else data
    return isinstance(table, dict) and key.name in table


def _overlay(data: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]) -> list[str]:
    """Put the environment's values into `data`; the variables that are no setting, as sentences."""
    known = {key.variable: key for key in KEYS.values()}
    missed_dunder = {f"{PREFIX}{k.section}_{k.name}".upper(): k.variable for k in KEYS.values() if k.section}
    problems = []
    for variable in sorted(name for name in environ if name.upper().startswith(PREFIX)):
        key = known.get(variable)
        if key is None:
            upper = variable.upper()
            if "__" in variable or upper in missed_dunder or (upper in known and upper != variable):
                meant = missed_dunder.get(upper)
                hint = f", did you mean {meant}?" if meant else _nearest_variable(upper)
                problems.append(f"{variable}: this environment variable is no setting{hint or ': ' + _VARIABLES}")
            continue
        text = environ[variable]
        try:
            text.encode()
        except UnicodeEncodeError:
            problems.append(f"{variable}: the environment variable is not UTF-8 text")
            continue
        table = data.setdefault(key.section, {}) if key.section else data
        if isinstance(table, dict):  # else the file's error is told
            table[key.name] = _environment_value(text, key)
            origins[key.dotted] = variable
    return problems


def _nearest_variable(name: str) -> str:
    """As `nearest`, without the prefix they all share."""
    near = nearest(name.removeprefix(PREFIX), [key.variable.removeprefix(PREFIX) for key in KEYS.values()])
    return near.replace("mean ", f"mean {PREFIX}")


_VARIABLES = "write ONETAPE_<SECTION>__<FIELD> with a section of " + ", ".join(SECTIONS)


def _environment_value(text: str, key: Key) -> object:
    """`text` as the TOML value it spells, else as it is; a field of text takes a bare 123 or true as text."""
    try:
        parsed = tomllib.loads(f"value = {text}", parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        return text
    if len(parsed) != 1 or not key.section:
        return text
    value = parsed["value"]
    takes_text = key.field.annotation is str or get_origin(key.field.annotation) is Literal
    return text if takes_text and not isinstance(value, str) else value


def _sentence(item: Any, file: Path | None, origins: Mapping[str, str]) -> str:
    """One problem pydantic found, as a sentence that names file and key or variable."""
    place = [str(part) for part in item["loc"]]
    dotted = ".".join(place[: 2 if place[0] in SECTIONS else 1])
    key, section = KEYS.get(dotted), SECTIONS.get(dotted)
    origin = origins.get(dotted, "file")
    where = f"{file}: {dotted}" if origin == "file" else f"{origin}:"
    if key is not None:
        if item["type"] == "value_error":
            return f"{where} {item['ctx']['error']}"
        if len(place) > 2:
            where += f" entry {int(place[2]) + 1}"
            return f"{where} must be text in quotes, not {shown(item['input'])}"
        got = f"{len(item['input'])} entries" if item["type"] == "too_long" else shown(item["input"])
        return f"{where} must be {allowed(key.field)}, not {got}"
    if section is not None:
        return f"{where} must be a table [{dotted}] of keys, not {shown(item['input'])}"
    return f"{where} is an unknown {'table' if isinstance(item['input'], dict) else 'key'}{_suggestion(place)}"


def _suggestion(place: list[str]) -> str:
    if len(place) == 1:
        near = _elsewhere(place[0]) or nearest(place[0], [*SECTIONS, "home"])
        return near or ": allowed are home and the tables " + ", ".join(SECTIONS)
    names = [key.name for key in KEYS.values() if key.section == place[0]]
    near = nearest(place[1], names)
    if near:
        return near.replace("mean ", f"mean {place[0]}.")
    return _elsewhere(place[1]) or f": allowed in [{place[0]}] are {', '.join(names)}"


def _elsewhere(name: str) -> str:
    """A hint for a key that stands in the wrong table."""
    homes = [dotted for dotted, key in KEYS.items() if key.name == name]
    return f", did you mean {' or '.join(homes)}?" if homes else ""
