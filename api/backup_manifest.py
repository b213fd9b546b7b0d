"""What a backup says of itself, and whether that is still so."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from adapters.files import canonical_json, sha256_file
from kernel.errors import TapeCorrupt

FORMAT = 1
ABOUT = "backup.json"
Seen = Callable[[int], None]  # hears of bytes done


def newest(dest: Path) -> Path | None:
    """The newest whole backup in a folder of backups."""
    found = sorted(path for path in dest.glob("[0-9]*Z") if (path / ABOUT).is_file())
    return found[-1] if found else None


def read_about(folder: Path) -> dict[str, Any]:
    """What a backup says it holds. Raises TapeCorrupt."""
    try:
        about = dict(json.loads((folder / ABOUT).read_bytes()))
        stated = about.pop("digest")
        if about["format"] != FORMAT or hashlib.sha256(canonical_json(about)).hexdigest() != stated:
            raise ValueError("it was altered, or is of another version")
        return about
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TapeCorrupt(f"{folder / ABOUT} cannot be read ({error}): take another backup") from error


def check_backup(folder: Path, seen: Seen = lambda count: None) -> Iterator[str]:
    """Compare every file of a backup with its hash; yields the names. Raises TapeCorrupt naming the first damaged."""
    about = read_about(folder)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {ABOUT}
    if strange := sorted(there - about["files"].keys()):
        raise TapeCorrupt(f"{folder / strange[0]} was not written by the backup: remove it, or take another backup")
    for name, stated in about["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != stated["bytes"] or sha256_file(path) != stated["sha256"]:
            raise TapeCorrupt(f"{path} is not what was backed up: take another backup")
        seen(stated["bytes"])
        yield name
