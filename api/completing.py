"""What the files of a tape tell that its rows do not, put into its read models: inputs by reference, last prices."""

from pathlib import Path
from typing import TYPE_CHECKING

from adapters.tape.reader import is_sealed, read_manifest, read_refs
from adapters.tape.retire import retired_inputs
from projections.marks import value_at

if TYPE_CHECKING:
    import duckdb

SORTS = ("bars", "quotes", "trades")
RETIRED = {"quote.parquet": "quotes", "trade.parquet": "trades"}  # files of a sealed part
MISSING = "SELECT last_seq - rows_folded FROM checkpoint WHERE tape = ?"
LEFT_OUT = "INSERT INTO left_out VALUES (?, ?, ?, ?)"


def complete(connection: "duckdb.DuckDBPyConnection", tape: str, folder: Path) -> None:
    """Once the rows of the tape in `folder` are folded in; again does no harm. Raises TapeCorrupt."""
    found = connection.execute(MISSING, [tape]).fetchall()  # all: an unfinished result bars the connection
    missing = found[0][0] if found else 0
    if missing == 0:
        return  # an account tape has everything: this is called whenever it grew
    counts = left_out(folder)
    connection.begin()
    try:
        connection.execute("DELETE FROM left_out WHERE tape = ?", [tape])
        if sum(counts.values()) == missing:  # of retired ticks some may have been folded in before
            connection.execute(LEFT_OUT, [tape, *(counts[sort] for sort in SORTS)])
        if is_sealed(folder):
            value_at(connection, tape, read_manifest(folder).get("marks", {}))
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def left_out(folder: Path) -> dict[str, int]:
    """How many bars, quotes and trades the seqs of a tape count that are not on it: by reference, or retired."""
    counts = dict.fromkeys(SORTS, 0)
    if is_sealed(folder):
        for ref in read_refs(folder):
            for sort, count in ref.get("counts", {"bars": ref["count"]}).items():
                counts[sort] += int(count)
    else:
        for gone in retired_inputs(folder):
            counts[RETIRED[gone.file]] += gone.rows
    return counts
