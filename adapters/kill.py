"""The kill switch outside the kernel: its file, signals, and which orders the gate in front of a venue still lets out.

A live process looks at it before every slice, while the feed is silent, and before it sends. What was asked for only
rises while the process lives. Anything there is under the file's name that is no level stops new orders: never "off".
"""

import os
import signal
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adapters.disk import DISK
from kernel.codes import Flag, KillLevel, Kind, Reason

FILE = "KILL"
MOST_BYTES = 4096
UNREADABLE = KillLevel.NO_NEW_ORDERS  # what a file counts as that does not say
SIGNALS = {"SIGUSR1": KillLevel.CANCEL_ALL, "SIGUSR2": KillLevel.FLATTEN}
SUBMITTED, RELEASED = int(Kind.ORDER_SUBMITTED), int(Kind.ORDER_RELEASED)
REPLACE, SIGNAL = int(Kind.ORDER_REPLACE_SUBMITTED), int(Kind.SIGNAL)
CLOSING = (int(Reason.FLATTENED), int(Reason.SQUARED_OFF))  # what the kernel closes by itself, at any level


@dataclass(frozen=True)
class Trip:
    """What was asked for: `source` is "account file", "home file" or a signal, `who` empty where nothing says it."""

    level: KillLevel
    reason: Reason
    why: str
    who: str
    source: str

    def note(self) -> dict[str, str]:
        """What the event's note says. ("by" is not among it: that is how the space guard knows its own.)"""
        return {"why": self.why, "who": self.who, "source": self.source}


def parse_level(text: str) -> KillLevel:
    """`3`, `cancel_all` or `cancel-all`. Raises ValueError."""
    word = text.strip().upper().replace("-", "_")
    for level in KillLevel:
        if level is not KillLevel.OFF and word in (level.name, str(int(level))):
            return level
    names = ", ".join(f"{level.name.lower()} ({int(level)})" for level in KillLevel if level)
    raise ValueError(f"{text!r} is no level: {names}")


def read_trip(path: Path, source: str = "file") -> Trip | None:
    """What the file at `path` asks for; None only where there is none."""
    while True:
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return None
        except OSError as error:
            return _unreadable(source, error.strerror or "unreadable")
        if not stat.S_ISREG(mode):
            return _unreadable(source, "no plain file")
        try:
            with path.open("rb") as file:
                return _parse(file.read(MOST_BYTES).decode(), source)
        except FileNotFoundError:
            continue  # taken away meanwhile
        except OSError as error:
            return _unreadable(source, error.strerror or "unreadable")
        except ValueError:
            return _unreadable(source, "it says no level")


def _parse(text: str, source: str) -> Trip:
    """`LEVEL why` and, from `onetape kill`, a second line `by WHO`. Raises ValueError."""
    first, _, rest = text.partition("\n")
    word, _, why = first.strip().partition(" ")
    who = rest.partition("\n")[0].removeprefix("by ").strip() if rest.startswith("by ") else ""
    return Trip(parse_level(word), Reason.OPERATOR if who else Reason.KILL_FILE, why.strip(), who, source)


def _unreadable(source: str, what: str) -> Trip:
    return Trip(UNREADABLE, Reason.KILL_FILE, f"{what}, so it counts as {UNREADABLE.name.lower()}", "", source)


def write_trip(path: Path, level: KillLevel, why: str, who: str) -> Trip:
    """Have the file ask for `level`, durably and whole or not at all; what asks for as much already stays.

    On a disk with no room an empty file is made, which stops new orders. Returns what is there then. Raises OSError.
    """
    text = f"{level.name.lower()} {' '.join(why.split())}\nby {' '.join(who.split())}\n"
    data = text.encode(errors="replace")[:MOST_BYTES].decode(errors="ignore").encode()
    while (found := read_trip(path)) is None or found.level < level:  # again where a lower one came at the same time
        try:
            _replace(path, data)
        except OSError:
            anew = os.O_TRUNC if found is None or found.level < UNREADABLE else 0
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | anew, 0o644))  # a name needs no room
            found = read_trip(path)
            assert found is not None, "the kill file was taken away as it was made"
            return found
    return found


def _replace(path: Path, data: bytes) -> None:
    """As `write_whole`, under a temporary name that two who trip it at once do not share, readable for everybody."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o644)  # whatever the umask: the live process may be another user's
            if os.write(descriptor, data) != len(data):
                raise OSError("half of it")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        DISK.rename(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    DISK.sync_folder(path.parent)


def remove_trip(path: Path, seen: Trip) -> bool:
    """Take the file away if it still says what a person saw; False where it was tripped anew."""
    if read_trip(path, seen.source) != seen:
        return False
    path.unlink()
    DISK.sync_folder(path.parent)
    return True


class KillSwitch:
    """What a live process was asked for from outside: by the account's file, the home's, or a signal."""

    def __init__(self, account: Path, home: Path | None = None) -> None:
        self._files = [(str(account / FILE), "account file")] + ([(str(home / FILE), "home file")] if home else [])
        self._marks: list[object] = [None] * len(self._files)
        self._by_file: Trip | None = None
        self._by_signal: Trip | None = None  # a handler writes this one and nothing else
        self._known = 0

    @property
    def level(self) -> int:
        """The highest that was seen so far."""
        return max(self._known, *(trip.level if trip else 0 for trip in (self._by_file, self._by_signal)))

    @property
    def trip(self) -> Trip | None:
        """The highest of what was asked for from outside."""
        found = [trip for trip in (self._by_signal, self._by_file) if trip is not None]
        return max(found, key=lambda trip: trip.level, default=None)

    def know(self, level: int) -> None:
        """The kernel is at `level`: a guard tripped it, or it was on when the tape was opened."""
        self._known = max(self._known, level)

    def signalled(self, name: str) -> None:
        """From a signal handler: no file is touched here."""
        if self._by_signal is None or SIGNALS[name] > self._by_signal.level:
            self._by_signal = Trip(SIGNALS[name], Reason.KILL_SIGNAL, name, "", "signal")

    def listen(self) -> None:
        """Take SIGUSR1 (cancel all) and SIGUSR2 (flatten), where the system has them and this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                if hasattr(signal, name):
                    signal.signal(getattr(signal, name), lambda *_, name=name: self.signalled(name))

    def look(self) -> int:
        """Look whether a file came or changed; the level in force. Costs a few microseconds."""
        for place, (path, source) in enumerate(self._files):
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                continue  # what was seen stays
            except OSError:
                mark: object = None
            else:
                mark = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            if mark is None or mark != self._marks[place]:
                self._marks[place] = mark
                trip = read_trip(Path(path), source)
                if trip is not None and (self._by_file is None or trip.level > self._by_file.level):
                    self._by_file = trip
        return self.level


def forbidden(orders: np.ndarray, rows: np.ndarray, level: int) -> np.ndarray:
    """Which of `orders`, the messages to a venue among `rows`, must not leave at `level`. Cancels always may.

    From REDUCE_ONLY on nothing that may open, or grows; from NO_NEW_ORDERS on no order but what the kernel itself
    closes and an exit whose entry was filled; from CANCEL_ALL on not that exit either, and no change.
    """
    kind = orders["kind"]
    is_new, is_change = kind == SUBMITTED, kind == REPLACE
    if level <= KillLevel.OFF:
        return np.zeros(len(orders), bool)
    opens = orders["flags"] & int(Flag.REDUCE_ONLY) == 0
    grows = is_change & (orders["qty"] > orders["cum_qty"] + orders["leaves_qty"])
    if level == KillLevel.REDUCE_ONLY:
        return np.asarray((is_new | grows) & opens)
    signals = rows[(rows["kind"] == SIGNAL) & np.isin(rows["reason"], CLOSING)]
    stopped = is_new & ~np.isin(orders["cause"], signals["seq"])
    if level == KillLevel.NO_NEW_ORDERS:
        return np.asarray(stopped | grows)
    return np.asarray(stopped | is_change | (kind == RELEASED))
