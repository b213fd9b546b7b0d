"""Arguments of the commands that look after a home: its tapes, backups, read models and server."""

from pathlib import Path
from typing import TYPE_CHECKING

from api.arguments import command, json_flag

if TYPE_CHECKING:
    from api.arguments import Commands


def add_tape(commands: "Commands") -> None:
    about = "look after tapes: list, show, verify, seal, repair, export, retire"
    parser = commands.add_parser("tape", help=about, description=about)
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    json_flag(command(inner, "ls", "tape", "list every tape: events, times, segments, who writes it"))
    _tape_show(inner)
    verify = command(inner, "verify", "tape", "prove that tapes are what was written (the same as `onetape verify`)")
    verify.add_argument("what", nargs="?", metavar="TAPE", help="name of a tape (default: everything in the home)")
    json_flag(verify)
    seal = command(inner, "seal", "tape_care", "turn the closed segments of an account tape into Parquet")
    seal.add_argument("tape", nargs="?", metavar="TAPE", help="default: every account tape")
    seal.add_argument("--whole", action="store_true", help="the last segment, too; nobody may be writing the tape")
    json_flag(seal)
    repair = command(inner, "repair", "tape_care", "say what is wrong with an account tape, and mend it with --yes")
    repair.add_argument("tape", metavar="TAPE")
    repair.add_argument("--from", dest="copy", type=Path, metavar="BACKUP", help="a backup, home or folder with a copy")
    repair.add_argument("--yes", action="store_true", help="do it; what is replaced or cut off goes to quarantine/")
    _tape_export(inner)
    retire = command(inner, "retire", "tape_care", "take old ticks off an account tape; replay needs them")
    retire.add_argument("tape", metavar="TAPE")
    retire.add_argument("--before", required=True, metavar="DATE", help="ticks of sealed parts from before this day")
    retire.add_argument("--yes", action="store_true", help="do it; it cannot be taken back")


def _tape_show(inner: "Commands") -> None:
    parser = command(inner, "show", "tape", "print the events of a tape, one line each")
    parser.add_argument("tape", metavar="TAPE", help="an account, run or market tape, `latest` for the newest run")
    parser.add_argument("--from-seq", type=int, default=0, metavar="N")
    parser.add_argument("--to-seq", type=int, metavar="N")
    parser.add_argument("--kind", metavar="KIND[,KIND]", help="such as ORDER_FILLED,SIGNAL (default: all)")
    parser.add_argument("--limit", type=int, metavar="N", help="stop after so many")
    parser.add_argument("--follow", action="store_true", help="go on with what is written from now on, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def _tape_export(inner: "Commands") -> None:
    parser = command(inner, "export", "tape", "write a tape for pandas, polars, DuckDB, a spreadsheet")
    parser.add_argument("tape", metavar="TAPE", help="an account, run or market tape, `latest` for the newest run")
    parser.add_argument(
        "--to", required=True, metavar="FILE", help=".parquet, .csv or .arrow; several families go into a folder"
    )
    parser.add_argument("--format", choices=["parquet", "csv", "arrow"], help="where the name does not say")
    parser.add_argument("--kind", metavar="KIND[,KIND]", help="such as ORDER_FILLED (default: all)")
    parser.add_argument("--family", metavar="NAME[,NAME]", help="such as order, bar, equity (default: all)")
    parser.add_argument("--from-seq", type=int, default=0, metavar="N")
    parser.add_argument("--to-seq", type=int, metavar="N")
    parser.add_argument(
        "--units",
        choices=["currency", "raw"],
        default="currency",
        help="prices and money as decimals, or as integers of 1/10,000 as on tape",
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")
    json_flag(parser)


def add_doctor(commands: "Commands") -> None:
    json_flag(command(commands, "doctor", "care", "check environment, disk, clock, permissions and tapes"))


def add_backup(commands: "Commands") -> None:
    parser = command(commands, "backup", "care", "copy the home, also while live runs; only what is new is copied")
    parser.add_argument("dest", type=Path, metavar="DEST", help="a folder for backups, not inside the home")
    parser.add_argument("--with-secrets", action="store_true", help="keys as well; keep that copy safe")
    json_flag(parser)


def add_restore(commands: "Commands") -> None:
    parser = command(commands, "restore", "care", "put a home back from a backup, checked byte by byte")
    parser.add_argument("source", type=Path, metavar="SRC", help="what `backup` wrote to, or one backup in it")
    parser.add_argument("--into", type=Path, metavar="HOME", help="where to (default: the home)")
    parser.add_argument("--force", action="store_true", help="also where there is a home; that one is moved aside")
    json_flag(parser)


def add_prune(commands: "Commands") -> None:
    parser = command(commands, "prune", "care", "remove derived files: reports, old snapshots, compiled code")
    parser.add_argument("--keep", type=int, metavar="N", help="the newest N of each sort (default 10; snapshots 3)")
    parser.add_argument("--older-than", type=int, metavar="DAYS", help="only what is older")
    parser.add_argument("--runs", action="store_true", help="old backtest runs, too; needs --keep or --older-than")
    parser.add_argument("--yes", action="store_true", help="do it")
    json_flag(parser)


def add_publish(commands: "Commands") -> None:
    command(commands, "publish", "views", "make views/tape.duckdb anew, for the DuckDB CLI and notebooks")


def add_migrate(commands: "Commands") -> None:
    parser = command(commands, "migrate", "views", "bring the read models of an older version up to this one")
    json_flag(parser)


def add_serve(commands: "Commands") -> None:
    command(commands, "serve", "web", "serve the query API on this machine")


def add_token(commands: "Commands") -> None:
    parser = command(commands, "token", "web", "print a bearer token for the query API")
    parser.add_argument("--days", type=int, help="how long it lasts (default: serve.token_days)")
