"""What a strategy's hooks reach outside themselves: helpers, constants, modules. It all decides what they compute."""

import hashlib
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import onetape
from kernel.strategy import Definition

PLAIN = (bool, int, float, str, bytes, tuple, frozenset, np.generic, np.ndarray, type(None))


@dataclass
class Reach:
    """`functions` of the user's that are compiled into the hooks, `constants` frozen into the machine code by it, and
    every other global they name."""

    functions: list[Callable] = field(default_factory=list)
    constants: dict[str, str] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)

    def digest(self, files: list[Path]) -> str:
        """SHA-256 over the files' bytes, the reached functions' files and the constants; 64 hex digits."""
        own = [Path(f.__code__.co_filename) for f in self.functions]
        more = sorted({path.resolve() for path in own if path.is_file()} - {path.resolve() for path in files})
        sha = hashlib.sha256()
        for path in [*files, *more]:
            sha.update(hashlib.sha256(path.read_bytes()).digest())
        for name in sorted(self.constants):
            sha.update(f"{name}={self.constants[name]}\n".encode())
        return sha.hexdigest()


def reach_of(definition: Definition) -> Reach:
    """Follow the names that the hooks, and the helpers they call, take from their modules."""
    reach, waiting, seen = Reach(), [h for h in (definition.on_bar, definition.on_fill) if h is not None], set()
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        reach.functions.append(function)
        for name, value in _globals_of(function):
            plain = getattr(value, "py_func", value)
            if isinstance(plain, types.FunctionType) and getattr(onetape, name.rpartition(".")[2], None) is not value:
                waiting.append(plain)
            elif isinstance(value, PLAIN):
                reach.constants[f"{function.__module__.partition('_')[0]}:{function.__qualname__}:{name}"] = _text(
                    value
                )
            else:
                reach.others[name] = value
    return reach


def _globals_of(function: Callable) -> Iterator[tuple[str, Any]]:
    """(name, value) of each global a function names, and of attributes it may take from a module among them."""
    code: types.CodeType = function.__code__
    names = [*code.co_names, *(n for c in code.co_consts if isinstance(c, types.CodeType) for n in c.co_names)]
    for name in dict.fromkeys(names):
        if name not in function.__globals__:
            continue
        value = function.__globals__[name]
        yield name, value
        if isinstance(value, types.ModuleType):
            for attribute in names:
                if hasattr(value, attribute):
                    yield f"{name}.{attribute}", getattr(value, attribute)


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    return f"{type(value).__name__} {value!r}"
