"""When a market trades: calendars from dated tables, the home's own file over the shipped ones; no day is guessed."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path

from adapters.reference.sessions_calendar import OVERRIDES, Calendar, Rules
from adapters.reference.sessions_codes import PhaseKind
from adapters.reference.sessions_file import (
    DAY_SECONDS,
    YEAR_MAX,
    YEAR_MIN,
    About,
    Block,
    Span,
    Special,
    Template,
    known_are,
    parse_blocks,
    parse_market,
    read_document,
)
from adapters.settings_text import shown
from kernel.errors import ConfigError

DATA = Path(__file__).parent / "data"
MARKETS = ("india", "us")
ALWAYS = About("ALWAYS", "ALWAYS", "a market that never closes; its day is UTC's", 0, "UTC")
_WEEK = frozenset(range(5))


def load(name: str, overrides: Path | None = None) -> Calendar:
    """The calendar `name`, with the blocks of the file `overrides` over the shipped ones. Raises ConfigError."""
    blocks = parse_blocks(read_document(overrides), str(overrides), names()) if overrides else []
    return make(name, blocks, str(overrides or "the shipped table"))


def make(name: str, blocks: Sequence[Block], where: str) -> Calendar:
    """The calendar `name` with `blocks` over the shipped ones; `where` names them in errors. Raises ConfigError."""
    known = calendars()
    if name not in known:
        raise ConfigError(f"no calendar {shown(name)}{known_are(name, known)}")
    about = known[name]
    if about is ALWAYS:
        return Calendar(about, _always())
    market = next(market for market in MARKETS if name in _declared(market))
    return Calendar(about, _rules_of(about, [*_shipped(market), *blocks], where))


def calendars() -> dict[str, About]:
    """Every calendar there is, by name."""
    return {name: about for market in MARKETS for name, about in _declared(market).items()} | {ALWAYS.name: ALWAYS}


def names() -> frozenset[str]:
    """What the `of` of a block may name: calendars and exchanges."""
    return frozenset(name for about in calendars().values() for name in (about.name, about.exchange)) - {ALWAYS.name}


def overrides_of(home: Path) -> Path | None:
    """The override file of `home`, None when there is none. Raises ConfigError where there are two."""
    found = [home / name for name in OVERRIDES if (home / name).exists()]
    if len(found) > 1:
        raise ConfigError(f"{found[0]} and {found[1].name} are both there: keep one of them")
    return found[0] if found else None


@lru_cache(maxsize=len(MARKETS))
def _declared(market: str) -> dict[str, About]:
    file = DATA / f"sessions_{market}.toml"
    return {about.name: about for about in parse_market(read_document(file), str(file))}


@lru_cache(maxsize=len(MARKETS))
def _shipped(market: str) -> tuple[Block, ...]:
    file = DATA / f"sessions_{market}.toml"
    document = {k: v for k, v in read_document(file).items() if k not in ("zone", "calendars")}
    declared = _declared(market).values()
    return tuple(parse_blocks(document, str(file), {n for about in declared for n in (about.name, about.exchange)}))


def _rules_of(about: About, blocks: list[Block], where: str) -> Rules:
    """What the blocks that name this calendar or its exchange say; of two that differ the later holds."""
    templates: dict[date, Template] = {}
    holidays: dict[date, tuple[str, str]] = {}
    specials: dict[date, Special] = {}
    covered: set[int] = set()
    for block in blocks:
        if not {about.name, about.exchange} & set(block.of):
            continue
        if isinstance(block, Template):
            templates[block.first_day] = block
        elif isinstance(block, Special):
            specials |= dict.fromkeys(block.days, block)
        else:
            whole = range(block.years[0], block.years[1] + 1) if block.years else range(0)
            covered |= set(whole)
            holidays = {day: known for day, known in holidays.items() if day.year not in whole}
            holidays |= {day: (name, block.unverified) for day, name in block.days.items()}
    first, last = min(covered), max(covered)
    gap = next((year for year in range(first, last) if year not in covered), 0)
    if gap:
        raise ConfigError(f"{where}: {about.name} has the holidays of {last} but not of {gap}: add those, with years")
    in_order = tuple(templates[day] for day in sorted(templates))
    first_day = max(date(first, 1, 1), in_order[0].first_day)
    return Rules(_WEEK, in_order, holidays, specials, first_day, date(last, 12, 31))


def _always() -> Rules:
    span = Span(PhaseKind.CONTINUOUS, 0, DAY_SECONDS, 0, DAY_SECONDS)
    template = Template((ALWAYS.name,), date(YEAR_MIN, 1, 1), (span,), "")
    return Rules(frozenset(range(7)), (template,), {}, {}, template.first_day, date(YEAR_MAX, 12, 31))
