"""`onetape demo`: import, backtest, replay, live and report once, on the five real stocks that come with Onetape."""

import shutil
import threading
import time
from argparse import Namespace
from pathlib import Path

from adapters.market.importer import import_files
from adapters.market.samples import SAMPLE_OPTIONS, sample_path
from adapters.settings import Settings
from api.commands.common import say_if_compiling, settings_of
from api.request import Request
from kernel.errors import OnetapeError

STRATEGIES = ("ema_cross", "sma_rsi_stop")


class DemoFailed(OnetapeError):
    """A promise did not hold."""


def run_demo(options: Namespace) -> int:
    home, settings = settings_of(options)
    home = home / "demo"
    shutil.rmtree(home, ignore_errors=True)
    started = time.monotonic()
    _import(home)
    say_if_compiling()
    folder, decisions = _backtest(home, settings)
    _replay(home, folder)
    _live(home, settings, decisions)
    _show(home, folder)
    print(f"\ndone in {time.monotonic() - started:.1f} s; everything is in {home}")
    return 0


def _import(home: Path) -> None:
    print("1. import: daily bars of five US stocks (public domain), with their splits and dividends")
    report = import_files(home, [sample_path()], SAMPLE_OPTIONS)
    print(
        f"   {report.new:,} bars, {report.splits} splits, {report.dividends} dividends -> {home / 'tapes' / 'market'}"
    )


def _backtest(home: Path, settings: Settings) -> tuple[Path, str]:
    from api.backtest import run_backtest

    print(f"2. backtest: {' and '.join(STRATEGIES)}, one account, every event on a tape")
    result = run_backtest(home, settings, Request(STRATEGIES))
    s = result.summary()
    print(f"   {s['events']:,} events, {s['orders']:,} orders, {s['fills']:,} fills, equity {s['final_equity']}")
    return result.folder, str(s["decision_digest"])


def _replay(home: Path, folder: Path) -> None:
    from api.replay import replay_run

    print(f"3. replay {folder.name}: the same inputs again, every byte compared")
    found = replay_run(home, folder)
    if not found.identical:
        raise DemoFailed(f"the replay diverged: {found.as_dict()}")
    print(f"   identical: {found.events:,} events, tape {found.tape_digest}, state {found.state_digest}")


def _live(home: Path, settings: Settings, decisions: str) -> None:
    from api.live import parse_feed, run_live

    print("4. live --mode paper: the same bars as a feed, append then act")
    found = run_live(home, settings, Request(STRATEGIES), parse_feed("replay:all@max"), "demo", threading.Event())
    if found["decision_digest"] != decisions:
        raise DemoFailed(f"live decided otherwise: {found['decision_digest']}, the backtest {decisions}")
    print(f"   decision digest {decisions}: equal to the backtest's")


def _show(home: Path, folder: Path) -> None:
    from api.show import print_report, report_data, write_page

    print("5. report\n")
    data = report_data(folder)
    print_report(data)
    print(f"page: {write_page(home, data)}")
