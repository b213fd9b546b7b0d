"""`onetape strategies` and `new strategy`: which there are, all about one, a first version of another."""

from argparse import Namespace
from typing import Any

from api.commands.common import print_json, settings_of


def run_strategies(options: Namespace) -> int:
    from api.strategies import describe_strategy, list_strategies

    home, _ = settings_of(options)
    if options.name:
        about = describe_strategy(home, options.name)
        print_json(about) if options.json else _print_one(about)
        return 0
    rows = list_strategies(home)
    print_json(rows) if options.json else _print_list(rows)
    return 0


def _print_list(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for name in ("name", "idea", "from", "hooks"):
        table.add_column(name, overflow="fold", no_wrap=name == "name")
    for row in rows:
        if row["name"]:
            table.add_row(row["name"], row["idea"], row["where"], " ".join(row["hooks"]))
    Console().print(table)
    for row in rows:
        if row["problem"]:
            print(f"cannot run: {row['problem']}")
    print("all about one: onetape strategies NAME; a new one: onetape new strategy NAME")


def _print_one(about: dict[str, Any]) -> None:
    print(f"{about['name']}  ({about['origin']})\n\n{about['doc']}\n")
    for p in about["parameters"]:
        bounds = f"{_bound(p['low'])} to {_bound(p['high'])}"
        print(f"  {p['name']} = {p['value']}  ({p['kind']}, {bounds}, default {p['default']})  {p['doc']}".rstrip())
    for i in about["indicators"]:
        numbers = ", ".join(f"{name} {value}" for name, value in i["numbers"].items())
        print(f"  {i['name']} = {i['kind']}({i['declared']})" + (f"  here {numbers}" if numbers else ""))
    print(f"\nwarm-up     {about['warm_up_bars']} bars\nhooks       {' '.join(about['hooks'])}")
    print(f"file        {about['file']}:{about['line']}\ncode hash   {about['code_hash']}\n")
    for what, line in about["commands"].items():
        print(f"{what:<12}{line}")


def _bound(number: float | None) -> str:
    return "any" if number is None else str(number)


def run_strategy(options: Namespace) -> int:
    """`onetape new strategy`."""
    from api.new_strategy import new_strategy

    home, _ = settings_of(options)
    files = new_strategy(options.name, options.folder, home)
    for path in files:
        print(f"wrote {path}")
    here = options.folder.resolve() == options.folder.cwd()
    spec = options.name if here else f"{files[0]}"
    print(f"next:\n  python -m pytest {files[1]}\n  onetape strategies {spec}\n  onetape backtest --strategy {spec}")
    return 0
