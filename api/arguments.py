"""What the command line's parsers share: a sub-command whose code is imported when it is called, and its flags."""

import argparse
import gc
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

LONG = ("live", "serve")  # commands that run all day


def command(commands: "Commands", name: str, module: str, help: str) -> argparse.ArgumentParser:  # noqa: A002
    """A sub-command whose function `run(options)` is in api.commands.<module>, imported when it is called."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(run=_late(module, name))
    return parser


def _late(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        from importlib import import_module

        if name not in LONG:
            gc.disable()  # imports make much that lives and little that dies: a sixth of the start
        called = getattr(import_module(f"api.commands.{module}"), f"run_{name}")
        return int(called(options) or 0)

    return run


def json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
