"""What a strategy's hooks reach outside themselves: helpers, constants, modules. It all decides what they compute."""

import ast
import hashlib
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import onetape
from adapters.strategies.source import MISSING, Source, source_of, text_of
from kernel.errors import StrategyError
from kernel.frame import VIEWS
from kernel.indicators import Output
from kernel.strategy import Definition

PLAIN = (bool, int, float, str, bytes, tuple, frozenset, np.generic, np.ndarray, type(None))
OURS = {id(value): name for name, value in vars(onetape).items() if name in onetape.__all__}


@dataclass
class Reach:
    """`hooks` and the user's `helpers` that are compiled into them, and `constants` frozen into the machine code."""

    hooks: dict[str, Source] = field(default_factory=dict)  # by what they are told of
    helpers: list[Source] = field(default_factory=list)
    constants: dict[str, str] = field(default_factory=dict)

    @property
    def functions(self) -> list[Source]:
        return [*self.hooks.values(), *self.helpers]

    def reads(self, *names: str) -> bool:
        """Whether any function reads an attribute of one of these names, whatever it is of."""
        nodes = (node for function in self.functions for node in ast.walk(function.node))
        return any(isinstance(node, ast.Attribute) and node.attr in names for node in nodes)

    def digest(self, files: list[Path]) -> str:
        """SHA-256 over the files' bytes, the reached functions' files and the constants; 64 hex digits."""
        more = sorted({f.file.resolve() for f in self.functions} - {path.resolve() for path in files})
        sha = hashlib.sha256()
        for path in [*files, *more]:
            sha.update(hashlib.sha256(text_of(path)).digest())
        for name in sorted(self.constants):
            sha.update(f"{name}={self.constants[name]}\n".encode())
        return sha.hexdigest()


def reach_of(definition: Definition) -> Reach:
    """Follow the names that the hooks, and the helpers they call, take from their modules.

    Raises StrategyError where functions call each other in a circle: compiled, that overruns the stack and the process.
    """
    reach, seen = Reach(), {}  # type: ignore[var-annotated]
    for what in VIEWS:
        hook = definition.hook(f"on_{what}")
        if hook is not None:
            reach.hooks[what] = _follow(hook, reach, seen, ())
    for name, member in definition.members:
        reach.constants[f"{definition.name}.{name}"] = f"{type(member).__name__} {_given(definition, member)!r}"
    return reach


def _given(definition: Definition, member: Any) -> dict[str, Any]:
    """What a member was declared with, in words that are the same in every process; `doc` decides nothing."""
    names = {id(other): name for name, other in definition.members}
    kept = {k: v for k, v in vars(member).items() if isinstance(v, PLAIN) and k != "doc"}
    return {k: f"{names[id(v.indicator)]}.{v.name}" if isinstance(v, Output) else v for k, v in kept.items()}


def _follow(function: Callable, reach: Reach, seen: dict[Callable, Source], above: tuple[Source, ...]) -> Source:
    source = seen[function] = source_of(function)
    for node, text, value in source.names:
        called = callee(value)
        if called is not None:
            circle = [f.function for f in (*above, source)]
            if called in circle:
                names = " -> ".join([f.__name__ for f in circle[circle.index(called) :]] + [called.__name__])
                raise StrategyError(
                    f"{source.where(node)}: {names}: a function that calls itself, even through others, "
                    "may overrun the stack and end the whole process: write a loop"
                )
            if called not in seen:
                reach.helpers.append(_follow(called, reach, seen, (*above, source)))
        elif isinstance(value, PLAIN) and value is not MISSING:
            reach.constants[f"{_home(function)}:{text}"] = _text(value)
    kept = [*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]  # type: ignore[attr-defined]
    if kept:
        reach.constants[f"{_home(function)}()"] = _text(tuple(kept))
    return source


def callee(value: Any) -> types.FunctionType | None:
    """The user's function behind a name, compiled or not."""
    plain = getattr(value, "py_func", value)
    if not isinstance(plain, types.FunctionType) or id(value) in OURS:
        return None
    if getattr(value, "onetape_helper", False) or getattr(plain, "onetape_helper", False):
        return plain
    return None


def _home(function: Callable) -> str:
    """Module and name; a strategy file's module is named by its bytes, which are hashed anyway."""
    return f"{function.__module__.partition('_user_')[0]}:{function.__qualname__}"


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))})"
    return f"{type(value).__name__} {value!r}"


def calls_of(source: Source) -> list[tuple[ast.Call, Any]]:
    """Every call in a function, with what is called, where that is known."""
    calls = [node for node in ast.walk(source.node) if isinstance(node, ast.Call)]
    return [(node, source.value_of(node.func)) for node in calls]
