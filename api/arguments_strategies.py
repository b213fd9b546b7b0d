"""Arguments of the commands about strategies, and of the scanner."""

from pathlib import Path
from typing import TYPE_CHECKING

from api.arguments import command, json_flag

if TYPE_CHECKING:
    from api.arguments import Commands


def add_strategies(commands: "Commands") -> None:
    parser = command(commands, "strategies", "strategies", "list strategies, or show one: parameters, code, commands")
    parser.add_argument("name", nargs="?", metavar="NAME[,k=v...]", help="all about this one, or path/to/file.py:Class")
    json_flag(parser)


def add_new(commands: "Commands") -> None:
    about = "write a first version of something: strategy"
    parser = commands.add_parser("new", help=about, description=about)
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    made = command(inner, "strategy", "strategies", "write a commented strategy that runs, and its test")
    made.add_argument("name", metavar="NAME", help="words of small letters joined by _, such as my_breakout")
    made.add_argument("--folder", type=Path, default=Path(), help="where strategies/ and tests/ are (default: here)")
