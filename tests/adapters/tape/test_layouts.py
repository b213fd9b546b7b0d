"""Layouts of releases: the newest is the code's, and rows of an older one are read as if written today."""

import json
from pathlib import Path

import numpy as np
import pytest

from adapters.tape.families import columns_of, to_table
from adapters.tape.frame import SCHEMA_ID
from adapters.tape.layouts import Layout, described, layout_of, layouts, upcast
from kernel.errors import NotReplayable
from kernel.schema import EVENT, FAMILIES
from tests.adapters.tape.rows import KINDS, make_rows, same, some_rows

RELEASES = Path(__file__).parents[3] / "migrations" / "events"


def test_the_newest_release_is_the_code():
    """A change of the layout is a new release: `python -m adapters.tape.layouts > migrations/events/NNNN_what.json`."""
    newest = sorted(RELEASES.glob("*.json"))[-1]
    assert json.loads(newest.read_text()) == described(), f"{newest.name} is not what kernel/schema.py says"


def test_releases_follow_each_other():
    known = list(layouts().values())
    assert [layout.number for layout in known] == list(range(1, len(known) + 1))
    assert known[-1].schema == SCHEMA_ID
    for older, newer in zip(known, known[1:], strict=False):
        assert older.upcast is not None or older.is_added_to_by(newer), f"release {older.number} has no upcaster"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_layout_reads_its_tables(family):
    rows = make_rows([int(kind) for kind in family.kinds] * 3, 4)
    layout = layout_of(SCHEMA_ID)
    assert layout.columns(family.name) == columns_of(family)
    [batch] = to_table(family, rows).to_batches()
    assert same(layout.rows(family.name, batch), rows)


def one(number: int, slots: tuple[str, ...], kinds=(64,), code=None) -> Layout:
    return Layout(number, number, {"order": slots}, frozenset(), {"order": kinds}, code)


def test_what_only_adds_needs_no_upcaster():
    rows = some_rows(5)
    chain = [one(1, ("order_id", "qty")), one(2, ("order_id", "qty", "px"), (64, 65))]
    assert upcast(rows, 1, chain) is rows and upcast(rows, 2, chain) is rows


def test_an_upcaster_moves_what_moved():
    """Release 2 put px before qty: its rows come out with the quantity where release 3 has it."""

    def swap(rows):
        made = rows.copy()
        made["order_id"], made["ref"] = rows["ref"], rows["order_id"]
        return made

    rows = np.zeros(3, EVENT)
    rows["order_id"], rows["ref"], rows["kind"] = 7, 9, 64
    chain = [one(1, ("px", "qty")), one(2, ("px", "qty", "fee"), code=swap), one(3, ("qty", "px", "fee"))]
    for schema in (1, 2):
        made = upcast(rows, schema, chain)
        assert made["order_id"].tolist() == [9] * 3 and made["ref"].tolist() == [7] * 3
    assert upcast(rows, 3, chain) is rows
    assert rows["order_id"].tolist() == [7] * 3, "what is on the tape stays as it is"


def test_what_cannot_be_read_says_so():
    with pytest.raises(NotReplayable, match="no upcaster to release 2"):
        upcast(some_rows(1), 1, [one(1, ("px",)), one(2, ("qty",))])
    with pytest.raises(NotReplayable, match="update Onetape"):
        upcast(make_rows(KINDS[:1], 1), 12345)
