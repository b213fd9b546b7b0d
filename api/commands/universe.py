"""`onetape universe ls`, `show` and `import`: lists of instruments in time, and whether they hold survivors only."""

from argparse import Namespace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from adapters.market.instrument import FOREVER
from adapters.market.instruments import Registry
from adapters.reference.universe import (
    SUSPICIOUS_YEARS,
    Universe,
    import_universe,
    list_universes,
    load_universe,
    survivorship,
)
from api.commands.common import print_json, settings_of


def run_ls(options: Namespace) -> int:
    home, settings = settings_of(options)
    registry, day = Registry.load(home), _today(settings.account.timezone)
    lines = [_summary(load_universe(home, name, registry), registry, day) for name in list_universes(home)]
    if options.json:
        print_json(lines)
        return 0
    for line in lines:
        print(
            f"{line['universe']}: {line['instruments']:,} instruments, {line['members']:,} now, since {line['first']}"
        )
        if line["warning"]:
            print(f"warning: {line['warning']}")
    if not lines:
        print("no universes yet: `onetape universe import FILE`, with rows symbol,from,to")
    return 0


def run_show(options: Namespace) -> int:
    home, settings = settings_of(options)
    registry, day = Registry.load(home), _today(settings.account.timezone)
    universe = load_universe(home, options.name, registry)
    if options.on:
        rows: list[dict[str, Any]] = [
            {"number": number, "symbol": registry[number].terms_at(options.on).symbol}
            for number in universe.members(options.on)
        ]
    else:
        rows = [{"number": s.number, "symbol": s.symbol, "from": s.first, "to": "" if s.last == FOREVER else s.last}
                for s in universe.spans]  # fmt: skip
    warning = survivorship(universe, registry, day, options.years or SUSPICIOUS_YEARS)
    if options.json:
        print_json({"universe": universe.name, "on": options.on, "members": rows, "warning": warning})
        return 0
    for row in rows:
        print(" ".join(str(value) for value in row.values()).rstrip())
    if warning:
        print(f"warning: {warning}")
    return 0


def run_import(options: Namespace) -> int:
    home, settings = settings_of(options)
    universe, registry = import_universe(home, options.file, options.name), Registry.load(home)
    summary = _summary(universe, registry, _today(settings.account.timezone))
    if options.json:
        print_json(summary)
        return 0
    print(f"universe {universe.name}: {len(universe.spans):,} memberships of {summary['instruments']:,} instruments")
    if summary["warning"]:
        print(f"warning: {summary['warning']}")
    return 0


def _summary(universe: Universe, registry: Registry, today: str) -> dict[str, Any]:
    return {
        "universe": universe.name,
        "instruments": len({span.number for span in universe.spans}),
        "members": len(universe.members(today)),
        "first": min(span.first for span in universe.spans),
        "warning": survivorship(universe, registry, today),
    }


def _today(timezone: str) -> str:
    return datetime.now(ZoneInfo(timezone)).date().isoformat()
