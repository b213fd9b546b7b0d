"""Homes that earlier releases wrote: every later one reads them to the byte, verifies them and goes on with them."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from adapters.tape.layouts import layouts
from adapters.tape.reader import read_rows
from api.verify import verify_home
from kernel.codes import Kind
from tests.golden.make_release import RELEASES, STRATEGY, digest_of

KNOWN = sorted(path.name for path in RELEASES.iterdir())


@pytest.fixture(params=KNOWN)
def release(request, tmp_path):
    return Path(shutil.copytree(RELEASES / request.param, tmp_path / request.param))


def test_there_is_one():
    assert KNOWN


def test_it_is_read_to_the_byte(release):
    """As today's layout has it: an upcaster changes what is read, never what is stored (`test_it_verifies`)."""
    newest = str(max(layout.number for layout in layouts().values()))
    expected = json.loads((release / "expected.json").read_text())[newest]
    assert {name: digest_of(release / "home" / name) for name in expected} == expected


def test_it_verifies(release):
    lines = []
    assert verify_home(release / "home", lines.append) == (3, []), lines


def test_an_account_goes_on(release, load):
    """By today's code, whatever it is: run again where it decides the same, else folded, and it says which."""
    from api.cli import main

    home = release / "home"
    asked = ["--home", str(home), "live", *STRATEGY, "--feed", "replay:two-days@max"]
    assert main(asked) == 0
    assert main(["--home", str(home), "verify"]) == 0


def test_sql_finds_what_it_holds(release, capsys):
    """Kinds that share a file with others there, and have one of their own today."""
    from api.cli import main

    def good(home, *arguments):
        capsys.readouterr()
        assert main(["--home", str(home), *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    views = ("signal", "order_submitted", "order_filled", "order_accepted", "order_canceled", "events")
    counts = [f"select '{view}' v, tape, count(*) n, count(distinct seq) d from {view} group by tape" for view in views]
    home = release / "home"
    found = {(row["v"], row["tape"]): (row["n"], row["d"]) for row in good(home, "sql", " union all ".join(counts))}
    for name in next(iter(json.loads((release / "expected.json").read_text()).values())):
        folder = home / name
        kinds = Counter(Kind(int(kind)).name.lower() for rows, _ in read_rows(folder) for kind in rows["kind"])
        expected = {view: kinds[view] for view in views if kinds[view]} | {"events": kinds.total()}
        assert {view: found[view, folder.name] for view in expected} == {v: (n, n) for v, n in expected.items()}
