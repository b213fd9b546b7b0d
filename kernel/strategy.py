"""What the user writes: a class whose attributes declare parameters, memory and indicators, and what a bar does.

`@strategy` turns the attributes, in the order written, into one record dtype; in `on_bar` `self` is that record, one
for each instrument. Nothing is ever an instance of the class.
"""

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kernel.errors import StrategyError
from kernel.frame import MEMBER, SHOWN
from kernel.indicators import Bars, Indicator, Output
from kernel.indicators.base import numbers_of
from kernel.jit import jit_helper
from kernel.schema import Record

C = TypeVar("C", bound=type)


HOOKS = {f"on_{what}": ["self", shown, "ctx"] for what, shown in SHOWN.items()}
HEAD = ("bars_seen", "bars_needed")  # of every record
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
LOWEST, HIGHEST = -(2**63), 2**63 - 1


def _plain(number: Any) -> Any:
    """A number of numpy's as Python's; anything else as it is, for `@strategy` to judge, which knows its name."""
    return number.item() if isinstance(number, np.generic) else number


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or LOWEST <= value <= HIGHEST


class Param:
    """A parameter: swept, bounded, shown with what `doc` says it does. Whole-number defaults make whole-number
    parameters."""

    def __init__(self, default: float, low: float | None = None, high: float | None = None, doc: str = "") -> None:
        self.default, self.low, self.high, self.doc = _plain(default), _plain(low), _plain(high), doc

    @property
    def width(self) -> str:
        return "i8" if isinstance(self.default, int) else "f8"

    def bounds(self) -> str:
        """The bounds in words, empty without any."""
        if self.low is not None and self.high is not None:
            return f"between {self.low} and {self.high}"
        if self.low is not None:
            return f"at least {self.low}"
        return "" if self.high is None else f"at most {self.high}"

    def allows(self, value: float) -> bool:
        """Whether a number is within the bounds."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


class Float:
    """A number the strategy remembers from bar to bar."""

    width = "f8"

    def __init__(self, default: float = 0.0) -> None:
        number = _plain(default)
        self.default = float(number) if _is_number(number) else number


class Int:
    """A whole number the strategy remembers from bar to bar."""

    width = "i8"

    def __init__(self, default: int = 0) -> None:
        self.default = _plain(default)


@dataclass(frozen=True)
class Definition:
    """A strategy as declared: everything needed to lay out its memory and compile its program."""

    name: str
    owner: type
    file: Path
    line: int
    members: tuple[tuple[str, Any], ...]
    dtype: np.dtype
    hooks: Mapping[str, Callable]
    warmup: Any
    python: bool = False  # in plain Python: called as it is, and remembers what it likes
    clock: tuple[int, ...] = ()  # local times HHMM at which on_timer is called, beside the session's own

    def hook(self, name: str) -> Callable | None:
        """The function of a hook by its name, None where the strategy has none."""
        return self.hooks.get(name)

    def bars_of(self, indicator: Indicator) -> Indicator | None:
        """The longer bars an indicator goes by: its own, or those of the one it is of."""
        above = [given.indicator for given in indicator.inputs() if isinstance(given, Output)]
        found = [indicator.bars, *(one if isinstance(one, Bars) else self.bars_of(one) for one in above)]
        return next((bars for bars in found if bars is not None), None) if not isinstance(indicator, Bars) else None

    @property
    def reads_regime(self) -> bool:
        """Whether its hooks, or what they call in its own files, look at `regime` or `direction`, so that a run has to
        tell them; of a strategy in plain Python, any function of the class."""
        own = [f for f in vars(self.owner).values() if inspect.isfunction(f)] if self.python else self.hooks.values()
        return bool({"regime", "direction"} & _names_in(own, self.file.parent))

    @property
    def whole(self) -> int:
        """1 where it has, beside a record for each instrument, one of its own: on_slice is called with it."""
        return int("on_slice" in self.hooks)

    @property
    def params(self) -> dict[str, Param]:
        return {name: member for name, member in self.members if isinstance(member, Param)}

    @property
    def indicators(self) -> dict[str, Indicator]:
        return {name: member for name, member in self.members if isinstance(member, Indicator)}

    def where(self, line: int | None = None) -> str:
        return f"{self.file}:{line or self.line}"


def _names_in(functions: Iterable[Callable], folder: Path) -> set[str]:
    """Every attribute and global that functions name, with comprehensions and the functions of `folder` they call."""
    names, left = set[str](), [(f.__code__, f.__globals__) for f in functions]
    seen = set()
    while left:
        made, scope = left.pop()
        if made in seen:
            continue
        seen.add(made)
        names |= set(made.co_names)
        left += [(inner, scope) for inner in made.co_consts if inspect.iscode(inner)]
        called = (getattr(scope.get(name), "py_func", scope.get(name)) for name in made.co_names)
        near = (f for f in called if inspect.isfunction(f) and Path(f.__code__.co_filename).parent == folder)
        left += [(f.__code__, f.__globals__) for f in near]
    return names


def helper(f: Callable) -> Callable:
    """Decorator for a function of a strategy file that hooks call: compiled with them."""
    compiled = jit_helper(f)
    compiled.onetape_helper = True
    return compiled


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def strategy(owner: C) -> C:
    """Class decorator: declare `owner` as a strategy, known by its name in snake_case.

    Raises StrategyError, with file and line, when a declaration cannot work.
    """
    if issubclass(owner, PythonStrategy):
        raise StrategyError(f"{owner.__name__} is in plain Python: it needs no @strategy above it")
    declare(owner)
    return owner


class PythonStrategy:
    """A strategy in plain Python: any library, any object, at a few hundred thousand bars a second.

    `self` is one object for the whole run, made anew for each: `start` is called first, and what hooks keep in it they
    find again. Parameters and indicators are declared as in a compiled one; an indicator of `self` is that of the
    instrument the hook is called for. It has to decide the same from the same events: no clock, no dice, no network.
    """

    onetape: Definition

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        declare(cls, python=True)

    def start(self) -> None:
        """Called once, before the first event of a run."""


def declare(owner: type, python: bool = False) -> None:
    """Lay a class out as a strategy: `owner.onetape` is its Definition. Raises StrategyError."""
    try:
        file, (text, line) = Path(inspect.getsourcefile(owner) or "?"), inspect.getsourcelines(owner)
    except (OSError, TypeError):
        raise StrategyError(f"{owner.__name__}: a strategy is written in a file, not at a prompt") from None
    members = tuple((n, m) for n, m in vars(owner).items() if isinstance(m, Param | Float | Int | Indicator))
    _check_hooks(owner, f"{file}:{line}")
    at = {name: f"{file}:{line + _place_in(text, name)}" for name in vars(owner)}
    _check_members(owner, members, at, python)
    head = MEMBER if "on_slice" in vars(owner) else MEMBER[list(HEAD)]
    fields: list[tuple] = [(name, head[name].str) for name in head.names or ()]
    for name, member in members:
        try:
            fields.append((name, member.dtype() if isinstance(member, Indicator) else member.width))
        except ValueError as error:
            raise StrategyError(f"{at[name]}: {name} of {owner.__name__}: {error}") from None
    dtype = np.dtype((Record, np.dtype(fields, align=True)))
    definition = Definition(
        name=snake_case(owner.__name__),
        owner=owner,
        file=file,
        line=line,
        members=members,
        dtype=dtype,
        hooks={hook: vars(owner)[hook] for hook in HOOKS if hook in vars(owner)},
        warmup=vars(owner).get("warmup"),
        clock=_clock_of(owner, at),
        python=python,
    )
    owner.onetape = definition  # type: ignore[attr-defined]


def _check_hooks(owner: type, where: str) -> None:
    if not {"on_bar", "on_slice"} & set(vars(owner)):
        raise StrategyError(
            f"{where}: {owner.__name__} has no on_bar(self, bar, ctx), nor on_slice(self, universe, ctx)"
        )
    for hook, names in HOOKS.items():
        function = vars(owner).get(hook)
        if hook in vars(owner) and not inspect.isfunction(function):
            what = f"{hook} of {owner.__name__} is a hook, not {_shown(function)}"
            raise StrategyError(f"{where}: {what}: write def {hook}({', '.join(names)})")
        if function is not None and list(inspect.signature(function).parameters) != names:
            raise StrategyError(f"{where}: {owner.__name__}.{hook} must take ({', '.join(names)})")
    for name, value in vars(owner).items():
        if name.startswith("on_") and inspect.isfunction(value) and name not in HOOKS:
            near = get_close_matches(name, list(HOOKS), 1)
            others = ", ".join(list(HOOKS)[1:])
            hint = f"did you mean {near[0]}?" if near else f"a strategy has on_bar and, if it wants, {others}"
            raise StrategyError(f"{where}: {owner.__name__}.{name} would never be called: {hint}")


def _clock_of(owner: type, at: Mapping[str, str]) -> tuple[int, ...]:
    """The class's `clock`, local times as "HH:MM", as whole numbers HHMM."""
    given = vars(owner).get("clock", ())
    times = (given,) if isinstance(given, str) else given
    if not isinstance(times, tuple) or not all(isinstance(t, str) and _TIME.fullmatch(t) for t in times):
        raise StrategyError(f'{at["clock"]}: clock of {owner.__name__} is local times: clock = ("09:30", "15:10")')
    if times and "on_timer" not in vars(owner):
        raise StrategyError(f"{at['clock']}: clock of {owner.__name__} is for on_timer(self, timer, ctx): add it")
    return tuple(sorted({int(t.replace(":", "")) for t in times}))


def _place_in(text: list[str], name: str) -> int:
    """How many lines into its class an attribute is declared; 0 where that is not plain to see."""
    return next((k for k, line in enumerate(text) if re.match(rf"\s+{name}\s*[=:]", line)), 0)


def _check_members(owner: type, members: tuple[tuple[str, Any], ...], at: Mapping[str, str], python: bool) -> None:
    """`at` is each attribute's file and line."""
    for name, value in vars(owner).items():
        if name == "warmup" and not _is_bars(value):
            raise StrategyError(f"{at[name]}: warmup of {owner.__name__} is a number of bars or a parameter of one")
        plain = isinstance(value, int | float | str) and not name.startswith("_")
        if plain and not python and name not in ("warmup", "clock"):
            raise StrategyError(
                f"{at[name]}: {name} = {value!r} in {owner.__name__} is neither parameter nor memory: "
                f"write {name} = Param({value!r}), Float() or Int(), or make it a constant of the module"
            )
    for place, (name, member) in enumerate(members):
        what = f"{at[name]}: {name} of {owner.__name__}:"
        if name in ((MEMBER.names or ()) if "on_slice" in vars(owner) else HEAD):
            raise StrategyError(f"{at[name]}: {name} is a name Onetape uses itself: choose another")
        if python and isinstance(member, Float | Int):
            raise StrategyError(f"{what} a strategy in plain Python keeps what it likes: set self.{name} in start()")
        if isinstance(member, Indicator):
            _check_indicator(what, member)
            _check_order(owner, name, member, [id(above) for _, above in members[:place]], at[name])
        else:
            _check_default(what, member)


def _check_default(what: str, member: Any) -> None:
    _check_number(f"{what} the default", member.default, isinstance(member, Int))
    if not isinstance(member, Param):
        return
    if not isinstance(member.doc, str):
        raise StrategyError(f"{what} doc is a sentence, not {_shown(member.doc)}")
    for bound, number in (("low", member.low), ("high", member.high)):
        if number is not None:
            _check_number(f"{what} {bound}", number, False)
    if math.isfinite(member.default) and not member.allows(member.default):
        raise StrategyError(f"{what} the default is {member.bounds()}, not {member.default}")


def _check_indicator(what: str, member: Indicator) -> None:
    for number, given in member.given():
        words = "the period" if number.name == "period" else number.name
        kind = "a whole number" if number.whole else "a number"
        if isinstance(given, Float | Int | Indicator | Output):
            raise StrategyError(f"{what} {words} is {kind} or a Param, not {_shown(given)}")
        value = given.default if isinstance(given, Param) else _plain(given)
        _check_number(f"{what} {words}", value, number.whole)
    for name in ("of", "against"):
        given = vars(member).get(name)
        if given is not None and not isinstance(given, Indicator | Output | str):
            raise StrategyError(f"{what} {name}= takes an indicator declared above it, not {_shown(given)}")
    if isinstance(member.of, str):
        raise StrategyError(f"{what} of= takes an indicator declared above it, not {_shown(member.of)}")


def _check_order(owner: type, name: str, member: Indicator, above: list[int], where: str) -> None:
    named = [(number.name, given) for number, given in member.given()]
    named += [(what, vars(member).get(what)) for what in ("of", "against", "bars")]
    for what, other in named:
        other = other.indicator if isinstance(other, Output) else other
        if isinstance(other, Param | Indicator) and id(other) not in above:
            raise StrategyError(f"{where}: the {what} of {name} must be declared above it in {owner.__name__}")


def _check_number(what: str, value: Any, whole: bool) -> None:
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool):
        raise StrategyError(f"{what} is {kind}, not {value}: write {int(value)}")
    if not isinstance(value, int | float) or (whole and isinstance(value, float)):
        raise StrategyError(f"{what} is {kind}, not {_shown(value)}")
    if not _is_number(value):
        raise StrategyError(f"{what} is beyond the 64 bits of a whole number")


def _shown(value: Any) -> str:
    """A value as its author wrote it; of an object, its kind: an address says nothing."""
    if isinstance(value, type):
        return value.__name__
    plain = type(value) in (str, int, float, list, tuple, dict, set, type(None))
    return f"{value!r:.60}" if plain else f"{type(value).__name__}()"


def _is_bars(number: Any) -> bool:
    """Whether a literal or a parameter is a number of bars."""
    value = number.default if isinstance(number, Param) else number
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def resolve_params(definition: Definition, given: Mapping[str, float]) -> dict[str, float]:
    """Defaults with `given` on top, checked against the declared bounds; raises StrategyError."""
    params = definition.params
    for name in given:
        if name not in params:
            near = get_close_matches(name, params, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(params) or 'none'}"
            raise StrategyError(f"{definition.name} has no parameter {name}{hint}")
    return {name: _resolved(definition, name, param, given.get(name, param.default)) for name, param in params.items()}


def _resolved(definition: Definition, name: str, param: Param, value: float) -> float:
    where = f"{definition.where()}: {definition.name}: {name} is"
    whole = param.width == "i8"
    if isinstance(value, float) and not math.isfinite(value):
        raise StrategyError(f"{where} a number, not {value}")
    if whole and value != int(value):
        raise StrategyError(f"{where} a whole number, not {value}")
    value = int(value) if whole else value
    if not _is_number(value):
        raise StrategyError(f"{where} a number of 64 bits, not {value}")
    if not param.allows(value):
        raise StrategyError(f"{where} {param.bounds()}, not {value}")
    return value if whole else float(value)


def _value(owner: Definition, values: Mapping[str, float], number: Any, whole: bool = True) -> float:
    """A literal number, or what the run gave the parameter."""
    for name, member in owner.members:
        if member is number:
            number = values[name]
    value = getattr(number, "default", number)
    return int(value) if whole else float(value)


def _numbers(owner: Definition, values: Mapping[str, float], member: Indicator) -> dict[str, float]:
    """An indicator's numbers by name, in this run."""
    return {number.name: _value(owner, values, given, number.whole) for number, given in member.given()}


def warm_up_bars(definition: Definition, values: Mapping[str, float]) -> int:
    """Bars before `on_bar` is first called: the slowest indicator, or the class's `warmup`."""
    if definition.warmup is not None:
        bars = int(_value(definition, values, definition.warmup))
        if bars < 0:
            raise StrategyError(f"{definition.where()}: warmup is a number of bars, not {bars}")
        return bars
    return max(1, _slowest(definition, values, None))


def _slowest(definition: Definition, values: Mapping[str, float], bars: Indicator | None) -> int:
    """Bars until all indicators that go by `bars` have a value; none: by those of the run. 0 where there is none."""
    slowest, waits = 0, {id(bars): 0}  # of each indicator, the bars before its inputs are all there
    for indicator in definition.indicators.values():
        if isinstance(indicator, Bars) or definition.bars_of(indicator) is not bars:
            continue
        wait = 0
        for given in (given for given in indicator.inputs() if isinstance(given, Output)):
            n = numbers_of(**_numbers(definition, values, given.indicator))
            if isinstance(given.indicator, Bars):
                continue
            wait = max(wait, waits.get(id(given.indicator), 0) + given.indicator.warm_up(n, given.name) - 1)
        waits[id(indicator)] = wait
        slowest = max(slowest, wait + indicator.slowest(numbers_of(**_numbers(definition, values, indicator))))
    return slowest


def write_memory(definition: Definition, values: Mapping[str, float], records: np.ndarray) -> None:
    """Set `records` (one an instrument, of `definition.dtype`) up for a run; raises StrategyError on a bad period."""
    first = np.zeros(1, definition.dtype)
    memory = first[0]
    memory.bars_needed = warm_up_bars(definition, values)
    for name, member in definition.members:
        if isinstance(member, Indicator):
            try:
                member.configure(memory[name], _numbers(definition, values, member))
                if isinstance(member, Bars):
                    memory[name].needed = max(1, _slowest(definition, values, member))
            except ValueError as error:
                raise StrategyError(f"{definition.where()}: {name}: {error}") from None
        else:
            memory[name] = values[name] if isinstance(member, Param) else member.default
    records[:] = first[0]
