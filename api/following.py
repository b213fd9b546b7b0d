"""Keep the server's read models level with the tapes: at once by the hints of their writers, and by a look a second."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from litestar.exceptions import NotFoundException

from adapters.bus.hints import HintListener
from api.completing import complete
from api.publish import Publisher
from api.read_models import GrowingTapes, HomeTapes, open_database
from projections.follow import Follower

INTERVAL_S = 1.0  # between two looks at all tapes, whatever was hinted
STOP_S = 0.1  # how soon the wait for a hint notices that the server stops
log = logging.getLogger("onetape.serve")


class Views:
    """The server's database and what keeps it level with the tapes."""

    def __init__(self, home: Path) -> None:
        self.source = HomeTapes(home)
        self._followed = GrowingTapes(home)
        self._connection = open_database(home / "views" / "serve.duckdb")
        self._follower = Follower(self._connection.cursor(), self._followed, complete)
        self._publisher = Publisher(home, self._connection.cursor())
        self._refreshing = threading.Lock()
        self._refreshed_s = time.monotonic()
        self._folded = 0  # rows since the publisher last heard
        self.tapes_known = 0

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own for one request."""
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def refresh(self) -> None:
        """One look at the tapes; blocking."""
        with self._refreshing:
            self._folded += self._say_problems(self._follower.refresh)
            self.tapes_known = len(self.source.tapes())
            self._refreshed_s = time.monotonic()
            self._publisher.keep_up(self._folded)
            self._folded = 0

    def hear(self, folder: Path) -> None:
        """A look at one account tape that is said to have grown; blocking."""
        with self._refreshing:
            self._folded += self._say_problems(self._follower.follow, f"accounts/{folder.name}", folder)

    def _say_problems(self, look: Callable[..., int], *of: object) -> int:
        before = dict(self._follower.problems)
        folded = look(*of)
        for tape, problem in self._follower.problems.items():
            if before.get(tape) != problem:
                log.warning("%s: %s", tape, problem)
        return folded

    @property
    def lag_s(self) -> float:
        return time.monotonic() - self._refreshed_s

    @property
    def growing(self) -> list[Path]:
        """The tapes that may grow: those of accounts."""
        return [folder for name, folder in self.source.tapes().items() if name.startswith("accounts/")]

    @property
    def unread(self) -> int:
        return len(self._follower.problems)

    def folder_of(self, tape: str) -> Path:
        """The folder of a known tape; what a client sends never becomes a path. Raises NotFoundException."""
        folder = self.source.tapes().get(tape)
        if folder is None:
            raise NotFoundException(f"no tape {tape!r}: GET /api/runs lists them")
        return folder

    def close(self) -> None:
        self._connection.close()


def keep_level(views: Views, stopping: threading.Event) -> None:
    """Until `stopping`: a look at all tapes every INTERVAL_S, and in between at those that hints come from."""
    hints = HintListener()
    try:
        while not stopping.is_set():
            next_s = time.monotonic() + INTERVAL_S
            try:
                views.refresh()
                hints.listen(views.growing)
            except (duckdb.Error, OSError) as error:
                log.error("the tapes could not be followed: %s", error)
            _listen_until(next_s, views, hints, stopping)
    finally:
        hints.close()


def _listen_until(end_s: float, views: Views, hints: HintListener, stopping: threading.Event) -> None:
    """It rests after each look for as long as that took: hints may come by the hundred a second, and who trades may be
    on the same processor."""
    while (left := end_s - time.monotonic()) > 0 and not stopping.is_set():
        hinted = hints.wait(min(left, STOP_S))
        if hinted:
            began = time.monotonic()
            for folder in hinted:
                views.hear(folder)
            stopping.wait(time.monotonic() - began)
