"""A backup holds all that the home promises, byte for byte, or is none; a bad copy of before is not handed on."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from adapters.files import take_lock
from adapters.tape.reader import durable_seq
from adapters.tape.rolling import SEALER_LOCK, seal_closed
from adapters.tape.watermark import NAME, pack_slots, read_watermark
from adapters.tape.writer import TapeWriter
from api import restore_home as module
from api.backup import backup
from api.backup_manifest import ABOUT, check_backup, newest
from tests.adapters.tape.rows import some_rows
from tests.api.running import ACCOUNT, account_of, damage, files_of

pytestmark = pytest.mark.sim  # many runs of whole processes; CI has the paths they share


def backups_of(home: Path) -> Path:
    return home.parent / "backups"


@pytest.fixture
def once(traded, good) -> Path:
    """A home whose account tape is sealed, with a backup; returns that."""
    seal_closed(account_of(traded), whole=True)
    return Path(good(traded, "backup", "backups")["backup"])


WHERE = {
    "sealed": f"tapes/accounts/{ACCOUNT}/sealed/00000001/order.parquet",
    "part manifest": f"tapes/accounts/{ACCOUNT}/sealed/00000001/manifest.json",
    "market": "tapes/market/nse/bars.parquet",
    "market manifest": "tapes/market/nse/manifest.json",
    "run": "runs/*/order.parquet",
    "instruments": "instruments/instruments.json",
}


def place(home: Path, what: str) -> Path:
    [path] = home.glob(WHERE[what])
    return path


@pytest.mark.sim
@pytest.mark.parametrize("what", ["sealed", "part manifest", "market", "market manifest", "run"])
def test_the_home_is_read_also_where_it_was_good_before(traded, once, call, what):
    """A byte of the home flips after a first backup: the next one says 65 as `verify` does, and names it."""
    path = place(traded, what)
    damage(path, path.stat().st_size // 2)
    assert call(traded, "verify").code == 65
    said = call(traded, "backup", "backups")
    assert said.code == 65 and str(path.parent) in said.err and ".part" not in said.err, said
    assert newest(backups_of(traded)) == once and list(check_backup(once))


@pytest.mark.sim
@pytest.mark.parametrize("what", ["sealed", "market", "run"])
def test_a_bad_copy_of_before_is_not_linked(traded, once, call, good, what):
    """It is copied again from the home, which is whole, and that is said."""
    path = place(once / "home", what)
    damage(path, path.stat().st_size // 2)
    said = call(traded, "backup", "backups")
    assert said.code == 0 and f"{path} is not what was backed up then: it was copied again" in said.err, said
    made = newest(backups_of(traded))
    assert made != once and len(list(check_backup(made))) > 5
    assert place(made / "home", what).read_bytes() == place(traded, what).read_bytes()
    again = good(traded, "backup", "backups")
    assert again["damaged_before"] == [] and again["linked_bytes"] > 0
    assert good(traded, "restore", "backups", "--into", "back")["verified"] == 3


@pytest.mark.sim
def test_a_backup_before_that_cannot_say_what_it_holds(traded, once, good):
    (once / ABOUT).write_text("{}")
    made = good(traded, "backup", "backups")
    assert made["linked_bytes"] == 0 and "all was copied again" in made["damaged_before"][0]
    assert list(check_backup(Path(made["backup"])))


def test_instruments_that_do_not_fit_the_market_tapes(traded, once, call):
    path = place(traded, "instruments")
    path.write_text(path.read_text().replace('"ACC"', '"ABB"'))
    assert call(traded, "verify").code == call(traded, "backup", "backups").code == 65


# What the tape promises -------------------------------------------------------------------------------------------------


def put_back(folder: Path) -> bytes:
    return pack_slots(read_watermark(folder)._replace(counter=3, epoch=1, number=0, seq=0, segment=0, offset=0, rows=0))


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("how", ["zeros", "put back", "gone"])
def test_a_watermark_that_promises_less(traded, call, sealed, how):
    """Readers would see nothing of the tape: no backup is made of that."""
    folder = account_of(traded)
    with TapeWriter(folder) as tape:  # so that the last frame is of a second writer
        tape.append(some_rows(1, first_seq=tape.last_seq + 1))
    if sealed:
        seal_closed(folder, whole=True)
    raw = {"zeros": bytes((folder / NAME).stat().st_size), "put back": put_back(folder)}
    (folder / NAME).unlink()
    if how != "gone":
        (folder / NAME).write_bytes(raw[how])
    said = call(traded, "backup", "backups")
    assert said.code == 65 and NAME in said.err and str(folder) in said.err, said
    assert newest(backups_of(traded)) is None


def test_what_is_whole_behind_the_watermark_is_in_it(tmp_path):
    """A power cut may leave the watermark behind the frames: the backup holds what the next writer will find."""
    home = tmp_path / "home"
    folder = home / "tapes" / "accounts" / ACCOUNT
    with TapeWriter(folder) as tape:
        tape.append(some_rows(4))
        tape.mark()
        early = (folder / NAME).read_bytes()
        tape.append(some_rows(4, first_seq=5))
    segment = folder / "00000001.segment"
    segment.write_bytes(segment.read_bytes() + b"half a frame")
    (folder / NAME).write_bytes(early)
    made = backup(home, tmp_path / "backups", None, False)
    assert made.tapes == {ACCOUNT: 8} and durable_seq(folder) == 4
    with TapeWriter(made.folder / "home" / "tapes" / "accounts" / ACCOUNT) as tape:
        assert tape.last_seq == 8


def test_a_copy_that_came_out_wrong_does_not_blame_the_home(traded, call, monkeypatch):
    """The disk of the backups fails: the home is whole, and the sentence says which is not."""
    from api.backup import _Copier

    real = _Copier._copy_bytes

    def rotten(self, source, target, size):
        found = real(self, source, target, size)
        if target.suffix == ".segment":
            damage(target, target.stat().st_size // 2)
        return found

    monkeypatch.setattr(_Copier, "_copy_bytes", rotten)
    said = call(traded, "backup", "backups")
    assert said.code == 65 and f"{account_of(traded)} is whole, its copy is not" in said.err
    assert newest(backups_of(traded)) is None and call(traded, "verify").code == 0


@pytest.mark.sim
def test_it_waits_for_a_seal(traded, good):
    lock = take_lock(account_of(traded) / SEALER_LOCK)
    threading.Timer(0.5, os.close, [lock]).start()
    assert good(traded, "backup", "backups")["tapes"][ACCOUNT] == durable_seq(account_of(traded))


# Restoring over a home --------------------------------------------------------------------------------------------------


def test_over_a_home_that_is_damaged(traded, call, good):
    """That is what a backup is for."""
    good(traded, "backup", "backups")
    (account_of(traded) / NAME).write_bytes(b"")
    assert call(traded, "verify").code == 65
    good(traded, "restore", "backups", "--force")
    assert good(traded, "verify")["verified"] == 3


class Renames:
    """`os.rename` that fails at the given calls."""

    def __init__(self, *failing: int) -> None:
        self.failing, self.calls, self.real = failing, 0, os.rename

    def __call__(self, old, new) -> None:
        self.calls += 1
        if self.calls in self.failing:
            raise OSError(5, "Input/output error")
        self.real(old, new)


def test_a_home_is_put_back_when_the_new_one_cannot_take_its_place(traded, call, good, monkeypatch):
    good(traded, "backup", "backups")
    before = files_of(traded)
    monkeypatch.setattr(module.os, "rename", Renames(2))
    said = call(traded, "restore", "backups", "--force")
    assert said.code == 74 and "what was there is untouched" in said.err
    assert files_of(traded) == before and not list(traded.parent.glob("home.before-*"))


def test_where_a_home_went_that_could_not_be_put_back(traded, call, good, monkeypatch):
    good(traded, "backup", "backups")
    before = {Path(name).name for name in files_of(traded)}
    monkeypatch.setattr(module.os, "rename", Renames(2, 3))
    said = call(traded, "restore", "backups", "--force")
    [aside] = traded.parent.glob("home.before-*")
    assert said.code == 74 and f"what was there is in {aside} now" in said.err and "untouched" not in said.err
    assert {Path(name).name for name in files_of(aside)} == before


@pytest.mark.sim
def test_a_restored_home_whose_name_is_not_confirmed(traded, call, good, monkeypatch):
    good(traded, "backup", "backups")
    real = module.sync_folder

    def sync(path):
        if path == traded.parent:
            raise OSError(5, "Input/output error")
        real(path)

    monkeypatch.setattr(module, "sync_folder", sync)
    said = call(traded, "restore", "backups", "--force")
    [aside] = traded.parent.glob("home.before-*")
    assert said.code == 74 and "is restored" in said.err and str(aside) in said.err
    assert call(traded, "verify").code == 0
    shutil.rmtree(aside)
