"""`onetape scan`: the question as it was typed, and the answer as a table, JSON or CSV."""

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from api.commands.common import print_json, say_if_compiling, settings_of

if TYPE_CHECKING:
    from api.scan import Answer

SHOWN = 8  # symbols of a list


def run_scan(options: Namespace) -> int:
    from api.scan import Question, scan

    home, settings = settings_of(options)
    say_if_compiling()
    question = Question(
        condition=options.condition,
        sort=options.sort,
        show=options.show,
        symbols=_list(options.symbols),
        universe=options.universe,
        tapes=_list(options.tapes),
        as_of=options.as_of,
        first_day=options.first_day,
        bars=options.bars,
        limit=options.limit,
    )
    answer = scan(home, settings, question)
    if options.json:
        print_json(answer.as_dict())
    elif options.csv:
        import csv

        csv.writer(sys.stdout).writerows([("symbol", "bar", "price", *answer.columns), *answer.rows])
    else:
        _print(answer)
    return 0


def _list(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _print(answer: "Answer") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for name in ("symbol", "bar", "price", *answer.columns):
        table.add_column(name, justify="left" if name in ("symbol", "bar") else "right", overflow="fold")
    for symbol, bar, *numbers in answer.rows:
        table.add_row(symbol, bar[:16], *map(_shown, numbers))
    if answer.rows:
        Console().print(table)
    more = f", the first {len(answer.rows):,} shown" if len(answer.rows) < answer.matched else ""
    print(f"{answer.matched:,} of {answer.scanned:,} instruments on {answer.day}{more}")
    for why, names in answer.left_out.items():
        print(f"left out, {why}: {_some(names)}")
    if answer.split:
        print(f"in shares of before a split, but for price: {_some(answer.split)}")


def _shown(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if number.is_integer() and abs(number) >= 1_000 else f"{number:,.2f}"


def _some(names: "list[str] | tuple[str, ...]") -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
