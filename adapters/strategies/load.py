"""Load a strategy from its origin, check it, compile it or take it from the cache.

An origin says one place, whatever else has the same name today: a built-in's name, `path/to/file.py:Class`, or
`package.module:Class` of what an installed package offers. `registry.py` finds origins by name.
"""

import importlib
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from adapters.strategies.check import check_definition
from adapters.strategies.compile import compile_program
from adapters.strategies.modules import run_file, run_module
from adapters.strategies.python import check_python, make_plain, python_digest
from adapters.strategies.reach import Reach, reach_of
from adapters.strategies.rewrite import rewrite
from kernel.codehash import KERNEL
from kernel.errors import NotFound, StrategyError
from kernel.program import Program
from kernel.strategy import Definition, resolve_params

BUILT_IN = KERNEL / "strategies"
GROUP = "onetape.strategies"  # entry points of installed packages


@dataclass(frozen=True)
class Loaded:
    """A strategy ready to run, and all that a replay must find again: where from, which bytes, which parameters."""

    spec: str  # what the user wrote
    origin: str  # a built-in's name, path/to/file.py:Class or package.module:Class
    code_hash: str
    params: dict[str, float]
    program: Program

    @property
    def definition(self) -> Definition:
        return self.program.definition


def built_in_names() -> list[str]:
    return sorted(path.stem for path in BUILT_IN.glob("*.py") if path.stem != "__init__")


def split_spec(spec: str) -> tuple[str, dict[str, float]]:
    """`name,k=v,...` as a name and numbers; raises StrategyError on anything else."""
    name, *pairs = (part.strip() for part in spec.split(","))
    given: dict[str, float] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        try:
            given[key.strip()] = float(text) if re.search(r"[.eEn]", text) else int(text)
        except ValueError:
            raise StrategyError(f"{spec}: {pair!r} is not name=number") from None
    return name, given


@dataclass(frozen=True)
class Checked:
    """A strategy that was found and may run, not compiled yet."""

    spec: str
    origin: str
    code_hash: str
    params: dict[str, float]
    definition: Definition
    reach: Reach


def check_strategy(spec: str) -> Checked:
    """The strategy of an origin with parameters, `ema_cross,fast=20` or `path/to/file.py:Class,k=v`, checked.

    Raises NotFound or StrategyError; the latter names file, line and construct.
    """
    name, given = split_spec(spec)
    find = _from_file if is_file(name) else _offered if ":" in name else _built_in
    origin, definition, files = find(name)
    params = resolve_params(definition, given)
    if definition.python:
        check_python(files)
        make_plain(definition)
        return Checked(spec, origin, python_digest(files), params, definition, Reach())
    reach = reach_of(definition)
    check_definition(definition, reach)
    rewrite(definition, reach)
    return Checked(spec, origin, reach.digest(files), params, definition, reach)


def load_strategy(spec: str) -> Loaded:
    """The strategy of `spec`, checked and compiled; raises as `check_strategy`, and where the compiler refuses it."""
    name, given = split_spec(spec)
    if not is_file(name) and ":" not in name:
        c, program = _built_in_program(name)
        return Loaded(spec, c.origin, c.code_hash, resolve_params(c.definition, given), program)
    c = check_strategy(spec)
    return Loaded(spec, c.origin, c.code_hash, c.params, compile_program(c.definition, c.reach, c.code_hash))


@lru_cache
def _built_in_program(name: str) -> tuple[Checked, Program]:
    """What comes with this version does not change while a process runs: a replay loads it many times."""
    c = check_strategy(name)
    return c, compile_program(c.definition, c.reach, c.code_hash)


def is_file(name: str) -> bool:
    """Whether a name is `path/to/file.py` or `path/to/file.py:Class`."""
    return re.search(r"\.py(:\w*)?$", name) is not None


def _built_in(name: str) -> tuple[str, Definition, list[Path]]:
    if name not in built_in_names():
        raise NotFound(
            f"no strategy {name!r}: the built-in ones are {', '.join(built_in_names())}; "
            "your own is path/to/file.py:Class"
        )
    module = importlib.import_module(f"kernel.strategies.{name}")
    [definition] = [one for one in _strategies_in(module).values() if one.name == name]
    return name, definition, [BUILT_IN / f"{name}.py"]


def _offered(name: str) -> tuple[str, Definition, list[Path]]:
    if not any(entry.value == name for entry in entry_points(group=GROUP)):
        raise NotFound(f"no installed package offers a strategy {name} (entry points of {GROUP})")
    path, _, wanted = name.partition(":")
    module, files = run_module(path)
    found = getattr(module, wanted, None)
    if not isinstance(found, type) or "onetape" not in vars(found):
        raise StrategyError(f"{files[0]}: {wanted} is no class with @strategy above it")
    return name, vars(found)["onetape"], files


def _from_file(name: str) -> tuple[str, Definition, list[Path]]:
    stem, _, wanted = name.rpartition(".py")  # not the first colon: C:\\mine.py:Class
    text, wanted = f"{stem}.py", wanted.removeprefix(":")
    path = Path(text).expanduser().resolve()
    if not path.is_file():
        raise NotFound(f"{text}: no such strategy file")
    module, files = run_file(path)
    found = _strategies_in(module)
    if not found:
        raise StrategyError(f"{text}: no class with @strategy above it")
    if not wanted and len(found) > 1:
        raise StrategyError(f"{text} has several strategies: write {text}:{' or :'.join(found)}")
    wanted = wanted or next(iter(found))
    if wanted not in found:
        raise NotFound(f"{text} has no strategy {wanted}; it has {', '.join(found)}")
    return f"{path}:{wanted}", found[wanted], files


def _strategies_in(module: ModuleType) -> dict[str, Definition]:
    """The strategies a module declares, by the names of their classes."""
    return {
        value.__name__: vars(value)["onetape"]
        for value in vars(module).values()
        if isinstance(value, type) and "onetape" in vars(value) and value.__module__ == module.__name__
    }
