"""The Feed port: fill records from the start, in order, 0 at the end and ever after."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from adapters.market.feed import MarketFeed, Selection
from adapters.market.tape import tapes_folder
from adapters.settings_source import load_settings
from adapters.tape.reader import read_rows
from api.live import parse_feed, run_live
from api.request import Request
from api.restore import RecordedInputs
from kernel.codes import Origin
from kernel.schema import EVENT, join_rows


@pytest.fixture(scope="module")
def home(tmp_path_factory, load) -> Path:
    """Bars on a market tape, and the same ones recorded on an account tape."""
    from tests.api.conftest import write_mornings

    home = tmp_path_factory.mktemp("feeds")
    write_mornings(home, 3)
    run_live(home, load_settings(), Request(["ema_cross"]), parse_feed("replay:nse@max"), "a", threading.Event())
    return home


@pytest.fixture(params=["market", "recorded"])
def make_feed(request, home):
    if request.param == "market":
        return lambda: MarketFeed([tapes_folder(home) / "nse"], Selection())
    return lambda: recorded(home)


def recorded(home: Path) -> RecordedInputs:
    """What the account recorded, as a feed."""
    return RecordedInputs(rows for rows, _ in read_rows(home / "tapes" / "accounts" / "a-paper"))


def drain(feed, size: int) -> np.ndarray:
    records, parts = np.zeros(size, EVENT), []
    while count := feed.read_into(records):
        assert 0 < count <= size
        parts.append(records[:count].copy())
    assert feed.read_into(records) == 0 == feed.read_into(records)
    return join_rows(parts)


def test_in_order_and_external(make_feed):
    rows = drain(make_feed(), 1_000)
    assert len(rows) > 1_000
    assert (np.diff(rows["ts_init"]) >= 0).all()
    assert (rows["origin"] == int(Origin.EXTERNAL)).all()
    assert (rows["ts_event"] <= rows["ts_init"]).all()


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_size_of_the_table_changes_nothing(make_feed, size):
    a, b = drain(make_feed(), 64), drain(make_feed(), size)
    assert a.tobytes() == b.tobytes()


def test_two_readers_do_not_meet(make_feed):
    one, two, records = make_feed(), make_feed(), np.zeros(10, EVENT)
    count = one.read_into(records)
    first = records[:count].copy()
    one.read_into(records)
    assert two.read_into(records) == count > 0
    assert records[:count].tobytes() == first.tobytes()


def test_reading_changes_no_file(make_feed, home):
    files = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
    drain(make_feed(), 512)
    assert {p: p.read_bytes() for p in home.rglob("*") if p.is_file()} == files


def test_a_home_can_move(home, tmp_path):
    there = Path(shutil.copytree(home, tmp_path / "there"))
    a = drain(recorded(home), 99)
    assert drain(recorded(there), 99).tobytes() == a.tobytes()
