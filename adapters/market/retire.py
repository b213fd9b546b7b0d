"""Retention of ticks on market tapes: their files go, and the manifest keeps what they were: counts, hashes, digests.

The content digest stays what it was and can still be proven of what is left; a run that needs the ticks can not be
replayed. The manifest is written before the files go, so a crash in between leaves files too many, which count for
nothing and go the next time.
"""

from pathlib import Path
from typing import Any

from adapters.files import import_lock, sync_folder, write_whole
from adapters.market.reader import tick_batches
from adapters.market.tape import (
    MANIFEST,
    TICK_COLUMNS,
    TICK_FILES,
    ContentDigest,
    Manifest,
    canonical_manifest,
    open_tape,
)
from adapters.market.verify import verify_tape


def retire_ticks(path: Path, now: str) -> int:
    """Take all ticks off the market tape in `path`; `now` is written into its manifest. Returns the bytes that came
    free. Raises TapeCorrupt where the tape is damaged: then nothing is taken off."""
    with import_lock(path.parents[2]):
        _remove_retired(open_tape(path))
        manifest = verify_tape(path)
        names = {name: kind for kind, name in TICK_FILES.items() if name in manifest.files}
        retired: dict[str, dict[str, Any]] = dict(manifest.retired)
        for name, kind in names.items():
            rows, columns = getattr(manifest, kind), _columns(path, kind)
            retired[name] = {**manifest.files[name], "rows": rows, "columns": columns, "retired_at": now}
        body = {**vars(manifest), "retired": retired}
        body["files"] = {name: about for name, about in manifest.files.items() if name not in names}
        write_whole(path / MANIFEST, canonical_manifest(Manifest(**body)))
        sync_folder(path)
        _remove_retired(open_tape(path))
    return sum(int(manifest.files[name]["bytes"]) for name in names)


def _columns(path: Path, kind: str) -> dict[str, list[Any]]:
    digest = ContentDigest(())
    for batch in tick_batches(path, kind):
        digest.add(kind, TICK_COLUMNS[kind], batch)
    return digest.columns()


def _remove_retired(manifest: Manifest) -> None:
    for name in manifest.retired:
        (manifest.path / name).unlink(missing_ok=True)
    sync_folder(manifest.path)
