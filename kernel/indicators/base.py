"""What an indicator is: a declaration with numbers and outputs, a record of fixed size, and one compiled `update`."""

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from kernel.jit import jit_indicator
from kernel.schema import Record

OPEN, HIGH, LOW, CLOSE, VOLUME, HL2, HLC3, OHLC4 = (
    "bar.open",
    "bar.high",
    "bar.low",
    "bar.close",
    "bar.volume",
    "(bar.high + bar.low) / 2.0",
    "(bar.high + bar.low + bar.close) / 3.0",
    "(bar.open + bar.high + bar.low + bar.close) / 4.0",
)
SOURCES = (OPEN, HIGH, LOW, CLOSE, VOLUME, HL2, HLC3, OHLC4)
BAR = "bar"  # the input of an indicator that takes whole bars
RING_MAX = 100_000


class Number(NamedTuple):
    """A number an indicator takes, as a literal or a Param: its bounds, and whether a window is as long as it."""

    name: str
    low: float = 1
    high: float = math.inf
    whole: bool = True
    window: bool = False

    def words(self) -> str:
        return "a period" if self.name == "period" else self.name

    def bounds(self) -> str:
        return f"{self.low} or more" if math.isinf(self.high) else f"between {self.low} and {self.high}"


PERIOD = Number("period")
WINDOW = Number("period", window=True)
MULTIPLE = Number("multiple", 0.0, 1e6, whole=False)


class Output(NamedTuple):
    """An output of a declared indicator, for `of=`."""

    indicator: "Indicator"
    name: str


class Indicator:
    """A declared indicator: what it keeps, how it is set up, how one bar changes it.

    Its record has `value` and `previous`, the other outputs, its numbers, `count`, and what it works with. Outputs
    are NaN until they are warm.
    """

    numbers: ClassVar[tuple[Number, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ()  # beside `value`
    bars: "Indicator | None" = None  # the longer bars it goes by, none: those of the run
    sessions: ClassVar[bool] = False  # it asks for the trading day of its bars
    update: Callable  # (memory, *inputs)

    def __init__(self, source: Any = BAR, of: Any = None, **numbers: Any) -> None:
        self.source, self.of = source, of
        for number in self.numbers:
            setattr(self, number.name, numbers[number.name])
        if source != BAR and source not in SOURCES:
            raise ValueError("source is one of OPEN, HIGH, LOW, CLOSE, VOLUME, HL2, HLC3, OHLC4")

    def __getattr__(self, name: str) -> Output:
        """An output by its name, so that `of=macd.signal` reads as it will in a hook."""
        if name in ("value", *self.outputs):
            return Output(self, name)
        near = get_close_matches(name, ("value", *self.outputs), 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(('value', *self.outputs))}"
        raise AttributeError(f"{type(self).__name__} has no output {name}: {hint}")

    def on(self, bars: "Indicator") -> Self:
        """Have it go by the complete bars of `bars`, one declared above, instead of the run's own."""
        if self.sessions:
            raise ValueError(f"{type(self).__name__} goes by the trading day of the run's own bars")
        self.bars = bars
        return self

    def inputs(self) -> list[Any]:
        """What `update` takes after the memory: texts of the bar, or outputs of indicators declared above."""
        return [as_input(self.of, self.source)]

    def given(self) -> list[tuple[Number, Any]]:
        """Its numbers with what was written for each."""
        return [(number, getattr(self, number.name)) for number in self.numbers]

    def fields(self) -> list[tuple]:
        """Fields of its record after the common ones."""
        return []

    def dtype(self) -> np.dtype:
        """The layout of its record. Raises ValueError when a window could be too long."""
        seen = [("value", "f8"), ("previous", "f8"), *((name, "f8") for name in self.outputs)]
        numbers = [(number.name, "i8" if number.whole else "f8") for number in self.numbers]
        for number in self.numbers:
            if number.window:
                self.room(number.name)
        return np.dtype((Record, [*seen, *numbers, ("count", "i8"), *self.fields()]))

    def room(self, name: str = "period") -> int:
        """Inputs a window may hold: the number, or the highest its parameter may take."""
        number = next(n for n in self.numbers if n.name == name)
        given = getattr(self, name)
        longest = int(getattr(given, "high", None) or getattr(given, "default", given))
        if not 1 <= longest <= RING_MAX:
            raise ValueError(f"{number.words()} is between 1 and {RING_MAX:,}, this one may be {longest:,}")
        return longest

    def configure(self, memory: Any, numbers: Mapping[str, float]) -> None:
        """Set an empty record up for `numbers`; raises ValueError when one is out of its bounds."""
        for number in self.numbers:
            value, words = numbers[number.name], number.words()
            if not number.low <= value <= number.high:
                raise ValueError(f"{words} is {number.bounds()}, not {value}")
            if number.window and value > self.room(number.name):
                raise ValueError(f"{words} of {value} needs room: declare its Param with high={value} or more")
            setattr(memory, number.name, value)
        for name in ("value", "previous", *self.outputs):
            setattr(memory, name, math.nan)
        self.set_up(memory)

    def set_up(self, m: Any) -> None:
        """Set what follows from the numbers, which are in `m` already; raises ValueError where they do not fit."""

    def warm_up(self, n: Any, output: str = "value") -> int:
        """Inputs until `output` has its first value, `n` being the numbers by name: the period, where there is one."""
        return getattr(n, "period", 1)

    def slowest(self, n: Any) -> int:
        """Inputs until all outputs have one."""
        return max(self.warm_up(n, name) for name in ("value", *self.outputs))


class OfSource(Indicator):
    """One with a period, over a source or another indicator."""

    numbers = (PERIOD,)

    def __init__(self, period: Any, source: str = CLOSE, of: Any = None) -> None:
        super().__init__(source, of, period=period)


class OfWindow(OfSource):
    """One that keeps its last `period` inputs."""

    numbers = (WINDOW,)


class OfBars(Indicator):
    """One with a period, over whole bars."""

    numbers = (PERIOD,)

    def __init__(self, period: Any) -> None:
        super().__init__(period=period)


def as_input(of: Any, source: str) -> Any:
    """The output or source that is an input; anything else as it is, for `@strategy` to judge."""
    return source if of is None else Output(of, "value") if isinstance(of, Indicator) else of


def numbers_of(**numbers: float) -> Any:
    """Numbers by name, as `warm_up` takes them."""
    return SimpleNamespace(**numbers)


@jit_indicator
def canonical(x):
    """The one NaN and the one zero: different bits for the same number would be different states."""
    return math.nan if x != x else x + 0.0


@jit_indicator
def put(m, value):
    """Make `value` the indicator's, and what it was the one before."""
    m.previous = m.value
    m.value = canonical(value)
