"""What a strategy may not do, said in plain words before the compiler says it in its own."""

import ast
import builtins
import inspect
import textwrap
import types
from difflib import get_close_matches

import onetape
from adapters.strategies.reach import Reach
from kernel.errors import StrategyError
from kernel.state import BAR_VIEW, CONTEXT, FILL_VIEW
from kernel.strategy import Definition

_REFUSED: tuple[tuple[type[ast.AST], str], ...] = (
    (ast.Try, "try/except: an exception stops the strategy by itself and is reported"),
    (ast.With, "with: a strategy opens nothing"),
    (ast.Import, "import inside a hook: import at the top of the file"),
    (ast.ImportFrom, "import inside a hook: import at the top of the file"),
    (ast.Global, "global: remember numbers in Float() or Int() attributes, which replay and snapshots know about"),
    (ast.Nonlocal, "nonlocal: remember numbers in Float() or Int() attributes"),
    (ast.Yield, "yield: a hook returns one Signal, HOLD or None"),
    (ast.YieldFrom, "yield: a hook returns one Signal, HOLD or None"),
    (ast.Await, "await: a strategy waits for nothing"),
    (ast.Dict, "a dictionary: use Float() and Int() attributes"),
    (ast.Set, "a set: use Float() and Int() attributes"),
    (ast.DictComp, "a dictionary: use Float() and Int() attributes"),
    (ast.SetComp, "a set: use Float() and Int() attributes"),
    (ast.JoinedStr, "an f-string: strategies work with numbers only"),
    (ast.ClassDef, "a class inside a hook"),
    (ast.FunctionDef, "a function inside a hook: write it at the top of the file, with @helper above it"),
    (ast.Lambda, "lambda: write a function at the top of the file, with @helper above it"),
)
_CALLS = {
    "print": "print(): the tape already holds every bar, signal and fill; see `onetape report` and `onetape sql`",
    "open": "open(): a strategy reads no files, or a replay could not repeat it",
    "input": "input(): a strategy asks nobody",
    "eval": "eval()",
    "exec": "exec()",
    "getattr": "getattr(): write the attribute's name",
    "setattr": "setattr(): write the attribute's name",
}
_IMPURE = {
    "time": "a strategy has no clock but bar.ts and ctx.ts, so that a replay decides the same",
    "datetime": "a strategy has no clock but bar.ts and ctx.ts, so that a replay decides the same",
    "random": "a strategy draws no random numbers, so that a replay decides the same",
    "numpy.random": "a strategy draws no random numbers, so that a replay decides the same",
    "os": "a strategy reads nothing from outside",
}


def check_definition(definition: Definition, reach: Reach) -> None:
    """Raise StrategyError with file, line and construct at the first thing a hook, or what it reaches, must not do."""
    for hook, name, view in (
        (definition.on_bar, "bar", BAR_VIEW),
        (definition.on_fill, "fill", FILL_VIEW),
    ):
        if hook is not None:
            _check_hook(definition, hook, {name: view.names, "ctx": CONTEXT.names})
    _check_reach(definition, reach)


def _check_reach(definition: Definition, reach: Reach) -> None:
    """Refuse clocks and dice, however they were imported and whichever helper uses them."""
    for name, value in reach.others.items():
        home = getattr(value, "__name__", "") if isinstance(value, types.ModuleType) else ""
        for module in (home, getattr(value, "__module__", None), type(getattr(value, "__self__", None)).__module__):
            if module in _IMPURE:
                raise StrategyError(f"{definition.where()}: {name}: {_IMPURE[module]}")
    for function in reach.functions:
        if function.__module__ in _IMPURE:
            where = f"{definition.where()}: {function.__qualname__}()"
            raise StrategyError(f"{where}: {_IMPURE[function.__module__]}")


def _check_hook(definition: Definition, hook, views: dict) -> None:  # type: ignore[no-untyped-def]
    lines, first = inspect.getsourcelines(hook)
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in ast.walk(tree):
        where = definition.where(first + getattr(node, "lineno", 1) - 1)
        for refused, words in _REFUSED:
            if isinstance(node, refused) and node is not tree:
                raise StrategyError(f"{where}: {definition.owner.__name__}.{hook.__name__} cannot use {words}")
        if isinstance(node, ast.Call):
            _check_call(definition, hook, node, where)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in stored:
            _check_name(definition, hook, node.id, where)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            _check_attribute(definition, node, views, where)


def _check_call(definition: Definition, hook, node: ast.Call, where: str) -> None:  # type: ignore[no-untyped-def]
    called = node.func
    if isinstance(called, ast.Name) and called.id in _CALLS:
        raise StrategyError(f"{where}: a strategy cannot use {_CALLS[called.id]}")
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "self":
        raise StrategyError(
            f"{where}: self.{called.attr}() cannot be called, since self is a record of numbers: "
            "write a function at the top of the file, with @helper above it, and hand it what it needs"
        )
    if isinstance(called, ast.Name):
        plain = hook.__globals__.get(called.id)
        known = called.id in onetape.__all__ or getattr(plain, "onetape_helper", False)
        if isinstance(plain, types.FunctionType) and not known:
            raise StrategyError(f"{where}: {called.id}() needs `@helper` above its definition to be compiled")


def _check_name(definition: Definition, hook, name: str, where: str) -> None:  # type: ignore[no-untyped-def]
    value = hook.__globals__.get(name)
    if isinstance(value, types.ModuleType) and value.__name__ in _IMPURE:
        raise StrategyError(f"{where}: {name}: {_IMPURE[value.__name__]}")
    local = name in hook.__code__.co_varnames
    if not local and name not in hook.__globals__ and not hasattr(builtins, name):
        near = get_close_matches(name, [*onetape.__all__, *hook.__code__.co_varnames], 1)
        hint = f"did you mean {near[0]}?" if near else "import or define it"
        if name in onetape.__all__:
            hint = f"add it to `from onetape import ...` at the top of {definition.file.name}"
        raise StrategyError(f"{where}: {name} is not defined: {hint}")


def _check_attribute(definition: Definition, node: ast.Attribute, views: dict, where: str) -> None:
    owner = node.value.id  # type: ignore[attr-defined]
    if owner == "self":
        known = list(definition.dtype.names or ())
        if node.attr not in known:
            near = get_close_matches(node.attr, known, 1)
            hint = f"did you mean self.{near[0]}?" if near else f"add `{node.attr} = Float()` to the class"
            raise StrategyError(f"{where}: self.{node.attr} is not declared in {definition.owner.__name__}: {hint}")
        if isinstance(node.ctx, ast.Store) and node.attr in definition.params:
            raise StrategyError(f"{where}: self.{node.attr} is a parameter and stays as the run set it")
    elif owner in views:
        if node.attr not in views[owner]:
            near = get_close_matches(node.attr, views[owner], 1)
            hint = f"did you mean {owner}.{near[0]}?" if near else f"it has {', '.join(views[owner])}"
            raise StrategyError(f"{where}: {owner}.{node.attr} does not exist: {hint}")
        if isinstance(node.ctx, ast.Store):
            raise StrategyError(f"{where}: {owner}.{node.attr} is given, not set: keep values in Float() or Int()")
