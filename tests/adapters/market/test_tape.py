"""A tape is whole, ordered and unaltered, or it is named as corrupt."""

import json
from datetime import date

import numpy as np
import pytest

from adapters.files import import_lock
from adapters.market import prices
from adapters.market.generate import generate_sessions, write_generated_csv, write_generated_tape
from adapters.market.importer import import_files
from adapters.market.instruments import Instrument, Registry
from adapters.market.options import ImportOptions
from adapters.market.reader import bar_batches
from adapters.market.tape import list_tapes, open_tape, tapes_folder
from adapters.market.verify import verify_tape
from adapters.market.writer import MarketWriter
from kernel.errors import ConfigError, NotFound, TapeCorrupt, TapeLocked

SYMBOLS = ["NIFTY", "ACC", "TCS", "INFY", "ZEEL"]


@pytest.fixture
def home(tmp_path):
    write_generated_tape(tmp_path, "gen", 7, SYMBOLS, 3, date(2024, 1, 5))
    return tmp_path


def test_scale_is_the_kernels():
    from kernel import units

    assert (prices.SCALE, prices.PX_MAX, prices.QTY_MAX) == (units.SCALE, units.PX_MAX, units.QTY_MAX)


def test_generator(tmp_path):
    columns = generate_sessions(7, SYMBOLS, 3, date(2024, 1, 5), [date(2024, 1, 8)])
    again = generate_sessions(7, SYMBOLS, 3, date(2024, 1, 5), [date(2024, 1, 8)])
    assert all(np.array_equal(columns[n], again[n]) for n in columns)
    counts = np.bincount(columns["instrument"])
    assert counts[:4].tolist() == [1125] * 4 and 600 < counts[4] < 850
    for name in ("open", "high", "low", "close"):
        assert np.all(columns[name] % 500 == 0) and np.all(columns[name] > 0)
    assert np.all(columns["low"] <= np.minimum(columns["open"], columns["close"]))
    assert np.all(columns["high"] >= np.maximum(columns["open"], columns["close"]))
    assert int(columns["open"].sum()) == 54_175_817_000  # the same bars on any machine and numpy
    write_generated_csv(tmp_path / "gen.csv", columns, SYMBOLS)
    report = import_files(tmp_path / "home", [tmp_path / "gen.csv"], ImportOptions(tick="0.05"))
    assert report.new == len(columns["open"]) and not report.refused
    got = list(bar_batches(tapes_folder(tmp_path / "home") / "gen"))
    assert sorted(got[0]["open"].tolist()) == sorted(columns["open"].tolist())


def test_verify_and_list(home):
    manifest = verify_tape(tapes_folder(home) / "gen")
    assert [t.name for t in list_tapes(home)] == ["gen"] and manifest.bars == sum(i.bars for i in manifest.instruments)
    assert [i.symbol for i in manifest.instruments] == sorted(SYMBOLS)
    assert list_tapes(home / "nowhere") == []
    with pytest.raises(NotFound, match="no market tape"):
        open_tape(home / "none")


def test_every_flipped_byte_region_is_noticed(home):
    path = tapes_folder(home) / "gen"
    for name in ("bars.parquet", "manifest.json"):
        whole = (path / name).read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 25)):
            (path / name).write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
            with pytest.raises(TapeCorrupt):
                verify_tape(path)
        (path / name).write_bytes(whole)
    verify_tape(path)


def test_missing_and_foreign_files(home):
    path = tapes_folder(home) / "gen"
    (path / "notes.txt").write_text("x")
    with pytest.raises(TapeCorrupt, match=r"notes.txt does not belong to the tape"):
        verify_tape(path)
    (path / "notes.txt").unlink()
    bars = (path / "bars.parquet").read_bytes()
    (path / "bars.parquet").unlink()
    with pytest.raises(TapeCorrupt, match=r"bars.parquet is missing"):
        verify_tape(path)
    (path / "bars.parquet").write_bytes(bars[:-1])
    with pytest.raises(TapeCorrupt, match="bytes"):
        verify_tape(path)
    (path / "bars.parquet").write_bytes(bars)
    manifest = json.loads((path / "manifest.json").read_bytes())
    (path / "manifest.json").write_text(json.dumps(manifest | {"bars": 1}))
    with pytest.raises(TapeCorrupt, match="altered"):
        open_tape(path)
    (path / "manifest.json").unlink()
    with pytest.raises(TapeCorrupt, match=r"manifest.json is missing"):
        open_tape(path)


def test_reader_selects(home):
    path = tapes_folder(home) / "gen"
    whole = {n: np.concatenate([b[n] for b in bar_batches(path)]) for n in ("ts_init", "instrument", "close")}
    first, last = int(whole["ts_init"][500]), int(whole["ts_init"][2500])
    mask = (whole["ts_init"] >= first) & (whole["ts_init"] <= last) & np.isin(whole["instrument"], [1, 4])
    parts = list(bar_batches(path, {1, 4, 99}, first, last, 97))
    assert all(0 < len(p["close"]) <= 97 for p in parts)
    assert np.array_equal(np.concatenate([p["close"] for p in parts]), whole["close"][mask])
    assert list(bar_batches(path, set())) == [] and list(bar_batches(path, None, last_ts=0)) == []


def test_writer_leaves_no_trace_of_a_failure(tmp_path):
    with pytest.raises(RuntimeError), MarketWriter(tmp_path, "t", [(0, "A")]):
        raise RuntimeError
    assert list(tapes_folder(tmp_path).iterdir()) == []


def test_registry(tmp_path):
    registry = Registry.load(tmp_path)
    added = registry.add([Instrument(-1, "B", 5), Instrument(-1, "A", 5)])
    assert [(i.symbol, i.number) for i in added] == [("A", 0), ("B", 1)]
    registry.add([Instrument(-1, "AA", 5)])
    registry.save()
    again = Registry.load(tmp_path)
    assert [i.symbol for i in again] == ["A", "B", "AA"] and again.find("AA").number == 2 and again.find("Z") is None
    with pytest.raises(ConfigError, match="A is already instrument 0 with lot 1, and this import says 50"):
        again.add([Instrument(-1, "A", 5, lot=50), Instrument(-1, "C", 5)])
    assert again.find("C") is None
    with pytest.raises(NotFound):
        again[3]
    again.path.write_text("{}")
    with pytest.raises(TapeCorrupt, match="restore it from a backup"):
        Registry.load(tmp_path)


def test_lock(tmp_path):
    with import_lock(tmp_path), pytest.raises(TapeLocked, match="another import"), import_lock(tmp_path):
        pass
    with import_lock(tmp_path):
        pass
