"""A sealed tape: one Parquet file a family, notes, and a manifest that covers every file by hash.

A backtest is written sealed from the start, since a crash leaves nothing anybody would want; what grows live is framed
and sealed later, and read back before the frames go. `verify` recomputes both digests of either from the files.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adapters.disk import DISK, Disk
from adapters.files import canonical_json, sha256_file
from adapters.tape.digest import DecisionDigest, TapeDigest, notes_within
from adapters.tape.families import CODES, arrow_schema, columns_of, split_rows, to_table
from adapters.tape.frame import SCHEMA_ID
from adapters.tape.layouts import Layout, layout_of
from kernel.errors import TapeCorrupt
from kernel.schema import Family, join_rows, take_rows

FORMAT = 1
MANIFEST = "manifest.json"
HALF = MANIFEST + ".tmp"  # of a process that was killed while it wrote one
NOTES = "notes.parquet"
ROW_GROUP = 65_536
BATCH = 32_768


def file_of(family: Family) -> str:
    return f"{family.name}.parquet"


class _FamilyFile:
    """Rows of one family on their way into its Parquet file, a row group at a time."""

    def __init__(self, folder: Path, family: Family) -> None:
        import pyarrow.parquet as pq

        self.family, self._rows = family, 0
        self._waiting: list[np.ndarray] = []
        wide = [name for name in columns_of(family) if name not in CODES]
        self._writer = pq.ParquetWriter(
            folder / file_of(family),
            arrow_schema(family),
            compression="lz4",
            use_dictionary=[name for name in columns_of(family) if name in CODES],
            column_encoding=dict.fromkeys(wide, "BYTE_STREAM_SPLIT"),
            write_statistics=["seq", "ts_init", "kind", "instrument"],
            store_schema=False,
        )

    def add(self, rows: np.ndarray) -> None:
        self._waiting.append(rows)
        self._rows += len(rows)
        if self._rows >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._writer.write_table(to_table(self.family, join_rows(self._waiting)))
            self._waiting, self._rows = [], 0

    def close(self) -> None:
        """Write what waits; closing twice does nothing more."""
        self.flush()
        self._writer.close()


class SealedWriter:
    """Write a sealed tape row by row. Memory does not grow with the run.

    `with SealedWriter(folder) as tape: tape.add(rows, notes) ...; tape.finish(about)`. Without `finish` the folder has
    no manifest and is no tape. `before` is the digest of the tape whose next rows these are.
    """

    def __init__(self, folder: Path, before: TapeDigest | None = None, disk: Disk = DISK) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        disk.make_folder(folder)
        self.folder, self.rows, self.last_seq, self._disk = folder, 0, 0, disk
        self.tape_digest, self.decision_digest = before or TapeDigest(), DecisionDigest()
        self._files: dict[str, _FamilyFile] = {}
        self._notes: dict[int, str] = {}
        self._refs: list[dict[str, Any]] = []

    def __enter__(self) -> "SealedWriter":
        return self

    def __exit__(self, *trouble: object) -> None:
        for file in self._files.values():
            file.close()

    def add(self, rows: np.ndarray, notes: dict[int, str]) -> None:
        """Rows in seq order, after all before, and the notes of their seqs. The rows must not change afterwards."""
        if len(rows) == 0:
            return
        assert int(rows["seq"][0]) > self.last_seq, "rows must follow the tape in seq order"
        self.tape_digest.add(rows, notes)
        self.decision_digest.add(rows)
        self._notes.update(notes)
        for family, part in split_rows(rows):
            if family.name not in self._files:
                self._files[family.name] = _FamilyFile(self.folder, family)
            self._files[family.name].add(part)
        self.rows += len(rows)
        self.last_seq = int(rows["seq"][-1])

    def add_ref(self, body: bytes) -> None:
        """A reference to inputs on other tapes, canonical JSON."""
        self.tape_digest.add_ref(body)
        self._refs.append({"after_row": self.rows, "ref": json.loads(body)})

    def finish(self, about: dict[str, Any]) -> dict[str, Any]:
        """Close the files, make all durable and write the manifest, which says `about` besides; returns it."""
        for file in self._files.values():
            file.close()
        _write_notes(self.folder, self._notes)
        names = [file_of(file.family) for file in self._files.values()] + [NOTES]
        for name in names:
            self._disk.sync_file(self.folder / name)
        manifest = {
            "format": FORMAT,
            "schema": SCHEMA_ID,
            "rows": self.rows,
            "last_seq": self.last_seq,
            "refs": self._refs,
            "tape_digest": self.tape_digest.hex(),
            "decision_digest": self.decision_digest.hex(),
            "files": {name: _fingerprint(self.folder / name) for name in sorted(names)},
            **about,
        }
        write_manifest(self.folder, manifest, self._disk)
        return manifest


def _manifest_bytes(manifest: dict[str, Any]) -> bytes:
    """The bytes of manifest.json, which vouches for itself: figures of a run are as safe as its rows."""
    stated = hashlib.sha256(canonical_json(manifest)).hexdigest()
    text = json.dumps({**manifest, "manifest_digest": stated}, indent=1, sort_keys=True, ensure_ascii=False)
    return text.encode() + b"\n"


def write_manifest(folder: Path, manifest: dict[str, Any], disk: Disk = DISK) -> None:
    """Write manifest.json, or replace it in one step."""
    disk.write_whole(folder / MANIFEST, _manifest_bytes(manifest))


def retired_rows(manifest: dict[str, Any]) -> int:
    """How many of the rows were retired: their files are gone, and the manifest says what they were."""
    return sum(int(tombstone["rows"]) for tombstone in manifest.get("retired", {}).values())


def count_rows(folder: Path, manifest: dict[str, Any]) -> int:
    """Rows in the files of a sealed tape, by what the files say of themselves."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(folder / name).num_rows for name in manifest["files"] if name != NOTES)


def _write_notes(folder: Path, notes: dict[int, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("seq", pa.int64()), ("note", pa.string())])
    table = pa.table({"seq": sorted(notes), "note": [notes[seq] for seq in sorted(notes)]}, schema)
    pq.write_table(table, folder / NOTES, compression="zstd")


def _fingerprint(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def check_rows(folder: Path, manifest: dict[str, Any], before: TapeDigest | None = None) -> DecisionDigest:
    """Recompute the tape digest of sealed rows that follow `before`. Raises TapeCorrupt when the manifest differs.

    Where rows were retired the digest cannot be recomputed: what is left is counted, and `check_files` vouches for it.
    """
    tape, decisions = (before or TapeDigest()).copy(), DecisionDigest()
    seen, gone = hash_rows(folder, manifest, tape, seen=decisions.add), retired_rows(manifest)
    if (tape.hex() != manifest["tape_digest"] and not gone) or seen + gone != manifest["rows"]:
        raise TapeCorrupt(f"{folder}: the sealed rows have tape digest {tape.hex()}, not {manifest['tape_digest']}")
    return decisions


def hash_rows(
    folder: Path,
    manifest: dict[str, Any],
    tape: TapeDigest,
    from_seq: int = 0,
    seen: Callable[[np.ndarray], None] = lambda rows: None,
) -> int:
    """Add the rows with seq >= from_seq, their notes and the references among them to `tape`; returns how many rows."""
    refs = [(int(ref["after_row"]), canonical_json(ref["ref"])) for ref in manifest["refs"]]
    done = added = last = 0
    for rows, notes in read_sealed(folder):  # from the first row on, since references are placed by count
        first = start = int(np.searchsorted(rows["seq"], from_seq))
        while refs and refs[0][0] <= done + len(rows):
            after, body = refs.pop(0)
            cut = after - done
            if (int(rows["seq"][cut - 1]) if cut else last) >= from_seq:
                tape.add(rows[start:cut], notes_within(rows[start:cut], notes))
                tape.add_ref(body)
                start = cut
        tape.add(rows[start:], notes_within(rows[start:], notes))
        seen(rows[first:])
        done, added, last = done + len(rows), added + len(rows) - first, int(rows["seq"][-1])
    for _, body in refs if done == 0 else ():
        tape.add_ref(body)
    return added


def read_sealed(folder: Path, from_seq: int = 0) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
    """(rows, notes) in seq order from `from_seq` on, in batches; memory stays flat. Rows are as they were written:
    those of an older release have its layout."""
    import pyarrow as pa

    try:
        notes, streams = _open_streams(folder, from_seq)
        for rows in _merge(streams):
            part = rows[np.searchsorted(rows["seq"], from_seq) :]
            if len(part):
                yield part, notes_within(part, notes)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise TapeCorrupt(f"{folder} cannot be read ({error}): run `onetape verify`") from error


def _open_streams(folder: Path, from_seq: int) -> tuple[dict[int, str], list[Iterator[np.ndarray]]]:
    """The notes, and the rows of each family. All files are open then: what is retired meanwhile is read to its end."""
    while True:
        manifest = read_manifest(folder)
        layout = layout_of(int(manifest["schema"]))
        families = [family for family in layout.families if f"{family}.parquet" in manifest["files"]]
        try:
            opened = [_open(folder / f"{family}.parquet") for family in families]
        except FileNotFoundError:
            if read_manifest(folder) == manifest:
                raise
            continue  # retired meanwhile: its tombstone is in the manifest now
        streams = [_family_rows(file, layout, family, from_seq) for file, family in zip(opened, families, strict=True)]
        return read_all_notes(folder), streams


def read_all_notes(folder: Path) -> dict[int, str]:
    """The notes of a sealed tape by seq."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / NOTES)
    return dict(zip(table.column("seq").to_pylist(), table.column("note").to_pylist(), strict=True))


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=1 << 20)


def _family_rows(file: Any, layout: Layout, family: str, from_seq: int) -> Iterator[np.ndarray]:
    with file:
        for batch in file.iter_batches(BATCH, columns=list(layout.columns(family)), use_threads=False):
            rows = layout.rows(family, batch)
            if len(rows) and rows["seq"][-1] >= from_seq:
                yield rows


def _merge(streams: list[Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
    """Merge streams of rows sorted by seq: all up to the earliest end of the batches in hand, again and again."""
    pairs = [(stream, next(stream, None)) for stream in streams]
    alive = [stream for stream, rows in pairs if rows is not None]
    hands = [rows for _, rows in pairs if rows is not None]
    while hands:
        horizon = min(int(rows["seq"][-1]) for rows in hands)
        parts = []
        for k, rows in enumerate(hands):
            cut = int(np.searchsorted(rows["seq"], horizon, "right"))
            parts.append(rows[:cut])
            hands[k] = rows[cut:]
        parts = [part for part in parts if len(part)]
        merged = join_rows(parts)
        yield merged if len(parts) == 1 else take_rows(merged, np.argsort(merged["seq"], kind="stable"))
        for k in range(len(hands) - 1, -1, -1):
            if len(hands[k]) == 0:
                more = next(alive[k], None)
                if more is None:
                    del hands[k], alive[k]
                else:
                    hands[k] = more


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a sealed tape. Raises TapeCorrupt when there is none that can be read."""
    try:
        raw = (folder / MANIFEST).read_bytes()
        manifest = dict(json.loads(raw))
        if manifest["format"] != FORMAT:
            raise TapeCorrupt(f"{folder} has format {manifest['format']}, this version reads {FORMAT}: update Onetape")
        del manifest["manifest_digest"]
        if _manifest_bytes(manifest) != raw:
            raise TapeCorrupt(f"{folder / MANIFEST} was altered after it was written: restore it from a copy")
        return manifest
    except FileNotFoundError:
        raise TapeCorrupt(f"{folder} has no {MANIFEST}: the run did not finish; run it again") from None
    except (ValueError, KeyError, TypeError) as error:
        raise TapeCorrupt(f"{folder / MANIFEST} cannot be read ({error}): restore it from a copy") from error


def check_files(folder: Path, manifest: dict[str, Any]) -> None:
    """Compare every file of a sealed tape with its manifest; raises TapeCorrupt naming the first that differs."""
    listed, retired = manifest["files"], manifest.get("retired", {})
    leftovers = {name: retired[name] for name in retired if (folder / name).exists()}  # of a `retire` that was killed
    for name, wanted in [*listed.items(), *leftovers.items()]:
        if not (folder / name).is_file():
            raise TapeCorrupt(f"{folder / name} is missing")
        found = _fingerprint(folder / name)
        if found != {key: wanted[key] for key in found}:
            raise TapeCorrupt(
                f"{folder / name} is not what was sealed: sha256 {found['sha256']}, {found['bytes']} bytes"
            )
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in {*listed, *retired, MANIFEST, HALF}:
            raise TapeCorrupt(f"{path} is not covered by the manifest: nothing else belongs in a sealed tape")
