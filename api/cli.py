"""`onetape`: every command, each a thin call. An error is one sentence on standard error and an exit code."""

import argparse
import gc
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from api.version import version
from kernel.errors import OnetapeError

LONG = ("live", "serve")  # commands that run all day
EPILOG = """exit codes: 0 fine, 1 a replay diverged or a strategy failed, 2 something to mend in what you asked,
65 stored bytes are damaged, 74 the disk failed, 75 another process holds the tape, 130 interrupted"""


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
    except BrokenPipeError:  # `onetape runs | head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("onetape: interrupted", file=sys.stderr)
        return 130


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
        _init, _config, _import, _backtest, _replay, _live, _verify, _runs, _report, _sql, _serve, _token, _demo,
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
    parser = _command(commands, "import", "market", "bring CSV or Parquet bars onto a market tape")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="bar files, or folders of them")
    parser.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN", help="name a column yourself")
    parser.add_argument("--symbol", help="symbol of a file that has no such column (default: its name)")
    parser.add_argument("--tz", help="timezone of times without one, such as Asia/Kolkata")
    parser.add_argument("--stamp", choices=["open", "close"], help="what an intraday time says (default open)")
    parser.add_argument("--span", help="length of a bar, such as 1m (default: found from the data)")
    parser.add_argument("--tick", help="smallest price step, such as 0.05, or auto")
    parser.add_argument("--lot", type=int, help="lot size")
    parser.add_argument("--currency", help="such as INR or USD")
    parser.add_argument("--session-close", metavar="HH:MM", help="local close for dates without a time")
    parser.add_argument("--date-format", help="such as %%d/%%m/%%Y, where day and month could be either")
    parser.add_argument("--actions", type=Path, metavar="FILE", help="splits and dividends: symbol,date,kind,value")
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
    parser.add_argument("--symbols", help="comma-separated (default: all imported)")
    parser.add_argument("--from", dest="first_day", metavar="DATE", help="first local day, YYYY-MM-DD")
    parser.add_argument("--to", dest="last_day", metavar="DATE", help="last local day")
    parser.add_argument("--cash", help="opening cash")
    parser.add_argument("--fees", help="zero, bps:3, flat:20, bps:3,min:1,max:20")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--tapes", help="market tapes, comma-separated (default: all)")
    parser.add_argument("--warm-up-days", type=int, help="days before --from that strategies learn from")


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
    parser.add_argument("--run", dest="run_name", default="latest", metavar="RUN", help="which run (default latest)")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    _json(parser)


def _serve(commands) -> None:  # type: ignore[no-untyped-def]
    _command(commands, "serve", "web", "serve the query API on this machine")


def _token(commands) -> None:  # type: ignore[no-untyped-def]
    parser = _command(commands, "token", "web", "print a bearer token for the query API")
    parser.add_argument("--days", type=int, help="how long it lasts (default: serve.token_days)")


def _demo(commands) -> None:  # type: ignore[no-untyped-def]
    _command(commands, "demo", "demo", "five real stocks, two strategies: backtest, replay, live, report")


if __name__ == "__main__":
    sys.exit(main())
