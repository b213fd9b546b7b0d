"""Load a strategy and watch what that does outside its file: files it opens, machines and programs it asks, functions
of Onetape or Python it puts others in the place of. For a process of its own: what watches cannot be taken away."""

import builtins
import math
import os
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import onetape
from adapters.strategies.load import Checked, check_strategy
from adapters.strategies.modules import is_users
from kernel.codehash import cache_root

ASKS = {  # audit event: what it is
    "socket.connect": "connects to another machine",
    "socket.getaddrinfo": "looks for another machine",
    "subprocess.Popen": "starts a program",
    "os.system": "starts a program",
    "os.exec": "starts a program",
    "os.fork": "starts a process",
    "os.posix_spawn": "starts a program",
    "_thread.start_new_thread": "starts a thread",
}
CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".pth", ".nbi", ".nbc")
SYSTEM = ("/proc/", "/etc/", "/dev/null", "/dev/urandom", "/usr/share/zoneinfo", str(cache_root() / "jit"))
OURS = ("kernel", "adapters", "api", "projections")


@dataclass
class Watched:
    """A loaded strategy: the files that were opened meanwhile, what was asked outside, what was replaced."""

    checked: Checked
    opened: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


def load_watched(spec: str) -> Watched:
    """Check the strategy `spec` as `check_strategy` does, watched. Raises as that does."""
    check_strategy("buy_and_hold")  # imports what is imported once
    events: list[tuple[str, str]] = []
    watching = True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and (event == "open" or event in ASKS):
            events.append((event, str(arguments[0]) if arguments else ""))

    sys.addaudithook(hear)
    before = dict(_functions())
    try:
        checked = check_strategy(spec)
    finally:
        watching = False
    after = dict(_functions())
    replaced = sorted(name for name, value in before.items() if after.get(name, value) is not value)
    opened = {os.path.abspath(path) for event, path in events if event == "open" and _is_data(path)}
    asked = dict.fromkeys(f"{ASKS[event]}: {what[:60]}" for event, what in events if event in ASKS)
    return Watched(checked, sorted(opened), list(asked), replaced)


def _is_data(path: str) -> bool:
    """Whether a file is neither code, nor a library's own, nor the system's."""
    code = path.endswith(CODE) or path in sys.path  # a zip of modules is looked into for them
    return not code and not path.isdigit() and is_users(path) and not path.startswith(SYSTEM)


def _functions() -> Iterator[tuple[str, object]]:
    """Everything by name that a strategy's calls may end in."""
    modules: list[types.ModuleType] = [onetape, builtins, math, np, *_ours()]
    for module in modules:
        for name, value in list(vars(module).items()):
            if callable(value):
                yield f"{module.__name__}.{name}", getattr(value, "__code__", value)
            if isinstance(value, type) and value.__module__ == module.__name__:
                for own, part in list(vars(value).items()):
                    if isinstance(part, types.FunctionType):
                        yield f"{module.__name__}.{name}.{own}", part.__code__


def _ours() -> list[types.ModuleType]:
    """Onetape's modules but its strategies, whose functions are given checked arithmetic as they are loaded."""
    named = list(sys.modules.items())
    ours = [(name, module) for name, module in named if module and name.partition(".")[0] in OURS]
    return [module for name, module in ours if not name.startswith("kernel.strategies.")]
