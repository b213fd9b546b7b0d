"""A function as its author wrote it: its syntax tree, and what the names in it stand for."""

import ast
import builtins
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kernel.errors import StrategyError

MISSING = object()  # what a name stands for that stands for nothing
READ: dict[str, bytes] = {}  # path: the bytes of a user's file that were run, whatever is on disk by now


def text_of(path: Path) -> bytes:
    """The bytes of a source file: those that were run, if it was loaded as part of a strategy."""
    return READ.get(str(path)) or path.read_bytes()


@dataclass(frozen=True, eq=False)
class Source:
    """`function` with the tree of its own `def`."""

    function: Any  # a plain Python function
    node: ast.FunctionDef
    file: Path

    @property
    def name(self) -> str:
        return self.function.__qualname__

    def where(self, node: ast.AST) -> str:
        return f"{self.file}:{getattr(node, 'lineno', self.node.lineno)}"

    @cached_property
    def arguments(self) -> list[str]:
        given = self.node.args
        return [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]

    @cached_property
    def local(self) -> frozenset[str]:
        """Names that are the function's own: arguments, and whatever is assigned in it."""
        stored = {n.id for n in ast.walk(self.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        return frozenset(stored | set(self.arguments))

    def value_of(self, node: ast.AST) -> Any:
        """What `name` or `module.attribute` stands for outside the function; MISSING for what is not known there."""
        if isinstance(node, ast.Name) and node.id not in self.local:
            return self.function.__globals__.get(node.id, getattr(builtins, node.id, MISSING))
        if isinstance(node, ast.Attribute):
            owner = self.value_of(node.value)
            return MISSING if owner is MISSING else getattr(owner, node.attr, MISSING)
        return MISSING

    @cached_property
    def names(self) -> list[tuple[ast.expr, str, Any]]:
        """(node, text, value) of every global name the function reads, with all the attributes that follow it."""
        return list(self._names(self.node))

    def _names(self, node: ast.AST) -> Iterator[tuple[ast.expr, str, Any]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Name | ast.Attribute) and self._is_global(child):
                yield child, ast.unparse(child), self.value_of(child)
            else:
                yield from self._names(child)

    def _is_global(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id not in self.local and isinstance(node.ctx, ast.Load)


_TREES: dict[tuple[str, int], ast.Module] = {}


def source_of(function: Callable) -> Source:
    """Raises StrategyError for what is no plain `def` of a file."""
    assert isinstance(function, types.FunctionType)
    code = function.__code__
    path = Path(code.co_filename)
    try:
        text = text_of(path)
    except OSError:
        raise StrategyError(f"{path}: {function.__qualname__}() is not written in a file that can be read") from None
    key = (str(path), hash(text))
    if key not in _TREES:
        _TREES[key] = ast.parse(text)
    for node in ast.walk(_TREES[key]):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if code.co_firstlineno in (first, node.lineno):  # rewritten functions have lost their decorators
                if code.co_freevars:
                    what = f"it uses {code.co_freevars[0]} of the function around it"
                    raise StrategyError(f"{path}:{node.lineno}: {function.__name__}(): {what}: hand it over instead")
                return Source(function, _bare(node), path)
    raise StrategyError(f"{path}:{code.co_firstlineno}: {function.__qualname__}() must be written with `def`")


def _bare(node: ast.FunctionDef) -> ast.FunctionDef:
    """The function without what runs only once, where it is defined: decorators, defaults, annotations."""
    args = node.args
    bare = [ast.copy_location(ast.arg(a.arg), a) for a in args.args]
    only = [ast.copy_location(ast.arg(a.arg), a) for a in args.kwonlyargs]
    first = [ast.copy_location(ast.arg(a.arg), a) for a in args.posonlyargs]
    plain = ast.arguments(first, bare, args.vararg, only, [None] * len(only), args.kwarg, [])
    return ast.copy_location(ast.FunctionDef(node.name, plain, node.body, [], None, None), node)
