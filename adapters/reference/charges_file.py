"""A charge file: TOML of groups, dated rules and brokerage plans, checked key by key."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from adapters.reference.charges_row import Row
from adapters.reference.sessions_file import read_document
from adapters.settings_text import SCALE, check_timezone
from kernel.codes import Basis, Item, Product, Side
from kernel.errors import ConfigError

PLAN_ITEMS = (Item.BROKERAGE, Item.DP)  # what the broker sets; all else is the market's
PRODUCTS = {"EQUITY": (Product.INTRADAY, Product.DELIVERY)}  # other kinds are charged alike whatever the product
RATE_PER_PERCENT = 10_000_000  # a rate counts 1e-9
RUPEES_MAX = 10**9  # for a flat, a cap or a rounding

_NUMBERS = {  # basis: (needed one of, all that it takes)
    Basis.VALUE: (("rate",), ("rate",)),
    Basis.ORDER: (("rate", "flat"), ("rate", "flat", "cap")),
    Basis.ITEMS: (("rate",), ("rate", "of")),
    Basis.EXERCISE: (("rate",), ("rate",)),
    Basis.DAY: (("flat",), ("flat",)),
}
_SCOPE = ("exchange", "kind", "group", "product", "side")
_MARKET = ("zone", "exchanges", "kinds", "round")


@dataclass(frozen=True)
class Group:
    """A part of one exchange's instruments of one kind; `names` are the words an instrument may state for it."""

    name: str
    exchange: str
    kind: str
    names: tuple[str, ...]
    default: bool


@dataclass(frozen=True)
class Rule:
    """One row of a charge file. Both days are included; `rate` counts 1e-9, `flat` and `cap` 1/SCALE rupee."""

    where: str
    plan: str  # "" for a rule of the market
    item: Item
    basis: Basis
    exchanges: tuple[str, ...]
    kinds: tuple[str, ...]
    group: str  # "" for all
    product: Product  # NONE for all
    sides: tuple[Side, ...]
    first: date
    last: date | None
    rate: int
    flat: int
    cap: int
    of: tuple[Item, ...]
    source: str
    doubt: str  # "" for a verified rule


@dataclass
class ChargeFile:
    """What a file says; a file of overrides takes exchanges, kinds, rounding and groups from the one it stands over."""

    file: str
    zone: str = ""
    exchanges: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    rounding: dict[Item, int] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    plans: dict[str, str] = field(default_factory=dict)  # name: what it is

    def groups_of(self, exchange: str, kind: str) -> list[Group]:
        return [group for group in self.groups if (group.exchange, group.kind) == (exchange, kind)]


def read_charges(path: Path, base: ChargeFile | None = None) -> ChargeFile:
    """The charge file at `path`; with `base`, as overrides of it. Raises ConfigError with file, row and field."""
    document = read_document(path)
    top = Row(document, f"{path}:")
    top.keys((), ("group", "rule", "plans")) if base else top.keys((*_MARKET, "rule"), ("group", "plans"))
    found = ChargeFile(str(path))
    if base:
        found.zone, found.exchanges, found.kinds = base.zone, base.exchanges, base.kinds
        found.rounding, found.groups, found.plans = base.rounding, list(base.groups), dict(base.plans)
    else:
        _market(top, found)
    found.groups += [_group(row, found) for row in top.rows("group")]
    _check_groups(found)
    found.rules = [_rule(row, found, "") for row in top.rows("rule")]
    for name, plan in top.tables("plans").items():
        plan.keys(("rule",), ("about",)) if name in found.plans else plan.keys(("rule", "about"), ())
        found.plans[name] = plan.text("about") if "about" in plan.item else found.plans[name]
        found.rules += [_rule(row, found, name) for row in plan.rows("rule")]
    return found


def _market(top: Row, found: ChargeFile) -> None:
    found.zone = top.text("zone")
    try:
        check_timezone(found.zone)
    except ValueError as error:
        raise top.error("zone", str(error)) from None
    found.exchanges, found.kinds = top.names("exchanges"), top.names("kinds")
    rounding = Row(top.item["round"], f"{top.where} round")
    rounding.keys([item.name for item in Item], ())
    found.rounding = {item: rounding.number(item.name, SCALE, RUPEES_MAX, "rupees") for item in Item}
    for item, unit in found.rounding.items():
        if not unit:
            raise rounding.error(item.name, 'cannot be "0": write what the item is rounded to, such as "0.01"')


def _group(row: Row, found: ChargeFile) -> Group:
    row.keys(("name", "exchange", "kind", "members", "source"), ("default",))
    row.text("source")
    name = row.name("name")
    kind, exchange = row.word("kind", found.kinds), row.word("exchange", found.exchanges)
    return Group(name, exchange, kind, (name, *row.names("members")), row.flag("default", False))


def _check_groups(found: ChargeFile) -> None:
    for exchange, kind in {(group.exchange, group.kind): None for group in found.groups}:
        groups = found.groups_of(exchange, kind)
        where = f"{found.file}: groups of {exchange} {kind}"
        names = [name for group in groups for name in group.names]
        twice = next((name for name in names if names.count(name) > 1), "")
        if twice:
            raise ConfigError(f"{where}: {twice} is in them twice: name it once")
        if sum(group.default for group in groups) != 1:
            raise ConfigError(f"{where}: one of them must say default = true, and only one")


def _rule(row: Row, found: ChargeFile, plan: str) -> Rule:
    row.keys(("item", "from", "basis", "source", "verified"), (*_SCOPE, "to", "rate", "flat", "cap", "of", "doubt"))
    item = Item[row.word("item", [item.name for item in Item])]
    if (item in PLAN_ITEMS) != bool(plan):
        place = "[[rule]]" if plan else "[[plans.NAME.rule]]"
        raise row.error("item", f"{item.name} does not belong here: put it under {place}")
    basis = Basis[row.word("basis", [basis.name for basis in Basis])]
    exchanges, kinds = row.words("exchange", found.exchanges), row.words("kind", found.kinds)
    product = Product[row.word("product", ("INTRADAY", "DELIVERY"))] if "product" in row.item else Product.NONE
    bare = next((kind for kind in kinds if product and kind not in PRODUCTS), "")
    if bare:
        raise row.error("product", f"{bare} is charged alike for every product: leave it out, or name another kind")
    sides = (Side[row.word("side", ("BUY", "SELL"))],) if "side" in row.item else (Side.BUY, Side.SELL)
    first, last = row.day("from"), row.day("to") if "to" in row.item else None
    if last and last < first:
        raise row.error("to", f"{last} is before from = {first}: `to` is the last day on which the rule holds")
    rate, flat, cap, of = _numbers(row, basis, item)
    if basis is Basis.EXERCISE and item is not Item.STT:
        raise row.error("basis", f"EXERCISE is known for STT only, not for {item.name}")
    if basis is Basis.EXERCISE and (sides != (Side.BUY,) or kinds != ("OPTION",)):
        raise row.error(
            "basis", 'EXERCISE is charged to the holder of an option: it needs kind = "OPTION", side = "BUY"'
        )
    if basis is Basis.DAY and flat and sides != (Side.SELL,):
        raise row.error("basis", 'DAY is for what was sold: a charge on it needs side = "SELL"')
    group = row.name("group") if "group" in row.item else ""
    for exchange in exchanges if group else ():
        for kind in kinds:
            row.known("group", group, [known.name for known in found.groups_of(exchange, kind)])
    return Rule(
        row.where, plan, item, basis, exchanges, kinds, group, product, sides, first, last, rate, flat, cap, of,
        row.text("source"), _doubt(row),
    )  # fmt: skip


def _numbers(row: Row, basis: Basis, item: Item) -> tuple[int, int, int, tuple[Item, ...]]:
    needed, taken = _NUMBERS[basis]
    extra = next((key for key in ("rate", "flat", "cap", "of") if key in row.item and key not in taken), "")
    if extra:
        raise row.error(extra, f"does not go with basis {basis.name}, which takes {', '.join(taken)}")
    if not any(key in row.item for key in needed):
        raise row.error("basis", f"{basis.name} needs {' or '.join(needed)}")
    of: tuple[Item, ...] = ()
    if basis is Basis.ITEMS:
        scope = next((key for key in _SCOPE if key in row.item), "")
        if scope:
            raise row.error(scope, "must be left out with basis ITEMS, which is a share of a whole note")
        of = tuple(Item[word] for word in row.words("of", [known.name for known in Item if known != item]))
        if "of" not in row.item:
            raise row.error("of", 'is missing: name the items it is a share of, such as ["BROKERAGE"]')
    rate = row.number("rate", RATE_PER_PERCENT, 100, "percent") if "rate" in row.item else 0
    flat, cap = (row.number(key, SCALE, RUPEES_MAX, "rupees") if key in row.item else 0 for key in ("flat", "cap"))
    if "cap" in row.item and not cap:
        raise row.error("cap", "cannot be 0: leave it out for none")
    return rate, flat, cap, of


def _doubt(row: Row) -> str:
    if row.flag("verified", True):
        if "doubt" in row.item:
            raise row.error("doubt", "does not go with verified = true: say false, or leave it out")
        return ""
    if "doubt" not in row.item:
        raise row.error("verified", "is false, so add a `doubt`: one line of what is not certain")
    return row.text("doubt")
