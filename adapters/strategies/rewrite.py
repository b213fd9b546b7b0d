"""Put the checked arithmetic of `kernel/checked.py` where a strategy wrote operators, so that a run is the same
compiled and interpreted; and numbers where it wrote the names of constants, so that nothing changes under a run.

The function keeps its name, its lines and its file; only its code is another.
"""

import ast
import builtins
import math
import types
from typing import Any

import numpy as np

from adapters.strategies.reach import Reach
from adapters.strategies.source import Source
from kernel import checked
from kernel.errors import StrategyError
from kernel.jit import COMPILED
from kernel.strategy import Definition, Int

_PREFIX = "_onetape_"
_BINARY = {
    ast.Add: ("add", "add_to"),
    ast.Sub: ("subtract", "subtract_from"),
    ast.Mult: ("multiply", "multiply_by"),
    ast.Div: ("divide", "divide_by"),
    ast.FloorDiv: ("floor_divide", "floor_divide"),
    ast.Mod: ("remainder", "remainder"),
    ast.Pow: ("power", "power"),
    ast.LShift: ("shift_left", "shift_left"),
    ast.RShift: ("shift_right", "shift_right"),
}
_UNARY = {ast.USub: "negate", ast.Invert: "invert"}
_COMPARED = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "more",
    ast.GtE: "more_equal",
    ast.Eq: "equal",
    ast.NotEq: "unequal",
}
_CALLED = {
    id(builtins.int): "whole",
    id(builtins.abs): "magnitude",
    id(builtins.pow): "power",
    id(builtins.sum): "total",
    id(math.pow): "real_power",
    id(math.floor): "floor",
    id(math.ceil): "ceil",
    id(math.trunc): "trunc",
    **{id(of_math): function.__name__ for of_math, function in checked.REAL.items()},
}
_OF_VALUES = {id(builtins.min): "lowest", id(builtins.max): "highest"}
_INTERPRETED = {id(builtins.min): "smallest", id(builtins.max): "largest"}
_FUNCTIONS = {**vars(checked), **{function.__name__: function for function in checked.REAL.values()}}


def rewrite(definition: Definition, reach: Reach) -> None:
    """Give every reached function its checked code; raises StrategyError for a number beyond 64 bits."""
    whole = frozenset(name for name, member in definition.members if isinstance(member, Int))
    for source in reach.functions:
        tree = rewritten(source, whole)
        code = compile(ast.Module([tree], []), str(source.file), "exec", dont_inherit=True)
        own = next(c for c in code.co_consts if isinstance(c, types.CodeType) and c.co_name == tree.name)
        old = source.function.__code__
        source.function.__code__ = own.replace(co_qualname=old.co_qualname)
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id.startswith(_PREFIX)}
        found = {name: _FUNCTIONS.get(name.removeprefix(_PREFIX)) for name in names}
        source.function.__globals__.update({name: value for name, value in found.items() if value is not None})


def rewritten(source: Source, whole: frozenset[str] = frozenset()) -> ast.FunctionDef:
    """The function's tree with checked arithmetic; `whole` are the attributes of self that are whole numbers."""
    tree = _Rewriter(source, whole).visit(_copied(source.node))
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Constant) else None
        if type(value) is int and not checked.LOWEST <= value <= checked.HIGHEST:
            raise StrategyError(f"{source.where(node)}: {value} is beyond the 64 bits of a whole number")
    return ast.fix_missing_locations(tree)


def _copied(node: Any) -> Any:
    if isinstance(node, list):
        return [_copied(child) for child in node]
    if not isinstance(node, ast.AST):
        return node
    return ast.copy_location(type(node)(**{name: _copied(value) for name, value in ast.iter_fields(node)}), node)


def _number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


class _Rewriter(ast.NodeTransformer):
    def __init__(self, source: Source, whole: frozenset[str]) -> None:
        self._source, self._whole, self._temporary = source, whole, 0

    def _call(self, node: ast.AST, name: str, *args: ast.expr) -> ast.expr:
        """A call of a checked function, or its result where the arguments are numbers."""
        if all(_number(arg) for arg in args) and name not in ("total", "lowest", "highest"):
            try:
                return ast.copy_location(ast.Constant(_FUNCTIONS[name](*(arg.value for arg in args))), node)  # type: ignore[attr-defined]
            except (ArithmeticError, TypeError, ValueError):
                pass  # it fails where it stands, when the strategy gets there
        function = ast.copy_location(ast.Name(_PREFIX + name, ast.Load()), node)
        return ast.copy_location(ast.Call(function, list(args), []), node)

    def _name(self, node: ast.AST) -> str:
        self._temporary += 1
        return f"{_PREFIX}{self._temporary}"

    # ---- numbers ----

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._constant(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        constant = self._constant(node)
        return self.generic_visit(node) if constant is node else constant  # type: ignore[return-value]

    def _constant(self, node: ast.expr) -> ast.expr:
        value = self._source.value_of(node) if isinstance(node.ctx, ast.Load) else None  # type: ignore[attr-defined]
        if isinstance(value, np.bool_ | bool):
            return ast.copy_location(ast.Constant(bool(value)), node)
        if isinstance(value, int | np.integer):  # a member of an IntEnum, too
            return ast.copy_location(ast.Constant(int(value)), node)
        if isinstance(value, float | np.floating):
            return ast.copy_location(ast.Constant(float(value)), node)
        return node

    # ---- operators ----

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        names = _BINARY.get(type(node.op))
        if names is None:
            return node
        power = isinstance(node.op, ast.Pow) and _number(node.left) and _number(node.right)
        if power and node.right.value < 0 and node.left.value > 0:  # type: ignore[attr-defined]
            return ast.copy_location(ast.Constant(math.pow(node.left.value, node.right.value)), node)  # type: ignore[attr-defined]
        return self._call(node, names[0], node.left, node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.USub) and _number(node.operand):
            return ast.copy_location(ast.Constant(-node.operand.value), node)  # type: ignore[attr-defined]
        self.generic_visit(node)
        if isinstance(node.op, ast.UAdd):
            return node.operand
        name = _UNARY.get(type(node.op))
        return self._call(node, name, node.operand) if name else node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Interpreted only: a chain becomes `less(a, (b := ...)) and less(b, c)`."""
        self.generic_visit(node)
        names = [_COMPARED.get(type(op)) for op in node.ops]
        if COMPILED or None in names:
            return node
        left, parts = node.left, []
        for k, (name, right) in enumerate(zip(names, node.comparators, strict=True)):
            compared = following = right
            if k + 1 < len(names) and not isinstance(right, ast.Constant):
                kept = self._name(node)
                compared, following = ast.NamedExpr(ast.Name(kept, ast.Store()), right), ast.Name(kept, ast.Load())
            parts.append(self._call(node, str(name), left, compared))
            left = following
        return parts[0] if len(parts) == 1 else ast.copy_location(ast.BoolOp(ast.And(), parts), node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = id(self._source.value_of(node.func))
        self.generic_visit(node)
        name = _CALLED.get(function) or (None if COMPILED else _INTERPRETED.get(function))
        if len(node.args) == 1:
            name = _OF_VALUES.get(function, name)
        if function == id(builtins.round):
            name = "nearest" if len(node.args) == 1 else "round_to"
        return node if name is None or node.keywords else self._call(node, name, *node.args)

    # ---- what is stored ----

    def visit_Assign(self, node: ast.Assign) -> Any:
        self.generic_visit(node)
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Attribute | ast.Subscript):
            node.value = self._stored(node, node.targets[0], node.value)
            return node
        after: list[ast.stmt] = []
        node.targets = [self._plain_target(node, target, after) for target in node.targets]
        return [node, *after]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return self.visit_Assign(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_For(self, node: ast.For) -> Any:
        self.generic_visit(node)
        first: list[ast.stmt] = []
        node.target = self._plain_target(node, node.target, first)
        node.body[:0] = first
        return node

    def _plain_target(self, node: ast.stmt, target: ast.expr, after: list[ast.stmt]) -> ast.expr:
        """Names only; `after` stores into attributes and elements what they take over for them."""
        if isinstance(target, ast.Tuple | ast.List):
            target.elts = [self._plain_target(node, part, after) for part in target.elts]
        if not isinstance(target, ast.Attribute | ast.Subscript):
            return target
        kept = self._name(node)
        value = self._stored(node, target, ast.copy_location(ast.Name(kept, ast.Load()), node))
        after.append(ast.copy_location(ast.Assign([target], value), node))
        return ast.copy_location(ast.Name(kept, ast.Store()), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        before: list[ast.stmt] = []
        target = node.target
        if isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Constant | ast.Name | ast.Slice):
            kept = self._name(node)  # an index is worked out once
            index = self.visit(target.slice)
            before.append(ast.copy_location(ast.Assign([ast.Name(kept, ast.Store())], index), node))
            target.slice = ast.copy_location(ast.Name(kept, ast.Load()), node)
        self.generic_visit(node)
        loaded = _copied(node.target)
        loaded.ctx = ast.Load()
        names = _BINARY.get(type(node.op))
        value: ast.expr = ast.copy_location(ast.BinOp(loaded, node.op, node.value), node)
        if names is not None:
            value = self._call(node, names[1], loaded, node.value)
        if not isinstance(node.target, ast.Name):
            value = self._stored(node, node.target, value)
        return [*before, ast.copy_location(ast.Assign([node.target], value), node)]

    def _stored(self, node: ast.AST, target: ast.expr, value: ast.expr) -> ast.expr:
        if isinstance(target, ast.Subscript):
            return self._call(node, "fit", _loaded(target.value), value)
        if isinstance(target, ast.Attribute) and target.attr in self._whole:
            return self._call(node, "whole", value)
        return value


def _loaded(node: ast.expr) -> ast.expr:
    copy = _copied(node)
    copy.ctx = ast.Load()
    return copy
