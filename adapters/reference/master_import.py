"""An instrument master into the table: what is new, renamed, revised or missing since the last one, all or nothing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from adapters.files import import_lock
from adapters.market.instrument import Instrument, InstrumentKind, fault_of, is_day
from adapters.market.instruments import Registry
from adapters.market.prices import show_px
from adapters.reference.upstox_master import BROKER, BadRow, Choice, Master, read_master
from kernel.errors import ConfigError, ImportRefused

SHOWN = 20
_CONTRACT = ("kind", "right", "strike", "multiplier")  # what makes a contract this one
_DESCRIBED = (  # what a master says afresh, without a date
    "kind", "exchange", "segment", "isin", "multiplier", "expiry", "strike", "right", "underlying", "settlement",
)  # fmt: skip
_DATED = ("symbol", "tick", "lot", "freeze")


@dataclass
class MasterReport:
    """What an import did, or would do. `changes` says it in words; `missing` traded here on that day and are not in the
    file."""

    day: str
    rows: int
    chosen: int
    tests: int
    added: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)  # new ISIN, key, expiry: no dated term
    unchanged: int = 0
    missing: list[str] = field(default_factory=list)
    delisted: bool = False  # whether the missing were
    bad: list[BadRow] = field(default_factory=list)
    written: bool = False


def import_master(
    home: Path,
    path: Path,
    choice: Choice,
    day: str,
    skip_bad: bool = False,
    delist_missing: bool = False,
    dry_run: bool = False,
) -> MasterReport:
    """Bring the chosen rows of an Upstox master into the table of `home`, as things stand on `day` (YYYY-MM-DD, IST).

    Nothing is written when a chosen row is bad, unless `skip_bad`; nothing at all by `dry_run`. Raises NotFound,
    ImportRefused naming the first bad rows, ConfigError on a day before that of the last import, TapeLocked.
    """
    if not is_day(day):
        raise ConfigError(f"--date {day}: write YYYY-MM-DD")
    master = read_master(path, choice)
    with import_lock(home):
        registry = Registry.load(home)
        last = registry.imported.get(BROKER, "")
        if day < last:
            raise ConfigError(
                f"--date {day}: a master of {last} is in already, and an older one cannot say what held since; note "
                "what you know with `onetape instruments set`"
            )
        plan = _Plan(registry, master, choice, day, delist_missing)
        report = plan.run()
        if report.bad and not skip_bad and not dry_run:
            raise ImportRefused(_refusal(path, report.bad))
        registry.edit(plan.changed.values(), plan.added)
        registry.imported[BROKER] = day
        if not dry_run and (plan.changed or plan.added or last != day):
            registry.save()
            report.written = True
    return report


def _refusal(path: Path, bad: list[BadRow]) -> str:
    shown = "\n".join(f"  {row}" for row in bad[:SHOWN])
    more = f"\n  ... and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
    return (
        f"{path}: {len(bad):,} of the chosen rows do not fit, so nothing was imported; --skip-bad leaves them out\n"
        f"{shown}{more}"
    )


class _Plan:
    """Each row against the table: by its key, else by its symbol on that day."""

    def __init__(self, registry: Registry, master: Master, choice: Choice, day: str, delist_missing: bool) -> None:
        self.registry, self.master, self.choice, self.day = registry, master, choice, day
        self.delist_missing = delist_missing
        self.added: list[Instrument] = []
        self.changed: dict[int, Instrument] = {}
        self.seen: set[int] = set()
        self.report = MasterReport(day, master.total, len(master.rows), master.tests, bad=list(master.bad))

    def run(self) -> MasterReport:
        known = {row: self._by_key(one) for row, one in self.master.rows.items()}
        self.seen = {one.number for one in known.values() if one is not None}
        for row, one in self.master.rows.items():
            try:
                if one.expiry and one.expiry < self.day:
                    raise ValueError(f"it expired on {one.expiry}: the file is older than --date {self.day}")
                same = known[row]
                if same is None:
                    self._by_symbol(one)
                else:
                    self._check_contract(same, one)
                    self._revise(same, one)
            except ValueError as error:
                self.report.bad.append(BadRow(row, one.symbol, str(error)))
        self.report.bad.sort(key=lambda bad: bad.row)
        self._note_missing()
        return self.report

    def _by_key(self, one: Instrument) -> Instrument | None:
        """The known instrument with its key; a contract that expired gave its key back."""
        key = one.broker_keys[BROKER]
        trading = self.registry.find_key(BROKER, key, self.day)
        if trading is not None or one.expiry:
            return trading
        return self.registry.find_key(BROKER, key)

    def _by_symbol(self, one: Instrument) -> None:
        """New, or known under its symbol without this key."""
        owner = self.registry.find(one.symbol, self.day)
        if owner is None or owner.number in self.seen:  # nobody's, or of one that is called something else from now on
            earlier = self.registry.owners(one.symbol)
            self.added.append(replace(one, listed=self.day if earlier else ""))
            self.report.added.append(one.symbol)
            return
        key = owner.broker_keys.get(BROKER)
        if key is not None and not _same_issuer(owner.isin, one.isin):
            raise ValueError(
                f"it is instrument {owner.number} with key {key} here, and {one.broker_keys[BROKER]} in the file: "
                f"where that is another company, first `onetape instruments set {one.symbol!r} delisted=DATE`"
            )
        for name in ("currency", "tz", "price_decimals", "qty_decimals"):
            if getattr(owner, name) != getattr(one, name):
                raise ValueError(f"it is instrument {owner.number} with {name} {getattr(owner, name)} here")
        self.seen.add(owner.number)
        self._revise(owner, one)

    def _check_contract(self, known: Instrument, one: Instrument) -> None:
        if not known.trades_on(self.day):
            raise ValueError(
                f"it was delisted on {known.delisted} here; if it trades again: "
                f"`onetape instruments set {known.symbol!r} delisted=`"
            )
        for name in _CONTRACT if one.expiry else ():
            if getattr(known, name) != getattr(one, name):
                raise ValueError(
                    f"its key is that of {known.symbol}, which trades with {name} {getattr(known, name)} and not "
                    f"{getattr(one, name)}: where it is a new contract, first "
                    f"`onetape instruments set {known.symbol!r} delisted=DATE`"
                )

    def _revise(self, known: Instrument, one: Instrument) -> None:
        """Take what the row says over: dated terms from the day on, the rest at once."""
        before = known.terms_at(self.day)
        dated = ("symbol",) if one.kind is InstrumentKind.INDEX else _DATED  # the file has no more of an index
        new = {name: getattr(one, name) for name in dated if getattr(one, name) != getattr(before, name)}
        if "symbol" in new:
            self._check_free(one.symbol)
        told = {name: getattr(one, name) for name in _DESCRIBED if getattr(one, name) != getattr(known, name)}
        if known.calendar in ("", one.segment) and one.calendar != known.calendar:  # another one was chosen by hand
            told["calendar"] = one.calendar
        if known.broker_keys.get(BROKER) != one.broker_keys[BROKER]:
            told["broker_keys"] = {**known.broker_keys, **one.broker_keys}
        if not new and not told:
            self.report.unchanged += 1
            return
        after = replace(known, **told).changed(self.day, **new)
        if fault := fault_of(after):
            raise ValueError(fault)
        self.changed[known.number] = after
        for name, now in new.items():
            was = getattr(before, name)
            shown = (show_px(was), show_px(now)) if name == "tick" else (was, now)
            self.report.changes.append(f"{before.symbol}: {name} {shown[0]} -> {shown[1]}")
        if told:
            self.report.described.append(f"{one.symbol}: {', '.join(told)}")

    def _check_free(self, symbol: str) -> None:
        owner = self.registry.find(symbol, self.day)
        if owner is not None and owner.number not in self.seen and not self.delist_missing:
            raise ValueError(
                f"its new symbol is still that of instrument {owner.number}, which the file has not: first "
                f"`onetape instruments set {symbol!r} delisted={self.day}`, or --delist-missing"
            )

    def _note_missing(self) -> None:
        """What traded and is not in the file; rows that are there and bad are not missing."""
        bad = Counter(row.name for row in self.report.bad)
        for one in self._candidates():
            if one.number in self.seen or one.terms_at(self.day).symbol.partition(":")[2] in bad or one.symbol in bad:
                continue
            self.report.missing.append(one.symbol)
            if self.delist_missing:
                self.changed[one.number] = replace(one, delisted=self.day)
        self.report.delisted = self.delist_missing

    def _candidates(self) -> Iterator[Instrument]:
        for one in self.registry:
            fits = self.choice.fits(one.segment, one.terms_at(self.day).symbol, one.underlying)
            here = BROKER in one.broker_keys and one.segment in self.master.segments  # NSE.json.gz says nothing of BSE
            if here and fits and one.trades_on(self.day):
                yield one


def _same_issuer(one: str, other: str) -> bool:
    """Whether two Indian ISINs are of one issuer and type: a split or a new face value only moves the serial."""
    return one[:2] == "IN" and len(one) == len(other) == 12 and one[:9] == other[:9]
