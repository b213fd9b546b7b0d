"""Does a strategy know the tape it is run over: tables made of its prices, moments of it, files it reads; and does it
foresee moves without looking at prices. No cut of the tape shows that, since the file was written after the tape."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adapters.strategies.reach import Reach
from adapters.strategies.suspects import reads_of, tables_of, whole_numbers_of
from api.check_finding import FAILED, NOT_MADE, PASSED, WARNED, Finding, Words
from api.check_process import Answer
from api.check_run import SIGNAL, Outcome, Run, Trial
from kernel.codes import OrderType

PRICES = ("close", "open", "high", "low")
EXACT, MOVES = 6, 48  # numbers in a row that are the tape's prices; moves in a row that go as its closes do
FORESEES = (int(OrderType.MARKET), int(OrderType.LIMIT))  # a stop waits for a move against what it protects
FOLDED = np.uint64(0x9E3779B97F4A7C15)  # odd: folding keeps every number's bits
FEW_MOMENTS = 2
FORESEEN_LEAST, FORESEEN, SUSPECT = 30, 0.9, 0.75  # moves judged; share of them foreseen that fails, that is warned of
UNMOVED = 0.8  # of the decisions are the same on a market that goes the other way
LARGEST_MOVE = 0.4  # of a price from bar to bar; beyond, it is a split
OUTSIDE = "take what it needs from the bars it is given; a level from before the first day may be a Param"


def check_outside(other: Answer, files: Sequence[Path], home: Path) -> Finding:
    """What loading the strategy did outside its file."""
    if other.asked or other.replaced:
        said = [*other.asked, *(f"puts another function in the place of {name}" for name in other.replaced)]
        found = f"when its file is read it {'; '.join(said)}"
        means, mend = "what it decides is not its file's alone, and may know the future", "let it declare and compute"
        figures = {"asked": other.asked, "replaced": other.replaced}
        return Finding("outside", FAILED, found, means, str(files[0]), mend, figures)
    inside = [path for path in other.opened if Path(path).is_relative_to(home)]
    places = reads_of(list(files))
    if not other.opened and not places:
        return Finding("outside", PASSED, "reading the file opens no other, asks nobody and replaces nothing")
    named = other.opened or [place.name for place in places]
    opened = {"opened": other.opened}
    where = places[0].where if places else str(files[0])
    if inside:
        found = f"reads {inside[0]}, which is of this home: the tape itself"
        means = "what it decides with is the recorded future"
        return Finding("outside", FAILED, found, means, where, OUTSIDE, opened)
    found = f"reads {', '.join(named[:3])} when it is loaded"
    means = "what is in the file is known from the first bar on: were its numbers known on that day?"
    return Finding("outside", WARNED, found, means, where, OUTSIDE, opened)


def check_tables(reach: Reach, base: Outcome, words: Words) -> Finding:
    """Tables of the strategy beside the tape's prices and moves, and its numbers beside the tape's times."""
    tables = tables_of(reach)
    for table in tables:
        held = held_of(table.numbers, base)
        if held is not None:
            found = f"{table.name} holds {held.what} of {words.symbol(held.instrument)} from {words.time(held.ts)} on"
            means = "it decides with prices of the very tape it is run over, from the first bar on"
            return Finding("tables", FAILED, found, means, table.where, OUTSIDE)
    moments = [(place, times) for place, numbers in whole_numbers_of(reach) if (times := _within(numbers, base))]
    named = sum(len(times) for _, times in moments)
    if moments:
        place, times = moments[0]
        found = (
            f"{place.name} names {named} moment{'s' if named > 1 else ''} of this tape, first {words.time(times[0])}"
        )
        means = "who knows such a moment knows what came after it"
        status = FAILED if named > FEW_MOMENTS else WARNED
        mend = "decide by what bars say, or give the days to the run: --from, --to"
        return Finding("tables", status, found, means, place.where, mend, {"moments": named})
    many = f"{len(tables)} table{'s' if len(tables) > 1 else ''} of numbers: none holds" if tables else "no table holds"
    return Finding("tables", PASSED, f"{many} prices or moves of this tape, no number is a time of it")


def _within(numbers: Sequence[int], base: Outcome) -> list[int]:
    times = base.bars["ts_init"]
    if len(times) == 0:
        return []
    return [number for number in numbers if int(times[0]) <= number <= int(times[-1])]


@dataclass(frozen=True)
class Held:
    """What a table holds of the tape, and from when."""

    what: str
    instrument: int
    ts: int


def held_of(numbers: np.ndarray, base: Outcome) -> Held | None:
    """Whether EXACT numbers in a row are prices of an instrument in a row, or MOVES go as its closes do; numbers may be
    prices in any currency unit that is a power of ten, any growing function of them, or anything with the moves' sign.
    """
    bars = base.bars
    for instrument in np.unique(bars["instrument"]).tolist():
        of_it = bars["instrument"] == instrument
        times = bars["ts_init"][of_it]
        for what in PRICES:
            place = _run_of_prices(numbers, bars[what][of_it])
            if place is not None:
                return Held(f"the {what} prices", instrument, int(times[place]))
        place = _run_of_moves(numbers, bars["close"][of_it])
        if place is not None:
            return Held("the moves of the close", instrument, int(times[place]))
    return None


def _run_of_prices(numbers: np.ndarray, prices: np.ndarray) -> int | None:
    """Ratios from number to number, to nine digits, so that the unit does not matter."""
    if len(numbers) < EXACT or len(prices) < EXACT or (prices <= 0).any() or not (numbers > 0).all():
        return None
    ratios = [np.rint(values[1:] / values[:-1] * 1e9).astype(np.int64) for values in (numbers, prices.astype(float))]
    lively = _folded(ratios[0] != 10**9, EXACT - 1, plain=True) >= EXACT - 2  # a flat price is in every table
    return _first_common(ratios[0], ratios[1], EXACT - 1, lively)


def _run_of_moves(numbers: np.ndarray, closes: np.ndarray) -> int | None:
    if len(closes) <= MOVES:
        return None
    up = (np.diff(closes) > 0).astype(np.int64)
    middle = float(np.median(numbers)) if len(numbers) else 0.0
    for signs in (np.diff(numbers) > 0, numbers > 0, numbers > middle):
        found = signs.astype(np.int64)
        if len(found) >= MOVES:
            ups = _folded(found, MOVES, plain=True)
            place = _first_common(found, up, MOVES, (ups > MOVES // 4) & (ups < MOVES - MOVES // 4))
            if place is not None:
                return place
    return None


def _folded(values: np.ndarray, width: int, plain: bool = False) -> np.ndarray:
    """One number for each `width` values in a row: their sum, or a hash of them in order."""
    count = len(values) - width + 1
    words = np.ascontiguousarray(values.astype(np.int64)).view(np.uint64)
    total = np.zeros(max(count, 0), np.uint64)
    for k in range(width if count > 0 else 0):
        total = total + words[k : k + count] if plain else total * FOLDED + (words[k : k + count] + np.uint64(1))
    return total


def _first_common(table: np.ndarray, tape: np.ndarray, width: int, lively: np.ndarray) -> int | None:
    """Where in the tape the first stretch of `width` values begins that the table has, too."""
    wanted = np.unique(_folded(table, width)[lively])
    places = np.flatnonzero(np.isin(_folded(tape, width), wanted)) if len(wanted) else np.zeros(0, np.int64)
    return int(places[0]) if len(places) else None


@dataclass(frozen=True)
class Foresight:
    """Of `moves` that followed a decision, which share went its way: from close to close, and within the next bar."""

    moves: int
    closes: float
    within: float


def foresight_of(base: Outcome) -> Foresight:
    """Each decision to buy or sell beside what the next bar of its instrument did; moves of nothing do not count."""
    bars, found = base.bars, {"closes": [0, 0], "within": [0, 0]}
    foresees = np.isin(base.signals["order_type"], FORESEES)
    wishes = base.signals[(base.signals["kind"] == SIGNAL) & (base.signals["side"] != 0) & foresees]
    for instrument in np.unique(wishes["instrument"]).tolist():
        of_it = bars["instrument"] == instrument
        times, opened, closed = (bars[name][of_it] for name in ("ts_init", "open", "close"))
        mine = wishes[wishes["instrument"] == instrument]
        keys, sides = np.unique(mine["ts_init"], return_index=True)[0], mine["side"]
        last = np.searchsorted(mine["ts_init"], keys)
        place = np.searchsorted(times, keys, "right")  # of the next bar
        whole = (place > 0) & (place < len(times))
        place, side = place[whole], sides[last][whole].astype(np.int64)
        for name, before in (("closes", closed[place - 1]), ("within", opened[place])):
            move = closed[place] - before
            counts = (move != 0) & (np.abs(move) < LARGEST_MOVE * before)
            found[name][0] += int((np.sign(move)[counts] == side[counts]).sum())
            found[name][1] += int(counts.sum())
    shares = {name: right / count if count else 0.0 for name, (right, count) in found.items()}
    return Foresight(min(count for _, count in found.values()), shares["closes"], shares["within"])


def check_foresight(base: Outcome, run: Run) -> Finding:
    """How many decisions the very next bar proved right, and whether they listen to prices at all."""
    if int(base.summary.get("ticks", 0)):
        return Finding("foresight", NOT_MADE, "decisions by ticks are not held against the next bar")
    seen = foresight_of(base)
    if seen.moves < FORESEEN_LEAST:
        return Finding("foresight", PASSED, f"{seen.moves} decisions are too few to tell foresight from luck")
    same = same_share(base, run(Trial(real_until=0)))
    figures = {"moves": seen.moves, "foreseen_closes": round(seen.closes, 4), "foreseen_within": round(seen.within, 4),
               "same_on_other_market": round(same, 4)}  # fmt: skip
    best = max(seen.closes, seen.within)
    found = f"the next bar went the way of {best:.0%} of {seen.moves:,} decisions"
    deaf = f"{same:.0%} of them are the same on a market that goes the other way"
    mend = "look for what it takes from outside its bars: a file, a table, dates, counted bars"
    if seen.within >= FORESEEN or (seen.closes >= FORESEEN and same >= UNMOVED):
        means = "no rule over past prices does that: it knows what comes"
        return Finding("foresight", FAILED, f"{found}; {deaf}", means, "", mend, figures)
    if best >= SUSPECT:
        means = "that is rare for a rule over past prices: is it the bounce between bid and ask, or does it know more?"
        return Finding("foresight", WARNED, f"{found}; {deaf}", means, "", mend, figures)
    return Finding("foresight", PASSED, found, figures=figures)


def same_share(one: Outcome, other: Outcome) -> float:
    """The share of `one`'s decisions that `other` has at the same time for the same instrument and side."""
    sets = []
    for outcome in (one, other):
        rows = outcome.signals[outcome.signals["kind"] == SIGNAL]
        sets.append(set(zip(*(rows[name].tolist() for name in ("ts_init", "instrument", "side")), strict=True)))
    return len(sets[0] & sets[1]) / max(len(sets[0]), 1)
