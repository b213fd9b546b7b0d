"""Does a strategy decide the same again: twice, in another process, in the other mode, without the future, with another
future, and when it began later."""

from collections.abc import Sequence

from adapters.strategies.suspects import Place as Named
from api.check_finding import FAILED, NOT_MADE, PASSED, WARNED, Finding, Words, first_difference
from api.check_process import Answer
from api.check_run import FILLED, SIGNAL, Outcome, Run, Trial

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the decisions, at which runs end
SEEN_LEAST = 0.5  # of the decisions must be made by a run that began later
COMPARED_LEAST = 10
NO_FUTURE = "decide by bar, ctx, self and indicators only: what a bar's decision needs must be known when it closes"
PROMISE = "a replay, a paper day and a live day would each decide something else than this backtest"


def check_twice(base: Outcome, again: Outcome, other: Answer, constants: dict[str, str], words: Words) -> Finding:
    """Twice in this process and once in another with another hash seed: the same decisions, digest by digest."""
    changed = sorted(name for name in constants if other.constants.get(name) != constants[name])
    for who, outcome in (("a second run", again), ("a run in another process", other.outcome)):
        if outcome.digest == base.digest:
            continue
        difference = first_difference(base, outcome)
        found, where = f"{who} came to other fills", ""
        if difference is not None:
            one, two = words.both(difference)
            where = words.when(difference.first)
            found = f"{who} decided differently: first {one}, then {two}"
        return Finding("twice", FAILED, found, PROMISE, where, _mend_of(changed), {"constants_changed": changed})
    if changed:
        found = f"{', '.join(map(_short, changed))}: another value each time the file is read"
        return Finding("twice", FAILED, found, PROMISE, "", _mend_of(changed), {"constants_changed": changed})
    found = (
        f"two runs here and one in another process with another hash seed: decisions {base.digest[:16]}... each time"
    )
    return Finding("twice", PASSED, found)


def _mend_of(changed: Sequence[str]) -> str:
    if not changed:
        return "look for what differs between two reads of the file: addresses, orders of sets, files that change"
    return f"{', '.join(map(_short, changed))} is worked out when the file is read and differs: write it as a number"


def _short(constant: str) -> str:
    """`TABLE` of what reach calls `onetape:Mine.on_bar:TABLE`."""
    return constant.rpartition(":")[2]


def cuts_of(base: Outcome) -> list[int]:
    """Where runs end: at decisions, which a look ahead has to make without what it looked at, and beside fills."""
    signals = base.signals["ts_init"]
    fills = base.rows["ts_init"][base.rows["kind"] == FILLED]
    found = {int(signals[int(share * (len(signals) - 1))]) for share in SHARES if len(signals)}
    if len(fills):
        middle = int(fills[len(fills) // 2])
        found |= {middle - 1, middle}
    bars = base.bars["ts_init"]
    if len(bars):
        found |= {int(bars[len(bars) // 3]), int(bars[len(bars) * 2 // 3])}
    return sorted(found)


def check_prefixes(base: Outcome, run: Run, words: Words) -> Finding:
    """Runs that end early, right at decisions and beside fills: what they decide must be what the whole run did."""
    cuts = cuts_of(base)
    for cut in cuts:
        difference = first_difference(base, run(Trial(last_ts=cut)), cut)
        if difference is None:
            continue
        one, two = words.both(difference)
        found = f"with the bars after it: {one}; where the bars end at {words.time(cut)}: {two}"
        means = "it decided by what was not known yet: no live day can repeat this result"
        return Finding("prefixes", FAILED, found, means, words.when(difference.first), NO_FUTURE, {"cut_ts": cut})
    return Finding("prefixes", PASSED, f"{len(cuts)} runs that end early decide the same, byte for byte, up to there",
                   figures={"cuts": len(cuts)})  # fmt: skip


def check_other_future(base: Outcome, run: Run, words: Words) -> Finding:
    """The same bars up to a decision, and after it prices that go the other way."""
    cuts = cuts_of(base)
    cuts = cuts[1:-1:2] or cuts
    for cut in cuts:
        difference = first_difference(base, run(Trial(real_until=cut)), cut)
        if difference is None:
            continue
        one, two = words.both(difference)
        found = f"with the recorded bars after it: {one}; with others from {words.time(cut)} on: {two}"
        means = "it decided by what was not known yet: no live day can repeat this result"
        return Finding("other future", FAILED, found, means, words.when(difference.first), NO_FUTURE, {"cut_ts": cut})
    found = f"{len(cuts)} runs in which later prices go the other way decide the same up to there"
    return Finding("other future", PASSED, found, figures={"cuts": len(cuts)})


def check_modes(
    here: Outcome, other: Answer, names: tuple[str, str], suspects: Sequence[Named], words: Words
) -> Finding:
    """`names`: of this mode and of the other. Globals are frozen in machine code, and alive in the interpreter."""
    if here.digest == other.outcome.digest:
        many = len(here.signals)
        if many == 0:
            found = f"{names[0]} and {names[1]} agree, but the span they were run over has no decision"
            return Finding(
                "modes", WARNED, found, "nothing was compared", mend="give days with decisions: --from, --to"
            )
        return Finding("modes", PASSED, f"{many:,} decisions, the same {names[0]} and {names[1]}")
    difference = first_difference(here, other.outcome)
    where = "" if difference is None else words.when(difference.first)
    one, two = ("other fills", "these fills") if difference is None else words.both(difference)
    means = (
        "something is remembered outside declared memory: machine code has it as it was first, the interpreter as it is"
    )
    mend = "remember numbers in Float() and Int() attributes"
    if suspects:
        means += f"; what can change here: {', '.join(f'{s.name} ({s.where})' for s in suspects[:3])}"
        mend = f"{suspects[0].name} holds what can be changed: {mend}"
    return Finding("modes", FAILED, f"{names[0]}: {one}; {names[1]}: {two}", means, where, mend,
                   {"suspects": [vars(s) for s in suspects]})  # fmt: skip


def check_start(base: Outcome, run: Run) -> Finding:
    """A run that begins a tenth later: from the middle on, it should decide much the same."""
    bars = base.bars["ts_init"]
    if len(bars) < 100:
        return Finding("start", NOT_MADE, f"{len(bars)} bars are too few to begin later")
    later = run(Trial(first_ts=int(bars[len(bars) // 10])))
    middle = int(bars[len(bars) // 2])
    one, two = (_wishes(outcome, middle) for outcome in (base, later))
    if len(one) < COMPARED_LEAST:
        return Finding("start", PASSED, "too few decisions in the second half to compare with a run that began later")
    share = len(one & two) / len(one | two)
    figures = {"same_share": round(share, 4)}
    found = f"begun a tenth later, {share:.0%} of the decisions of the second half are the same"
    if share >= SEEN_LEAST:
        return Finding("start", PASSED, found, figures=figures)
    means = "the result hangs on the day the run begins: by counted bars, a path that never forgets, or a short warm-up"
    return Finding("start", WARNED, found, means, mend="count from sessions or prices, not from the run's first bar",
                   figures=figures)  # fmt: skip


def _wishes(outcome: Outcome, after_ts: int) -> set[tuple[int, int, int]]:
    rows = outcome.signals[(outcome.signals["ts_init"] > after_ts) & (outcome.signals["kind"] == SIGNAL)]
    columns = (rows[name].tolist() for name in ("ts_init", "instrument", "side"))
    return set(zip(*columns, strict=True))


def mode_span(base: Outcome, most: int) -> int | None:
    """Where a run of about `most` inputs ends, ns UTC; None for the whole run."""
    total = int(base.summary["bars"]) + int(base.summary.get("ticks", 0))
    times = base.bars["ts_init"] if len(base.bars["ts_init"]) else base.signals["ts_init"]
    if total <= most or len(times) == 0:
        return None
    return int(times[min(len(times) - 1, len(times) * most // total)])
