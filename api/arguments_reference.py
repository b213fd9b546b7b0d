"""Arguments of the commands over reference data: sessions, charges, instruments, universes."""

from pathlib import Path
from typing import TYPE_CHECKING

from api.arguments import command, json_flag

if TYPE_CHECKING:
    from api.arguments import Commands


def add_sessions(commands: "Commands") -> None:
    parser = command(commands, "sessions", "sessions", "show when a market trades, or import a holiday list")
    parser.add_argument(
        "what", nargs="*", metavar="DATE|FROM..TO|import FILE", help="days as YYYY-MM-DD (default: today)"
    )
    parser.add_argument("--calendar", default="NSE_EQ", metavar="NAME", help="such as NSE_FO or XNYS (default NSE_EQ)")
    parser.add_argument("--whole-year", action="store_true", help="import: the file has every holiday of its year")
    json_flag(parser)


def add_charges(commands: "Commands") -> None:
    parser = command(commands, "charges", "charges", "show what trading costs: the dated rules in force on a day")
    parser.add_argument("--on", metavar="DATE", help="as YYYY-MM-DD (default: today)")
    parser.add_argument("--exchange", metavar="NAME", help="only this one, such as NSE or BSE")
    parser.add_argument("--kind", metavar="NAME", help="only this one: EQUITY, FUTURE or OPTION")
    parser.add_argument("--plan", default="zero", metavar="NAME", help="brokerage plan, such as upstox (default zero)")
    json_flag(parser)


def add_instruments(commands: "Commands") -> None:
    parser = command(commands, "instruments", "instruments", "list instruments, import a master, note what changed")
    parser.add_argument(
        "words", nargs="*", metavar="PATTERN | import FILE | set SYMBOL TERM=VALUE... [from=DATE] | rename OLD NEW",
        help="PATTERN as NIFTY*; TERM: lot, freeze, tick (dated), listed, delisted, isin, calendar, settlement, "
        "exchange, segment, kind",
    )  # fmt: skip
    parser.add_argument("--on", metavar="DATE", help="list: what traded on that day, with the terms of it")
    parser.add_argument("--kind", choices=["EQUITY", "FUTURE", "OPTION", "INDEX", "CURRENCY"], help="list: only these")
    parser.add_argument("--segment", metavar="NAME[,NAME]", help="list, import: such as NSE_EQ,NSE_INDEX")
    parser.add_argument("--underlying", metavar="NAME[,NAME]", help="list, import: its futures and options only")
    parser.add_argument("--expiry", metavar="DATE", help="list: of that day only")
    parser.add_argument("--symbols", metavar="NAME[,NAME]", help="import: only these")
    parser.add_argument("--date", help="import: as things stood that day (default: today in India)")
    parser.add_argument("--dry-run", action="store_true", help="import: say what would change and change nothing")
    parser.add_argument("--skip-bad", action="store_true", help="import: leave rows out that do not fit")
    parser.add_argument("--delist-missing", action="store_true", help="import: what the file has not is delisted")
    parser.add_argument("--from", dest="start", metavar="DATE", help="rename: the first day of the new name")
    json_flag(parser)


def add_universe(commands: "Commands") -> None:
    about = "lists of instruments in time: ls, show, import"
    parser = commands.add_parser("universe", help=about, description=about)
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    json_flag(command(inner, "ls", "universe", "list the universes, and warn of those that look like survivors only"))
    show = command(inner, "show", "universe", "show who was a member when")
    show.add_argument("name", metavar="NAME")
    show.add_argument("--on", metavar="DATE", help="the members of that day")
    show.add_argument("--years", type=float, help="warn of a longer list without delistings (default 3)")
    json_flag(show)
    bring = command(inner, "import", "universe", "check and keep a file with rows symbol,from,to")
    bring.add_argument("file", type=Path, metavar="FILE")
    bring.add_argument("--name", help="(default: the file's)")
    json_flag(bring)
