"""The words of a scan, such as `rsi14 < 30 and crossed_above(close, ema(close, 20))`: read, checked, worked out.

Python's own parser reads them, and a short list says what may stand there: nothing is ever executed. What is wrong is
said with the place it stands at.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from api.scan_terms import SOURCES, Argument, Output, Terms, indicator_called, near_to, numbered, outputs_of
from kernel.errors import ConfigError
from kernel.indicators import Sma

LONGEST = 500  # letters
DEEPEST = 50
OPERATORS: dict[type, Callable] = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide}
COMPARED: dict[type, Callable] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
FUNCTIONS = {"prev": 1, "abs": 1, "crossed_above": 2, "crossed_below": 2}  # with how many arguments


class Seen(NamedTuple):
    """What is known of every instrument after its last bar: the strategy's records, and prices as traded."""

    records: np.ndarray
    price: np.ndarray


Work = Callable[[Seen, bool], np.ndarray]  # the flag asks for the bar before


@dataclass(frozen=True)
class Expression:
    """A number or a condition for each instrument; `text` is how it was written."""

    text: str
    work: Work

    def __call__(self, seen: Seen) -> np.ndarray:
        """f8 or bool, one an instrument; NaN makes comparisons false, as in a strategy."""
        with np.errstate(all="ignore"):
            return np.broadcast_to(self.work(seen, False), len(seen.price))


class Reader:
    """Reads texts and gathers the indicators they need in `terms`. Raises ConfigError."""

    def __init__(self) -> None:
        self.terms = Terms()
        self._text, self._what = "", ""
        self._places: dict[str, tuple[str, str, ast.expr]] = {}  # of indicators: what was read, and where in it
        self.shown: dict[str, Expression] = {}  # the numbers that were read, as columns

    def condition(self, what: str, text: str) -> Expression:
        """`what` says in errors where the text is from."""
        node = self._parse(what, text)
        return Expression(self._text, self._truth(node))

    def numbers(self, what: str, text: str) -> list[Expression]:
        """Numbers separated by commas."""
        node = self._parse(what, text)
        parts = node.elts if isinstance(node, ast.Tuple) else [node]
        return [Expression(self._segment(part), self._number(part)) for part in parts]

    def _parse(self, what: str, text: str) -> ast.expr:
        self._what, self._text = what, " ".join(text.split())
        if len(self._text) > LONGEST:
            raise ConfigError(f"{what}: {len(self._text):,} letters are more than {LONGEST}")
        try:
            node = ast.parse(self._text, mode="eval").body
        except SyntaxError as error:
            raise ConfigError(self._marked(error.msg, (error.offset or 1) - 1, 1)) from None
        except (RecursionError, MemoryError, ValueError) as error:
            raise ConfigError(f"{what}: cannot be read: {error}") from None
        if _depth(node) > DEEPEST:
            raise ConfigError(f"{what}: more than {DEEPEST} levels of brackets and signs")
        return node

    # ---- errors ----

    def _marked(self, why: str, column: int, width: int) -> str:
        return f"{self._what}: {why}\n  {self._text}\n  {' ' * column}{'^' * max(1, width)}"

    def _wrong(self, node: ast.AST, why: str) -> ConfigError:
        begin, end = self._columns(node)
        return ConfigError(self._marked(why, begin, end - begin))

    def _columns(self, node: ast.AST) -> tuple[int, int]:
        """Where a node begins and ends, in letters; the parser counts bytes."""
        raw = self._text.encode()
        begin, end = node.col_offset, node.end_col_offset or node.col_offset  # type: ignore[attr-defined]
        return len(raw[:begin].decode()), len(raw[:end].decode())

    def _segment(self, node: ast.AST) -> str:
        begin, end = self._columns(node)
        return self._text[begin:end]

    def of_member(self, member: str, why: str) -> ConfigError:
        """The error of an indicator that turned out not to be possible."""
        if member not in self._places:
            return ConfigError(f"scan: {why}")
        self._what, self._text, node = self._places[member]
        return self._wrong(node, why)

    # ---- conditions ----

    def _truth(self, node: ast.expr) -> Work:
        if isinstance(node, ast.BoolOp):
            parts = [self._truth(part) for part in node.values]
            both = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return lambda seen, before: both.reduce([np.broadcast_to(p(seen, before), len(seen.price)) for p in parts])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            part = self._truth(node.operand)
            return lambda seen, before: np.logical_not(part(seen, before))
        if isinstance(node, ast.Compare):
            return self._compared(node)
        if isinstance(node, ast.Call) and _called(node).startswith("crossed_"):
            return self._crossed(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            raise self._wrong(node, "write `and` and `or`")
        self._number(node)
        raise self._wrong(node, "this is a number, no condition: compare it with something")

    def _compared(self, node: ast.Compare) -> Work:
        values = [self._number(part) for part in (node.left, *node.comparators)]
        found = [COMPARED.get(type(op)) for op in node.ops]
        if None in found:
            raise self._wrong(node, "numbers are compared with < <= > >= == !=")
        steps = list(zip(found, values, values[1:], strict=False))

        def work(seen: Seen, before: bool) -> np.ndarray:
            parts = [compare(a(seen, before), b(seen, before)) for compare, a, b in steps]  # type: ignore[misc,operator]
            return np.logical_and.reduce([np.broadcast_to(part, len(seen.price)) for part in parts])

        return work

    def _crossed(self, node: ast.Call) -> Work:
        """As `kernel.signals` has it; what is not an indicator is worked out for the bar before, too."""
        name = _called(node)
        self._check_call(node, name)
        a, b = (self._number(part) for part in node.args)
        for part in node.args:
            self._check_before(part)
        if name == "crossed_above":
            return lambda seen, _: (a(seen, True) <= b(seen, True)) & (a(seen, False) > b(seen, False))
        return lambda seen, _: (a(seen, True) >= b(seen, True)) & (a(seen, False) < b(seen, False))

    # ---- numbers ----

    def _number(self, node: ast.expr) -> Work:
        if isinstance(node, ast.Constant):
            value = self._literal(node)
            return lambda seen, before: np.array(float(value))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            part = self._number(node.operand)
            return part if isinstance(node.op, ast.UAdd) else lambda seen, before: np.negative(part(seen, before))
        if isinstance(node, ast.BinOp):
            return self._computed(node)
        if isinstance(node, ast.Call) and _called(node) in ("prev", "abs"):
            return self._function(node)
        if isinstance(node, ast.Name) and node.id == "price":
            return lambda seen, before: seen.price
        if isinstance(node, ast.BoolOp | ast.Compare) or _called(node).startswith("crossed_") or _is_not(node):
            raise self._wrong(node, "this is a condition, no number")
        return self._shown(node, self._indicator(node))

    def _computed(self, node: ast.BinOp) -> Work:
        operator = OPERATORS.get(type(node.op))
        if operator is None:
            words = "write `and` and `or`" if isinstance(node.op, ast.BitAnd | ast.BitOr) else "there are + - * /"
            raise self._wrong(node, words)
        a, b = self._number(node.left), self._number(node.right)
        return lambda seen, before: operator(a(seen, before), b(seen, before))

    def _function(self, node: ast.Call) -> Work:
        name = _called(node)
        self._check_call(node, name)
        part = self._number(node.args[0])
        if name == "abs":
            return lambda seen, before: np.abs(part(seen, before))
        self._check_before(node.args[0])
        return lambda seen, before: part(seen, True)

    def _check_call(self, node: ast.Call, name: str) -> None:
        if node.keywords or len(node.args) != FUNCTIONS[name] or any(isinstance(a, ast.Starred) for a in node.args):
            raise self._wrong(node, f"{name} takes {FUNCTIONS[name]} number{'s' if FUNCTIONS[name] > 1 else ''}")

    def _check_before(self, node: ast.expr) -> None:
        """What is asked of the bar before knows no bar before that one."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call) and _called(part) == "prev":
                raise self._wrong(part, "one bar back is as far as it goes")
            if isinstance(part, ast.Name) and part.id == "price":
                raise self._wrong(part, "price is of now: write close")

    def _shown(self, node: ast.expr, output: Output) -> Work:
        """The work of an indicator's output; that of the bar before is kept for `value` only, so others get an average
        of one."""
        kept = output
        if output.name != "value":
            kept = Output(self._declared(node, Sma, [output, 1], {}), "value")

        def work(seen: Seen, before: bool) -> np.ndarray:
            record = seen.records[kept.member if before else output.member]
            return record["previous"] if before else record[output.name]

        self.shown.setdefault(self._segment(node), Expression(self._segment(node), work))
        return work

    # ---- indicators ----

    def _indicator(self, node: ast.expr) -> Output:
        if isinstance(node, ast.Name):
            return Output(self._named(node), "value")
        if isinstance(node, ast.Call):
            return Output(self._called(node), "value")
        if isinstance(node, ast.Attribute):
            base = self._indicator(node.value)
            outputs = outputs_of(self.terms.owner_of(base.member))
            if node.attr not in outputs or isinstance(node.value, ast.Attribute):
                raise self._wrong(node, f"no output {node.attr!r}: it has {', '.join(outputs)}")
            return Output(base.member, node.attr)
        raise self._wrong(node, "this is neither a number nor an indicator")

    def _named(self, node: ast.Name) -> str:
        if node.id in SOURCES:
            return self._declared(node, Sma, [SOURCES[node.id], 1], {})
        owner, number = numbered(node.id) or (indicator_called(node.id), None)
        if owner is None:
            raise self._wrong(node, f"no indicator {node.id!r}{near_to(node.id)}")
        return self._declared(node, owner, [] if number is None else [number], {})

    def _called(self, node: ast.Call) -> str:
        owner = indicator_called(_called(node))
        if owner is None:
            raise self._wrong(node.func, f"no indicator {self._segment(node.func)!r}{near_to(_called(node))}")
        given = [self._argument(part) for part in node.args]
        named = {k.arg: self._argument(k.value) for k in node.keywords if k.arg}
        if len(named) < len(node.keywords):
            raise self._wrong(node, "write the values out")
        return self._declared(node, owner, given, named)

    def _argument(self, node: ast.expr) -> Argument:
        """A number, a source or an indicator, as it stands in a call."""
        minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        literal = node.operand if minus else node  # type: ignore[attr-defined]
        if isinstance(literal, ast.Constant):
            return -self._literal(literal) if minus else self._literal(literal)
        if isinstance(node, ast.Name) and node.id in SOURCES:
            return SOURCES[node.id]
        if isinstance(node, ast.Name | ast.Call | ast.Attribute):
            return self._indicator(node)
        raise self._wrong(node, "an indicator is of a source (open high low close volume hl2 hlc3 ohlc4) or of another")

    def _declared(self, node: ast.expr, owner: type, given: list[Argument], named: dict[str, Argument]) -> str:
        try:
            member = self.terms.declare(owner, given, named)
        except ValueError as error:
            raise self._wrong(node, str(error)) from None
        self._places.setdefault(member, (self._what, self._text, node))
        return member

    def _literal(self, node: ast.Constant) -> int | float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(node, "only numbers stand here")
        if not value < 1e300:  # none is negative: a sign is not part of it
            raise self._wrong(node, "a number is below 1e300")
        return value


def _depth(node: ast.AST) -> int:
    """How many levels a tree has."""
    level, depth = [node], 0
    while level:
        level, depth = [child for part in level for child in ast.iter_child_nodes(part)], depth + 1
    return depth


def _called(node: ast.AST) -> str:
    """The name that is called, "" for anything else."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
