"""What is documented is tested: pages are fresh, commands parse, links lead somewhere, the README's strategy trades."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from api import docs
from api.cli import make_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.S)
COMMAND = re.compile(r"(?:^|[\s(`])((?:\.venv/bin/)?onetape [^`]*)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text()) if found == language]


def command_lines(page: Path) -> list[str]:
    """Every `onetape ...` in shell blocks, a line each, and in code spans that give a whole command."""
    lines = [line for text in blocks(page, "sh") for line in text.replace("\\\n", " ").splitlines()]
    found = [match[1] for line in lines if (match := COMMAND.search(line))]
    prose = BLOCK.sub("", page.read_text())
    found += [" ".join(span.split()) for span in re.findall(r"`(?:\w+=\w+ )?(onetape [^`]+)`", prose)]
    return found


def words_of(line: str) -> list[str]:
    """The words of the one command, without comment, pipe, `&` or the bracket that closes it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&>();")
    lexer.whitespace_split = True
    words = list(lexer)
    return words[: next((k for k, word in enumerate(words) if word in ("&", ">", ")", ";")), len(words))]


COMMAND_NAMES = set(re.findall(r"^    (\w+) ", make_parser().format_help(), re.M))
COMMANDS = [(page.name, line) for page in PAGES for line in command_lines(page)]


def test_every_module_is_in_the_guide_and_nothing_else():
    text = (ROOT / "docs/guide.md").read_text()
    listed, folder = {"onetape.py"}, ""
    for line in text.splitlines():
        if head := re.match(r"#{2,3} (\S+)/$", line):
            folder = head[1]
        elif row := re.match(r"\| `(\S+\.py)` \| (.+) \|$", line):
            assert len(row[2]) > 10, f"{folder}/{row[1]} needs a first sentence"
            assert f"{folder}/{row[1]}" not in listed
            listed.add(f"{folder}/{row[1]}")
    assert "## onetape.py\n" in text
    tracked = {p.relative_to(ROOT).as_posix() for part in docs.PARTS for p in (ROOT / part).rglob("*.py")}
    assert listed == tracked | {"onetape.py"}


def test_generated_pages_are_fresh():
    assert docs.stale_pages() == [], "run ./just docs"
    for path, mark, _ in docs.TABLES:
        assert f"<!-- table: {mark} (" in (ROOT / path).read_text()


def test_there_are_commands_to_parse():
    assert {name for name, _ in COMMANDS} >= {"README.md", "strategies.md", "tape.md"} and len(COMMANDS) > 25


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=lambda text: text[:60])
def test_commands_parse(page, line, capsys):
    words = words_of(line.replace("\\|", "|"))[1:]
    if (len(words) == 1 and words[0] in COMMAND_NAMES) or words in (["--help"], ["COMMAND", "--help"]):
        return
    try:
        options = make_parser().parse_args(words)
    except SystemExit:
        pytest.fail(f"{page}: {line}: {capsys.readouterr().err}")
    assert hasattr(options, "run")


def test_just_recipes_exist():
    recipes = set(re.findall(r"^([a-z0-9]+)(?: \*args)?:", (ROOT / "justfile").read_text(), re.M))
    for page in PAGES:
        for recipe in re.findall(r"\./just ([a-z0-9]+)", page.read_text()):
            assert recipe in recipes, f"{page.name}: ./just {recipe}"


def python_examples() -> list[str]:
    return [
        text for page in PAGES for text in blocks(page, "python") if "@strategy" in text or "(PythonStrategy)" in text
    ]


@pytest.mark.parametrize("number", range(len(python_examples())))
def test_strategy_examples_trade(number, load, tmp_path):
    from adapters.market.generate import write_generated_tape
    from adapters.settings import Settings
    from api.backtest import run_backtest
    from api.cli import main
    from api.request import Request

    file = tmp_path / "cross.py"
    file.write_text(python_examples()[number])
    write_generated_tape(tmp_path, "days", seed=7, symbols=["RELIANCE", "TCS"], days=2)
    for symbol in ("RELIANCE", "TCS"):
        assert main(["--home", str(tmp_path), "instruments", "set", symbol, "calendar=NSE_EQ"]) == 0
    result = run_backtest(tmp_path, Settings(), Request([str(file)]))
    assert result.faults == [] and result.summary()["fills"] > 0


def test_the_readme_is_one_sitting():
    assert len((ROOT / "README.md").read_text().splitlines()) < 200
    assert len(python_examples()) >= 2


def test_the_readmes_data_imports(tmp_path):
    from adapters.market.importer import import_files
    from adapters.market.options import ImportOptions

    sample = next(text for text in blocks(ROOT / "README.md", "text") if text.startswith("symbol,"))
    (tmp_path / "nse_minutes.csv").write_text(sample)
    report = import_files(tmp_path / "home", [tmp_path / "nse_minutes.csv"], ImportOptions(tick="0.05", span="1m"))
    assert report.new == 2


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_exist(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", BLOCK.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in {slug(h) for h in re.findall(r"^#+ (.+)$", linked.read_text(), re.M)}, target


def test_decisions_are_numbered_and_whole():
    files = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        text = file.read_text()
        assert text.startswith(f"# {file.name[:4]} ")
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequence")), file.name


def repository_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


MACHINE = re.compile(  # written so that this file is clean itself
    rb"(?<![\w.])/(?:wo"
    rb"rk|ro"
    rb"ot|ho"
    rb"me|Us"
    rb"ers)/[\w.]|\bfile:"
    rb"//|(?:index|extra-index|registry)[-_ ]?(?:url)? ?[=:] ?[\"']?https?:|arti"
    rb"factory|pack"
    rb"age[-_]registry",
    re.I,
)


def test_nothing_names_a_machine_or_a_registry():
    for path in repository_files():
        if path.suffix in (".parquet", ".png"):
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            found = MACHINE.search(line)
            assert not found, f"{path.relative_to(ROOT)}:{number}: {line.decode(errors='replace')[:120]}"
