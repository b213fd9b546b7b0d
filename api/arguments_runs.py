"""Arguments of the commands that make runs, stop them and show them: from `init` and `import` to `report` and `sql`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from api.arguments import command, json_flag

if TYPE_CHECKING:
    from api.arguments import Commands


def add_init(commands: "Commands") -> None:
    parser = command(commands, "init", "setup", "write a commented onetape.toml and an example strategy")
    parser.add_argument("folder", nargs="?", type=Path, default=Path())


def add_config(commands: "Commands") -> None:
    parser = command(commands, "config", "setup", "show the settings in effect, or check them")
    parser.add_argument("what", choices=["show", "check"])


def add_import(commands: "Commands") -> None:
    parser = command(commands, "import", "market", "bring CSV or Parquet bars or ticks onto a market tape")
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
    json_flag(parser)


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--strategy",
        action="append",
        default=[],
        metavar="NAME[,k=v...]",
        help="one of `onetape strategies`, or path/to/file.py:Class",
    )
    _inputs(parser)


def _inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--symbols", help="comma-separated, as they were on --from (default: all imported)")
    parser.add_argument("--universe", metavar="NAME", help="its members over the days, each while it is one")
    parser.add_argument("--from", dest="first_day", metavar="DATE", help="first local day, YYYY-MM-DD")
    parser.add_argument("--to", dest="last_day", metavar="DATE", help="last local day")
    parser.add_argument("--cash", help="opening cash, such as 1000000, or by currency INR:1000000,USD:5000")
    parser.add_argument("--currency", help="the account's (default: that of the first tape), such as INR")
    parser.add_argument("--fx", metavar="FILE", help="CSV of rates between currencies: date,from,to,rate")
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


def add_backtest(commands: "Commands") -> None:
    parser = command(commands, "backtest", "trade", "run strategies over imported bars")
    _selection(parser)
    parser.add_argument("--report", action="store_true", help="also write the HTML report")
    json_flag(parser)


def add_check(commands: "Commands") -> None:
    parser = command(commands, "check", "check", "does a strategy cheat, and how much is its result worth")
    parser.add_argument("what", metavar="STRATEGY[,k=v...]", help="built-in, or path/to/file.py:Class")
    _inputs(parser)
    json_flag(parser)


def add_replay(commands: "Commands") -> None:
    parser = command(commands, "replay", "trade", "run a recorded run or day again and compare every byte")
    parser.add_argument("what", metavar="RUN|DATE", help="run id (or its beginning, or `latest`), or YYYY-MM-DD")
    json_flag(parser)


def add_live(commands: "Commands") -> None:
    parser = command(commands, "live", "trade", "trade on paper on a recorded feed; Ctrl-C stops, starting goes on")
    _selection(parser)
    parser.add_argument("--mode", choices=["paper"], help="paper: the simulated venue (default)")
    parser.add_argument("--feed", metavar="replay:TAPE@max|@60x", help="TAPE a market tape, or all")
    parser.add_argument("--account", help="name of the account tape (default: account.name)")
    json_flag(parser)


def add_verify(commands: "Commands") -> None:
    parser = command(commands, "verify", "trade", "prove that tapes are what was written")
    parser.add_argument("what", nargs="?", metavar="RUN", help="run id (default: everything in the home)")
    json_flag(parser)


def add_runs(commands: "Commands") -> None:
    parser = command(commands, "runs", "show", "list runs, or the market tapes")
    parser.add_argument("--tapes", action="store_true", help="list market tapes instead")
    json_flag(parser)


def add_report(commands: "Commands") -> None:
    parser = command(commands, "report", "show", "show a run, and write its page")
    parser.add_argument("what", nargs="?", default="latest", metavar="RUN")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the HTML page goes")


def add_sql(commands: "Commands") -> None:
    parser = command(commands, "sql", "show", "ask anything in SQL: v_orders, v_fills, v_trades, v_equity, bars, runs")
    parser.add_argument("query", help='such as "select symbol, sum(pnl) from v_trades group by 1"')
    parser.add_argument(
        "--run", dest="run_name", default="latest", metavar="RUN", help="whose read models (default latest)"
    )
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="value of $NAME, bound")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    json_flag(parser)


def add_kill(commands: "Commands") -> None:
    parser = command(commands, "kill", "kill", "stop trading, with or without a process; only a person resets it")
    parser.add_argument("--account", metavar="NAME", help="only this one (default: every account of the home)")
    parser.add_argument("--level", metavar="LEVEL", help="reduce_only, no_new_orders, cancel_all (default), flatten")
    parser.add_argument("--reason", metavar="TEXT", help="why; it goes onto the tape")
    parser.add_argument("--who", metavar="NAME", help="who (default when tripping: this user)")
    parser.add_argument("--reset", action="store_true", help="switch it off, once the account tape reconciles")
    parser.add_argument("--show", action="store_true", help="say where every switch stands")
    json_flag(parser)


def add_drill(commands: "Commands") -> None:
    parser = command(commands, "drill", "kill", "run a run again with kill limits: when they trip, what that saves")
    parser.add_argument(
        "--kill",
        action="append",
        required=True,
        metavar="LIMIT=VALUE",
        help="such as max_day_loss=5000; several may be",
    )
    parser.add_argument("--level", metavar="LEVEL", help="what tripping does (default: the run's limits.trip_level)")
    parser.add_argument("what", metavar="RUN", help="a run (or its beginning, or `latest`) or an account tape")
    json_flag(parser)


def add_demo(commands: "Commands") -> None:
    command(commands, "demo", "demo", "five real stocks, two strategies: backtest, replay, live, report")
