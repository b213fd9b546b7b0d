"""What trading costs, as dated rules: the home's own file over the shipped ones; no day and no rate is guessed."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from adapters.reference.charges_bands import LAST, ONE_DAY, Band, Bands, Slot, carved, laid, segments_of
from adapters.reference.charges_codes import OPEN, ChargeRow
from adapters.reference.charges_file import PLAN_ITEMS, PRODUCTS, ChargeFile, read_charges
from adapters.reference.sessions_file import known_are
from adapters.settings_text import shown
from kernel.codes import Item, Product, Side
from kernel.errors import ConfigError

DATA = Path(__file__).parent / "data"
OVERRIDES = "instruments/charges.toml"  # in a home


class Schedule:
    """All rules of a market and of its brokerage plans, without overlap or gap from `first_day` of a plan on."""

    def __init__(self, name: str, charges: ChargeFile, bands: Bands):
        self.name = name
        self.zone = charges.zone
        self.exchanges, self.kinds, self.plans = charges.exchanges, charges.kinds, dict(charges.plans)
        self._charges, self._bands = charges, bands
        self._segments = {_key(*segment): segment for segment in segments_of(charges)}
        self._first = {plan: max(self._check(slot) for slot in self._slots(plan)) for plan in self.plans}

    def segment(self, exchange: str, kind: str, group: str = "") -> str:
        """The key of a segment; `group` is the name of one, or of a member, or empty for the default. ConfigError."""
        self._known("exchange", exchange, self.exchanges)
        self._known("kind", kind, self.kinds)
        groups = self._charges.groups_of(exchange, kind)
        if not group:
            return _key(exchange, kind, next((known.name for known in groups if known.default), ""))
        self._known(f"group of {exchange} {kind}", group, [name for known in groups for name in known.names])
        return _key(exchange, kind, next(known.name for known in groups if group in known.names))

    def first_day(self, plan: str) -> date:
        """The first day on which all that `plan` and the market charge is known. Raises ConfigError."""
        self._known("plan", plan, self.plans)
        return self._first[plan]

    def rounding(self, item: Item) -> int:
        """What the item's sum of a note is rounded to, half up, in 1/10,000 rupee."""
        return self._charges.rounding[item]

    def rows(
        self, segments: Sequence[str], plan: str, first_day: date, last_day: date, tz: str = "Asia/Kolkata"
    ) -> list[ChargeRow]:
        """What the kernel takes for `segments` (keys), counted from 1, from one day to another, both included.

        Rules that charge nothing are left out: `load` has proved that they are there. Raises ConfigError.
        """
        self._covered(plan, first_day)
        assert first_day <= last_day
        zone = ZoneInfo(tz)
        found: list[ChargeRow] = []
        for place, key in enumerate(segments, 1):
            self._known("segment", key, self._segments)
            for band, slots in self._held(plan, first_day, last_day, self._segments[key]).items():
                if band.rule.rate or band.rule.flat:
                    found += [self._row(band, place, product, side, zone) for product, side in _merged(slots)]
        return found

    def in_force(self, day: date, plan: str, exchange: str = "", kind: str = "") -> dict[Band, list[Slot]]:
        """The rules of `day` and what each covers, market first, by item. Empty texts stand for all. ConfigError."""
        self._covered(plan, day)
        if exchange:
            self._known("exchange", exchange, self.exchanges)
        if kind:
            self._known("kind", kind, self.kinds)
        found: dict[Band, list[Slot]] = {}
        for segment in self._segments.values():
            if exchange in ("", segment[0]) and kind in ("", segment[1]):
                for band, slots in self._held(plan, day, day, segment).items():
                    found.setdefault(band, []).extend(slots)
        return dict(sorted(found.items(), key=lambda pair: pair[1][0].item))

    def _held(self, plan: str, first: date, last: date, segment: tuple[str, str, str]) -> dict[Band, list[Slot]]:
        found: dict[Band, list[Slot]] = {}
        for slot in self._slots(plan):
            if (slot.exchange, slot.kind, slot.group) == segment:
                for band in self._bands[slot]:
                    if band.first <= last and first <= band.last:
                        found.setdefault(band, []).append(slot)
        return found

    def _row(self, band: Band, place: int, product: Product, side: int, zone: ZoneInfo) -> ChargeRow:
        rule = band.rule
        since, until = _midnight(band.first, zone), OPEN if band.last == LAST else _midnight(band.last + ONE_DAY, zone)
        of = sum(1 << item for item in rule.of)
        unit = self.rounding(rule.item)
        return ChargeRow(
            int(rule.item), place, int(product), side, since, until, int(rule.basis), rule.rate, rule.flat, rule.cap,
            of, unit,
        )  # fmt: skip

    def _slots(self, plan: str) -> Iterator[Slot]:
        """Every slot that must be covered, by item."""
        for item in Item:
            whose = plan if item in PLAN_ITEMS else ""
            for exchange, kind, group in self._segments.values():
                for product in PRODUCTS.get(kind, (Product.NONE,)):
                    for side in (Side.BUY, Side.SELL):
                        yield Slot(whose, item, False, exchange, kind, group, product, side)
                if item is Item.STT and kind == "OPTION":
                    yield Slot(whose, item, True, exchange, kind, group, Product.NONE, Side.BUY)

    def _check(self, slot: Slot) -> date:
        """The first day of a slot, which then has no gap. Raises ConfigError."""
        bands = self._bands.get(slot)
        where = self._charges.file
        add = 'add a rule, with rate = "0" if nothing is charged'
        if not bands:
            raise ConfigError(f"{where}: no rule says {slot}: {add}")
        for before, after in pairwise(bands):
            if after.first != before.last + ONE_DAY:
                raise ConfigError(
                    f"{where}: no rule says {slot} from {before.last + ONE_DAY} to {after.first - ONE_DAY}: {add}"
                )
        if bands[-1].last != LAST:
            raise ConfigError(f"{where}: no rule says {slot} from {bands[-1].last + ONE_DAY} on: {add}")
        return bands[0].first

    def _covered(self, plan: str, day: date) -> None:
        first = self.first_day(plan)
        if day < first:
            late = next(slot for slot in self._slots(plan) if self._bands[slot][0].first == first)
            raise ConfigError(
                f"{self._charges.file}: the charges of {day} are not known: the first rule for {late} "
                f"begins on {first}: ask for days from then on, or add the rules before it to {OVERRIDES} in the home "
                "(docs/charges.md)"
            )

    def _known(self, what: str, word: str, words: Iterable[str]) -> None:
        known = list(words)
        if word not in known:
            raise ConfigError(f"no {what} {shown(word)}{known_are(word, known) if known else ': it has none'}")


def load(name: str = "india", overrides: Path | None = None) -> Schedule:
    """The schedule `name`, with the rules of the file `overrides` over the shipped ones. Raises ConfigError."""
    shipped = {path.stem.removeprefix("charges_"): path for path in sorted(DATA.glob("charges_*.toml"))}
    if name not in shipped:
        raise ConfigError(f"no charge schedule {shown(name)}{known_are(name, shipped)}")
    return load_file(name, shipped[name], overrides)


def load_file(name: str, file: Path, overrides: Path | None = None) -> Schedule:
    """The schedule in `file`. Raises ConfigError."""
    charges = read_charges(file)
    bands = laid(charges)
    if overrides:
        over = read_charges(overrides, charges)
        if len(over.groups) > len(charges.groups):
            charges.groups = over.groups
            bands = laid(charges)  # rules for all groups hold for the new ones too
        for slot, own in laid(over).items():
            bands[slot] = carved(bands.get(slot, []), own)
        charges = over
    return Schedule(name, charges, bands)


def overrides_of(home: Path) -> Path | None:
    """The charge file of `home`, None when there is none."""
    file = home / OVERRIDES
    return file if file.exists() else None


def _key(exchange: str, kind: str, group: str) -> str:
    return ":".join(filter(None, (exchange, kind, group)))


def _merged(slots: list[Slot]) -> list[tuple[Product, int]]:
    """The products and sides of one segment's slots, as few as say it: product NONE and side 0 are any."""
    sides: dict[Product, int] = {}
    for slot in slots:
        sides[slot.product] = sides.get(slot.product, 0) + slot.side
    alike = len(sides) == len(PRODUCTS.get(slots[0].kind, (Product.NONE,))) and len(set(sides.values())) == 1
    return [(Product.NONE, next(iter(sides.values())))] if alike else list(sides.items())


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000_000
