"""Rows for tape tests: any kind, any value its family has room for, anything else zero."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from adapters.tape.families import columns_of
from kernel.codes import Kind
from kernel.schema import EVENT, FAMILY_OF, join_rows

KINDS = sorted(int(kind) for kind in Kind)
Notes = dict[int, str]


def make_rows(kinds: list[int], seed: int, first_seq: int = 1, gaps: list[int] | None = None) -> np.ndarray:
    """One row a kind, its family's columns filled from `seed`; seq counts from `first_seq` plus the gaps."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(len(kinds), EVENT)
    for row, kind in zip(rows, kinds, strict=True):
        for name in columns_of(FAMILY_OF[Kind(kind)]):
            width = row.dtype.fields[name][0].itemsize
            row[name] = np.frombuffer(rng.bytes(width), row.dtype.fields[name][0])[0]
        if "value" in columns_of(FAMILY_OF[Kind(kind)]) and not np.isfinite(row["value"]):
            row["value"] = 0.5
        row["kind"] = kind
    rows["seq"] = first_seq + np.arange(len(kinds)) + np.cumsum(gaps if gaps is not None else np.zeros(len(kinds), int))
    return rows


def some_rows(count: int, seed: int = 1, first_seq: int = 1) -> np.ndarray:
    kinds = np.random.default_rng(seed).choice(KINDS, count)
    return make_rows([int(kind) for kind in kinds], seed, first_seq)


@st.composite
def tapes(draw: st.DrawFn, most: int = 30) -> tuple[np.ndarray, Notes]:
    """(rows, notes) of a whole tape."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=most))
    gaps = draw(st.lists(st.integers(0, 3), min_size=len(kinds), max_size=len(kinds)))
    rows = make_rows(kinds, draw(st.integers(0, 2**32)), 1, gaps)
    noted = draw(st.lists(st.sampled_from(rows["seq"].tolist()), unique=True, max_size=4))
    return rows, {seq: draw(st.text(max_size=20)) for seq in noted}


def cut(rows: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    """`rows` in pieces that end at `cuts` (places, any order) and at the end."""
    places = [0, *sorted({c % len(rows) for c in cuts} - {0}), len(rows)]
    return [rows[a:b] for a, b in zip(places, places[1:], strict=False)]


def notes_in(notes: Notes, rows: np.ndarray) -> Notes:
    return {seq: text for seq, text in notes.items() if rows["seq"][0] <= seq <= rows["seq"][-1]}


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Byte equality."""
    return a.tobytes() == b.tobytes()


def gather(stream: Iterator[tuple[np.ndarray, Notes]]) -> tuple[np.ndarray, Notes]:
    parts, notes = [], {}
    for rows, texts in stream:
        assert len(rows)
        assert not texts.keys() & notes.keys()
        parts.append(rows.copy())
        notes.update(texts)
    return join_rows(parts), notes


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "writer.lock"}


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """A folder for one example of a property."""
    memory = (
        "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    )  # hundreds of examples; the other tests use the disk
    with tempfile.TemporaryDirectory(prefix="onetape-test-", dir=memory) as name:
        yield Path(name) / "tape"
