"""`onetape`: every command, each a thin call. An error is one sentence on standard error and an exit code."""

import argparse
import errno
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from api.version import version
from kernel.errors import OnetapeError

LONG = ("live", "serve")  # commands that run all day
EPILOG = """exit codes: 0 fine, 1 a replay diverged or a strategy failed, 2 something to mend in what you asked,
65 stored bytes are damaged, 70 a defect, 74 the disk failed, 75 another process holds the tape, 130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupted)  # a service manager's stop cleans up as Ctrl-C does
    try:
        return int(options.run(options) or 0)
    except OnetapeError as error:
        print(f"onetape: {error}", file=sys.stderr)
        return error.exit_code
    except AssertionError as error:
        if os.environ.get("ONETAPE_TRACE"):
            raise
        print(
            f"onetape: a check that must always hold failed, so nothing goes on: {error or 'no text'}. This is a "
            "defect of Onetape, or data beyond what it can hold: please report it with the output of ONETAPE_TRACE=1",
            file=sys.stderr,
        )
        return 70
    except BrokenPipeError:  # `onetape runs | head`
        sys.stderr.close()
        return 0
    except OSError as error:
        if os.environ.get("ONETAPE_TRACE"):
            raise
        print(f"onetape: {_disk_text(error)}", file=sys.stderr)
        return 74
    except KeyboardInterrupt:
        print("onetape: interrupted", file=sys.stderr)
        return 130


def _disk_text(error: OSError) -> str:
    """What the system refused, where, and what to do about it."""
    where = f"{error.filename}: " if error.filename else ""
    what = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}{what}: make room and run this again; what was written before is whole"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}{what}: give this user the right to write there, or set another `home`"
    return f"{where}{what}: the system refused it; `onetape doctor` looks at the home"


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onetape", description="One tape. Backtest, paper and live are the same replay.", epilog=EPILOG
    )
    parser.add_argument("--version", action="version", version=f"onetape {version()}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (default ./onetape.toml)")
    parser.add_argument("--home", type=Path, metavar="FOLDER", help="folder of tapes and runs (default: home setting)")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (
        _init, _config, _import, _backtest, _replay, _live, _verify, _runs, _report, _sql, _tape, _doctor,
        _backup, _restore, _prune, _publish, _migrate, _serve, _token, _sessions, _charges, _demo,
        _instruments, _universe, _kill, _drill,
    ):  # fmt: skip
        add(commands)
    return parser


def _command(commands, name: str, module: str, help: str) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]  # noqa: A002
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


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def _init(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "init", "setup", "write a commented onetape.toml and an example strategy")
    parser.add_argument("folder", nargs="?", type=Path, default=Path())


def _config(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "config", "setup", "show the settings in effect, or check them")
    parser.add_argument("what", choices=["show", "check"])


def _import(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "import", "market", "bring CSV or Parquet bars or ticks onto a market tape")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="bar files, or folders of them")
    parser.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN", help="name a column yourself")
    parser.add_argument("--ticks", choices=["quotes", "trades"], help="the files hold these, no bars")
    parser.add_argument("--latency", help="of ticks: how long after its time one was available, such as 5ms")
    parser.add_argument("--symbol", help="symbol of a file that has no such column (default: its name)")
    parser.add_argument("--tz", help="timezone of times without one, such as Asia/Kolkata")
    parser.add_argument("--stamp", choices=["open", "close"], help="what an intraday time says (default open)")
    parser.add_argument("--span", help="length of a bar, such as 1m (default: found from the data)")
    parser.add_argument("--tick", help="smallest price step, such as 0.05, or auto")
    parser.add_argument("--lot", type=int, help="lot size")
    parser.add_argument("--currency", help="such as INR or USD")
    parser.add_argument("--session-close", metavar="HH:MM", help="local close for dates without a time")
    parser.add_argument("--date-format", help="such as %%d/%%m/%%Y, where day and month could be either")
    parser.add_argument(
        "--actions", type=Path, metavar="FILE", help="splits and dividends: symbol,date,kind,value[,note]"
    )
    parser.add_argument(
        "--round-to-tick", action="store_true", help="round prices off the tick, half up, and say how far"
    )
    parser.add_argument("--sort", action="store_true", help="rows may come in any order, such as newest first")
    parser.add_argument("--skip-empty", action="store_true", help="leave out rows without prices (no trade)")
    parser.add_argument("--no-infer-actions", action="store_true", help="do not read splits out of an adjusted close")
    parser.add_argument("--name", help="name of the tape (default: the file's)")
    parser.add_argument("--sample", action="store_true", help="bring in the sample data that comes with Onetape")
    _json(parser)


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--strategy", action="append", default=[], metavar="NAME[,k=v...]", help="built-in, or path/to/file.py:Class"
    )
    parser.add_argument("--symbols", help="comma-separated, as they were on --from (default: all imported)")
    parser.add_argument("--universe", metavar="NAME", help="its members over the days, each while it is one")
    parser.add_argument("--from", dest="first_day", metavar="DATE", help="first local day, YYYY-MM-DD")
    parser.add_argument("--to", dest="last_day", metavar="DATE", help="last local day")
    parser.add_argument("--cash", help="opening cash")
    parser.add_argument("--fees", help="zero, bps:3, flat:20, bps:3,min:1,max:20")
    parser.add_argument(
        "--product", choices=("none", "intraday", "delivery", "margin"), help="of orders that name none"
    )
    parser.add_argument("--charges", help="none, or dated taxes and brokerage such as india:upstox")
    parser.add_argument("--venue", help="zero, or slippage, size and latency such as ticks:1,volume:10,latency:250")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--tapes", help="market tapes, comma-separated (default: all)")
    parser.add_argument("--warm-up-days", type=int, help="days before --from that strategies learn from")
    parser.add_argument("--bars", metavar="BAR", help="bars to make of trades: none, 1m, '100 trades', '1e6 value'")
    parser.add_argument("--square-off", metavar="HH:MM", help="when the square-off timer is due, local time")


def _backtest(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "backtest", "trade", "run strategies over imported bars")
    _selection(parser)
    parser.add_argument("--report", action="store_true", help="also write the HTML report")
    _json(parser)


def _replay(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "replay", "trade", "run a recorded run or day again and compare every byte")
    parser.add_argument("what", metavar="RUN|DATE", help="run id (or its beginning, or `latest`), or YYYY-MM-DD")
    _json(parser)


def _live(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "live", "trade", "trade on paper on a recorded feed; Ctrl-C stops, starting goes on")
    _selection(parser)
    parser.add_argument("--mode", choices=["paper"], help="paper: the simulated venue (default)")
    parser.add_argument("--feed", metavar="replay:TAPE@max|@60x", help="TAPE a market tape, or all")
    parser.add_argument("--account", help="name of the account tape (default: account.name)")
    _json(parser)


def _verify(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "verify", "trade", "prove that tapes are what was written")
    parser.add_argument("what", nargs="?", metavar="RUN", help="run id (default: everything in the home)")
    _json(parser)


def _runs(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "runs", "show", "list runs, or the market tapes")
    parser.add_argument("--tapes", action="store_true", help="list market tapes instead")
    _json(parser)


def _report(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "report", "show", "show a run, and write its page")
    parser.add_argument("what", nargs="?", default="latest", metavar="RUN")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the HTML page goes")


def _sql(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "sql", "show", "ask anything in SQL: v_orders, v_fills, v_trades, v_equity, bars, runs")
    parser.add_argument("query", help='such as "select symbol, sum(pnl) from v_trades group by 1"')
    parser.add_argument(
        "--run", dest="run_name", default="latest", metavar="RUN", help="whose read models (default latest)"
    )
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="value of $NAME, bound")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    _json(parser)


def _tape(commands) -> None:  # type: ignore[no-untyped-def]
    about = "look after tapes: list, show, verify, seal, repair, export, retire"
    parser = commands.add_parser("tape", help=about, description=about)
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _json(_command(inner, "ls", "tape", "list every tape: events, times, segments, who writes it"))
    _tape_show(inner)
    verify = _command(inner, "verify", "tape", "prove that tapes are what was written (the same as `onetape verify`)")
    verify.add_argument("what", nargs="?", metavar="TAPE", help="name of a tape (default: everything in the home)")
    _json(verify)
    seal = _command(inner, "seal", "tape_care", "turn the closed segments of an account tape into Parquet")
    seal.add_argument("tape", nargs="?", metavar="TAPE", help="default: every account tape")
    seal.add_argument("--whole", action="store_true", help="the last segment, too; nobody may be writing the tape")
    _json(seal)
    repair = _command(inner, "repair", "tape_care", "say what is wrong with an account tape, and mend it with --yes")
    repair.add_argument("tape", metavar="TAPE")
    repair.add_argument("--from", dest="copy", type=Path, metavar="BACKUP", help="a backup, home or folder with a copy")
    repair.add_argument("--yes", action="store_true", help="do it; what is replaced or cut off goes to quarantine/")
    _tape_export(inner)
    retire = _command(inner, "retire", "tape_care", "take old ticks off an account tape; replay needs them")
    retire.add_argument("tape", metavar="TAPE")
    retire.add_argument("--before", required=True, metavar="DATE", help="ticks of sealed parts from before this day")
    retire.add_argument("--yes", action="store_true", help="do it; it cannot be taken back")


def _tape_show(inner) -> None:  # type: ignore[no-untyped-def]
    parser = _command(inner, "show", "tape", "print the events of a tape, one line each")
    parser.add_argument("tape", metavar="TAPE", help="an account, run or market tape, `latest` for the newest run")
    parser.add_argument("--from-seq", type=int, default=0, metavar="N")
    parser.add_argument("--to-seq", type=int, metavar="N")
    parser.add_argument("--kind", metavar="KIND[,KIND]", help="such as ORDER_FILLED,SIGNAL (default: all)")
    parser.add_argument("--limit", type=int, metavar="N", help="stop after so many")
    parser.add_argument("--follow", action="store_true", help="go on with what is written from now on, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def _tape_export(inner) -> None:  # type: ignore[no-untyped-def]
    parser = _command(inner, "export", "tape", "write a tape for pandas, polars, DuckDB, a spreadsheet")
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
    _json(parser)


def _doctor(commands) -> None:  # type: ignore[no-untyped-def]
    _json(_command(commands, "doctor", "care", "check environment, disk, clock, permissions and tapes"))


def _backup(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "backup", "care", "copy the home, also while live runs; only what is new is copied")
    parser.add_argument("dest", type=Path, metavar="DEST", help="a folder for backups, not inside the home")
    parser.add_argument("--with-secrets", action="store_true", help="keys as well; keep that copy safe")
    _json(parser)


def _restore(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "restore", "care", "put a home back from a backup, checked byte by byte")
    parser.add_argument("source", type=Path, metavar="SRC", help="what `backup` wrote to, or one backup in it")
    parser.add_argument("--into", type=Path, metavar="HOME", help="where to (default: the home)")
    parser.add_argument("--force", action="store_true", help="also where there is a home; that one is moved aside")
    _json(parser)


def _prune(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "prune", "care", "remove derived files: reports, old snapshots, compiled code")
    parser.add_argument("--keep", type=int, metavar="N", help="the newest N of each sort (default 10; snapshots 3)")
    parser.add_argument("--older-than", type=int, metavar="DAYS", help="only what is older")
    parser.add_argument("--runs", action="store_true", help="old backtest runs, too; needs --keep or --older-than")
    parser.add_argument("--yes", action="store_true", help="do it")
    _json(parser)


def _publish(commands) -> None:  # type: ignore[no-untyped-def]
    _command(commands, "publish", "views", "make views/tape.duckdb anew, for the DuckDB CLI and notebooks")


def _migrate(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "migrate", "views", "bring the read models of an older version up to this one")
    _json(parser)


def _serve(commands) -> None:  # type: ignore[no-untyped-def]
    _command(commands, "serve", "web", "serve the query API on this machine")


def _token(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "token", "web", "print a bearer token for the query API")
    parser.add_argument("--days", type=int, help="how long it lasts (default: serve.token_days)")


def _sessions(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "sessions", "sessions", "show when a market trades, or import a holiday list")
    parser.add_argument(
        "what", nargs="*", metavar="DATE|FROM..TO|import FILE", help="days as YYYY-MM-DD (default: today)"
    )
    parser.add_argument("--calendar", default="NSE_EQ", metavar="NAME", help="such as NSE_FO or XNYS (default NSE_EQ)")
    parser.add_argument("--whole-year", action="store_true", help="import: the file has every holiday of its year")
    _json(parser)


def _charges(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "charges", "charges", "show what trading costs: the dated rules in force on a day")
    parser.add_argument("--on", metavar="DATE", help="as YYYY-MM-DD (default: today)")
    parser.add_argument("--exchange", metavar="NAME", help="only this one, such as NSE or BSE")
    parser.add_argument("--kind", metavar="NAME", help="only this one: EQUITY, FUTURE or OPTION")
    parser.add_argument("--plan", default="zero", metavar="NAME", help="brokerage plan, such as upstox (default zero)")
    _json(parser)


def _instruments(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "instruments", "instruments", "list instruments, import a master, note what changed")
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
    _json(parser)


def _universe(commands) -> None:  # type: ignore[no-untyped-def]
    about = "lists of instruments in time: ls, show, import"
    parser = commands.add_parser("universe", help=about, description=about)
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _json(_command(inner, "ls", "universe", "list the universes, and warn of those that look like survivors only"))
    show = _command(inner, "show", "universe", "show who was a member when")
    show.add_argument("name", metavar="NAME")
    show.add_argument("--on", metavar="DATE", help="the members of that day")
    show.add_argument("--years", type=float, help="warn of a longer list without delistings (default 3)")
    _json(show)
    bring = _command(inner, "import", "universe", "check and keep a file with rows symbol,from,to")
    bring.add_argument("file", type=Path, metavar="FILE")
    bring.add_argument("--name", help="(default: the file's)")
    _json(bring)


def _kill(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "kill", "kill", "stop trading, with or without a process; only a person resets it")
    parser.add_argument("--account", metavar="NAME", help="only this one (default: every account of the home)")
    parser.add_argument("--level", metavar="LEVEL", help="reduce_only, no_new_orders, cancel_all (default), flatten")
    parser.add_argument("--reason", metavar="TEXT", help="why; it goes onto the tape")
    parser.add_argument("--who", metavar="NAME", help="who (default when tripping: this user)")
    parser.add_argument("--reset", action="store_true", help="switch it off, once the account tape reconciles")
    parser.add_argument("--show", action="store_true", help="say where every switch stands")
    _json(parser)


def _drill(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "drill", "kill", "run a run again with kill limits: when they trip, what that saves")
    parser.add_argument(
        "--kill",
        action="append",
        required=True,
        metavar="LIMIT=VALUE",
        help="such as max_day_loss=5000; several may be",
    )
    parser.add_argument("--level", metavar="LEVEL", help="what tripping does (default: the run's limits.trip_level)")
    parser.add_argument("what", metavar="RUN", help="a run (or its beginning, or `latest`) or an account tape")
    _json(parser)


def _demo(commands) -> None:  # type: ignore[no-untyped-def]
    _command(commands, "demo", "demo", "five real stocks, two strategies: backtest, replay, live, report")


if __name__ == "__main__":
    sys.exit(main())
