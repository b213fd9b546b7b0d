"""`<home>/views/tape.duckdb`: views over the sealed files and a copy of the read models, for anybody to open read-only.

It is made beside the old one and takes its name in one step, and nobody holds it open: a reader keeps what it opened.
"""

import logging
import os
import time
from pathlib import Path

import duckdb

from adapters.files import make_folder, sync_file, sync_folder
from api.catalog import add_events, add_names, make_catalog
from api.market_views import add_market
from kernel.errors import OnetapeError
from projections.migrate import migrate
from projections.tables import READ_MODELS

PUBLISHED = "tape.duckdb"
OWN = ("fold_state",)  # of the projector alone
QUIET_S, SHARE = 30.0, 0.05  # least time between two publications of a server, and most of its time they may take
log = logging.getLogger("onetape.publish")


def published_path(home: Path) -> Path:
    return home / "views" / PUBLISHED


def publish(home: Path, models: duckdb.DuckDBPyConnection) -> Path:
    """Make the file anew from the home's sealed tapes and the read models in `models`; returns where it is."""
    target = published_path(home)
    unfinished = target.with_name(f".{PUBLISHED}.part")
    make_folder(target.parent)
    for left in (unfinished, unfinished.with_name(unfinished.name + ".wal")):
        left.unlink(missing_ok=True)
    with duckdb.connect(str(unfinished)) as made:
        migrate(made)
        for table in READ_MODELS:
            if table not in OWN:
                _copy(models, made, table)
        for table in OWN:
            made.execute(f"DROP TABLE {table}")
        add_names(made, home)
        add_market(made, home)
        add_events(made, make_catalog(home, hot=False))
        made.execute("CHECKPOINT")
    sync_file(unfinished)
    os.replace(unfinished, target)
    sync_folder(target.parent)
    return target


def _copy(models: duckdb.DuckDBPyConnection, made: duckdb.DuckDBPyConnection, table: str) -> None:
    """All rows of a table; an account tape has its folder's name here, as it has in the views."""
    renamed = "SELECT * REPLACE (regexp_replace(tape, '^accounts/', '') AS tape) FROM "
    made.register("copied", models.sql(renamed + table).to_arrow_reader())
    made.execute(f"INSERT INTO {table} SELECT * FROM copied")
    made.unregister("copied")


class Publisher:
    """Publishes for a server: at once, then whenever something changed, but seldom enough to cost little."""

    def __init__(self, home: Path, models: duckdb.DuckDBPyConnection) -> None:
        self._home, self._models = home, models
        self._seen: object = None
        self._wanted, self._next_s = True, 0.0

    def keep_up(self, folded: int) -> None:
        """`folded`: rows that came into the read models since the last call. A failure is logged and tried again."""
        sealed = self._sealed()
        self._wanted = self._wanted or folded > 0 or sealed != self._seen
        self._seen = sealed
        started = time.monotonic()
        if not self._wanted or started < self._next_s:
            return
        try:
            publish(self._home, self._models)
            self._wanted = False
        except (OnetapeError, OSError, duckdb.Error) as error:
            log.warning("%s could not be made: %s", published_path(self._home), error)
        now = time.monotonic()
        self._next_s = now + max(QUIET_S, (now - started) / SHARE)

    def _sealed(self) -> object:
        """What changes when a tape is sealed, imported or removed."""
        folders = ("runs/*/manifest.json", "tapes/accounts/*/sealed/*", "tapes/market/*")
        return [sorted(path.as_posix() for path in self._home.glob(pattern)) for pattern in folders]
