"""Showing, checking and writing the configuration, and its generated page."""

import ast
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.settings import KEYS, Settings
from adapters.settings_source import Source, load_settings, load_with_source
from api import config, docs
from kernel.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def test_show_says_where_each_value_comes_from(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[account]\ncash = 5.5\n[serve]\nport = 7\n")
    shown = config.show(*load_with_source(file, {"ONETAPE_SERVE__PORT": "8"}))
    assert re.search(r'^cash = "5\.5" +# file$', shown, re.M)
    assert re.search(r"^port = 8 +# environment ONETAPE_SERVE__PORT$", shown, re.M)
    assert re.search(r'^home = "data" +# default$', shown, re.M)
    assert "mine.toml" in shown.splitlines()[0]


PRINTABLE = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=8)


@given(
    st.builds(
        dict,
        home=PRINTABLE.filter(lambda name: not name.startswith("~")),
        account=st.builds(
            dict,
            cash=st.integers(0, 2**62 - 1).map(lambda units: Decimal(units).scaleb(-4)) | st.just(Decimal("1e6")),
        ),
        live=st.builds(
            dict,
            feed=st.text(st.characters(blacklist_categories=("Cs",)), max_size=8),
            symbols=st.lists(PRINTABLE, unique=True),
        ),
        limits=st.builds(dict, allow_short=st.booleans(), max_order_qty=st.integers(1, 2**46 - 1)),
        fees=st.builds(dict, rule=st.sampled_from(["zero", "bps:0.5,min:1"])),
    )
)
def test_show_loads_to_the_same_settings(data):
    settings = Settings.model_validate(data)
    again = tomllib.loads(config.show(settings, Source(Path('a"b\nc.toml'), {})))
    assert Settings.model_validate(again, by_alias=True, by_name=False) == settings


def test_check_lists_every_problem(tmp_path):
    file = tmp_path / "onetape.toml"
    file.write_text("[serve]\nport = -1\ntoken_days = 0\n")
    problems = config.check(file, {})
    assert len(problems) == 2 and all(str(file) in problem for problem in problems)
    file.write_text("[serve\n")
    assert "line 1" in config.check(file, {})[0]
    file.write_text("")
    assert config.check(file, {}) == []


def test_init_writes_a_file_that_changes_nothing(tmp_path):
    created = config.init(tmp_path / "new")
    assert [path.relative_to(tmp_path / "new").as_posix() for path in created] == [
        "onetape.toml",
        "strategies/my_strategy.py",
    ]
    assert load_settings(created[0], {}) == Settings()


def test_uncommenting_every_key_changes_nothing_either(tmp_path):
    file = tmp_path / "onetape.toml"
    file.write_text(re.sub(r"^#(?=[a-z_]+ = )", "", config.starter(), flags=re.M))
    settings, source = load_with_source(file, {})
    assert settings == Settings() and source.origins == dict.fromkeys(KEYS, "file")
    assert all(len(line) <= 120 for line in config.starter().splitlines())


def test_init_never_overwrites(tmp_path):
    (tmp_path / "onetape.toml").write_text("# mine\n")
    said: list[str] = []
    assert config.init(tmp_path, said.append) == [tmp_path / "strategies" / "my_strategy.py"]
    assert (tmp_path / "onetape.toml").read_text() == "# mine\n"
    assert said == [f"{tmp_path / 'onetape.toml'}: exists, kept as it is"]
    assert config.init(tmp_path, said.append) == [] and len(said) == 3


def test_init_into_something_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file"):
        config.init(tmp_path / "file")
    (tmp_path / "strategies").write_text("")
    with pytest.raises(ConfigError, match="strategies"):
        config.init(tmp_path)


def test_example_imports_what_it_uses(tmp_path):
    tree = ast.parse(config.init(tmp_path)[1].read_text())
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert imported <= used and imported >= {"strategy", "Param", "Ema", "buy", "sell", "HOLD"}


def test_generated_pages_are_fresh():
    assert docs.stale_pages(ROOT) == [], "run python -m api.docs"


@pytest.mark.sim
def test_pages_are_written_once(tmp_path, capsys):
    assert docs.write_pages(tmp_path) == [path for path, _ in docs.PAGES]
    assert docs.write_pages(tmp_path) == [] and docs.stale_pages(tmp_path) == []
    (tmp_path / "docs/configuration.md").write_text("old")
    assert docs.stale_pages(tmp_path) == ["docs/configuration.md"]
    assert docs.main(["--check"]) == 0


def test_page_names_every_key_and_variable():
    page = docs.configuration_page()
    for key in KEYS.values():
        assert f"| `{key.name}` |" in page and f"`{key.variable}`" in page
