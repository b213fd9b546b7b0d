"""Fixtures of the tape tests."""

from pathlib import Path

import pytest

from adapters.tape.scan import segment_paths
from tests.adapters.tape.growing import write
from tests.adapters.tape.rows import some_rows


@pytest.fixture
def grown(tmp_path) -> Path:
    """A closed tape of nine frames in five segments."""
    rows = some_rows(18)
    write(tmp_path / "t", [rows[k : k + 2] for k in range(0, 18, 2)], {3: "a note", 17: ""})
    assert len(segment_paths(tmp_path / "t")) == 5
    return tmp_path / "t"
