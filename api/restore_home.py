"""`onetape restore`: a home made of a backup, whole or not at all; what was there before is moved aside."""

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters.files import make_folder, sync_file, sync_folder
from adapters.tape.check import is_being_written
from api.backup_manifest import ABOUT, Seen, check_backup, newest
from api.verify import verify_home
from kernel.errors import ConfigError, NotFound, TapeCorrupt, TapeLocked, TapePoisoned


@dataclass(frozen=True)
class Restored:
    """Where a home is now. `aside`: where the one before went, if there was one; `tapes`: how many were verified."""

    source: Path
    home: Path
    files: int
    tapes: int
    aside: Path | None
    config: Path | None


def restore_home(source: Path, home: Path, force: bool, seen: Seen = lambda count: None) -> Restored:
    """Check every hash, copy, verify, and only then give the home its name.

    Raises NotFound, ConfigError where there is a home already, TapeCorrupt, TapeLocked, TapePoisoned.
    """
    folder = source if (source / ABOUT).is_file() else newest(source)
    if folder is None:
        raise NotFound(f"{source} holds no backup: name what `onetape backup` wrote to, or one folder in it")
    folder, home = folder.resolve(), home.absolute()
    if home == folder or home in folder.parents or folder in home.parents:
        raise ConfigError(f"{home} and the backup {folder} lie in one another: restore elsewhere with --into")
    occupied = home.exists() and (not home.is_dir() or any(home.iterdir()))
    if occupied and not force:
        raise ConfigError(f"{home} is not empty: --force moves it aside, or restore elsewhere with --into")
    for tape in (home / "tapes" / "accounts").glob("*") if occupied else ():  # damaged ones as well
        if is_being_written(tape):
            raise TapeLocked(f"{tape} is being written by another process: stop that one first")
    names = [name for name in check_backup(folder, seen) if name.startswith("home/")]
    part = home.with_name(f".{home.name}.restoring")
    try:
        shutil.rmtree(part, ignore_errors=True)
        make_folder(part)
        for name in names:
            _copy(folder / name, part / name.removeprefix("home/"), seen)
        tapes, damaged = verify_home(part, lambda line: None)
        if damaged:
            raise TapeCorrupt(f"nothing was restored: {damaged[0].replace(str(part), str(folder / 'home'))}")
        for path in sorted({path.parent for path in part.rglob("*")}, reverse=True):
            sync_folder(path)
        aside = _take_place(part, home, occupied)
    except OSError as error:
        raise TapePoisoned(f"{home}: the restore stopped ({error}); what was there is untouched") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    config = folder / "config" / "onetape.toml"
    return Restored(folder, home, len(names), tapes, aside, config if config.is_file() else None)


def _copy(source: Path, target: Path, seen: Seen) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.parent.name == "secrets":
        target.parent.chmod(0o700)
    shutil.copyfile(source, target)
    target.chmod(0o600 if "secrets" in target.parts else 0o644)
    sync_file(target)
    seen(target.stat().st_size)


def _take_place(part: Path, home: Path, occupied: bool) -> Path | None:
    """Give the new home its name; returns where the one before went. That one is put back when this fails."""
    aside = _move_aside(home) if occupied else None
    try:
        if home.exists():
            home.rmdir()
        os.rename(part, home)
    except OSError as error:
        if aside is not None:
            _move_back(aside, home, error)
        raise
    try:
        sync_folder(home.parent)
    except OSError as error:
        before = f"; what was there before is in {aside}" if aside else ""
        raise TapePoisoned(f"{home} is restored, but the disk did not confirm its name ({error}){before}") from error
    return aside


def _move_back(aside: Path, home: Path, error: OSError) -> None:
    try:
        os.rename(aside, home)
    except OSError:
        raise TapePoisoned(
            f"{home}: the restore stopped ({error}); what was there is in {aside} now: give it its name back, or "
            "restore again"
        ) from error


def _move_aside(home: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = home.with_name(f"{home.name}.before-{stamp}")
    os.rename(home, aside)
    return aside
