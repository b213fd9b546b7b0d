"""`onetape check`: whether what a backtest of a strategy shows is honest, in plain words."""

from argparse import Namespace

from api.commands.common import print_json, say_if_compiling, settings_of
from api.commands.trade import request_of
from api.progress import Progress


def run_check(options: Namespace) -> int:
    from api.check import check_honesty

    home, settings = settings_of(options)
    say_if_compiling()
    with Progress("check", None, quiet=options.json) as progress:
        report = check_honesty(home, settings, request_of(options, [options.what]), progress.at)
    if options.json:
        print_json(report.as_dict())
    else:
        from rich.console import Console

        from api.check_report import print_check

        print_check(report, Console())
    return 0 if report.honest else 1
