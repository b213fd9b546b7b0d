"""The indicators of a scan, declared as a strategy declares them: each once, in a file that is made for the question.

Every class of `kernel.indicators` can be named, with the arguments its constructor takes; nothing here knows which
there are.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

import kernel.indicators
from kernel.errors import StrategyError
from kernel.indicators import Indicator
from kernel.strategy import snake_case

SOURCES = {name.lower(): name for name in ("OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "HL2", "HLC3", "OHLC4")}
NUMBERED = re.compile(r"([A-Za-z_]+?)_?(\d+)")
LIMIT = 64  # indicators of a question


class Output(NamedTuple):
    """An output of a declared indicator, by the names they have in its strategy."""

    member: str
    name: str


Argument = int | float | str | Output  # a number, the name of a source, or an indicator


@cache
def classes() -> Mapping[str, type[Indicator]]:
    """Every indicator there is, by its name in small letters."""
    found = [value for value in vars(kernel.indicators).values() if isinstance(value, type)]
    ours = [value for value in found if issubclass(value, Indicator) and hasattr(value, "update")]
    return {value.__name__.lower(): value for value in ours}


def indicator_called(name: str) -> type[Indicator] | None:
    """The class a name in any spelling means: `stoch_rsi` and `StochRsi` are one."""
    return classes().get(name.replace("_", "").lower())


def numbered(name: str) -> tuple[type[Indicator], int] | None:
    """`rsi14` as the class and 14."""
    found = NUMBERED.fullmatch(name)
    owner = indicator_called(found[1]) if found else None
    return (owner, int(found[2])) if found and owner else None


def near_to(name: str) -> str:
    """What a name may have been meant to be, as words; empty where nothing is like it."""
    found, base = NUMBERED.fullmatch(name), name
    known = [*SOURCES, "price", "prev", "crossed_above", "crossed_below", *map(name_of, classes().values())]
    if found:
        base, known = found[1], [name_of(one) for one in classes().values()]
    near = get_close_matches(base.lower(), known, 1)
    return f": did you mean {near[0]}{found[2] if found else ''}?" if near else f": there are {', '.join(known)}"


def name_of(owner: type[Indicator]) -> str:
    return snake_case(owner.__name__)


def outputs_of(owner: type[Indicator]) -> tuple[str, ...]:
    return ("value", *getattr(owner, "outputs", ()))


class Terms:
    """Indicators as they are declared. Raises ValueError with a sentence for what cannot be."""

    def __init__(self) -> None:
        self._members: dict[str, str] = {}  # by what is declared: its name
        self._made: dict[str, Indicator] = {}  # by name, to see that it can be

    def declare(self, owner: type[Indicator], given: Sequence[Argument], named: Mapping[str, Argument]) -> str:
        """The name of `owner(...)` among the members; `given` in the order of the constructor, but for a source or an
        indicator in front, which may be written first."""
        takes = list(inspect.signature(owner).parameters)
        arguments = _arguments(owner, takes, given, named)
        text = ", ".join(f"{name}={_written(arguments[name])}" for name in takes if name in arguments)
        text = f"{owner.__name__}({text})"
        if text not in self._members:
            if len(self._members) == LIMIT:
                raise ValueError(f"a question has at most {LIMIT} indicators")
            member = f"m{len(self._members)}"
            self._made[member] = self._make(owner, arguments)
            self._members[text] = member
        return self._members[text]

    def _make(self, owner: type[Indicator], arguments: Mapping[str, Argument]) -> Indicator:
        values = {name: self._value(value) for name, value in arguments.items()}
        try:
            made = owner(**values)
            made.dtype()
        except TypeError:
            raise ValueError(f"{name_of(owner)} takes {_takes(owner)}") from None
        return made

    def _value(self, argument: Argument) -> Any:
        if isinstance(argument, Output):
            made = self._made[argument.member]
            return made if argument.name == "value" else getattr(made, argument.name)
        return getattr(kernel.indicators, argument) if isinstance(argument, str) else argument

    def owner_of(self, member: str) -> type[Indicator]:
        return type(self._made[member])

    def source(self) -> str:
        """The file of the strategy that declares them and does nothing else."""
        names = sorted({*SOURCES.values(), *(type(one).__name__ for one in self._made.values())})
        lines = [f"    {member} = {text}" for text, member in self._members.items()]
        return "\n".join(
            [
                f"from kernel.indicators import {', '.join(names)}",
                "from onetape import HOLD, strategy\n\n",
                "@strategy",
                "class Scan:",
                '    """Indicators of a question."""\n',
                *lines,
                "\n    def on_bar(self, bar, ctx):",
                "        return HOLD\n",
            ]
        )

    def told(self, error: StrategyError) -> tuple[str, str]:
        """The member an error of the strategy is about, empty if none, and what is wrong with it."""
        found = re.search(r"\b(m\d+)\b(?: of Scan)?: (.*)", str(error), re.S)
        return (found[1], found[2]) if found and found[1] in self._made else ("", str(error))


def _arguments(
    owner: type[Indicator], takes: Sequence[str], given: Sequence[Argument], named: Mapping[str, Argument]
) -> dict[str, Argument]:
    """What the constructor is called with, by name."""
    first, rest = given[:1], given[1:]
    found: dict[str, Argument] = {}
    if first and not isinstance(first[0], int | float):
        place = "of" if isinstance(first[0], Output) else "source"
        if place not in takes:
            raise ValueError(f"{name_of(owner)} takes whole bars, no source: {_takes(owner)}")
        found[place] = first[0]
    else:
        rest = given
    numbers = [name for name in takes if name not in ("source", "of")]
    if len(rest) > len(numbers):
        raise ValueError(f"{name_of(owner)} takes {_takes(owner)}")
    found |= dict(zip(numbers, rest, strict=False))
    for name, value in named.items():
        if name not in takes or name in found:
            why = "twice" if name in found else "as nothing it knows"
            raise ValueError(f"{name_of(owner)} is given {name} {why}: it takes {_takes(owner)}")
        found[name] = value
    needed = [n for n, p in inspect.signature(owner).parameters.items() if p.default is p.empty]
    if missing := [name for name in needed if name not in found]:
        raise ValueError(f"{name_of(owner)} needs {', '.join(missing)}: it takes {_takes(owner)}")
    return found


def _takes(owner: type[Indicator]) -> str:
    """The arguments of a constructor, in words."""
    given = inspect.signature(owner).parameters.values()
    shown = [p.name if p.default in (p.empty, None) or p.name == "source" else f"{p.name}={p.default}" for p in given]
    return ", ".join(shown) or "nothing"


def _written(argument: Argument) -> str:
    if isinstance(argument, Output):
        return argument.member if argument.name == "value" else f"{argument.member}.{argument.name}"
    return str(argument) if isinstance(argument, str) else repr(argument)
