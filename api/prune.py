"""`onetape prune`: derived files that are not needed any more, and old backtests when asked. Never a tape of an account
or market."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.tape.reader import is_sealed, list_run_folders
from adapters.tape.sealed import MANIFEST
from adapters.tape.snapshots import KEEP as SNAPSHOTS
from adapters.tape.snapshots import SUFFIX
from api.retention import pins
from api.run_lock import run_lock, still_runs
from kernel.codehash import cache_folder, cache_root
from kernel.errors import ConfigError

REPORTS = 10
DAY_SECONDS = 86_400
UNFINISHED_SECONDS = 3_600  # a run without a manifest that is younger may be of a version that took no lock


@dataclass(frozen=True)
class Item:
    """A file or folder that may go, and why. `age_seconds` since it was last written."""

    sort: str
    path: Path
    bytes: int
    age_seconds: float


def prunable(home: Path, keep: int | None, older_than: int | None, runs: bool) -> list[Item]:
    """What would go, oldest first. Raises ConfigError when the request is none."""
    if (keep is not None and keep < 0) or (older_than is not None and older_than < 0):
        raise ConfigError("--keep and --older-than are 0 or more")
    if runs and keep is None and older_than is None:
        raise ConfigError("--runs removes backtests for good: say which with --keep N or --older-than DAYS")
    views = home / "views"
    found = _all_but_newest("report", (views / "reports").glob("*.html"), REPORTS if keep is None else keep)
    for folder in sorted((views / "snapshots").glob("*")):
        found += _all_but_newest("snapshot", folder.glob(f"*{SUFFIX}"), SNAPSHOTS)
    here = cache_folder()
    old = [path for path in (cache_root() / "jit").glob("*") if path.is_dir() and path != here]
    found += _all_but_newest("compiled code", old, 0 if keep is None else keep)
    found += _old_runs(home, keep or 0) if runs else []
    wanted = [item for item in found if item.age_seconds >= _least_age(item.sort, older_than)]
    return sorted(wanted, key=lambda item: (item.sort, -item.age_seconds))


def _least_age(sort: str, older_than: int | None) -> float:
    """Code that was compiled today may be what another process runs."""
    if older_than is None:
        return DAY_SECONDS if sort == "compiled code" else 0.0
    return older_than * DAY_SECONDS


def _all_but_newest(sort: str, paths: Iterator[Path] | list[Path], keep: int) -> list[Item]:
    """All but the first `keep`; snapshots go by their seq, which is in the name, all else by time."""
    items = [_item(sort, path) for path in paths]
    if sort == "snapshot":
        return sorted(items, key=lambda item: item.path.name, reverse=True)[keep:]
    return sorted(items, key=lambda item: item.age_seconds)[keep:]


def _item(sort: str, path: Path) -> Item:
    size = sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
    return Item(sort, path, size, time.time() - path.stat().st_mtime)


def _old_runs(home: Path, keep: int) -> list[Item]:
    """Backtests but the newest, those that others read from, and those that may still run."""
    whole = [folder for folder in list_run_folders(home) if is_sealed(folder)]
    items = [_item("run", folder) for folder in whole[: len(whole) - keep] if not pins(home, folder.name)]
    unfinished = [_item("unfinished run", f) for f in list_run_folders(home) if not is_sealed(f) and not still_runs(f)]
    return items + [item for item in unfinished if item.age_seconds > UNFINISHED_SECONDS]


def remove(home: Path, item: Item) -> None:
    """Remove one item. A run loses its manifest first: cut short, that leaves an unfinished run, not a damaged one."""
    allowed = (home / "views", home / "runs", cache_root() / "jit")
    assert any(folder in item.path.parents for folder in allowed), f"{item.path} is not to be pruned"
    if item.path.is_dir():
        (item.path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(item.path)
        run_lock(item.path).unlink(missing_ok=True)
    else:
        item.path.unlink()
