"""What was compiled is what is written: every byte and number that decides is in the hash."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adapters.strategies.load import check_strategy, load_strategy
from adapters.strategies.modules import is_users
from kernel.errors import StrategyError
from tests.adapters.strategies.writing import bought, hook, played
from tests.kernel.play import flat

pytestmark = pytest.mark.sim  # many runs of whole processes; CI has the paths they share

ROOT = Path(__file__).parents[3]


def test_an_edited_neighbour_is_compiled_anew(load, strategy_file, tmp_path):
    """Constants and helpers of local modules are part of the code: yesterday's machine code must not run."""
    path = strategy_file(hook("return buy(sized(2))", before="from sizes import sized\n"))
    seen, hashes = [], []
    for factor in (3, 5, 3):
        (tmp_path / "sizes.py").write_text(
            f"from onetape import helper\nFACTOR = {factor}\n\n\n@helper\ndef sized(x):\n    return x * FACTOR\n"
        )
        one = load_strategy(str(path))
        hashes.append(one.code_hash)
        seen += bought(played(one, stream=[flat(1, 10)])[1])
    assert seen == [(1, 6), (1, 10), (1, 6)]
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.sim
def test_an_edited_constant_is_compiled_anew(load, strategy_file):
    seen = []
    for size in (4, 9):
        path = strategy_file(hook("return buy(SIZE)", before=f"SIZE = {size}\n"))
        seen += bought(played(load_strategy(str(path)), stream=[flat(1, 10)])[1])
    assert seen == [(1, 4), (1, 9)]


@pytest.mark.sim
def test_a_neighbour_edited_between_processes(strategy_file, tmp_path):
    """The disk cache of one process must not serve another that has different sources."""
    path = strategy_file(hook("return buy(sized(2))", before="from sizes_far import sized\n"))
    code = (
        "import sys; from tests.kernel.play import *; from adapters.strategies.load import load_strategy\n"
        f"one = load_strategy({str(path)!r}); e = make_engine([(one.program, one.params)])\n"
        "print([int(q) for q in of(run_bars(e, [flat(1, 10)]), 64)['qty']])"
    )
    said = []
    for factor in (3, 5):
        (tmp_path / "sizes_far.py").write_text(
            f"from onetape import helper\n\n\n@helper\ndef sized(x):\n    return x * {factor}\n"
        )
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True
        )
        said.append(json.loads(done.stdout))
    assert said == [[6], [10]]


FAR = "import sys\nfrom pathlib import Path\nsys.path.append(str(Path(__file__).parent.parent))\nimport {module}\n"


@pytest.mark.parametrize("module", ["common.consts", "faraway"])
@pytest.mark.parametrize("text", ["K = {}\n", "import enum\nclass E(enum.IntEnum):\n    Q = {}\nK = 1\n"])
def test_a_module_outside_the_strategys_folder_is_code(tmp_path, module, text):
    """Wherever it lives, and however many dots lead to the number: an edit is another strategy, and runs."""
    far = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
    far.parent.mkdir(exist_ok=True)
    what = f"{module}.E.Q" if "enum" in text else f"{module}.K"
    path = tmp_path / "own" / "mine.py"
    path.parent.mkdir()
    path.write_text("from onetape import *\n" + hook(f"return buy({what})", before=FAR.format(module=module)))
    hashes, numbers = [], []
    for size in (500, 700, 500):
        far.write_text(text.format(size))
        one = check_strategy(str(path))
        hashes.append(one.code_hash)
        numbers.append([n for n in one.definition.hooks["on_bar"].__code__.co_consts if isinstance(n, int)])
    assert numbers == [[500], [700], [500]]
    assert hashes[0] == hashes[2] != hashes[1]


def test_a_far_module_of_a_near_one_is_code(tmp_path, strategy_file):
    """What only a helper's module imports counts, and so do bytes that no name of the hook leads to."""
    path = strategy_file(hook("return buy(near.sized(2))", before="import near\n"))
    (tmp_path / "near.py").write_text(
        "from onetape import helper\nimport deep.k\n@helper\ndef sized(x): return x * deep.k.M\n"
    )
    (tmp_path / "deep").mkdir()
    hashes = []
    for text in ("M = 2\n", "M = 3\n", "M = 3  # and words\n"):
        (tmp_path / "deep" / "k.py").write_text(text)
        hashes.append(check_strategy(str(path)).code_hash)
    assert len(set(hashes)) == 3


@pytest.mark.parametrize("declared", ["    more = Float({})\n", "    more = Param({})\n", "    more = Sma({})\n"])
def test_numbers_read_from_a_file_are_code(tmp_path, strategy_file, declared):
    reads = "from pathlib import Path\nN = int((Path(__file__).parent / 'n.txt').read_text())\n"
    path = strategy_file(hook("return HOLD", before=reads, declared=declared.format("N")))
    hashes = set()
    for number in (3, 4):
        (tmp_path / "n.txt").write_text(str(number))
        hashes.add(check_strategy(str(path)).code_hash)
    assert len(hashes) == 2


def test_loading_leaves_other_modules_alone(tmp_path, strategy_file, monkeypatch):
    """Python may live under the folder of the strategy, as uv's does in a home folder; what it imported stays loaded."""
    import adapters.strategies.load as loading

    assert not any(is_users(m.__file__) for m in (json, np, pytest, loading))
    (tmp_path / "other_of_mine.py").write_text("K = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import other_of_mine

    before, places = set(sys.modules), list(sys.path)
    check_strategy(str(strategy_file(hook("return HOLD"))))
    assert sys.modules["other_of_mine"] is other_of_mine
    assert before <= set(sys.modules)
    assert sys.path == places


def test_a_constant_is_the_number_it_was(strategy_file):
    """A global that changes after the load changes nothing, compiled or not."""
    one = check_strategy(str(strategy_file(hook("return buy(SIZE * 2 + RATIO)", before="SIZE, RATIO = 4, 0.5\n"))))
    assert "SIZE" not in one.definition.hooks["on_bar"].__code__.co_names
    assert 8.5 in one.definition.hooks["on_bar"].__code__.co_consts


def test_a_closure_is_refused(strategy_file):
    made = "def maker(k):\n    @helper\n    def times(x):\n        return x * k\n    return times\ntwice = maker(2)\n"
    with pytest.raises(StrategyError, match=r"mine.py:\d+: times\(\): it uses k of the function around it"):
        check_strategy(str(strategy_file(hook("return buy(twice(2))", before=made))))
