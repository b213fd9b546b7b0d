"""Check of what a strategy's files do when they are read: a clock, dice, an environment, or the order of a set there,
would make every replay another strategy. What functions do that nothing calls then does not count."""

import ast
from collections.abc import Iterable, Iterator

from adapters.strategies.outside import BUILTINS, INNER, INSIDE, METHODS, MODULES, NOW, why_not
from adapters.strategies.refused import IMPURE
from adapters.strategies.unordered import Unordered
from kernel.errors import Dishonest

_SEEDED = ("random.Random", "numpy.random.default_rng", "numpy.random.RandomState")
_ORDER = "a set has another order in every run: go through sorted(...) of it, or write a tuple"


def check_top_level(text: bytes, file: str) -> None:
    """Raise Dishonest, with file and line, where the module's own statements are not the same each time."""
    tree = ast.parse(text)
    functions: dict[str, list[ast.stmt]] = {}
    for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
        functions.setdefault(function.name, []).extend(function.body)
    _check(tree, file, _executed(tree, functions, set()))


def check_everything(text: bytes, file: str) -> None:
    """As `check_top_level`, of all that the file has, functions included: what they do is not compiled, and counts."""
    tree = ast.parse(text)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_seeded(node)]
    seeded = {id(part) for call in calls for part in ast.walk(call.func)}
    _check(tree, file, (node for node in ast.walk(tree) if id(node) not in seeded))


def _check(tree: ast.Module, file: str, nodes: Iterable[ast.AST]) -> None:
    names, own, unordered = _imported(tree), _defined(tree), Unordered(tree)
    before_dots = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    for node in nodes:
        why = _of_import(node) or _of_name(node, names, own, id(node) in before_dots) or _of_call(node, names, own)
        if why is not None:
            raise Dishonest(f"{file}:{getattr(node, 'lineno', 1)}: {ast.unparse(node)}: {why}")
        gone_through = unordered.found_in(node)
        if gone_through is not None:
            raise Dishonest(f"{file}:{gone_through.lineno}: {ast.unparse(gone_through)}: {_ORDER}")


def _is_seeded(node: ast.AST) -> bool:
    """Whether it makes a generator of random numbers from a seed."""
    if not isinstance(node, ast.Call) or not (node.args or node.keywords):
        return False
    return ast.unparse(node.func).rpartition(".")[2] in {name.rpartition(".")[2] for name in _SEEDED}


def _of_import(node: ast.AST) -> str | None:
    """The words for `from time import *`, which names nothing that could be found later, and for Onetape's inside."""
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom) and not node.level:
        modules = [str(node.module)]
        if any(alias.name == "*" for alias in node.names) and (why := why_not(f"{node.module}.*")):
            return why
    return next((INSIDE[top] for name in modules if (top := name.partition(".")[0]) in INSIDE), None)


def _of_name(node: ast.AST, names: dict[str, str], own: set[str], before_dot: bool) -> str | None:
    if not isinstance(node, ast.Attribute | ast.Name):
        return None
    full = _full_name(node, names)
    if full in MODULES and not before_dot:  # handed on or renamed, so that its functions cannot be told
        return why_not(f"{full}.*")
    name = node.id if isinstance(node, ast.Name) else ""
    built_in = None if name in own or name in names else BUILTINS.get(name)
    inner = INNER.get(node.attr) if isinstance(node, ast.Attribute) else None
    return why_not(full) or built_in or inner


def _of_call(node: ast.AST, names: dict[str, str], own: set[str]) -> str | None:
    """The words for a method of a path that says another thing each time, and for `np.datetime64("now")`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
        return None
    full = _full_name(node.func, names)
    if full == "numpy.datetime64" and any(isinstance(a, ast.Constant) and a.value in NOW for a in node.args):
        return IMPURE["datetime"]
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    parts = [part for part in ast.walk(node.func) if isinstance(part, ast.expr)]
    of_path = any(_full_name(part, names).startswith("pathlib.") for part in parts)  # Path.cwd()
    return METHODS.get(method) if (of_path or not full) and method not in own else None


def _defined(tree: ast.Module) -> set[str]:
    """Every name the file gives a meaning of its own."""
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    return names | {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}


def _imported(tree: ast.Module) -> dict[str, str]:
    """Local name: the full name of what it was imported as."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _executed(node: ast.AST, functions: dict[str, list[ast.stmt]], entered: set[str]) -> Iterator[ast.AST]:
    """Every node that runs when the module is read: not function bodies, unless it calls the function itself."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "__main__" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            outside = [*child.args.defaults, *(d for d in child.args.kw_defaults if d is not None)]
            for part in [*outside, *getattr(child, "decorator_list", [])]:
                yield part
                yield from _executed(part, functions, entered)
            continue
        for called in _entered(child):
            if called not in functions or called in entered:
                continue
            entered.add(called)
            for statement in functions[called]:
                yield statement
                yield from _executed(statement, functions, entered)
        if isinstance(child, ast.Call) and _is_seeded(child):
            for part in [*child.args, *child.keywords]:
                yield part
                yield from _executed(part, functions, entered)
            continue
        yield child
        yield from _executed(child, functions, entered)


def _entered(node: ast.AST) -> tuple[str, ...]:
    """Functions of the file that may run by this node: those it names, and what making an object of a class runs."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return (node.id,)
    if isinstance(node, ast.Call):
        return (node.func.attr,) if isinstance(node.func, ast.Attribute) else ("__init__", "__new__", "__post_init__")
    return ()


def _full_name(node: ast.expr, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return ""
    return ".".join([names[node.id], *parts])
