"""A sealed tape: one Parquet file a family, notes, and a manifest that covers every file by hash.

A backtest is written sealed from the start, since a crash leaves nothing anybody would want; what grows live is framed
and sealed later, and read back before the frames go. `verify` recomputes both digests of either from the files.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from adapters.files import canonical_json, sha256_file, sync_file, sync_folder, write_whole
from adapters.tape.digest import DecisionDigest, TapeDigest, notes_within
from adapters.tape.families import CODES, arrow_schema, columns_of, from_batch, split_rows, to_table
from adapters.tape.frame import EVENTS, REF, unpack_events
from adapters.tape.scan import Scan, segments
from kernel.errors import TapeCorrupt
from kernel.schema import FAMILIES, Family, join_rows, take_rows

FORMAT = 1
MANIFEST = "manifest.json"
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
    no manifest and is no tape.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rows, self.last_seq = folder, 0, 0
        self.tape_digest, self.decision_digest = TapeDigest(), DecisionDigest()
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
            sync_file(self.folder / name)
        manifest = {
            "format": FORMAT,
            "rows": self.rows,
            "last_seq": self.last_seq,
            "refs": self._refs,
            "tape_digest": self.tape_digest.hex(),
            "decision_digest": self.decision_digest.hex(),
            "files": {name: _fingerprint(self.folder / name) for name in sorted(names)},
            **about,
        }
        write_whole(self.folder / MANIFEST, _manifest_bytes(manifest))
        return manifest


def seal(folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Turn the frames of `folder` into a sealed tape and drop them. Returns the manifest. Raises TapeCorrupt."""
    scan = Scan(folder)
    with SealedWriter(folder) as tape:
        for place in scan:
            if place.header.kind == REF:
                tape.add_ref(place.body)
            elif place.header.kind == EVENTS:
                tape.add(*unpack_events(place.body))
        if scan.end.last is None or scan.end.torn or scan.end.last.tape_digest != tape.tape_digest.digest():
            raise TapeCorrupt(f"{folder}: the frames are not whole, so they stay as they are")
        manifest = tape.finish(about)
        check_rows(folder, manifest)  # before the frames go
    for path in [*segments(folder), folder / "writer.lock"]:
        path.unlink(missing_ok=True)
    sync_folder(folder)
    return manifest


def _manifest_bytes(manifest: dict[str, Any]) -> bytes:
    """The bytes of manifest.json, which vouches for itself: figures of a run are as safe as its rows."""
    stated = hashlib.sha256(canonical_json(manifest)).hexdigest()
    text = json.dumps({**manifest, "manifest_digest": stated}, indent=1, sort_keys=True, ensure_ascii=False)
    return text.encode() + b"\n"


def _write_notes(folder: Path, notes: dict[int, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("seq", pa.int64()), ("note", pa.string())])
    table = pa.table({"seq": sorted(notes), "note": [notes[seq] for seq in sorted(notes)]}, schema)
    pq.write_table(table, folder / NOTES, compression="zstd")


def _fingerprint(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def check_rows(folder: Path, manifest: dict[str, Any]) -> DecisionDigest:
    """Recompute the tape digest of sealed rows; raises TapeCorrupt when it is not the manifest's."""
    tape, decisions = TapeDigest(), DecisionDigest()
    seen = 0
    refs = [(int(ref["after_row"]), canonical_json(ref["ref"])) for ref in manifest["refs"]]
    for rows, notes in read_sealed(folder):
        start = 0
        while refs and refs[0][0] <= seen + len(rows):
            cut = refs[0][0] - seen
            tape.add(rows[start:cut], notes_within(rows[start:cut], notes))
            tape.add_ref(refs.pop(0)[1])
            start = cut
        tape.add(rows[start:], notes_within(rows[start:], notes))
        decisions.add(rows)
        seen += len(rows)
    for _, body in refs:
        tape.add_ref(body)
    if tape.hex() != manifest["tape_digest"] or seen != manifest["rows"]:
        raise TapeCorrupt(f"{folder}: the sealed rows have tape digest {tape.hex()}, not {manifest['tape_digest']}")
    return decisions


def read_sealed(folder: Path, from_seq: int = 0) -> Iterator[tuple[np.ndarray, dict[int, str]]]:
    """(rows, notes) in seq order from `from_seq` on, in batches; memory stays flat."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(folder / NOTES)
        notes = dict(zip(table.column("seq").to_pylist(), table.column("note").to_pylist(), strict=True))
        streams = [
            _family_rows(folder / file_of(family), family, from_seq)
            for family in FAMILIES
            if (folder / file_of(family)).exists()
        ]
        for rows in _merge(streams):
            part = rows[np.searchsorted(rows["seq"], from_seq) :]
            if len(part):
                yield part, notes_within(part, notes)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise TapeCorrupt(f"{folder} cannot be read ({error}): run `onetape verify`") from error


def _family_rows(path: Path, family: Family, from_seq: int) -> Iterator[np.ndarray]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=1 << 20) as file:
        for batch in file.iter_batches(BATCH, columns=list(columns_of(family)), use_threads=False):
            rows = from_batch(family, batch)
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
    listed = manifest["files"]
    for name, wanted in listed.items():
        if not (folder / name).is_file():
            raise TapeCorrupt(f"{folder / name} is missing")
        found = _fingerprint(folder / name)
        if found != wanted:
            raise TapeCorrupt(
                f"{folder / name} is not what was sealed: sha256 {found['sha256']}, {found['bytes']} bytes"
            )
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in {*listed, MANIFEST}:
            raise TapeCorrupt(f"{path} is not covered by the manifest: nothing else belongs in a sealed tape")
