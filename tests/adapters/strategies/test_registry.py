"""Strategies by name: what installed packages offer is code like any file, and a name means one thing."""

import pytest

from adapters.strategies.load import check_strategy
from adapters.strategies.registry import find_all, in_folder, origin_of, with_origin
from api.new_strategy import new_strategy
from kernel.errors import ConfigError, NotFound, StrategyError
from tests.adapters.strategies.offering import ORIGIN, offer
from tests.adapters.strategies.writing import EMPTY, hook


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages, with one that offers `momentum`."""
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    return offer(tmp_path / "site-packages")


def test_an_installed_package_is_found_by_its_entry_point(site):
    assert origin_of("momentum", []) == ORIGIN
    assert with_origin("momentum,size=2", []) == f"{ORIGIN},size=2"
    [one] = [one for one in find_all([]) if one.name == "momentum"]
    assert one.where == "package acme-strategies 1.2"
    checked = check_strategy(f"{ORIGIN},size=2")
    assert checked.origin == ORIGIN and checked.params == {"size": 2}
    assert checked.definition.owner.__module__ == "acme.momentum"


def test_every_module_of_the_package_is_in_the_hash_and_read_anew(site):
    """An upgrade in a running process, and back: other code, then the same again."""
    hashes, factors = [], []
    for factor in (3, 5, 3):
        offer(site, factor=factor)
        one = check_strategy(ORIGIN)
        hashes.append(one.code_hash)
        factors += [n for n in one.reach.helpers[0].function.__code__.co_consts if isinstance(n, int)]
    assert factors == [3, 5, 3] and hashes[0] == hashes[2] != hashes[1]
    (site / "acme" / "__init__.py").write_text("VERSION = 2\n")
    assert check_strategy(ORIGIN).code_hash not in hashes


def test_what_a_package_offers_is_checked_as_a_file_is(site):
    (site / "acme" / "sizes.py").write_text("import random\nFACTOR = random.random()\n")
    with pytest.raises(StrategyError, match=r"acme/sizes\.py:2"):
        check_strategy(ORIGIN)
    (site / "acme" / "sizes.py").write_text("FACTOR = 1 / 0\n")
    with pytest.raises(StrategyError, match=r"acme/sizes\.py:1: ZeroDivisionError"):
        check_strategy(ORIGIN)
    offer(site, value="acme.momentum:FACTOR")
    with pytest.raises(StrategyError, match="FACTOR is no class with @strategy"):
        check_strategy("acme.momentum:FACTOR")
    with pytest.raises(NotFound, match=r"no installed package offers a strategy acme\.momentum:Momentum"):
        check_strategy(ORIGIN)


def test_a_name_in_two_places_is_refused_with_both(site, tmp_path, strategy_file):
    (tmp_path / "strategies").mkdir()
    own = strategy_file(EMPTY.replace("Mine", "Momentum"), "strategies/any.py")
    with pytest.raises(StrategyError) as told:
        origin_of("momentum", [own.parent])
    assert (
        f"{own}:Momentum" in str(told.value) and ORIGIN in str(told.value) and "acme-strategies 1.2" in str(told.value)
    )
    offer(site, name="ema_cross")
    with pytest.raises(StrategyError, match="strategy ema_cross is in several places: built-in"):
        origin_of("ema_cross", [])
    assert check_strategy("ema_cross").origin == "ema_cross", "what a run recorded is one place, whatever came since"


def test_a_folders_files_are_found_and_not_run(tmp_path, strategy_file):
    plain = "class Plain:\n    pass\n\n\nclass MyModel(onetape.PythonStrategy):\n    pass\n"
    text = f"raise SystemExit\n\n\n{EMPTY.replace('Mine', 'OfMine')}\n\n{plain}"
    strategy_file(text, "any.py", head="import onetape\n")
    (tmp_path / "bad.py").write_text("x = (\n")
    found, wrong = in_folder(tmp_path)
    assert [(one.name, one.origin) for one in found] == [
        ("of_mine", f"{tmp_path}/any.py:OfMine"),
        ("my_model", f"{tmp_path}/any.py:MyModel"),
    ]
    assert len(wrong) == 1 and "bad.py:1: " in wrong[0]
    with pytest.raises(NotFound, match=r"no strategy 'of_mina': did you mean of_mine\?.*not read: .*bad\.py:1"):
        origin_of("of_mina", [tmp_path])


def test_a_built_in_is_itself_after_a_namesake_was_read(strategy_file):
    first = check_strategy("ema_cross").definition
    check_strategy(str(strategy_file(EMPTY.replace("Mine", "EmaCross"))))
    assert check_strategy("ema_cross").definition is first


@pytest.mark.parametrize("name", ["my.pyramid:Mine", "c.py.x:Mine"])
def test_a_module_with_py_in_its_name_is_no_file(name):
    with pytest.raises(NotFound, match="no installed package offers"):
        check_strategy(name)


def test_the_words_of_a_parameter_decide_nothing(strategy_file):
    """They are in the file's bytes, and in nothing else that is hashed."""
    text = hook("return HOLD", declared="    k = Param(3{})\n")
    plain, told = (check_strategy(str(strategy_file(text.format(doc)))) for doc in ("", ", doc='how many'"))
    assert plain.reach.constants == told.reach.constants and plain.code_hash != told.code_hash
    assert told.definition.params["k"].doc == "how many"
    with pytest.raises(StrategyError, match=r"k of Mine: doc is a sentence, not 3"):
        check_strategy(str(strategy_file(text.format(", doc=3"))))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MyCross", "such as my_cross"),
        ("class", "words of small letters"),
        ("a_2", "such as a2"),
        ("ema_cross", "built-in"),
    ],
)
def test_names_of_new_strategies(tmp_path, name, words):
    with pytest.raises(ConfigError, match=words):
        new_strategy(name, tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []
