"""The event layout of every release, and how rows written under an older one are read today.

A tape is never rewritten: its rows keep their bytes, which its digests are over, and are made current when they are
read. `migrations/events/NNNN_*.json` is the layout of a release; where the next one only adds to it, nothing has to be
done, else `NNNN_*.py` of the older one says how: `upcast(rows)`, pure, from 128-byte records to 128-byte records.
"""

import json
import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np

from adapters.tape.frame import SCHEMA_ID
from kernel.errors import NotReplayable
from kernel.schema import BODY_OFFSET, BODY_SLOTS, EVENT, EVENT_BYTES, FAMILIES, HEADER, WORD

Slots = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """One release: the body slots of each family by name, whether it uses the float, and the kinds it holds."""

    number: int
    schema: int
    families: dict[str, Slots]
    floats: frozenset[str]
    kinds: dict[str, tuple[int, ...]]
    upcast: Callable[[np.ndarray], np.ndarray] | None = None

    def columns(self, family: str) -> tuple[str, ...]:
        """Column names of a family's table, header first."""
        names = [name for name, _, _ in HEADER] + list(self.families[family])
        return tuple(names + (["value"] if family in self.floats else []))

    def place(self, family: str, column: str) -> tuple[str, int]:
        """(width, byte) of a column in the record."""
        for name, width, offset in HEADER:
            if name == column:
                return width, offset
        if column == "value":
            return "f8", BODY_OFFSET + 8 * (BODY_SLOTS - 1)
        return WORD, BODY_OFFSET + 8 * self.families[family].index(column)

    def rows(self, family: str, batch: Any) -> np.ndarray:
        """A pyarrow batch of a family's table as records of this layout."""
        raw = np.zeros((batch.num_rows, EVENT_BYTES), np.uint8)
        for name in self.columns(family):
            width, offset = self.place(family, name)
            values = np.ascontiguousarray(batch.column(name).to_numpy(zero_copy_only=False), width)
            raw[:, offset : offset + values.itemsize] = values.view(np.uint8).reshape(len(values), -1)
        return raw.reshape(-1).view(EVENT)

    def is_added_to_by(self, later: "Layout") -> bool:
        """Whether rows of this layout mean the same under a later one."""
        return all(
            later.families.get(name, ())[: len(slots)] == slots and set(self.kinds[name]) <= set(later.kinds[name])
            for name, slots in self.families.items()
        )


def described() -> dict[str, Any]:
    """The layout of the code as it is, as plain JSON values."""
    families = [
        {"name": f.name, "kinds": [int(kind) for kind in f.kinds], "slots": list(f.slots), "value": f.value}
        for f in FAMILIES
    ]
    return {"schema": SCHEMA_ID, "families": json.loads(json.dumps(families))}


@lru_cache
def layouts() -> dict[int, Layout]:
    """Every release's layout by schema id, oldest first."""
    files = {entry.name: entry for entry in (resources.files("migrations") / "events").iterdir()}
    found = {}
    for name in sorted(name for name in files if name.endswith(".json")):
        layout = _read(files[name], files.get(name.removesuffix(".json") + ".py"))
        found[layout.schema] = layout
    return found


def _read(entry: Traversable, code: Traversable | None) -> Layout:
    body = json.loads(entry.read_text("utf-8"))
    families = {row["name"]: tuple(name for name, _ in row["slots"]) for row in body["families"]}
    floats = frozenset(row["name"] for row in body["families"] if row["value"])
    kinds = {row["name"]: tuple(row["kinds"]) for row in body["families"]}
    upcast = runpy.run_path(str(code))["upcast"] if code is not None else None
    return Layout(int(entry.name.split("_")[0]), int(body["schema"]), families, floats, kinds, upcast)


def layout_of(schema: int) -> Layout:
    """Raises NotReplayable when no release known here wrote it."""
    if schema not in layouts():
        raise NotReplayable(f"its events have a layout ({schema:08x}) that this version does not know: update Onetape")
    return layouts()[schema]


def upcast(rows: np.ndarray, schema: int, known: Sequence[Layout] | None = None) -> np.ndarray:
    """Rows as the newest layout has them. Raises NotReplayable for a schema that no release known here wrote."""
    if schema == SCHEMA_ID and known is None:
        return rows
    chain = list(layouts().values()) if known is None else list(known)
    start = next((place for place, layout in enumerate(chain) if layout.schema == schema), None)
    if start is None:
        layout_of(schema)
    assert start is not None
    for layout, later in zip(chain[start:], chain[start + 1 :], strict=False):
        if layout.upcast is not None:
            rows = layout.upcast(rows)
        elif not layout.is_added_to_by(later):
            raise NotReplayable(f"events of release {layout.number} have no upcaster to release {later.number}")
    return rows


if __name__ == "__main__":
    print(json.dumps(described(), indent=1))
