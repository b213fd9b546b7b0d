"""`doctor`, `backup`, `restore` and `prune`: what they find, keep, give back and leave alone."""

import os
import re
import shlex
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from adapters.settings import Settings
from adapters.tape.check import check_tape
from adapters.tape.reader import durable_seq, read_rows
from adapters.tape.rolling import seal_closed
from adapters.tape.snapshots import SUFFIX
from adapters.tape.watermark import NAME
from adapters.tape.writer import TapeWriter
from api import doctor
from api.backup import backup
from api.backup_manifest import ABOUT, newest, read_about
from kernel.errors import TapeCorrupt
from tests.adapters.tape.rows import some_rows
from tests.api.conftest import DAYS
from tests.api.running import ACCOUNT, ROOT, TWO, account_of, damage, files_of


def checks_of(good_or_call, home: Path, what: str) -> list[dict]:
    found = good_or_call(home, "doctor", "--json").json["checks"]
    return [check for check in found if check["what"].startswith(what)]


def level(call, home: Path, what: str) -> str:
    [check] = checks_of(call, home, what)
    return check["level"]


# Doctor -----------------------------------------------------------------------------------------------------------------


@pytest.mark.sim
def test_a_sound_home(traded, call):
    said = call(traded, "doctor")
    assert said.code == 0 and " 0 bad" in said.out and said.out.count("\n") >= 9
    assert all(
        re.match(r"(ok|warn|bad) ", line) or line.startswith("      mend:") for line in said.out.splitlines()[:-1]
    )
    assert level(call, traded, f"tape {ACCOUNT}") == "ok" and level(call, traded, "packages") == "ok"
    assert call(traded / "new", "doctor").code == 0, "no home yet is a warning"


@pytest.mark.sim
def test_what_is_bad_says_how_to_mend_it(traded, call):
    key = traded / "secrets" / "api.key"
    key.parent.mkdir()
    key.write_text("k")
    key.chmod(0o644)
    (account_of(traded) / NAME).unlink()
    os.truncate(next((traded / "runs").glob("*/order.parquet")), 100)
    said = call(traded, "doctor")
    assert said.code == 2 and f"chmod 600 {key}" in said.out and "watermark is missing" in said.out
    assert "order.parquet is missing or cut" in said.out and " 3 bad" in said.out
    for line, following in zip(said.out.splitlines(), said.out.splitlines()[1:], strict=False):
        if line.startswith(("bad", "warn")):
            assert following.startswith("      mend: ") and len(following) > 20
    key.chmod(0o600)
    assert level(call, traded, "secrets") == "ok"


@pytest.mark.sim
def test_leftovers_and_writers(traded, call):
    folder = account_of(traded)
    with TapeWriter(folder):
        [check] = checks_of(call, traded, f"tape {ACCOUNT}")
        assert check["level"] == "ok" and "being written" in check["text"]
    segment = next(folder.glob("*.segment"))
    segment.write_bytes(segment.read_bytes() + b"half a frame")
    assert [c["level"] for c in checks_of(call, traded, f"tape {ACCOUNT}")] == ["ok", "warn"]
    with TapeWriter(folder):
        pass
    assert any("quarantine" in c["text"] for c in checks_of(call, traded, f"tape {ACCOUNT}"))
    (folder / "stranger").write_text("")
    assert call(traded, "doctor").code == 2


def test_file_systems(monkeypatch, tmp_path):
    assert doctor.file_system(tmp_path / "not there yet").level in ("ok", "warn")
    for number, wanted in ((0x6969, "bad"), (0xFF534D42, "bad"), (0x65735546, "bad"), (0x9123683E, "warn"), (0x2FC12FC1, "warn"),
                           (0xEF53, "ok"), (0x1234, "warn")):  # fmt: skip
        monkeypatch.setattr(doctor, "file_system_type", lambda path, number=number: number)
        check = doctor.file_system(tmp_path)
        assert check.level == wanted and bool(check.mend) == (wanted != "ok")


def test_space_and_clock(monkeypatch, tmp_path):
    free = {"bytes": 0}
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=free["bytes"]))
    for mib, wanted in ((500, "bad"), (1500, "warn"), (3000, "ok")):
        free["bytes"] = mib * 2**20
        assert doctor.space(tmp_path, Settings()).level == wanted
    assert doctor.clock(0.01).level == "ok"
    real, start = time.time_ns, time.monotonic()
    monkeypatch.setattr(doctor.time, "time_ns", lambda: real() + int((time.monotonic() - start) * 10**9))
    assert doctor.clock(0.05).level == "warn", "twice as fast as time"


@pytest.mark.parametrize(
    ("found", "bound", "holds"),
    [("2.0.1", ">=2.0", True), ("2.1", "<2.1", False), ("2.0.9", "<2.1", True), ("26", "<27", True), ("0.68.0", ">=0.68", True),
     ("1.9", ">=2", False), ("2.0.0rc1", ">=2.0", True)],
)  # fmt: skip
def test_versions(found, bound, holds):
    assert doctor._holds(found, bound) == holds


def test_a_missing_package(monkeypatch):
    monkeypatch.setattr(doctor, "requirements", lambda: ["numpy", "no-such-thing>=1", "duckdb>=99"])
    assert [check.level for check in doctor.packages()] == ["bad", "bad"]


# Backup and restore -----------------------------------------------------------------------------------------------------


def test_a_restored_home_replays(traded, call, good, tmp_path):
    run = good(traded, "replay", "latest")
    day, verified = good(traded, "replay", DAYS[0]), good(traded, "verify", ACCOUNT)
    beside = {"sessions.toml": "# none yet\n", "universes/mine.csv": "symbol,from,to\n"}
    (traded / "instruments" / "universes").mkdir()
    for name, text in beside.items():
        (traded / "instruments" / name).write_text(text)
    made = good(traded, "backup", "backups")
    assert made["tapes"] == {ACCOUNT: durable_seq(account_of(traded))} and made["linked_bytes"] == 0
    shutil.rmtree(traded)
    found = good(traded, "restore", "backups")
    assert found["home"] == str(traded) and found["verified"] == 3 and found["aside"] is None
    assert {name: (traded / "instruments" / name).read_text() for name in beside} == beside
    assert good(traded, "verify")["verified"] == 3
    assert good(traded, "verify", ACCOUNT) == verified
    assert good(traded, "replay", "latest") == run and run["identical"]
    assert good(traded, "replay", DAYS[0]) == day and day["identical"]
    again = good(traded, "live", *TWO, "--feed", "replay:nse@max")
    assert again["new_bars"] == 0 and again["tape_digest"] == verified["tape_digest"]


def test_only_what_is_new_is_copied(traded, good, tmp_path):
    seal_closed(account_of(traded), whole=True)
    first = good(traded, "backup", "backups")
    second = good(traded, "backup", "backups")
    assert second["files"] == first["files"] and second["copied_bytes"] < first["copied_bytes"] / 5
    assert second["linked_bytes"] + second["copied_bytes"] == first["copied_bytes"]
    for folder in (traded, tmp_path / "backups"):
        inodes = {p.stat().st_ino for p in folder.rglob("*") if p.is_file()}
        if folder == traded:
            at_home = inodes
    assert not at_home & inodes, "no file of the home is in the backup by link"
    assert os.readlink(tmp_path / "backups" / "latest") == Path(second["backup"]).name
    shutil.rmtree(first["backup"])
    assert good(traded, "restore", "backups", "--into", "back")["verified"] == 3, "each stands alone"


def test_secrets_and_views_stay_unless_asked_for(traded, good, tmp_path):
    key = traded / "secrets" / "api.key"
    key.parent.mkdir()
    key.write_text("the key")
    (traded / "views").mkdir(exist_ok=True)
    (traded / "views" / "serve.duckdb").write_text("derived")
    (tmp_path / "onetape.toml").write_text("[account]\nname = 'main'\n")
    made = Path(good(traded, "backup", "backups")["backup"])
    assert not [p for p in made.rglob("*") if "secrets" in p.parts or "views" in p.parts]
    assert (made / "config" / "onetape.toml").read_text().startswith("[account]")
    with_keys = Path(good(traded, "backup", "backups", "--with-secrets")["backup"])
    assert (with_keys / "home/secrets/api.key").stat().st_mode & 0o777 == 0o600
    found = good(traded, "restore", str(with_keys), "--into", "back")
    assert (tmp_path / "back/secrets/api.key").read_text() == "the key" and found["config"].endswith("onetape.toml")
    assert (tmp_path / "back/secrets/api.key").stat().st_mode & 0o777 == 0o600


def test_beside_a_running_writer(tmp_path):
    """Backups while a writer appends and segments are sealed: each is whole and ends where a watermark stood."""
    home = tmp_path / "home"
    folder = home / "tapes" / "accounts" / ACCOUNT
    rows, stop = some_rows(500, 4), threading.Event()

    def write() -> None:
        with TapeWriter(folder, 2**20) as tape:
            seq = 1
            while not stop.is_set():
                rows["seq"] = seq + np.arange(500)
                tape.append(rows[:250].copy(), durable=False)
                tape.append(rows[250:].copy(), {seq + 300: "note"})
                seq += 500
                time.sleep(0.03)  # a segment a second or so: sealing keeps up

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not folder.exists() or durable_seq(folder) < 1_000:
            time.sleep(0.01)
        ends = []
        for _ in range(5):
            while ends and durable_seq(folder) == ends[-1]:
                time.sleep(0.005)
            made = backup(home, tmp_path / "backups", None, False)
            copy = made.folder / "home" / "tapes" / "accounts" / ACCOUNT
            found = check_tape(copy)
            assert found.anchor.seq == made.tapes[ACCOUNT] and found.torn == 0
            assert sum(len(part) for part, _ in read_rows(copy)) == found.rows == found.anchor.seq
            ends.append(found.anchor.seq)
            seal_closed(folder)
    finally:
        stop.set()
        writer.join()
    assert ends == sorted(ends) and ends[-1] > ends[0]
    (copy / "writer.lock").unlink(missing_ok=True)
    with TapeWriter(copy, 2**18) as tape:
        assert tape.last_seq == ends[-1]
    assert check_tape(folder).anchor.seq >= ends[-1]


@pytest.mark.parametrize("what", ["frame", "sealed", "run", "market"])
def test_a_damaged_file_is_never_taken_for_a_backup(traded, call, what):
    before = Path(call(traded, "backup", "backups", "--json").json["backup"])
    folder = account_of(traded)
    if what == "sealed":
        seal_closed(folder, whole=True)
    path = {
        "frame": folder / "00000001.segment",
        "sealed": folder / "sealed/00000001/order.parquet",
        "run": next((traded / "runs").glob("*")) / "order.parquet",
        "market": traded / "tapes/market/nse/bars.parquet",
    }[what]
    damage(path, path.stat().st_size // 2)
    if what in ("run", "market"):
        shutil.rmtree(before)  # else it is linked from there, unread
        (before.parent / "latest").unlink()
    said = call(traded, "backup", "backups")
    assert said.code == 65 and path.name in said.err and str(path.parent) in said.err, said
    assert newest(before.parent) == (before if what in ("frame", "sealed") else None)
    assert not list(before.parent.glob(".*.part"))


def test_a_damaged_backup_is_not_restored(traded, call, good, tmp_path):
    made = Path(good(traded, "backup", "backups")["backup"])
    for path in [p for p in made.rglob("*") if p.is_file() and p.stat().st_size]:
        old = path.read_bytes()
        damage(path, len(old) // 2)
        said = call(traded, "restore", "backups", "--into", "back")
        assert said.code == 65 and path.name in said.err, path
        path.write_bytes(old)
        if path.name != ABOUT:
            path.rename(made.parent / "away")
            assert call(traded, "restore", "backups", "--into", "back").code == 65
            (made.parent / "away").rename(path)
    (made / "home" / "stranger").write_text("")
    assert call(traded, "restore", "backups", "--into", "back").code == 65
    assert not (tmp_path / "back").exists() and not list(tmp_path.glob(".*restoring"))


def test_what_is_there_is_moved_aside_only_with_force(traded, call, good):
    good(traded, "backup", "backups")
    (traded / "mine.txt").write_text("mine")
    before = files_of(traded)
    said = call(traded, "restore", "backups")
    assert said.code == 2 and "is not empty" in said.err and files_of(traded) == before
    with TapeWriter(account_of(traded)):
        assert call(traded, "restore", "backups", "--force").code == 75
    found = good(traded, "restore", "backups", "--force")
    assert (Path(found["aside"]) / "mine.txt").read_text() == "mine" and not (traded / "mine.txt").exists()
    assert good(traded, "replay", ACCOUNT)["identical"]


def test_places_that_cannot_be(traded, call, tmp_path):
    for dest in (traded, traded / "backups", traded.parent):
        said = call(traded, "backup", dest)
        assert said.code == 2 and "lie in one another" in said.err
    assert call(tmp_path / "none", "backup", "backups").code == 2
    assert call(traded, "restore", "nowhere").code == 2
    (tmp_path / "file").write_text("")
    assert call(traded, "backup", "file").code == 74


def test_a_backup_that_was_killed_is_begun_again(traded, good, monkeypatch, tmp_path):
    import api.backup as module

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module._Copier, "_finish", killed)
        with pytest.raises(KeyboardInterrupt):
            backup(traded, tmp_path / "backups", None, False)
    (tmp_path / "backups" / ".20200101T000000Z.part").mkdir()
    assert newest(tmp_path / "backups") is None
    good(traded, "backup", "backups")
    assert [p.name[0] for p in sorted((tmp_path / "backups").iterdir())] == [".", "2", "l"]


def test_a_backup_mends_a_tape(traded, call, good):
    made = good(traded, "backup", "backups")
    path = account_of(traded) / "00000001.segment"
    damage(path, path.stat().st_size // 2)
    said = call(traded, "tape", "repair", ACCOUNT, "--from", "backups", "--yes")
    assert said.code == 0 and "nothing is lost" in said.out and made["backup"]
    assert good(traded, "replay", ACCOUNT)["identical"]


def test_about_vouches_for_itself(traded, good):
    made = Path(good(traded, "backup", "backups")["backup"])
    assert read_about(made)["files"]
    about = made / ABOUT
    about.write_text(about.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(TapeCorrupt):
        read_about(made)


# Prune ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(traded, monkeypatch, tmp_path) -> Path:
    """Twelve reports, five snapshots, code of two other kernels, a second run."""
    monkeypatch.setenv("ONETAPE_CACHE", str(tmp_path / "cache"))
    from kernel.codehash import cache_folder

    shutil.rmtree(traded / "views" / "snapshots", ignore_errors=True)
    now = time.time()
    made = [traded / "views" / "reports" / f"{k:02d}.html" for k in range(12)]
    made += [traded / "views" / "snapshots" / ACCOUNT / f"{k:015d}{SUFFIX}" for k in range(5)]
    for k, path in enumerate(made):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("derived")
        os.utime(path, (now - 86_400 * (40 - k % 20), now - 86_400 * (40 - k % 20)))
    for name in ("a" * 20, "b" * 20, cache_folder().name):
        folder = tmp_path / "cache" / "jit" / name
        folder.mkdir(parents=True)
        (folder / "code.nbi").write_text("code")
        os.utime(folder, (now - 86_400 * 9, now - 86_400 * 9))
    [run] = (traded / "runs").iterdir()
    shutil.copytree(run, traded / "runs" / ("0" + run.name[1:]))
    return traded


def sorts(found) -> dict[str, int]:
    names = [item["sort"] for item in found["items"]]
    return {name: names.count(name) for name in names}


def test_prune_lists_first_and_removes_then(full, call, good):
    before = files_of(full)
    found = good(full, "prune")
    assert sorts(found) == {"report": 2, "snapshot": 2, "compiled code": 2} and not found["removed"]
    assert "nothing was changed: --yes" in call(full, "prune").out and files_of(full) == before
    tapes = files_of(full / "tapes")
    found = good(full, "prune", "--yes")
    assert found["removed"] and not any(Path(item["path"]).exists() for item in found["items"])
    assert sorted(p.name for p in (full / "views/reports").iterdir())[0] == "02.html", "the oldest went"
    assert len(list((full / "views/snapshots" / ACCOUNT).iterdir())) == 3
    assert files_of(full / "tapes") == tapes and len(list((full / "runs").iterdir())) == 2
    assert good(full, "prune")["items"] == []


def test_prune_by_age_and_number(full, call, good):
    assert sorts(good(full, "prune", "--keep", "0"))["report"] == 12
    assert sorts(good(full, "prune", "--keep", "0", "--older-than", "35")) == {"report": 6}
    for arguments in (["--keep", "-1"], ["--older-than", "-1"], ["--runs"]):
        assert call(full, "prune", *arguments).code == 2


@pytest.mark.sim
def test_prune_runs(full, good, call):
    newest_run = sorted((full / "runs").iterdir())[-1]
    found = good(full, "prune", "--runs", "--keep", "1", "--yes")
    assert sorts(found)["run"] == 1 and list((full / "runs").iterdir()) == [newest_run]
    assert good(full, "verify")["verified"] == 3 and good(full, "replay", ACCOUNT)["identical"]


# The page ---------------------------------------------------------------------------------------------------------------


def commands_of(page: Path) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.sim
def test_the_commands_of_the_page_work(traded, call, tmp_path):
    """All of them, in order, where `onetape live` was started."""
    lines = commands_of(ROOT / "docs" / "care.md")
    assert len(lines) > 12
    traded.rename(tmp_path / "data")
    for line in lines:
        words = shlex.split(line.split("  #")[0])
        said = call(None, *words[1:])
        assert said.code == (2 if "exit 2" in line else 0), (line, said)
