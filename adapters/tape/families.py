"""Rows as named columns and back: one table a family of kinds, with only the columns its kinds use.

`FAMILIES` of the kernel is the source; nothing here names a field of its own.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from kernel.schema import EVENT, FAMILIES, HEADER, Family, take_rows

_FAMILY_NUMBER = np.full(256, -1, np.int8)
for _number, _family in enumerate(FAMILIES):
    for _kind in _family.kinds:
        _FAMILY_NUMBER[int(_kind)] = _number
CODES = (
    "instrument",
    "strategy",
    "flags",
    "kind",
    "origin",
    "side",
    "order_type",
    "tif",
    "status",
    "reason",
    "product",
)


def columns_of(family: Family) -> tuple[str, ...]:
    """Column names of a family's table, header first."""
    names = [name for name, _, _ in HEADER] + [name for name, _ in family.slots]
    return tuple(names + (["value"] if family.value else []))


@lru_cache
def arrow_schema(family: Family) -> Any:
    """The pyarrow schema of a family's table: integers as on tape, `value` a double."""
    import pyarrow as pa

    kinds: dict[np.dtype, Any] = {np.dtype(w): getattr(pa, np.dtype(w).name)() for w in ("i1", "u1", "u2", "i4", "i8")}
    kinds[np.dtype("f8")] = pa.float64()
    return pa.schema([(name, kinds[EVENT.fields[name][0]]) for name in columns_of(family)])  # type: ignore[index]


def split_rows(rows: np.ndarray) -> list[tuple[Family, np.ndarray]]:
    """The rows of each family that has any, in order."""
    numbers = _FAMILY_NUMBER[rows["kind"]]
    found = np.flatnonzero(np.bincount(numbers))
    if len(found) == 1:
        return [(FAMILIES[found[0]], rows)]
    return [(FAMILIES[n], take_rows(rows, np.flatnonzero(numbers == n))) for n in found]


def to_table(family: Family, rows: np.ndarray) -> Any:
    """Rows of one family as a pyarrow Table."""
    import pyarrow as pa

    arrays = [pa.array(np.ascontiguousarray(rows[name])) for name in columns_of(family)]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(family))
