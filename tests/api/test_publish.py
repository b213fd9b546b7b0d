"""views/tape.duckdb for other programs, and `onetape migrate`."""

import os
import shutil
import subprocess
import sys

import duckdb
import pytest

from adapters.tape.frame import SCHEMA_ID
from adapters.tape.rolling import seal_closed
from api import publish as publishing
from api.publish import Publisher, publish, published_path
from api.serve import Views
from projections.migrate import list_migrations
from tests.api.running import ROOT, TWO, stored

ACCOUNT = "main-paper"


@pytest.fixture
def traded(home, good):
    """A home with a backtest and a paper day, the latter sealed."""
    good(home, "backtest", *TWO)
    good(home, "live", *TWO[:2], "--feed", "replay:nse@max")
    seal_closed(home / "tapes" / "accounts" / ACCOUNT, whole=True)
    return home


def opened(home):
    return duckdb.connect(str(published_path(home)), read_only=True)


def one(connection, sql, parameters=()):
    return connection.execute(sql, list(parameters)).fetchall()


@pytest.mark.sim
def test_anybody_can_open_what_is_published(traded, call, good):
    said = call(traded, "publish")
    assert said.code == 0 and str(published_path(traded)) in said.out
    [run] = list((traded / "runs").iterdir())
    with opened(traded) as connection:
        for folder in (run, traded / "tapes" / "accounts" / ACCOUNT):
            rows, last = stored(folder)[0], int(stored(folder)[0]["seq"][-1])
            assert one(connection, "SELECT count(*) FROM events WHERE tape = ?", [folder.name]) == [(len(rows),)]
            for macro in ("orders", "positions", "account", "events"):
                theirs = one(connection, f"SELECT * FROM {macro}_as_of(?, ?) ORDER BY ALL", [folder.name, last // 2])
                asked = ("--run", folder.name, "--param", f"t={folder.name}", "--param", f"s={last // 2}")
                ours = good(traded, "sql", f"SELECT count(*) n FROM {macro}_as_of($t, $s)", *asked)
                assert ours == [{"n": len(theirs)}] and theirs
        fills = one(connection, "SELECT tape, count(*) FROM v_fills GROUP BY 1 ORDER BY 1")
        assert [tape for tape, _ in fills] == [run.name, ACCOUNT]
        held = "SELECT symbol, qty, mark::VARCHAR m, unrealized::VARCHAR u FROM v_positions WHERE tape = '{}' AND qty <> 0 ORDER BY ALL"
        for folder in (run.name, ACCOUNT):
            ours = [tuple(row.values()) for row in good(traded, "sql", held.format(folder), "--run", folder)]
            assert one(connection, held.format(folder)) == ours
        assert one(connection, "SELECT count(*) FROM bars")[0][0] > 1_000
        assert one(connection, "SELECT tape FROM tapes ORDER BY 1") == [(run.name,), (ACCOUNT,)]
    asked = f"duckdb.connect({str(published_path(traded))!r}, read_only=True).sql('select count(*) from order_filled')"
    subprocess.run([sys.executable, "-c", f"import duckdb; print({asked}.fetchall())"], check=True)


@pytest.mark.sim
def test_a_reader_keeps_what_it_opened_and_finds_the_new_one_next_time(traded, call, good):
    call(traded, "publish")
    with opened(traded) as before:
        count = one(before, "SELECT count(*) FROM fills")
        good(traded, "backtest", *TWO)
        assert call(traded, "publish").code == 0
        assert one(before, "SELECT count(*) FROM fills") == count
    with opened(traded) as after:
        assert one(after, "SELECT count(*) FROM fills") > count
    assert [path.name for path in (traded / "views").glob("*tape.duckdb*")] == ["tape.duckdb"]


@pytest.mark.sim
def test_a_publication_that_fails_leaves_the_old_one(traded, call, monkeypatch):
    call(traded, "publish")
    was = published_path(traded).read_bytes()
    with monkeypatch.context() as patch, duckdb.connect(str(traded / "views" / "serve.duckdb")) as models:
        patch.setattr(publishing, "add_events", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(traded, models)
    assert published_path(traded).read_bytes() == was
    assert call(traded, "publish").code == 0
    assert len(list((traded / "views").glob(".*"))) == 0


@pytest.mark.sim
def test_a_home_can_be_moved(traded, call, tmp_path):
    call(traded, "publish")
    moved = shutil.move(traded, tmp_path / "elsewhere's")
    with opened(moved) as connection:
        with pytest.raises(duckdb.IOException):
            one(connection, "SELECT count(*) FROM events")
        connection.execute("SET VARIABLE home = $home", {"home": str(moved)})
        assert one(connection, "SELECT count(*) FROM events")[0][0] > 1_000
        assert one(connection, "SELECT count(*) FROM bars")[0][0] > 1_000
    assert call(moved, "publish").code == 0
    with opened(moved) as connection:
        assert one(connection, "SELECT count(*) FROM events")[0][0] > 1_000


@pytest.mark.sim
def test_a_server_publishes_what_it_serves(traded, call, good):
    views = Views(traded)
    try:
        views.refresh()
        with opened(traded) as connection:
            assert len(one(connection, "SELECT DISTINCT tape FROM fills")) == 2
        for command in ("publish", "migrate"):
            code = subprocess.run(
                [sys.executable, "-m", "api.cli", "--home", str(traded), command], capture_output=True, text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            assert code.returncode == 2 and "onetape serve" in code.stderr, code.stderr
    finally:
        views.close()


def test_a_server_publishes_seldom(traded, monkeypatch):
    made, now = [], [100.0]
    monkeypatch.setattr(publishing, "publish", lambda home, models: made.append(now[0]))
    monkeypatch.setattr(publishing.time, "monotonic", lambda: now[0])
    publisher = Publisher(traded, None)
    for folded in (0, 5, 0, 0):
        publisher.keep_up(folded)
    assert made == [100.0]
    now[0] += publishing.QUIET_S + 1
    publisher.keep_up(0)
    publisher.keep_up(0)
    assert len(made) == 2  # what came in meanwhile
    now[0] += 1_000
    publisher.keep_up(0)
    assert len(made) == 2
    (traded / "runs" / "new").mkdir()
    (traded / "runs" / "new" / "manifest.json").touch()
    publisher.keep_up(0)
    assert len(made) == 3


@pytest.mark.sim
def test_migrate_has_nothing_to_do(traded, call, good):
    said = call(traded, "migrate")
    assert said.code == 0 and "nothing to do" in said.out
    call(traded, "publish")
    found = good(traded, "migrate")
    assert found["applied"] == found["rebuilt"] == [] and not found["published"] and found["made_anew"] == ""
    names = {ACCOUNT, *(folder.name for folder in (traded / "runs").iterdir())}
    assert {tape["tape"]: tape["event_schemas"] for tape in found["tapes"]} == {n: [f"{SCHEMA_ID:08x}"] for n in names}


def as_the_first_version(home):
    """serve.duckdb as it was before migration 2: its tables, with what they held."""
    path, first = home / "views" / "serve.duckdb", list_migrations()[0]
    newer = path.rename(path.with_name("newer.duckdb"))
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"ATTACH '{newer}' AS newer (READ_ONLY)")
        connection.execute("CREATE TABLE migration AS FROM newer.main.migration WHERE number = 1")
        connection.execute(first.sql)
        for table in one(connection, "SELECT table_name FROM duckdb_tables() WHERE database_name = 'serve'"):
            if table != ("migration",):
                columns = ", ".join(connection.table(table[0]).columns)
                connection.execute(f"INSERT INTO {table[0]} ({columns}) SELECT {columns} FROM newer.main.{table[0]}")
    newer.unlink()


@pytest.mark.sim
def test_migrate_brings_the_first_version_up(traded, call):
    call(traded, "publish")
    with opened(traded) as connection:
        wanted = one(connection, "SELECT * FROM order_changes ORDER BY ALL")
    as_the_first_version(traded)
    found = call(traded, "migrate", "--json").json
    assert found["applied"] == [m.name for m in list_migrations()[1:]] and found["published"]
    assert len(found["rebuilt"]) == 2 and found["made_anew"] == "" and found["unread"] == {}
    with opened(traded) as connection:
        assert one(connection, "SELECT * FROM order_changes ORDER BY ALL") == wanted
    assert "nothing to do" in call(traded, "migrate").out


@pytest.mark.parametrize("how", ["other", "garbage", "published"])
@pytest.mark.sim
def test_migrate_makes_anew_what_it_cannot_migrate_and_says_so(traded, call, how):
    call(traded, "publish")
    path = traded / "views" / "serve.duckdb"
    if how == "other":
        with duckdb.connect(str(path)) as connection:
            connection.execute("UPDATE migration SET digest = 'another'")
    elif how == "garbage":
        path.write_bytes(b"not a database" * 1_000)
    else:
        published_path(traded).write_bytes(b"")
    said = call(traded, "migrate")
    assert said.code == 0 and "published anew" in said.out, said
    assert ("made anew" in said.out and said.out.count("folded in again") == 2) == (how != "published")
    with opened(traded) as connection:
        assert len(one(connection, "SELECT DISTINCT tape FROM fills")) == 2
