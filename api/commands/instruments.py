"""`onetape instruments`: the instrument table on any date, a master into it, dated terms and new names by hand."""

from argparse import Namespace
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from adapters.files import import_lock
from adapters.market.instrument import Instrument, InstrumentKind, Terms, is_day
from adapters.market.instrument_rows import to_row
from adapters.market.instruments import Registry
from adapters.market.prices import show_px
from adapters.reference.master_import import SHOWN, MasterReport, import_master
from adapters.reference.upstox_master import Choice
from api.commands.common import print_json, settings_of
from kernel.errors import ConfigError, NotFound

FLAGS = {  # form: the flags it takes beside --json
    "list": ("on", "kind", "segment", "underlying", "expiry"),
    "import": ("segment", "symbols", "underlying", "date", "dry_run", "skip_bad", "delist_missing"),
    "set": (),
    "rename": ("start",),
}
SPELLED = {"start": "--from"}
DATED = ("tick", "lot", "freeze")
UNDATED = ("isin", "listed", "delisted", "calendar", "settlement", "exchange", "segment", "kind")
LINES_MOST = 200  # of a list for people


def run_instruments(options: Namespace) -> int:
    form = options.words[0] if options.words and options.words[0] in FLAGS else "list"
    for name in {name for names in FLAGS.values() for name in names} - set(FLAGS[form]):
        if getattr(options, name):
            raise ConfigError(
                f"{SPELLED.get(name, '--' + name.replace('_', '-'))} is not of `onetape instruments {form}`"
            )
    return {"list": _list, "import": _import, "set": _set, "rename": _rename}[form](options)


# List -----------------------------------------------------------------------------------------------------------------


def _list(options: Namespace) -> int:
    patterns = options.words[1:] if options.words[:1] == ["list"] else options.words
    if len(patterns) > 1:
        raise ConfigError("one PATTERN at a time, such as 'NIFTY*'; or import FILE, set SYMBOL..., rename OLD NEW")
    home, _ = settings_of(options)
    for flag, day in (("--on", options.on), ("--expiry", options.expiry)):
        _check_day(flag, day)
    kind = InstrumentKind(options.kind) if options.kind else None
    chosen = [
        one
        for one in Registry.load(home)
        if (not options.on or one.trades_on(options.on))
        and _named(one, patterns[0] if patterns else "*", options.on)
        and kind in (None, one.kind)
        and (not options.segment or one.segment in options.segment.split(","))
        and (not options.underlying or one.underlying in options.underlying.split(","))
        and (not options.expiry or one.expiry == options.expiry)
    ]
    if options.json:
        print_json([_as_dict(one, options.on) for one in chosen])
    elif chosen:
        _print(chosen, options.on)
    else:
        print("no such instruments: `onetape instruments import FILE` brings a master in, `onetape import` bars")
    return 0


def _named(one: Instrument, pattern: str, on: str | None) -> bool:
    """By its symbol on a date, or any it ever had."""
    names = [one.terms_at(on).symbol] if on else [name for _, name in one.timeline("symbol")]
    return any(fnmatchcase(name, pattern) for name in names)


def _as_dict(one: Instrument, on: str | None) -> dict[str, Any]:
    """Every field; prices and quantities are integers of 10**-decimals as in the table."""
    row = asdict(one) | {"changes": to_row(one).get("changes", [])}
    return row | one.terms_at(on)._asdict() if on else row


def _print(chosen: list[Instrument], on: str | None) -> None:
    """A line each, without the columns in which none has anything."""
    lines = [_cells(one, on) for one in chosen[:LINES_MOST]]
    used = [name for name in lines[0] if any(line[name] for line in lines)]
    width = {name: max(len(name), *(len(line[name]) for line in lines)) for name in used}
    for line in ({name: name for name in used}, *lines):
        print("  ".join(f"{line[name]:<{width[name]}}" for name in used).rstrip())
    if len(chosen) > LINES_MOST:
        print(f"... and {len(chosen) - LINES_MOST:,} more: give a PATTERN or a flag, or --json for all")


def _cells(one: Instrument, on: str | None) -> dict[str, str]:
    terms = one.terms_at(on) if on else Terms(one.symbol, one.tick, one.lot, one.freeze)
    return {
        "number": str(one.number),
        "symbol": terms.symbol,
        "kind": one.kind,
        "segment": one.segment,
        "tick": _price(one, terms.tick),
        "lot": str(terms.lot),
        "freeze": str(terms.freeze or ""),
        "expiry": one.expiry,
        "strike": _price(one, one.strike) if one.strike else "",
        "right": one.right,
        "listed": one.listed,
        "delisted": one.delisted,
    }


def _price(one: Instrument, units: int) -> str:
    """Price units as a decimal of its currency."""
    return show_px(units) if one.price_decimals == 4 else f"{Decimal(units).scaleb(-one.price_decimals):f}"


# Change ---------------------------------------------------------------------------------------------------------------


def _import(options: Namespace) -> int:
    if len(options.words) != 2:
        raise ConfigError("`onetape instruments import FILE`: name one file, such as complete.json.gz")
    home, _ = settings_of(options)
    choice = Choice(*(frozenset((text or "").split(",")) - {""} for text in
                      (options.segment, options.symbols, options.underlying)))  # fmt: skip
    report = import_master(
        home, Path(options.words[1]), choice, options.date or _today(), options.skip_bad, options.delist_missing,
        options.dry_run,
    )  # fmt: skip
    if options.json:
        print_json(asdict(report))
    else:
        _print_report(report, options.dry_run)
    return 2 if report.bad and options.dry_run and not options.skip_bad else 0


def _print_report(report: MasterReport, dry_run: bool) -> None:
    print(
        f"{report.rows:,} rows, {report.chosen:,} chosen"
        + (f", {report.tests:,} of tests left out" * bool(report.tests))
    )
    missing = (
        "delisted: not in the file" if report.delisted else "not in the file (--delist-missing says they are gone)"
    )
    lists = (("new", report.added), ("changed", report.changes), ("described anew", report.described),
             (missing, report.missing), ("left out, not fit", [str(row) for row in report.bad]))  # fmt: skip
    for what, lines in lists:
        if lines:
            print(f"{len(lines):,} {what}")
            print(*(f"  {line}" for line in lines[:SHOWN]), sep="\n")
            if len(lines) > SHOWN:
                print(f"  ... and {len(lines) - SHOWN:,} more")
    print(f"{report.unchanged:,} unchanged" + (", nothing written (--dry-run)" if dry_run else ""))


def _set(options: Namespace) -> int:
    """set SYMBOL TERM=VALUE... [from=DATE]: dated terms need the date, others have none."""
    if len(options.words) < 3:
        raise ConfigError("`onetape instruments set SYMBOL lot=50 from=2024-04-26`: a symbol and what changes")
    symbol, said = options.words[1], dict(_pair(text) for text in options.words[2:])
    start = said.pop("from", None)
    dated = {name: value for name, value in said.items() if name in DATED}
    undated = {name: value for name, value in said.items() if name in UNDATED}
    if unknown := set(said) - set(DATED) - set(UNDATED):
        raise ConfigError(f"{', '.join(sorted(unknown))}: what can be set is {', '.join((*DATED, *UNDATED))}")
    if dated and start is None:
        raise ConfigError(f"{', '.join(dated)}: from=DATE says since when; from=start, that it always was")
    if not said:
        raise ConfigError("nothing to set: write TERM=VALUE, such as lot=50")
    start = "" if start == "start" else start
    _check_day("from", start)
    home, _ = settings_of(options)
    with import_lock(home):
        registry = Registry.load(home)
        known = _known(registry, symbol)
        if undated:
            registry.edit([replace(known, **_words(undated))])
        if dated:
            registry.change(symbol, start or "", **{name: _number(known, name, text) for name, text in dated.items()})
        registry.save()
    return _say(_known(registry, symbol), options)


def _words(undated: dict[str, str]) -> dict[str, Any]:
    """Undated terms as they are kept: texts all but the kind. Raises ConfigError."""
    kinds = [kind.value for kind in InstrumentKind]
    if undated.get("kind", kinds[0]) not in kinds:
        raise ConfigError(f"kind={undated['kind']}: it is one of {', '.join(kinds)}")
    return undated | ({"kind": InstrumentKind(undated["kind"])} if "kind" in undated else {})


def _rename(options: Namespace) -> int:
    if len(options.words) != 3 or not options.start:
        raise ConfigError("`onetape instruments rename OLD NEW --from DATE`")
    _check_day("--from", options.start)
    home, _ = settings_of(options)
    with import_lock(home):
        registry = Registry.load(home)
        after = registry.rename(options.words[1], options.words[2], options.start)
        registry.save()
    return _say(after, options)


def _say(one: Instrument, options: Namespace) -> int:
    if options.json:
        print_json(_as_dict(one, None))
        return 0
    print(f"instrument {one.number} {one.symbol}")
    for start in sorted({"", *(change.start for change in one.changes)}):
        terms = one.terms_at(start)
        tick, freeze = _price(one, terms.tick), terms.freeze or "none"
        print(f"  {start or 'at first'}: {terms.symbol}, tick {tick}, lot {terms.lot}, freeze {freeze}")
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"{text!r}: write TERM=VALUE, such as lot=50")
    return name.strip(), value.strip()


def _number(one: Instrument, name: str, text: str) -> int:
    """A tick in price units, a lot or freeze in quantity units; exactly."""
    try:
        exact = Decimal(text).scaleb(one.price_decimals if name == "tick" else one.qty_decimals)
        units = int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        raise ConfigError(f"{name} is {text!r}, which is no number") from None
    if units != exact:
        raise ConfigError(f"{name} is {text}, which has more decimals than {one.symbol} can hold")
    return units


def _known(registry: Registry, symbol: str) -> Instrument:
    found = registry.find(symbol)
    if found is None:
        raise NotFound(f"no instrument {symbol!r}: `onetape instruments` lists them")
    return found


def _check_day(flag: str, day: str | None) -> None:
    if day and not is_day(day):
        raise ConfigError(f"{flag} {day}: write YYYY-MM-DD")


def _today() -> str:
    return datetime.now(ZoneInfo("Asia/Kolkata")).date().isoformat()
