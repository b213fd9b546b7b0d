"""Whether inputs are what was imported: what is remembered, and what a run hears of damage."""

import pytest

from adapters.market import intact, writer
from adapters.market.importer import import_files
from adapters.market.intact import InputCheck, check_inputs, memory_of
from adapters.market.options import ImportOptions
from adapters.market.reader import bar_batches
from adapters.market.tape import BARS, list_tapes
from kernel.errors import ConfigError, TapeCorrupt


@pytest.fixture
def home(tmp_path):
    rows = "".join(f"2024-01-{day:02},100,100,100,100,{day}\n" for day in range(1, 29))
    (tmp_path / "X.csv").write_text("date,open,high,low,close,volume\n" + rows)
    import_files(tmp_path / "home", [tmp_path / "X.csv"], ImportOptions())
    return tmp_path / "home"


def damage(home):
    path = list_tapes(home)[0].path / BARS
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)
    return path


def test_damage_is_told_before_what_it_led_to(home):
    """A flipped time may well look like bars that overlap: that is not what is to be mended."""
    path = damage(home)
    with pytest.raises(TapeCorrupt, match="is not what was imported") as caught:
        with InputCheck(list_tapes(home), home / "m"):
            raise ConfigError("instrument 0 has bars that overlap")
    assert str(path) in str(caught.value) and isinstance(caught.value.__context__, ConfigError)


def test_of_sound_inputs_a_failure_is_what_it_is(home):
    with pytest.raises(ConfigError, match="overlap"), InputCheck(list_tapes(home), home / "m"):
        raise ConfigError("instrument 0 has bars that overlap")
    with InputCheck(list_tapes(home), memory_of(home)):
        pass


def test_what_is_remembered_goes_with_the_file_as_it_was(home, monkeypatch):
    monkeypatch.setattr(intact, "SETTLED_NS", -1)
    check_inputs(list_tapes(home), memory_of(home))
    known = memory_of(home).read_text()
    assert BARS in known and str(home) not in known
    damage(home)
    with pytest.raises(TapeCorrupt, match="restore the tape from a backup, or remove its folder and import"):
        check_inputs(list_tapes(home), memory_of(home))
    assert memory_of(home).read_text() == known
    memory_of(home).unlink()
    memory_of(home).mkdir()  # whatever is there: it is not believed, and hinders nothing
    with pytest.raises(TapeCorrupt):
        check_inputs(list_tapes(home), memory_of(home))


def test_a_file_that_is_gone_is_damage(home):
    (list_tapes(home)[0].path / BARS).unlink()
    with pytest.raises(TapeCorrupt, match="cannot be read"):
        check_inputs(list_tapes(home))


def rows_of(tape):
    return [{name: values.tolist() for name, values in batch.items()} for batch in bar_batches(tape.path)]


@pytest.mark.parametrize("checked", [True, False])
def test_flipped_bits_are_told_by_the_reading_too(home, checked, monkeypatch):
    """By checksums where the tape has them; of tapes of before, and of the few bytes before a page, the hash is left."""
    monkeypatch.setattr(writer, "PAGE_CHECKSUMS", checked)
    import_files(home.parent / "other", [home.parent / "X.csv"], ImportOptions())
    tape = list_tapes(home.parent / "other")[0]
    path, told, wrong = tape.path / BARS, 0, 0
    sound, good = path.read_bytes(), rows_of(tape)
    for place in range(4, len(sound), 5):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 16]) + sound[place + 1 :])
        try:
            wrong += rows_of(tape) != good
        except TapeCorrupt:
            told += 1
        with pytest.raises(TapeCorrupt, match="is not what was imported"):
            check_inputs([tape])
    assert told > 300 and (wrong < told // 30 if checked else wrong > told // 30)
