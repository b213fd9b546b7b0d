"""`onetape charges`: the rules in force on a day, with rate, basis, dates and source; what is not verified says so."""

from argparse import Namespace
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from adapters.reference.charges import Schedule, load, overrides_of
from adapters.reference.charges_bands import LAST, Band, Slot
from adapters.reference.charges_file import RATE_PER_PERCENT
from adapters.reference.sessions_file import iso_day
from adapters.settings_text import amount_of, shown
from api.commands.common import print_json, settings_of
from kernel.codes import Basis
from kernel.errors import ConfigError

_BASIS = {
    Basis.VALUE: "of the value",
    Basis.ORDER: "per executed order",
    Basis.ITEMS: "of",
    Basis.EXERCISE: "of intrinsic value on exercise",
    Basis.DAY: "per instrument and day sold net",
}


def run_charges(options: Namespace) -> int:
    home, _ = settings_of(options)
    schedule = load(overrides=overrides_of(home))
    day = _day(options.on, schedule)
    found = schedule.in_force(day, options.plan, options.exchange or "", options.kind or "")
    rules = [describe(schedule, band, slots) for band, slots in found.items()]
    if options.json:
        about = schedule.plans[options.plan]
        print_json({"schedule": schedule.name, "on": str(day), "plan": options.plan, "about": about, "rules": rules})
        return 0
    print(f"# {schedule.name} on {day}, plan {options.plan}: {schedule.plans[options.plan]}")
    for rule in rules:
        print(_line(rule))
        if not rule["verified"]:
            print(f"    unverified: {rule['doubt']}")
    return 0


def describe(schedule: Schedule, band: Band, slots: list[Slot]) -> dict[str, Any]:
    """A rule in words: what it covers of the slots given, its numbers as exact decimals, its days and its source."""
    rule = band.rule
    return {
        "item": rule.item.name,
        "plan": rule.plan,
        "exchange": _names(slot.exchange for slot in slots),
        "kind": _names(slot.kind for slot in slots),
        "group": [rule.group] if rule.group else [],
        "product": _names(slot.product.name for slot in slots if slot.product),
        "side": _names(slot.side.name for slot in slots),
        "basis": rule.basis.name,
        "rate": Decimal(rule.rate) / RATE_PER_PERCENT,
        "flat": amount_of(rule.flat),
        "cap": amount_of(rule.cap) if rule.cap else None,
        "of": [item.name for item in rule.of],
        "round": amount_of(schedule.rounding(rule.item)),
        "from": str(band.first),
        "to": None if band.last == LAST else str(band.last),
        "source": rule.source,
        "verified": not rule.doubt,
        "doubt": rule.doubt,
    }


def _names(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _line(rule: dict[str, Any]) -> str:
    scope = [",".join(rule[key]) for key in ("exchange", "kind")]
    scope += [",".join(rule["group"]), "" if len(rule["product"]) != 1 else rule["product"][0]]
    scope.append("" if len(rule["side"]) != 1 else rule["side"][0])
    days = f"{rule['from']}.." + (rule["to"] or "")
    return f"{rule['item']:<11} {' '.join(filter(None, scope))}: {_charge(rule)}  [{days}]  {rule['source']}"


def _charge(rule: dict[str, Any]) -> str:
    if not rule["rate"] and rule["flat"] == 0:
        return "nothing"
    flat = f"Rs {rule['flat']}" if rule["flat"] else ""
    rate = f"{rule['rate'].normalize():f} %" if rule["rate"] else ""
    basis = f"{_BASIS[Basis[rule['basis']]]} {', '.join(rule['of'])}".strip()
    cap = f", at most Rs {rule['cap']}" if rule["cap"] else ""
    return f"{' + '.join(filter(None, (flat, rate)))} {basis}{cap}"


def _day(text: str | None, schedule: Schedule) -> date:
    if text is None:
        return datetime.now(ZoneInfo(schedule.zone)).date()
    found = iso_day(text)
    if found is None:
        raise ConfigError(f"--on {shown(text)} is no date: write YYYY-MM-DD")
    return found
