"""`onetape replay RUN|DATE`: run recorded inputs through the kernel again and compare every byte it writes."""

import json
import re
from dataclasses import dataclass, replace
from datetime import date as day_of
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json
from adapters.market.intact import InputCheck, memory_of
from adapters.strategies.load import Loaded
from adapters.tape.digest import DecisionDigest, TapeDigest, notes_within
from adapters.tape.reader import (
    config_of,
    is_sealed,
    list_account_folders,
    list_run_folders,
    read_manifest,
    read_notes,
    read_rows,
)
from api.backtest import decimal_text
from api.bootstrap import Config, MarketCount, input_tapes, make_engine, make_feed, strategies_of
from api.compare import Comparer, Divergence
from api.days import day_bounds, local_day
from api.drive import begin, end, go_on, in_order
from api.restore import Restored, restore, spans_of, written_by
from kernel.codehash import kernel_hash
from kernel.engine import Engine
from kernel.errors import NotFound, NotReplayable

BATCH = 16_384


@dataclass(frozen=True)
class Outcome:
    """What a replay found. `events` came out again (all of them when identical, else those stored before the first
    difference); `code_changed` says what is not the code of then."""

    tape: str
    events: int
    divergence: Divergence | None
    tape_digest: str
    decision_digest: str
    state_digest: str
    code_changed: list[str]
    folded: int = 0  # of `events`: those of other code, taken as recorded

    @property
    def identical(self) -> bool:
        return self.divergence is None

    def as_dict(self) -> dict[str, Any]:
        return {
            "identical": self.identical,
            "tape": self.tape,
            "events": self.events,
            "tape_digest": self.tape_digest,
            "decision_digest": self.decision_digest,
            "state_digest": self.state_digest,
            "code_changed": self.code_changed,
            "folded": self.folded,
            "first_divergence": self.divergence.as_dict() if self.divergence else None,
        }


def find_run(home: Path, name: str) -> Path:
    """A run folder by its id, the beginning of one, `latest`, or a path. Raises NotFound."""
    folders = list_run_folders(home)
    sealed = [folder for folder in folders if is_sealed(folder)]
    if name == "latest" and sealed:
        return sealed[-1]
    found = [folder for folder in folders if folder.name.startswith(name)] if name else []
    exact = [folder for folder in found if folder.name == name]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if found:
        raise NotFound(f"{name} could be {', '.join(folder.name for folder in found[:5])}: write more of it")
    for account in list_account_folders(home):
        if account.name == name:
            return account
    if (Path(name) / "notes.parquet").is_file() or list(Path(name).glob("*.segment")):
        return Path(name)
    raise NotFound(f"no run {name!r} in {home}: `onetape runs` lists them")


def is_date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) is not None


class Recomputed:
    """Digests of recomputed rows, as they come."""

    def __init__(self) -> None:
        self.tape, self.decisions = TapeDigest(), DecisionDigest()

    def add(self, rows: np.ndarray, notes: dict[int, str] | None = None) -> None:
        self.tape.add(rows, notes or {})
        self.decisions.add(rows)


def changes(config: Config, strategies: list[Loaded]) -> list[str]:
    """Which code is not what the run was recorded with."""
    found = []
    if config["kernel_hash"] != kernel_hash():
        found.append(f"kernel changed {config['kernel_hash'][:12]} -> {kernel_hash()[:12]}")
    for row, loaded in zip(config["strategies"], strategies, strict=True):
        if row["code_hash"] != loaded.code_hash:
            found.append(f"strategy {row['name']} changed {row['code_hash'][:12]} -> {loaded.code_hash[:12]}")
    return found


def replay_run(home: Path, folder: Path) -> Outcome:
    """Re-execute a backtest from its market tapes. Raises NotReplayable when inputs or code are gone."""
    config = config_of(folder)
    if config["mode"] != "BACKTEST":
        return replay_account(folder)
    manifest = read_manifest(folder) if is_sealed(folder) else {}
    strategies = strategies_of(config, manifest.get("sources", {}))
    tapes = input_tapes(home, config)
    engine, feed = make_engine(config, strategies, BATCH), make_feed(home, tapes, config)
    comparer, recomputed = Comparer(rows for rows, _ in read_rows(folder)), Recomputed()
    note: dict[int, str] = {1: canonical_json(config).decode()}
    market = MarketCount()

    def keep(inputs: np.ndarray, outputs: np.ndarray) -> None:
        nonlocal note
        rows = in_order(market.others(inputs), outputs)
        comparer.add(rows)
        recomputed.add(rows, note)
        note = {}

    with InputCheck(tapes, memory_of(home)):  # code is not blamed for what a disk did, nor damage called identical
        begin(engine, feed, keep)
        go_on(engine, feed, keep, lambda count: None)
        end(engine, keep)
    comparer.finish()
    recomputed.tape.add_ref(market.as_ref(config))
    outcome = _outcome(folder, recomputed, engine, changes(config, strategies), manifest)
    if comparer.divergence is not None:
        outcome = replace(outcome, divergence=comparer.divergence, events=comparer.events)
    return outcome


def _outcome(folder: Path, done: Recomputed, engine: Engine, changed: list[str], manifest: dict[str, Any]) -> Outcome:
    """What came out; it differs where the manifest states another digest."""
    found = {
        "tape_digest": done.tape.hex(),
        "decision_digest": done.decisions.hex(),
        "state_digest": engine.digest(),
    }
    events, divergence = int(engine.account.seq), None
    for name, value in found.items():
        if name in manifest and manifest[name] != value:
            divergence = Divergence(events, "end of tape", name, manifest[name], value)
            break
    return Outcome(
        folder.name,
        events,
        divergence,
        found["tape_digest"],
        found["decision_digest"],
        found["state_digest"],
        changed,
    )


def replay_account(folder: Path, last_ts: int | None = None, sources: dict[str, str] | None = None) -> Outcome:
    """Re-execute an account tape from its own recorded inputs, up to `last_ts` (ns UTC).

    What other code than that of the last start wrote cannot be re-executed: it is folded, and `folded` counts it. Where
    the code at hand is not that of the last start either and decides otherwise, nothing diverged: raises NotReplayable.
    """
    config, notes = config_of(folder), read_notes(folder)
    strategies = strategies_of(config, sources if sources is not None else recorded_sources(folder))
    engine = make_engine(config, strategies, BATCH)
    spans = spans_of(folder, _last_seq(folder, last_ts))
    recomputed = Recomputed()
    done = restore(
        engine,
        folder,
        written_by(spans, spans[-1].code) or 0,
        lambda rows: recomputed.add(rows, notes_within(rows, notes)),
        last_ts,
    )
    changed = changes(spans[-1].config, strategies)
    if done.divergence is not None and changed:
        folding = make_engine(config, strategies, BATCH)
        fold = restore(folding, folder, None, lambda rows: None, last_ts)
        raise NotReplayable(_code_changed(folder, changed, done.divergence, fold, folding))
    outcome = _outcome(folder, recomputed, engine, changed, {})
    return replace(outcome, divergence=done.divergence, events=done.folded + done.compared, folded=done.folded)


def _code_changed(folder: Path, changed: list[str], first: Divergence, fold: Restored, engine: Engine) -> str:
    """What can be said of a tape that other code recorded and that the code at hand would not write."""
    return (
        f"{folder.name}: code changed since it was recorded: {'; '.join(changed)}. Its {fold.folded:,} events fold to "
        f"{int(engine.account.orders):,} orders and cash {decimal_text(int(engine.purse.cash))}; run again, the code "
        f"of now first differs at seq {first.seq:,} ({first.kind} {first.field} was {first.recorded}, now "
        f"{first.recomputed}): replay it with the code of then to compare every byte"
    )


def _last_seq(folder: Path, last_ts: int | None) -> int | None:
    """Seq of the last event up to `last_ts`."""
    if last_ts is None:
        return None
    last = 0
    for rows, _ in read_rows(folder):
        count = int(np.searchsorted(rows["ts_init"], last_ts, "right"))
        last = int(rows["seq"][count - 1]) if count else last
        if count < len(rows):
            break
    return last


def recorded_sources(folder: Path) -> dict[str, str]:
    """Where a live process found its strategies: the folder's `sources.json`, never part of a digest."""
    path = folder / "sources.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def replay_date(home: Path, date: str) -> list[Outcome]:
    """Re-execute every account tape that has events on a local day, from its start through that day.

    Raises NotFound naming the nearest day when there is none, NotReplayable where code or inputs are gone.
    """
    outcomes, days, refused = [], set(), []
    for folder in list_account_folders(home):
        timezone = config_of(folder)["timezone"]
        first, last = day_bounds(date, timezone)
        on_day = False
        for rows, _ in read_rows(folder):
            days |= {
                local_day(int(ts), timezone)
                for ts in np.unique(rows["ts_init"] // 3_600_000_000_000) * 3_600_000_000_000
            }
            on_day = on_day or bool(((rows["ts_init"] >= first) & (rows["ts_init"] <= last)).any())
        if on_day:
            try:
                outcomes.append(replay_account(folder, last))
            except NotReplayable as error:  # one does not hide what the others have to say
                refused.append(str(error))
    if refused and all(outcome.identical for outcome in outcomes):
        raise NotReplayable("; ".join([*(f"{outcome.tape}: identical" for outcome in outcomes), *refused]))
    if not outcomes:
        near = min(days, key=lambda day: abs(_ordinal(day) - _ordinal(date)), default=None)
        hint = (
            f"the nearest recorded day is {near}"
            if near
            else "no live or paper day is recorded yet: see `onetape live`"
        )
        raise NotFound(f"nothing was recorded on {date}: {hint}")
    return outcomes


def _ordinal(day: str) -> int:
    return day_of.fromisoformat(day).toordinal()
