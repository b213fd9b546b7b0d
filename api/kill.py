"""The kill switch of a home: what was asked for becomes events of a live session; a person trips and resets it."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adapters.files import is_locked
from adapters.kill import FILE, KillSwitch, Trip, read_trip, remove_trip, write_trip
from adapters.market.writer import check_name
from adapters.settings import Settings
from adapters.tape.reader import config_of, holds_anything, read_rows
from adapters.tape.writer import LOCK
from kernel.codes import REASON_TEXT, KillLevel, Kind, Origin, Reason, Status
from kernel.errors import ConfigError, NotFound, NotReplayable, TapeLocked
from kernel.schema import events

if TYPE_CHECKING:
    from api.session import Session

ORDER_TERMS = ("instrument", "strategy", "flags", "side", "order_type", "tif", "product", "order_id", "px",
               "trigger_px", "trail")  # fmt: skip
UNDER_WAY = (int(Status.PENDING_CANCEL), int(Status.PENDING_REPLACE))
COMPARED = ("positions", "orders", "purses")  # tables of the state that a fold of the tape must give, byte by byte
log = logging.getLogger("onetape.live")


class KillWatch:
    """Between the switch and a session. The gate goes by the switch at once; here the kernel comes to know it."""

    def __init__(self, switch: KillSwitch) -> None:
        self.switch = switch

    def open(self, session: "Session") -> None:
        """The tape alone keeps it tripped."""
        self.switch.know(int(session.engine.account.kill_level))

    def look(self, session: "Session") -> None:
        """TRIPPED for what the kernel does not know yet, at once and durable. Call it often."""
        if self.switch.look() > session.engine.account.kill_level and session.started:
            self._tell(session)

    def settle(self, session: "Session", rows: np.ndarray) -> None:
        """After `rows` were sent: what was withheld is taken back, and a guard that tripped it closes the gate."""
        withheld = session.venue.take_withheld()
        if len(withheld):
            self._take_back(session, withheld)
        known = int(session.engine.account.kill_level)
        if known > self.switch.level:
            self.switch.know(known)
            why = rows["reason"][(rows["kind"] == int(Kind.TRIPPED)) & (rows["strategy"] == 0)][-1]
            self._keep(
                session, Trip(KillLevel(known), Reason(int(why)), REASON_TEXT[Reason(int(why))], "a guard", "guard")
            )
        elif self.switch.level > known and session.started:
            self._tell(session)

    def close(self, session: "Session") -> None:
        """A signal that came too late for an event is for the next start."""
        trip = self.switch.trip
        if trip is not None and trip.reason is Reason.KILL_SIGNAL:
            self._keep(session, trip)

    def _tell(self, session: "Session") -> None:
        trip = self.switch.trip
        assert trip is not None
        if trip.reason is Reason.KILL_SIGNAL:  # first where it outlives a crash
            self._keep(session, trip)
        log.warning("the kill switch is at %s by %s: %s", trip.level.name, trip.who or trip.source, trip.why)
        session.note_event(Kind.TRIPPED, trip.note(), level=int(trip.level), reason=int(trip.reason))

    def _keep(self, session: "Session", trip: Trip) -> None:
        """The file beside the tape: either keeps it tripped."""
        try:
            write_trip(session.folder / FILE, trip.level, trip.why, trip.who or trip.source)
        except OSError as error:
            session.warn("kill file", f"no {FILE} file could be written ({error}): the tape alone says it is tripped")

    def _take_back(self, session: "Session", withheld: np.ndarray) -> None:
        """ORDER_CANCELED for each order that did not leave, or whose change did not, as a venue would say it."""
        orders = session.engine.state.orders
        working = {int(o["order_id"]): o for o in orders[np.isin(orders["order_id"], withheld["order_id"])]}
        rows = events(len(working))
        for row, (_, o) in zip(rows, sorted(working.items()), strict=True):
            for name in ORDER_TERMS:
                row[name] = o[name]
            row["kind"], row["ts_event"], row["ts_init"] = int(Kind.ORDER_CANCELED), *[session.engine.account.ts] * 2
            row["qty"], row["cum_qty"], row["leaves_qty"] = o["qty"], o["cum_qty"], o["leaves_qty"]
            row["status"], row["reason"] = int(Status.CANCELED), int(Reason.KILLED)
        log.warning("the send gate withheld %d orders: %s", len(rows), ", ".join(map(str, sorted(working))))
        if len(rows):
            session.run(rows)


# Commands -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stand:
    """Where one switch stands. `tape` is OFF where there is no tape; `account` None is that of the whole home."""

    account: str | None
    file: Trip | None
    tape: KillLevel
    running: bool

    @property
    def level(self) -> KillLevel:
        return KillLevel(max(self.tape, self.file.level if self.file else 0))

    def as_dict(self) -> dict[str, Any]:
        said = {"level": self.file.level.name, **self.file.note()} if self.file else None
        return {"account": self.account, "level": self.level.name, "tape": self.tape.name, "file": said,
                "running": self.running}  # fmt: skip


def stands(home: Path, account: str | None = None) -> list[Stand]:
    """The home's switch, then every account's, or that of one. Raises NotFound."""
    _require_home(home)
    found = [Stand(None, read_trip(home / FILE, "home file"), KillLevel.OFF, False)]
    for folder in [_account(home, account)] if account else _accounts(home):
        file = read_trip(folder / FILE, "account file")
        tape = tape_level(folder) if holds_anything(folder) else KillLevel.OFF
        found.append(Stand(_name_of(folder), file, tape, is_locked(folder / LOCK)))
    return found


def tape_level(folder: Path) -> KillLevel:
    """The level a tape's events come to."""
    level = 0
    for rows, _ in read_rows(folder):
        for row in rows[np.isin(rows["kind"], (int(Kind.TRIPPED), int(Kind.KILL_RESET)))]:
            if row["kind"] == Kind.KILL_RESET:
                level = 0 if row["origin"] == Origin.EXTERNAL else level
            elif row["strategy"] == 0 and 0 < row["level"] <= KillLevel.FLATTEN:
                level = max(level, int(row["level"]))
    return KillLevel(level)


def trip(home: Path, account: str | None, level: KillLevel, why: str, who: str) -> tuple[Path, Trip]:
    """Write the kill file of an account, or of the home for all of them. Returns where and what it says now."""
    _require_home(home)
    path = (_account(home, account) if account else home) / FILE
    return path, write_trip(path, level, why, who)


def reset(home: Path, settings: Settings, account: str | None, why: str, who: str) -> list[str]:
    """Switch it off for an account, or for the home and all accounts that are tripped, once each of these reconciles.

    KILL_RESET is durable before the file goes, so a crash in between leaves it tripped. Returns the names of what was
    tripped. Raises TapeLocked while one of them is traded, NotReplayable where a tape does not reconcile.
    """
    found = stands(home, account)
    if account and found[0].file is not None:
        raise ConfigError(f"{home / FILE} stops every account: reset without --account, once all of them may trade")
    tripped = [stand for stand in found if stand.level]
    if not tripped:
        raise ConfigError("the kill switch is off: there is nothing to reset")
    for stand in found if found[0].file else tripped:
        if stand.running:
            raise TapeLocked(f"account {stand.account} is being traded: stop that `onetape live`, then reset")
    for stand in reversed(tripped):  # the home's last
        folder = _account(home, stand.account) if stand.account else home
        if stand.account is not None and holds_anything(folder):
            _reset_tape(home, settings, folder, {"why": why, "who": who})
        if stand.file is not None and not remove_trip(folder / FILE, stand.file):
            raise ConfigError(f"{folder / FILE} was tripped again meanwhile: look at `onetape kill --show`")
    return [stand.account or "home" for stand in tripped]


def _reset_tape(home: Path, settings: Settings, folder: Path, note: dict[str, str]) -> None:
    """Open the tape as a start would, compare, and append KILL_RESET where it is tripped."""
    from api.bootstrap import strategies_of
    from api.replay import recorded_sources
    from api.session import Session
    from kernel.codehash import kernel_hash

    recorded = config_of(folder)
    strategies = strategies_of(recorded, recorded_sources(folder))
    rows = [row | {"code_hash": s.code_hash} for row, s in zip(recorded["strategies"], strategies, strict=True)]
    config = recorded | {"kernel_hash": kernel_hash(), "strategies": rows}
    session = Session(folder, settings, config, strategies, home / "views" / "snapshots" / folder.name)
    try:
        _require_clean(session)
        if session.engine.account.kill_level:
            session.note_event(Kind.KILL_RESET, note)
    finally:
        session.close()


def _require_clean(session: "Session") -> None:
    """Raise NotReplayable unless the events, folded one by one, give what the start came to, and nothing is under way.

    The start itself has compared what it ran again with what is recorded.
    """
    from adapters.tape.retire import require_inputs
    from api.bootstrap import make_engine
    from api.restore import restore

    orders = session.engine.state.orders
    waiting = orders["order_id"][(orders["order_id"] > 0) & np.isin(orders["status"], UNDER_WAY)]
    if len(waiting):
        raise NotReplayable(
            f"{session.folder.name}: a cancel or change of {len(waiting)} orders (the first is "
            f"{waiting.min()}) has no answer yet: start `onetape live`, which sends nothing new, until it has"
        )
    try:
        require_inputs(session.folder, 0, None)
    except NotReplayable:
        return  # ticks were retired: the start's own comparison from its snapshot on is what there is
    folded = make_engine(session.config, session.strategies, len(session.engine.inputs))
    restore(folded, session.folder, None, lambda rows: None)
    for name in COMPARED:
        if getattr(folded.state, name).tobytes() != getattr(session.engine.state, name).tobytes():
            raise NotReplayable(
                f"{session.folder.name}: its events fold to other {name} than the start came to, so it does not "
                "reconcile and stays tripped: `onetape verify` and `onetape replay` say more"
            )


def _account(home: Path, account: str) -> Path:
    """The folder of an account tape, named with or without its mode. Raises NotFound naming those there are."""
    check_name(account)
    folders = {folder.name: folder for folder in _accounts(home)}
    found = folders.get(account) or folders.get(f"{account}-paper")
    if found is None:
        known = ", ".join(map(_name_of, folders.values())) or "none"
        raise NotFound(f"no account {account!r} in {home} (there: {known}); without --account it stops all of them")
    return found


def _accounts(home: Path) -> list[Path]:
    """Account tapes that hold anything, and folders that hold no more than a kill file."""
    folders = (home / "tapes" / "accounts").glob("*")
    return sorted(path for path in folders if path.is_dir() and (holds_anything(path) or os.path.lexists(path / FILE)))


def _name_of(folder: Path) -> str:
    return folder.name.removesuffix("-paper")


def _require_home(home: Path) -> None:
    if not home.is_dir():
        raise NotFound(f"there is no home at {home}: give --home, or ONETAPE_HOME")
