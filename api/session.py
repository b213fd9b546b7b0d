"""A live process: engine, account tape, venue. Append, then act; opening brings it to where the tape stands."""

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adapters.bus.hints import HintPublisher
from adapters.files import canonical_json, sha256_file, write_whole
from adapters.kill import KillSwitch
from adapters.settings import Settings
from adapters.strategies.load import Loaded
from adapters.tape.digest import DecisionDigest
from adapters.tape.reader import config_of, holds_anything, read_notes
from adapters.tape.snapshots import Snapshot, newest_seq, save_snapshot, usable_snapshot
from adapters.tape.space import SpaceBudget, SpaceGuard
from adapters.tape.writer import QUARANTINE, TapeWriter
from adapters.venues.simulated import SimulatedVenue
from api.bootstrap import Config, make_engine
from api.differences import differences
from api.drive import control, drive_all
from api.guards import Guards
from api.kill import KillWatch
from api.restore import Restored, code_of, restore, restore_snapshot, said, spans_of, written_by
from api.sealing import Sealer
from kernel.codes import Kind
from kernel.errors import ConfigError, NotReplayable, TapeCorrupt

BATCH = 16_384
ACTIONS = (int(Kind.SPLIT), int(Kind.DIVIDEND))
QUIET = tuple(
    int(kind) for kind in (Kind.BAR, Kind.QUOTE, Kind.TRADE, Kind.EQUITY)
)  # commit class B: may wait for the group commit
TORN = re.compile(r"(\d{8})-(\d+)\.bin(\.\d+)?")  # what a writer put aside: segment and offset, and how often
log = logging.getLogger("onetape.live")


class Session:
    """Opening restores what the tape holds and goes on from there; `restored` says how. Close it.

    Raises any OnetapeError: the tape is locked or damaged, the settings are not those of the tape, the disk is full.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        config: Config,
        strategies: Sequence[Loaded],
        snapshots: Path,
        switch: KillSwitch | None = None,
    ) -> None:
        self.folder, self.config, self.strategies = folder, config, list(strategies)
        self.kill = KillWatch(switch or KillSwitch(folder))
        self._snapshots, self._snapshot_events = snapshots, settings.tape.snapshot_events
        self._hints: HintPublisher | None = None
        self._hinted = 0
        self.started, self._warned = False, set[str]()
        self._refuse_lost_tape()
        self.sealer = Sealer(folder)
        self.tape = TapeWriter(folder, settings.tape.segment_mib * 2**20, settings.tape.group_commit_ms / 1000)
        self.recovered = self.tape.last_seq  # events the tape held when it was opened
        self.actions_seen, self.restored = 0, Restored()
        self.decisions = DecisionDigest()
        try:
            self._open(settings)
        except BaseException:
            self.close()
            raise

    def _open(self, settings: Settings) -> None:
        t = settings.tape
        budget = SpaceBudget(t.space_start_mib, t.space_warn_mib, t.space_reduce_mib, t.ballast_mib)
        self.guards = Guards(SpaceGuard(self.folder, budget))
        self.engine = make_engine(self.config, self.strategies, BATCH)
        self._last_snapshot = self._restore() if self.tape.rows else 0
        self._publish()
        self.kill.open(self)
        self.venue: SimulatedVenue = SimulatedVenue(self.tape.last_seq, self.kill.switch.look)
        if self.tape.rows:
            self._record_torn_writes()

    def _refuse_lost_tape(self) -> None:
        """Raise TapeCorrupt when snapshots were made of a tape that is not there: it would be begun anew in silence."""
        seq = newest_seq(self._snapshots)
        if seq and not holds_anything(self.folder):
            raise TapeCorrupt(
                f"{self.folder} holds no events, and {self._snapshots} knows its first {seq:,}: restore the tape from "
                "a backup (`onetape restore`), or remove that folder to begin a new one"
            )

    def _publish(self) -> None:
        """What others go by and trading does without: where the strategies are, and hints. A failure is a warning."""
        sources = {str(n): s.origin for n, s in enumerate(self.strategies, 1)}
        try:
            write_whole(self.folder / "sources.json", json.dumps(sources, indent=1).encode())
        except OSError as error:
            self.warn("sources", f"sources.json is as it was ({error}): `onetape replay` may not find the strategies")
        try:
            self._hints = HintPublisher(self.folder)
        except (ConfigError, OSError) as error:
            self.warn("hints", f"no hints to readers ({error}): they look four times a second")

    def warn(self, what: str, text: str) -> None:
        """Say once what failed beside the tape."""
        if what not in self._warned:
            log.warning("%s: %s", self.folder, text)
        self._warned.add(what)

    def _restore(self) -> int:
        """Bring the engine to the tape's end; returns the seq of the snapshot it began at."""
        self._refuse_other_settings()
        code = code_of(self.config)
        first = written_by(spans_of(self.folder), code)
        usable = first is not None and self.engine.savable
        snapshot = usable_snapshot(self._snapshots, self.folder, code, self.tape.last_seq) if usable else None
        from_seq = restore_snapshot(self.engine, snapshot)
        if snapshot is not None and from_seq:
            self.decisions = DecisionDigest.load(snapshot.about["decisions"])
            self.actions_seen = int(snapshot.about["actions_seen"])
        self.restored = restore(self.engine, self.folder, first, self._seen, from_seq=from_seq)
        d = self.restored.divergence
        if d is not None:
            raise NotReplayable(
                f"{self.folder.name}: seq {d.seq} ({d.kind}) comes out with another {d.field} than recorded "
                f"({d.recorded} then, {d.recomputed} now) although the code is the same, so its state is unknown: "
                "`onetape verify` and `onetape replay` say more; start another --account meanwhile"
            )
        return max(0, from_seq - 1)

    def _seen(self, rows: np.ndarray) -> None:
        self.actions_seen += int(np.isin(rows["kind"], ACTIONS).sum())
        self.decisions.add(rows)

    def _refuse_other_settings(self) -> None:
        differs = differences(config_of(self.folder), self.config)
        if differs:
            shown = "; ".join(differs[:4]) + (f"; and {len(differs) - 4} more" if len(differs) > 4 else "")
            raise ConfigError(
                f"account tape {self.folder.name} goes on only with the settings it was made with: {shown}. "
                "Start with those, or give it another --account"
            )

    def take(self, rows: np.ndarray, notes: dict[int, str] | None = None) -> np.ndarray:
        """Run inputs, append them with all they led to, and only then act; the kill switch comes before them."""
        self.kill.look(self)
        return self.run(rows, notes)

    def run(self, rows: np.ndarray, notes: dict[int, str] | None = None) -> np.ndarray:
        """`take`, whatever the kill switch says."""
        self.engine.put(rows)
        return self.commit(drive_all(self.engine, len(rows)), notes)

    def commit(self, rows: np.ndarray, notes: dict[int, str] | None = None) -> np.ndarray:
        durable = not np.isin(rows["kind"], QUIET).all()
        self.tape.append(rows, notes, durable)
        self._seen(rows)
        self.venue.send(rows, self.tape.durable_seq)
        self.kill.settle(self, rows)
        self.tick()
        return rows

    def idle(self) -> None:
        """What is due while the feed is silent. Call it often."""
        self.tick()
        if self.started:  # before RUN_STARTED nothing is taken
            self.kill.look(self)
            self.watch()

    def tick(self) -> None:
        """What is due beside events: the group commit, and a hint to readers. Call it often."""
        self.tape.tick()
        if self._hints is not None and self.tape.durable_seq > self._hinted:
            self._hinted = self.tape.durable_seq
            self._hints.send(self._hinted)

    def note_event(self, kind: Kind, note: dict[str, Any], **fields: int) -> None:
        """Take an EXTERNAL event of the host's own, now, with the reason as its note."""
        rows = control(kind, int(self.engine.account.ts))
        for name, value in fields.items():
            rows[name] = value
        self.run(rows, {int(self.engine.account.seq) + 1: canonical_json(note).decode()})

    def start(self, first: np.ndarray) -> None:
        """RUN_STARTED with the configuration, at the first input's time or, after a restart, the last event's."""
        bar = first[0]
        ts = int(min(bar["ts_init"], bar["ts_open"] if bar["kind"] == Kind.BAR else bar["ts_init"]))
        ts = max(ts, int(self.engine.account.ts)) if self.recovered else ts
        seq = int(self.engine.account.seq) + 1
        self.take(control(Kind.RUN_STARTED, ts), {seq: canonical_json(self.config).decode()})
        if not self.recovered:
            self._record_torn_writes()
        self.guards.start(self)
        self.started = True
        self.kill.look(self)

    def watch(self) -> None:
        """Look after the disk, the clock, closed segments and the snapshots; between slices."""
        self.guards.look(self)
        if self.tape.last_seq - self._last_snapshot >= self._snapshot_events:
            self.snapshot()

    def _record_torn_writes(self) -> None:
        """TAPE_TRUNCATED for each torn write that was put aside and is not on the tape yet."""
        known = {said(text).get("quarantine") for text in read_notes(self.folder).values()}
        for path in sorted((self.folder / QUARANTINE).glob("*.bin*")):
            name = TORN.fullmatch(path.name)  # people and `repair` put other things there
            if name and path.name not in known:
                segment, offset = int(name[1]), int(name[2])
                note = {"quarantine": path.name, "sha256": sha256_file(path)}
                size = path.stat().st_size
                self.note_event(Kind.TAPE_TRUNCATED, note, segment=segment, offset=offset, lost_bytes=size)

    def snapshot(self) -> None:
        """Keep the state as it is now, once the tape up to here is durable. That it cannot be kept is a warning."""
        self.tape.mark()
        self._last_snapshot = self.tape.last_seq
        about = {"decisions": self.decisions.save(), "actions_seen": self.actions_seen}
        code, digest = code_of(self.config), self.tape.tape_digest.hex()
        snapshot = Snapshot(self._last_snapshot, digest, code, self.engine.save(), about)
        try:
            save_snapshot(self._snapshots, snapshot)
        except OSError as error:
            self.warn("snapshot", f"no snapshot was kept ({error}): the next start goes through more of the tape")

    def stop(self) -> None:
        """RUN_ENDED, which reports the equity, everything durable, and a snapshot to start from."""
        self.kill.look(self)
        self.started = False  # what is asked for from here on is for the next start
        self.run(control(Kind.RUN_ENDED, int(self.engine.account.ts)))
        self.snapshot()

    def close(self) -> None:
        self.kill.close(self)
        if self._hints is not None:
            self._hints.close()
        self.tape.close()
