"""`onetape check`: is what a backtest of a strategy shows honest? From its syntax tree, then by running it: again, in
another process and mode, without the future, with another one, with other parameters. Nothing is kept of the runs."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from adapters.market.importer import import_files
from adapters.market.samples import SAMPLE_OPTIONS, sample_path
from adapters.market.tape import list_tapes
from adapters.settings import Settings
from adapters.strategies.load import Checked, check_strategy
from adapters.strategies.registry import folders_of, with_origin
from adapters.strategies.suspects import changeable_of
from api.bootstrap import load_strategies, make_config
from api.check_decisions import check_modes, check_other_future, check_prefixes, check_start, check_twice, mode_span
from api.check_finding import FAILED, NOT_MADE, PASSED, WARNED, Finding, Words
from api.check_hindsight import check_foresight, check_outside, check_tables
from api.check_neighbours import check_neighbours, neighbours_of
from api.check_process import Answer, Elsewhere
from api.check_run import SIGNAL, Outcome, Place, Run, Runner, Trial
from api.check_trades import trade_findings, trades_of
from api.request import Request
from kernel.errors import Dishonest, StrategyError
from kernel.jit import COMPILED

INTERPRETED_INPUTS = 6_000  # most inputs of the run in the other mode, some 4,000 a second
SYMBOLS_MOST = 3  # of that run, those decided on most often
HASH_SEED = 20_011
MODES = {True: "compiled", False: "interpreted"}
ON_DECISIONS = ("prefixes", "other future", "modes", "start", "foresight", "neighbours")
Seen = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Report:
    """All findings of one strategy over one selection. `about` says what was run over what."""

    strategy: str
    about: dict[str, Any]
    findings: list[Finding]

    @property
    def honest(self) -> bool:
        return not any(finding.status == FAILED for finding in self.findings)

    def count(self, status: str) -> int:
        return sum(finding.status == status for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        counts = {name.replace(" ", "_"): self.count(name) for name in (PASSED, WARNED, FAILED, NOT_MADE)}
        return {"strategy": self.strategy, "honest": self.honest, **counts, **self.about,
                "findings": [finding.as_dict() for finding in self.findings]}  # fmt: skip


def check_honesty(home: Path, settings: Settings, request: Request, seen: Seen = lambda bars, total: None) -> Report:
    """Everything there is to say about the one strategy of `request`; `seen(inputs, of about how many)` hears of it.

    Raises any OnetapeError but Dishonest: that is a finding.
    """
    [asked] = request.strategies
    spec = with_origin(asked, folders_of(home))
    request = replace(request, strategies=[spec])
    try:
        checked = check_strategy(spec)
    except Dishonest as error:
        return Report(spec, {}, [refusal(error)])
    with home_of(home, request) as (place_home, sampled):
        return _Check(place_home, settings, request, checked, seen).report(sampled)


def refusal(error: Dishonest) -> Finding:
    """The finding of a strategy that the check of its syntax tree refuses: `FILE:LINE: what: why`."""
    where, _, said = str(error).partition(": ")
    means = "it could decide by something that is no part of its run, so nothing it shows can be trusted"
    return Finding("source", FAILED, said, means, where, "what is said of the line says what to write instead")


@contextmanager
def home_of(home: Path, request: Request) -> Iterator[tuple[Path, bool]]:
    """The home, or where it has no market data and none is asked for, one with the sample, for as long as it is used;
    and whether it is that one."""
    if request.tapes or any(tape.bars or tape.ticks for tape in list_tapes(home)):
        yield home, False
        return
    with tempfile.TemporaryDirectory(prefix="onetape-check-") as folder:
        import_files(Path(folder), [sample_path()], SAMPLE_OPTIONS)
        yield Path(folder), True


class _Check:
    """One strategy, one selection, and the runs that are made of them."""

    def __init__(self, home: Path, settings: Settings, request: Request, checked: Checked, seen: Seen) -> None:
        self._home, self._settings, self._request, self._checked = home, settings, request, checked
        self._place = self._place_of(request)
        self._words = Words(self._place.config)
        self._total: int | None = None
        self._run: Run = Runner(self._place, lambda bars: seen(bars, self._total))

    def _place_of(self, request: Request) -> Place:
        loaded = load_strategies(request.strategies, self._home)
        config = make_config(self._home, self._settings, request, loaded, "BACKTEST")
        return Place(self._home, config, loaded[0].origin, self._settings.capacity.batch)

    def report(self, sampled: bool) -> Report:
        base = self._run(Trial(keep=True, bars=True))
        self._total = (int(base.summary["bars"]) + int(base.summary.get("ticks", 0))) * self._runs()
        findings = [
            Finding("source", PASSED, "no clock, dice, network, files or globals in what its hooks reach"),
            self._ran(base),
        ]
        small, span = self._for_modes(base)
        with (
            Elsewhere(self._place, Trial(), COMPILED, HASH_SEED) as twin,
            Elsewhere(small, Trial(last_ts=span), not COMPILED, HASH_SEED) as other,
        ):
            findings += self._decided(base, twin, other, small, span)
        trades = trades_of(self._place.config, base.rows)
        findings += trade_findings(base, trades, self._run, self._place.config, self._words)
        return Report(self._checked.spec, self._about(base, sampled), findings)

    def _runs(self) -> int:
        """About how many whole runs there will be."""
        return 11 + 2 * len(self._checked.definition.params)

    def _ran(self, base: Outcome) -> Finding:
        decided = int((base.signals["kind"] == SIGNAL).sum())
        found = f"{base.summary['bars']:,} bars, {decided:,} decisions, {base.summary['fills']:,} fills"
        if base.faults:
            means = "it stopped there: what came after is not its doing"
            return Finding("run", FAILED, base.faults[0], means, mend="mend the line, then check again")
        if decided == 0:
            mend = "give more days, or looser parameters"
            return Finding("run", WARNED, found, "it never decided anything: there is nothing to judge", mend=mend)
        return Finding("run", PASSED, found)

    def _for_modes(self, base: Outcome) -> tuple[Place, int | None]:
        """Where the run in the other mode is made, and when it ends: few symbols, where decisions are."""
        names = {int(row["number"]): str(row["symbol"]) for row in self._place.config["instruments"]}
        numbers, counts = np.unique(base.signals["instrument"], return_counts=True)
        most = [int(number) for _, number in sorted(zip(-counts, numbers, strict=True))][:SYMBOLS_MOST]
        symbols, bars = [names[number] for number in most], base.bars["instrument"]
        share = float(np.isin(bars, most).sum()) / max(len(bars), 1)
        whole = self._request.universe or self._checked.definition.whole  # some alone are another market to it
        renamed = any("#" in symbol for symbol in symbols)  # no name that could be asked for
        if len(names) <= SYMBOLS_MOST or whole or renamed or share == 0.0:
            return self._place, mode_span(base, INTERPRETED_INPUTS)
        return self._place_of(replace(self._request, symbols=symbols)), mode_span(
            base, round(INTERPRETED_INPUTS / share)
        )

    def _decided(
        self, base: Outcome, twin: Elsewhere, other: Elsewhere, small: Place, span: int | None
    ) -> list[Finding]:
        again = self._run(Trial())
        try:
            answer = twin.answer()
        except StrategyError as error:
            return [_elsewhere("twice", error), *_not_made(ON_DECISIONS)]
        files = [self._checked.definition.file]
        twice = check_twice(base, again, answer, self._checked.reach.constants, self._words)
        found = [check_outside(answer, files, self._home), check_tables(self._checked.reach, base, self._words), twice]
        if twice.status == FAILED:
            return [*found, *_not_made(ON_DECISIONS)]
        near = neighbours_of(self._checked.definition, self._checked.params, self._place.config, self._run)
        trades = trades_of(self._place.config, base.rows)
        return [
            *found,
            check_prefixes(base, self._run, self._words),
            check_other_future(base, self._run, self._words),
            self._modes(small, span, other),
            check_start(base, self._run),
            check_foresight(base, self._run),
            check_neighbours(base, trades, near, self._checked.params, self._words),
        ]

    def _modes(self, small: Place, span: int | None, other: Elsewhere) -> Finding:
        here = Runner(small)(Trial(last_ts=span))
        try:
            answer: Answer = other.answer()
        except StrategyError as error:
            return _elsewhere("modes", error)
        names = MODES[COMPILED], MODES[not COMPILED]
        return check_modes(here, answer, names, changeable_of(self._checked.reach), Words(small.config))

    def _about(self, base: Outcome, sampled: bool) -> dict[str, Any]:
        config, bars = self._place.config, base.bars["ts_init"]
        days = [self._words.time(int(ts))[:10] for ts in (bars[0], bars[-1])] if len(bars) else []
        return {
            "origin": config["strategies"][0]["origin"],
            "params": dict(self._checked.params),
            "tapes": [tape["name"] for tape in config["selection"]["tapes"]],
            "sample": sampled,
            "days": days,
            "symbols": len(config["instruments"]),
            "decision_digest": base.digest,
        }


def _elsewhere(check: str, error: StrategyError) -> Finding:
    means = "it loads here and not there: what it is hangs on the process that reads it"
    return Finding(check, FAILED, f"in another process: {error}", means, mend="mend what is said there")


def _not_made(names: tuple[str, ...]) -> list[Finding]:
    return [Finding(name, NOT_MADE, "its decisions are not the same twice, so there is nothing to compare")
            for name in names]  # fmt: skip
