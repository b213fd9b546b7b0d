"""`onetape migrate`: the read models of a home on this version's tables, and which version's events its tapes hold."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from adapters.tape.frame import HEADER_BYTES, SCHEMA_ID, unpack_header
from adapters.tape.reader import is_sealed, list_account_folders, list_run_folders
from adapters.tape.scan import segment_paths
from adapters.tape.sealed import read_manifest
from api.completing import complete
from api.publish import publish, published_path
from api.read_models import HomeTapes, open_database
from kernel.errors import ConfigError
from kernel.state import LAYOUT
from projections.follow import Follower
from projections.migrate import list_migrations, migrate

THIS = f"{SCHEMA_ID:08x}"


@dataclass
class Migrated:
    """What was done: migrations applied, why the file was made anew, tapes folded in again, what was published."""

    applied: list[str] = field(default_factory=list)
    made_anew: str = ""
    rebuilt: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    published: bool = False
    tapes: list[dict[str, Any]] = field(default_factory=list)


def migrate_home(home: Path) -> Migrated:
    """Bring serve.duckdb and tape.duckdb up to date where they are. Raises ConfigError while a server runs."""
    done = Migrated(tapes=[_describe(folder) for folder in (*list_run_folders(home), *list_account_folders(home))])
    path, published = home / "views" / "serve.duckdb", published_path(home)
    if not path.exists() and not published.exists():
        return done
    with _open(path, done) as connection:
        old = connection.execute("SELECT tape FROM checkpoint WHERE layout <> ? ORDER BY tape", [LAYOUT]).fetchall()
        if done.applied or done.made_anew or old or not _is_current(published):
            follower = Follower(connection, HomeTapes(home), complete)
            follower.refresh()
            done.unread = follower.problems
            known = {name for (name,) in connection.execute("SELECT tape FROM checkpoint").fetchall()}
            done.rebuilt = sorted(known if done.made_anew else known & {name for (name,) in old})
            publish(home, connection)
            done.published = True
    return done


def publish_home(home: Path) -> Path:
    """Bring the read models level with the tapes and publish them. Raises ConfigError while a server runs."""
    with open_database(home / "views" / "serve.duckdb") as connection:
        follower = Follower(connection, HomeTapes(home), complete)
        follower.refresh()
        path = publish(home, connection)
        for tape, problem in follower.problems.items():
            raise ConfigError(f"{path} was published without what is new of {tape}: {problem}")
        return path


def _open(path: Path, done: Migrated) -> duckdb.DuckDBPyConnection:
    """The server's file with every migration; made anew, with a word why, when that cannot be done in place."""
    if path.exists():
        try:
            connection = duckdb.connect(str(path))
            try:
                done.applied = migrate(connection)
                return connection
            except BaseException:
                connection.close()
                raise
        except (duckdb.Error, ConfigError) as error:
            if "lock" in str(error).lower():
                raise ConfigError(f"{path} is in use by `onetape serve`, which migrates when it starts") from None
            done.made_anew = str(error).splitlines()[0]
    return open_database(path)  # what cannot be used, it replaces


def _is_current(path: Path) -> bool:
    """Whether a published file is there and has this version's tables."""
    if not path.exists():
        return False
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            found = connection.execute("SELECT number, digest FROM migration ORDER BY number").fetchall()
    except duckdb.Error:
        return False
    return found == [(known.number, known.digest) for known in list_migrations()]


def _describe(folder: Path) -> dict[str, Any]:
    """A tape and the event schemas in it, as the headers of its frames and the manifests of its sealed parts say."""
    schemas = set()
    for path in segment_paths(folder):
        with path.open("rb") as file:
            header = unpack_header(file.read(HEADER_BYTES))
        if header is not None:
            schemas.add(f"{header.schema:08x}")
    parts = [folder] if is_sealed(folder) else sorted((folder / "sealed").glob("[0-9]*"))
    schemas |= {f"{int(read_manifest(part)['schema']):08x}" for part in parts}
    return {"tape": folder.name, "event_schemas": sorted(schemas), "this_version": schemas <= {THIS}}
