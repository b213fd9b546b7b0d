"""One run of `onetape check`: as `onetape backtest` runs, in memory, and nothing of it is kept. It may end early, begin
late, meet another future than the recorded one, or have other parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json
from adapters.strategies.fault import explain_faults
from adapters.tape.digest import DecisionDigest
from adapters.venue_text import PARTS
from api.backtest import summarise
from api.bootstrap import Config, MarketCount, input_tapes, make_engine, make_feed, strategies_of
from api.check_market import OtherMarket
from api.drive import begin, end, go_on, in_order
from kernel.codes import Kind
from kernel.engine import Engine
from kernel.ports import Feed
from kernel.schema import join_rows, take_rows
from kernel.state import totals_of

BAR, SIGNAL, FAULT, FILLED = (int(kind) for kind in (Kind.BAR, Kind.SIGNAL, Kind.STRATEGY_FAULT, Kind.ORDER_FILLED))
BAR_FIELDS = ("ts_init", "ts_open", "instrument", "open", "high", "low", "close")
MOST_BARS = 2_000_000  # kept of a run, to hold decisions against


@dataclass(frozen=True)
class Place:
    """What all runs of one check share: it goes to other processes as JSON."""

    home: Path
    config: Config
    origin: str
    batch: int

    def as_dict(self) -> dict[str, Any]:
        return {"home": str(self.home), "config": self.config, "origin": self.origin, "batch": self.batch}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Place":
        return cls(Path(said["home"]), said["config"], said["origin"], said["batch"])


@dataclass(frozen=True)
class Trial:
    """What is asked of a run. Times are ts_init, ns UTC: no bar after `last_ts`, none before `first_ts`; those after
    `real_until` are others, which go up where the recorded ones go down. `costless` leaves out the venue's models.
    With `keep` the outcome has the rows of the run, with `bars` those, and faults explained.
    """

    last_ts: int | None = None
    first_ts: int | None = None
    real_until: int | None = None
    params: Mapping[str, float] = field(default_factory=dict)
    costless: bool = False
    keep: bool = False
    bars: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a run came to. `signals` are its SIGNAL and STRATEGY_FAULT rows, `bars` columns of BAR_FIELDS."""

    signals: np.ndarray
    digest: str
    summary: dict[str, Any]
    faults: list[str]
    rows: np.ndarray
    bars: dict[str, np.ndarray]

    @property
    def net(self) -> int:
        """What was won or lost, in 1/10,000 of the currency."""
        return int(self.summary["net"])

    @property
    def fees(self) -> int:
        """What was charged, in 1/10,000 of the currency."""
        return int(self.summary["charged"])


Run = Callable[[Trial], Outcome]  # whatever kind of strategy it is of
Seen = Callable[[int], None]


class Runner:
    """Makes the runs of a place in this process; the strategy's file is read anew for each."""

    def __init__(self, place: Place, seen: Seen = lambda bars: None) -> None:
        self._place, self._seen, self._bars = place, seen, 0

    def __call__(self, trial: Trial) -> Outcome:
        config = config_of(self._place.config, trial)
        strategies = strategies_of(config, {"1": self._place.origin})
        engine = make_engine(config, strategies, self._place.batch)
        tapes = input_tapes(self._place.home, config)
        feed: Feed = make_feed(self._place.home, tapes, config)
        if trial.real_until is not None:
            feed = OtherMarket(feed, trial.real_until, [row["tick"] for row in config["instruments"]])
        heard = _Heard(trial)
        begin(engine, feed, heard.keep)
        go_on(engine, feed, heard.keep, self._count)
        end(engine, heard.keep)
        faults = explain_faults(engine, strategies, config) if trial.bars else []  # a process each
        return heard.outcome(engine, config, faults)

    def _count(self, bars: int) -> None:
        self._bars += bars
        self._seen(self._bars)


def config_of(config: Config, trial: Trial) -> Config:
    """The configuration of a trial. All but what it asks is that of the whole run: terms, calendars, numbers."""
    selection, rules = dict(config["selection"]), dict(config["rules"])
    if trial.last_ts is not None:
        selection["last_ts"] = min(trial.last_ts, selection["last_ts"] or trial.last_ts)
    if trial.first_ts is not None:
        selection["first_ts"] = max(trial.first_ts, selection["first_ts"] or trial.first_ts)
    if trial.costless:
        rules = {name: value for name, value in rules.items() if name not in {field for field, *_ in PARTS.values()}}
    [row] = config["strategies"]
    strategies = [row | {"params": row["params"] | dict(trial.params)}]
    return config | {"selection": selection, "rules": rules, "strategies": strategies}


class _Heard:
    """Gathers what is wanted of a run."""

    def __init__(self, trial: Trial) -> None:
        self._trial, self._decisions, self._market = trial, DecisionDigest(), MarketCount()
        self._signals: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._bars: list[np.ndarray] = []
        self._kept = 0

    def keep(self, inputs: np.ndarray, outputs: np.ndarray) -> None:
        others = self._market.others(inputs)
        self._decisions.add(outputs)
        wanted = np.flatnonzero((outputs["kind"] == SIGNAL) | (outputs["kind"] == FAULT))
        self._signals.append(take_rows(outputs, wanted))
        if self._trial.keep:
            self._rows.append(in_order(others, outputs))
        if self._trial.bars:
            for rows in (inputs, outputs):  # bars of a tape, and those made of trades
                bars = take_rows(rows, np.flatnonzero(rows["kind"] == BAR)[: MOST_BARS - self._kept])
                self._bars.append(bars[list(BAR_FIELDS)].copy())
                self._kept += len(bars)

    def outcome(self, engine: Engine, config: Config, faults: list[str]) -> Outcome:
        opening = int(engine.purse.paid_in) + int(config.get("fx", {}).get("opening_worth", 0))
        totals = totals_of(engine.state)
        money = {"opening": opening, "net": totals["final_equity"] - opening, "charged": totals["fees"]}
        bars = np.concatenate(self._bars) if self._bars else np.zeros(0, [(name, "i8") for name in BAR_FIELDS])
        return Outcome(
            join_rows(self._signals),
            self._decisions.hex(),
            {**summarise(engine, 0), **money},
            faults,
            join_rows(self._rows),
            {name: np.ascontiguousarray(bars[name], "i8") for name in BAR_FIELDS},
        )


def note_of(config: Config) -> dict[int, str]:
    """The note that a run's tape begins with."""
    return {1: canonical_json(config).decode()}
