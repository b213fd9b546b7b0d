"""Checks and hash of strategies in plain Python: nothing is compiled, so all of their files are looked at, and the
versions of the libraries they import are part of their code."""

import ast
import hashlib
import sys
import types
from importlib.metadata import packages_distributions, version
from pathlib import Path

from adapters.strategies.pure import check_everything
from adapters.strategies.source import text_of
from kernel import signals
from kernel.strategy import Definition

OURS = ("onetape", "kernel")
_PLAIN: dict[str, object] = dict(vars(signals))
for _name, _value in vars(signals).items():
    _f = getattr(_value, "py_func", None)
    if _f is not None:
        _PLAIN[_name] = types.FunctionType(_f.__code__, _PLAIN, _name, _f.__defaults__)
_INSTEAD = {id(value): _PLAIN[name] for name, value in vars(signals).items() if hasattr(value, "py_func")}


def make_plain(definition: Definition) -> None:
    """Have its file call Onetape's functions as the Python they are written in: a compiled one that is called from
    Python looks at the types of its arguments first."""
    for hook in definition.hooks.values():
        for name, value in list(hook.__globals__.items()):
            if id(value) in _INSTEAD:
                hook.__globals__[name] = _INSTEAD[id(value)]


def check_python(files: list[Path]) -> None:
    """Raise StrategyError, with file and line, at a clock, dice, a network or the environment anywhere in the files."""
    for path in files:
        check_everything(text_of(path), str(path))


def python_digest(files: list[Path]) -> str:
    """SHA-256 over the files' bytes and the versions of what they import; 64 hex digits."""
    sha = hashlib.sha256()
    for path in files:
        sha.update(hashlib.sha256(text_of(path)).digest())
    for name in sorted(_libraries(files)):
        sha.update(name.encode() + b"\n")
    return sha.hexdigest()


def _libraries(files: list[Path]) -> set[str]:
    """`numpy 2.1.0` and so on, and Python itself."""
    known, found = packages_distributions(), {f"python {sys.version_info[:3]}"}
    for path in files:
        for node in ast.walk(ast.parse(text_of(path))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in {name.partition(".")[0] for name in names} - set(OURS):
                found |= {f"{package} {version(package)}" for package in known.get(name, ())}
    return found
