"""Check of what a strategy's files do when they are read: a clock, dice or an environment there would make every replay
another strategy. What functions do that nothing calls then does not count."""

import ast
from collections.abc import Iterator

from adapters.strategies.refused import IMPURE
from kernel.errors import StrategyError

_ENVIRONMENT = (
    "environ",
    "environb",
    "getenv",
    "getenvb",
    "urandom",
    "getpid",
    "getppid",
    "times",
    "getcwd",
    "getlogin",
)
_NOW = ("now", "utcnow", "today")
_SEEDED = ("random.Random", "numpy.random.default_rng", "numpy.random.RandomState")


def check_top_level(text: bytes, file: str) -> None:
    """Raise StrategyError, with file and line, where the module's own statements read a clock, dice or environment."""
    tree = ast.parse(text)
    names = _imported(tree)
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    for node in _executed(tree, functions, set()):
        if not isinstance(node, ast.Attribute | ast.Name):
            continue
        full = _full_name(node, names)
        why = _why_not(full)
        if why is not None:
            raise StrategyError(f"{file}:{node.lineno}: {ast.unparse(node)}: {why}")


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


def _executed(node: ast.AST, functions: dict[str, ast.FunctionDef], entered: set[str]) -> Iterator[ast.AST]:
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
        called = child.func.id if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) else ""
        if called in functions and called not in entered:
            entered.add(called)
            for statement in functions[called].body:
                yield statement
                yield from _executed(statement, functions, entered)
        if isinstance(child, ast.Call) and (child.args or child.keywords):
            seeded = ast.unparse(child.func).rpartition(".")[2] in {name.rpartition(".")[2] for name in _SEEDED}
            if seeded:
                for part in [*child.args, *child.keywords]:
                    yield part
                    yield from _executed(part, functions, entered)
                continue
        yield child
        yield from _executed(child, functions, entered)


def _full_name(node: ast.expr, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return ""
    return ".".join([names[node.id], *parts])


def _why_not(full: str) -> str | None:
    """The words for a full name that is a clock's, dice's or the environment's."""
    home, _, last = full.rpartition(".")
    if home in ("random", "secrets", "uuid", "time", "numpy.random"):
        return IMPURE[home]
    if home.startswith("datetime") and last in _NOW:
        return IMPURE["datetime"]
    if (home == "os" and last in _ENVIRONMENT) or full == "sys.argv":
        return IMPURE["os"]
    return None
