"""The rules of a charge file by what they cover: one rule for each item, segment, product, side and day."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from adapters.reference.charges_file import PRODUCTS, ChargeFile, Rule
from kernel.codes import Basis, Item, Product, Side
from kernel.errors import ConfigError

LAST = date.max  # of a rule without an end
ONE_DAY = timedelta(days=1)


class Slot(NamedTuple):
    """What exactly one rule must cover on any day: an item for one segment, product and side."""

    plan: str
    item: Item
    exercise: bool
    exchange: str
    kind: str
    group: str
    product: Product
    side: Side

    def __str__(self) -> str:
        words = [self.exchange, self.kind, self.group, self.product.name if self.product else "", self.side.name]
        plan = f" (plan {self.plan})" if self.plan else ""
        return f"{self.item.name} of {' '.join(filter(None, words))}{' on exercise' if self.exercise else ''}{plan}"


class Band(NamedTuple):
    """A rule and the days on which it holds, both included."""

    first: date
    last: date
    rule: Rule


Bands = dict[Slot, list[Band]]


def laid(charges: ChargeFile) -> Bands:
    """The rules of one file by slot, in the order of their days. Raises ConfigError where two hold on a day."""
    bands: Bands = {}
    segments = segments_of(charges)
    for rule in charges.rules:
        for slot in _slots_of(rule, segments):
            bands.setdefault(slot, []).append(Band(rule.first, rule.last or LAST, rule))
    for slot, listed in bands.items():
        listed.sort(key=lambda band: band.first)
        for before, after in pairwise(listed):
            if after.first <= before.last:
                raise ConfigError(
                    f"{after.rule.where} from: {slot} has another rule on {after.first}, {before.rule.where}: "
                    f"let it end with to = {after.first - ONE_DAY}, or leave one of them out"
                )
    return bands


def _slots_of(rule: Rule, segments: Iterable[tuple[str, str, str]]) -> Iterator[Slot]:
    exercise = rule.basis is Basis.EXERCISE
    for exchange, kind, group in segments:
        if exchange in rule.exchanges and kind in rule.kinds and rule.group in ("", group):
            for product in (rule.product,) if rule.product else PRODUCTS.get(kind, (Product.NONE,)):
                for side in rule.sides:
                    yield Slot(rule.plan, rule.item, exercise, exchange, kind, group, product, side)


def carved(bands: list[Band], own: list[Band]) -> list[Band]:
    """`own` and what of `bands` lies on other days."""
    left = bands
    for cut in own:
        parts = [
            part
            for band in left
            for part in (
                band._replace(last=min(band.last, cut.first - ONE_DAY)),
                band._replace(first=max(band.first, cut.last + ONE_DAY)) if cut.last != LAST else None,
            )
            if part
        ]
        left = [part for part in parts if part.first <= part.last]
    return sorted([*left, *own], key=lambda band: band.first)


def segments_of(charges: ChargeFile) -> list[tuple[str, str, str]]:
    """(exchange, kind, group) of every segment; the group is empty where there are none."""
    return [
        (exchange, kind, group)
        for exchange in charges.exchanges
        for kind in charges.kinds
        for group in [known.name for known in charges.groups_of(exchange, kind)] or [""]
    ]
