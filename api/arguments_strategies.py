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


def add_scan(commands: "Commands") -> None:
    parser = command(commands, "scan", "scan", "filter and rank instruments by indicators, now or on a past date")
    parser.add_argument(
        "condition", nargs="?", default="", metavar="CONDITION", help='such as "rsi14 < 30 and close > sma200"'
    )
    parser.add_argument("--sort", default="", metavar="NUMBER [desc]", help='such as "roc20 desc" (default: by symbol)')
    parser.add_argument("--show", default="", metavar="NUMBER,...", help="columns (default: what was asked by)")
    parser.add_argument("--symbols", help="comma-separated, as they are on that day (default: all that trade then)")
    parser.add_argument("--universe", metavar="NAME", help="its members of that day")
    parser.add_argument("--as-of", metavar="DATE", help='a local day, or "DATE HH:MM": no later bar is known')
    parser.add_argument("--from", dest="first_day", metavar="DATE", help="indicators begin here (default: all bars)")
    parser.add_argument("--bars", metavar="1d", help="bars of days, made of shorter ones (default: those of the tapes)")
    parser.add_argument("--tapes", help="market tapes, comma-separated (default: all)")
    parser.add_argument("--limit", type=int, metavar="N", help="most rows (default: all)")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    json_flag(parser)
