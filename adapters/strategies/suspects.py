"""What a strategy's functions take along that is no part of a run's events: tables of numbers, moments, values that can
be changed; and what its file reads. Allowed, but where hindsight would be, so `onetape check` looks at it."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters.strategies.reach import OURS, Reach
from adapters.strategies.source import MISSING, Source, text_of

TABLE_LEAST = 8  # numbers; fewer are levels and weights
READERS = (
    *("open", "read_text", "read_bytes", "read_csv", "read_parquet", "read_table", "read_json", "read_excel"),
    *("loadtxt", "genfromtxt", "fromfile", "load", "loads", "reader", "DictReader", "scan_csv", "scan_parquet"),
)


@dataclass(frozen=True)
class Table:
    """Numbers that a function reads by a name, or that stand in it: float64, in order, one dimension."""

    name: str
    where: str
    numbers: np.ndarray


@dataclass(frozen=True)
class Place:
    """Something in a strategy's files, with file and line."""

    name: str
    where: str


def tables_of(reach: Reach) -> list[Table]:
    """Every table of at least TABLE_LEAST numbers; of one of two dimensions each column, and each row, by itself."""
    found = [
        Table(name, source.where(node), numbers)
        for source in reach.functions
        for node, name, value in _values(source)
        for numbers in _columns(value)
        if len(numbers) >= TABLE_LEAST
    ]
    return list({(table.name, table.numbers.tobytes()): table for table in found}.values())


def whole_numbers_of(reach: Reach) -> list[tuple[Place, list[int]]]:
    """The whole numbers that functions name or state, a list for each place: some may be times."""
    found = []
    for source in reach.functions:
        for node, name, value in _values(source):
            numbers = [
                int(x) for column in _columns(value) for x in column[np.isfinite(column)].tolist() if x == int(x)
            ]
            exact = [value] if isinstance(value, int | np.integer) else []
            found.append((Place(name, source.where(node)), [int(x) for x in exact] or numbers))
        stated = [n for n in ast.walk(source.node) if isinstance(n, ast.Constant) and type(n.value) is int]
        found += [(Place(str(node.value), source.where(node)), [int(node.value)]) for node in stated]  # type: ignore[arg-type]
    return found


def changeable_of(reach: Reach) -> list[Place]:
    """Names of functions that stand for what something can change while a strategy runs. Compiled code has them as they
    were at first."""
    return [
        Place(name, source.where(node))
        for source in reach.functions
        for node, name, value in source.names
        if value is not MISSING and isinstance(value, np.ndarray | list | dict | set | tuple) and _can_change(value)
    ]


def reads_of(files: list[Path]) -> list[Place]:
    """Calls in the files that read another file, as far as their names tell."""
    found = []
    for path in files:
        calls = [node for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, ast.Call)]
        reading = [node for node in calls if _last(node.func) in READERS]
        found += [Place(ast.unparse(node)[:80], f"{path}:{node.lineno}") for node in reading]
    return found


def _values(source: Source) -> Iterator[tuple[ast.AST, str, Any]]:
    """What a function reads by global names of its author, its defaults, and the tuples and lists of numbers in it."""
    yield from (named for named in source.names if id(named[2]) not in OURS)
    for name, parameter in inspect.signature(source.function).parameters.items():
        if isinstance(parameter.default, tuple):
            yield source.node, name, parameter.default
    for node in ast.walk(source.node):
        if isinstance(node, ast.Tuple | ast.List) and all(isinstance(part, ast.Constant) for part in node.elts):
            yield node, f"{ast.unparse(node)[:40]}", tuple(part.value for part in node.elts)  # type: ignore[attr-defined]


def _columns(value: Any) -> list[np.ndarray]:
    if not isinstance(value, np.ndarray | tuple) or (isinstance(value, tuple) and not value):
        return []
    if isinstance(value, tuple) and all(isinstance(part, np.ndarray | tuple) for part in value):
        return [column for part in value for column in _columns(part)]
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return []
    if numbers.ndim == 1:
        return [numbers]
    return [*np.atleast_2d(numbers), *np.atleast_2d(numbers).T] if numbers.ndim == 2 else [numbers.ravel()]


def _can_change(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(_can_change(part) for part in value)
    return isinstance(value, np.ndarray | list | dict | set)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
