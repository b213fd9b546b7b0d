"""What a strategy's functions may not contain or call, with the words a user gets."""

import ast

REFUSED: tuple[tuple[type[ast.AST], str], ...] = (
    (ast.Try, "try/except: an exception stops the strategy by itself and is reported"),
    (ast.TryStar, "try/except: an exception stops the strategy by itself and is reported"),
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
    (ast.GeneratorExp, "a generator: write a list, [x for x in ...]"),
    (ast.JoinedStr, "an f-string: strategies work with numbers only"),
    (ast.ClassDef, "a class inside a hook"),
    (ast.FunctionDef, "a function inside a hook: write it at the top of the file, with @helper above it"),
    (ast.AsyncFunctionDef, "a function inside a hook: write it at the top of the file, with @helper above it"),
    (ast.Lambda, "lambda: write a function at the top of the file, with @helper above it"),
    (ast.Match, "match: write if and elif"),
    (ast.Delete, "del: a name keeps its last value"),
    (ast.NamedExpr, ":=: give the name its value on a line of its own"),
    (ast.Starred, "a star: write the values out"),
    (ast.MatMult, "@: write the loop, since the order of its additions is the machine's"),
)
CALLS = {
    "print": "print(): the tape already holds every bar, signal and fill; see `onetape report` and `onetape sql`",
    "open": "open(): a strategy reads no files, or a replay could not repeat it",
    "input": "input(): a strategy asks nobody",
    "eval": "eval()",
    "exec": "exec()",
    "getattr": "getattr(): write the attribute's name",
    "setattr": "setattr(): write the attribute's name",
    "sorted": "sorted(): where NaN is among them, the order is the machine's; loop for the highest or lowest",
    "hash": "hash(): it differs from run to run",
    "id": "id(): it differs from run to run",
}
DISHONEST = (
    *("open", "input", "eval", "exec", "hash", "id"),
    *(ast.With, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal),
)
"""Of both, what brings in things that are no part of the run; the others cannot be compiled, or mean something else."""
_CLOCK = "a strategy has no clock but bar.ts and ctx.ts, so that a replay decides the same"
_DICE = "a strategy draws no random numbers, so that a replay decides the same"
IMPURE = {
    "time": _CLOCK,
    "datetime": _CLOCK,
    "random": _DICE,
    "secrets": _DICE,
    "uuid": _DICE,
    "numpy.random": _DICE,
    "os": "a strategy reads nothing from outside",
}
