"""Settings: defaults, order of sources, exactness, and a clear sentence for all that can be wrong."""

import itertools
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters import settings_text as text
from adapters.settings import KEYS, Settings
from adapters.settings_source import FILE_BYTES_MAX, examine, load_settings, load_with_source
from kernel.errors import ConfigError

NONE: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(content: str | bytes, name: str = "onetape.toml") -> Path:
    path = Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(content: str | bytes | None = None, **environ: str) -> str:
    if content is not None:
        write(content)
    with pytest.raises(ConfigError) as caught:
        load_settings(environ=environ)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    return message


def test_defaults_need_no_file():
    settings = load_settings(environ=NONE)
    assert settings == Settings()
    assert settings.home == Path("data") and settings.account.cash_units == 10_000_000_000
    assert settings.fees.as_units() == {
        "fee_rate": 300_000,
        "fee_flat": 0,
        "fee_min": 0,
        "fee_max": 0,
        "fee_round": 1,
    }
    assert settings.importing.tick_units == 500 and settings.run.equity_interval_ns is None


def test_every_default_is_valid_and_described():
    data: dict = {}
    for key in KEYS.values():
        (data.setdefault(key.section, {}) if key.section else data)[key.name] = key.value_in(Settings())
        assert key.field.description
    assert Settings.model_validate(data, by_alias=True, by_name=False) == Settings()


def test_agrees_with_the_kernel():
    from kernel import units
    from kernel.rows import LIMITS
    from kernel.state import Capacity, Rules

    assert (text.SCALE, text.PX_MAX, text.QTY_MAX, text.MONEY_MAX) == (
        units.SCALE,
        units.PX_MAX,
        units.QTY_MAX,
        units.MONEY_MAX,
    )
    settings = Settings()
    assert (*LIMITS.names, "strategies") == tuple(type(settings.limits).model_fields)
    assert set(settings.limits.as_units()) <= set(LIMITS.names)
    assert all(type(value) is int for value in settings.limits.as_units().values())
    assert settings.capacity.as_capacity() == Capacity()
    rules = Rules(cash=settings.account.cash_units, **settings.fees.as_units())
    assert rules.fee_rate == 300_000


def test_importing_settings_is_light():
    code = (
        "import sys, adapters.settings_source as s; s.load_settings(environ={}); "
        "print([m for m in ('numba', 'numpy') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_is_frozen():
    with pytest.raises(ValidationError):
        Settings().serve.port = 1  # type: ignore[misc]


def test_environment_wins_over_file_over_default():
    write('home = "tapes"\n[serve]\nport = 9000\ntoken_days = 3\n')
    settings, source = load_with_source(environ={"ONETAPE_SERVE__PORT": "9001", "ONETAPE_HOME": "123"})
    assert (settings.serve.port, settings.serve.token_days, settings.home) == (9001, 3, Path("123"))
    assert source.origins == {
        "serve.port": "ONETAPE_SERVE__PORT",
        "serve.token_days": "file",
        "home": "ONETAPE_HOME",
    }


def test_which_file():
    write("[serve]\nport = 1\n")
    write("[serve]\nport = 2\n", "two.toml")
    write("[serve]\nport = 3\n", "three.toml")
    assert load_settings(environ=NONE).serve.port == 1
    assert load_settings(environ={"ONETAPE_CONFIG": "two.toml"}).serve.port == 2
    assert load_settings(Path("three.toml"), {"ONETAPE_CONFIG": "two.toml"}).serve.port == 3


@pytest.mark.parametrize(
    ("variable", "raw", "section", "name", "value"),
    [
        ("ONETAPE_ACCOUNT__NAME", "007", "account", "name", "007"),
        ("ONETAPE_ACCOUNT__NAME", "42", "account", "name", "42"),
        ("ONETAPE_ACCOUNT__NAME", "true", "account", "name", "true"),
        ("ONETAPE_ACCOUNT__NAME", '"quoted"', "account", "name", "quoted"),
        ("ONETAPE_ACCOUNT__CASH", "0.1", "account", "cash", Decimal("0.1")),
        ("ONETAPE_LIMITS__ALLOW_SHORT", "false", "limits", "allow_short", False),
        ("ONETAPE_LIVE__FEED", "", "live", "feed", ""),
        ("ONETAPE_LIVE__SYMBOLS", '["TCS", "INFY"]', "live", "symbols", ["TCS", "INFY"]),
        ("ONETAPE_IMPORT__TICK", "0.01", "importing", "tick", Decimal("0.01")),
    ],
)
def test_environment_values(variable, raw, section, name, value):
    assert getattr(getattr(load_settings(environ={variable: raw}), section), name) == value


def test_other_variables_are_left_alone():
    environ = {"ONETAPE_JIT": "0", "ONETAPE_CACHE": "/x", "ONETAPE_UPSTOX_TOKEN": "s3cret", "HOME": "/root"}
    assert load_settings(environ=environ) == Settings()


def test_byte_order_mark_and_windows_lines_are_fine():
    write(b"\xef\xbb\xbf[serve]\r\nport = 5\r\n")
    assert load_settings(environ=NONE).serve.port == 5


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (
            "[serve]\nport = 99999\n",
            ["onetape.toml: serve.port must be a whole number from 0 to 65535, not 99999"],
        ),
        ("[serve]\nport = true\n", ["serve.port", "not true"]),
        ("[serve]\nport = 5.0\n", ["serve.port", "not 5.0"]),
        ('[serve]\nport = "5"\n', ["serve.port", 'not "5"']),
        ("[serve]\nprot = 5\n", ["serve.prot is an unknown key, did you mean serve.port?"]),
        ("[srve]\nport = 5\n", ["srve is an unknown table, did you mean serve?"]),
        ("[importing]\nlot = 1\n", ["importing is an unknown table, did you mean import?"]),
        ("[account]\nport = 5\n", ["account.port is an unknown key, did you mean serve.port?"]),
        ("port = 5\n", ["port is an unknown key, did you mean serve.port?"]),
        ("[serve]\nzzz = 5\n", ["serve.zzz", "allowed in [serve] are allow_remote, host, port, token_days"]),
        ("[zzz]\n", ["zzz", "allowed are home and the tables account, fees"]),
        ("serve = 5\n", ["serve must be a table [serve] of keys, not 5"]),
        ("[home]\nx = 1\n", ["home must be a folder in quotes"]),
        ('home = ""\n', ["home must be a folder"]),
        ("[account]\nname = 'Ä b'\n", ["account.name must be 1 to 32 of a-z"]),
        ("[account]\nname = '../x'\n", ["account.name"]),
        ('[account]\ncurrency = "inr"\n', ["account.currency", 'capitals or digits such as "INR"']),
        ('[account]\ntimezone = "Asia/Kolkatta"\n', ["account.timezone", "did you mean Asia/Kolkata?"]),
        ('[account]\ntimezone = "../../etc/passwd"\n', ["account.timezone must be a time zone"]),
        ('[account]\ntimezone = "Asia"\n', ["account.timezone must be a time zone"]),
        (
            "[account]\ncash = -1\n",
            ["account.cash must be an amount from 0 to 461168601842738.7903", "not -1"],
        ),
        ("[account]\ncash = 0.00001\n", ["account.cash", "at most 4 decimals"]),
        ('[account]\ncash = "10,00,000"\n', ["account.cash", 'not "10,00,000"']),
        ("[account]\ncash = nan\n", ["account.cash"]),
        ("[account]\ncash = inf\n", ["account.cash"]),
        ("[account]\ncash = 1e999999999\n", ["account.cash"]),
        ("[account]\ncash = 0e999999999\n", ["account.cash"]),
        ("[account]\ncash = 1e-999999999\n", ["account.cash"]),
        (f"[account]\ncash = 0x1{'0' * 5000}\n", ["account.cash", "not a number of that size"]),
        ("[account]\ncash = true\n", ["account.cash"]),
        ('[fees]\nrule = "bsp:3"\n', ['fees.rule "bsp:3" is no fee rule', "did you mean bps?"]),
        (
            "[limits]\nmax_order_qty = 0\n",
            ["limits.max_order_qty must be a whole number from 1 to 70368744177663, not 0"],
        ),
        ("[limits]\nallow_short = 1\n", ["limits.allow_short must be true or false, not 1"]),
        ("[limits]\nmax_order_notional = 0\n", ["limits.max_order_notional"]),
        (
            '[run]\nequity_interval = "2d"\n',
            ['run.equity_interval must be "auto", "off" or a span', 'not "2d"'],
        ),
        ('[import]\ntick = "0"\n', ["import.tick must be an amount from 0.0001"]),
        ('[import]\nstamp = "middle"\n', ['import.stamp must be one of "open", "close", not "middle"']),
        (
            "[import]\nsession_close = 15:30:00\n",
            ["import.session_close must be a time of day", "not 15:30:00"],
        ),
        ('[import]\nsession_close = "24:00"\n', ["import.session_close"]),
        ('[live]\nmode = "backtest"\n', ['live.mode must be "paper"']),
        ('[live]\nsymbols = "TCS"\n', ["live.symbols must be a list of up to 4096 texts"]),
        ('[live]\nsymbols = ["TCS", 5]\n', ["live.symbols entry 2 must be text in quotes, not 5"]),
        ('[live]\nsymbols = ["TCS", "TCS"]\n', ['live.symbols names "TCS" twice']),
        ('[live]\nsymbols = [" TCS"]\n', ["live.symbols must hold names without blanks"]),
        (f"[live]\nsymbols = {[str(i) for i in range(4097)]}\n", ["live.symbols", "not 4097 entries"]),
        ("[tape]\ngroup_commit_ms = 51\n", ["tape.group_commit_ms must be a whole number from 1 to 50"]),
        ('[serve]\nhost = "0.0.0.0"\n', ["serve.host", "other machines can reach", "allow_remote = true"]),
        ('[serve]\nhost = "example.com"\n', ["serve.host"]),
        ('[serve]\nhost = ""\n', ["serve.host must be"]),
        ("[serve\nport = 5\n", ["onetape.toml: is not valid TOML", "line 1, column 7"]),
        ("[serve]\nport = 5\nport = 6\n", ["is not valid TOML", "line 3"]),
        (b"[serve]\n# \xff\n", ["onetape.toml: line 2 is not UTF-8 text"]),
        (f"x = {'1' * 5000}\n", ["a number is too large"]),
        (f"x = {'[' * 5000}\n", ["nested too deeply"]),
        (f"x = 1e{'9' * 30}\n", ["a number is too large"]),
        ("#" * (FILE_BYTES_MAX + 1), ["larger than 1 MiB"]),
    ],
    ids=itertools.count(),
)
def test_file_errors_name_file_key_and_what_is_allowed(content, parts):
    message = refusal(content)
    assert message.startswith("onetape.toml: ")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("variable", "raw", "parts"),
    [
        ("ONETAPE_SERVE__PORT", "abc", ["must be a whole number from 0 to 65535", 'not "abc"']),
        ("ONETAPE_SERVE__PORT", "1\nx = 2", ["must be a whole number", '"1?x = 2"']),
        ("ONETAPE_SERVE__PORT", "", ["must be a whole number"]),
        ("ONETAPE_SERVE__PROT", "1", ["no setting, did you mean ONETAPE_SERVE__PORT?"]),
        ("ONETAPE_SERVE_PORT", "1", ["did you mean ONETAPE_SERVE__PORT?"]),
        ("ONETAPE_serve__port", "1", ["did you mean ONETAPE_SERVE__PORT?"]),
        ("onetape_home", "x", ["did you mean ONETAPE_HOME?"]),
        ("ONETAPE_Q__Q", "1", ["write ONETAPE_<SECTION>__<FIELD> with a section of account"]),
        ("ONETAPE_LIMITS__ALLOW_SHORT", "True", ["must be true or false"]),
        ("ONETAPE_LIVE__FEED", "\udcff", ["not UTF-8"]),
        ("ONETAPE_HOME", "", ["must be a folder"]),
        ("ONETAPE_CONFIG", "", ["is empty"]),
    ],
)
def test_environment_errors_name_the_variable(variable, raw, parts):
    message = refusal(**{variable: raw})
    assert message.startswith(variable) and "toml" not in message
    for part in parts:
        assert part in message


def test_error_about_an_overridden_key_names_the_variable():
    message = refusal("[serve]\nport = 5\n", ONETAPE_SERVE__PORT="0.5")
    assert message.startswith("ONETAPE_SERVE__PORT: must be")


def test_values_of_unknown_keys_are_never_repeated():
    assert "s3cret" not in refusal('[live]\naccess_token = "s3cret"\n')
    assert "s3cret" not in refusal("", ONETAPE_UPSTOX__TOKEN="s3cret")


def test_missing_and_unreadable_files(tmp_path):
    for path in (Path("none.toml"), tmp_path, Path("a\0b")):
        with pytest.raises(ConfigError, match=r"configuration file|cannot be read"):
            load_settings(path, NONE)
    assert "none.toml: there is no such configuration file" in refusal(ONETAPE_CONFIG="none.toml")


def test_every_problem_is_listed_and_the_first_is_raised():
    write("[serve]\nport = -1\ntoken_days = 0\n[zzz]\n")
    settings, _, problems = examine(environ={"ONETAPE_A__B": "1"})
    assert settings is None and len(problems) == 4
    assert refusal(ONETAPE_A__B="1") == problems[0] + " (and 3 more problems)"


def test_allow_remote_opens_the_host_and_loopback_needs_nothing():
    for host in ("localhost", "127.9.9.9", "::1"):
        assert load_settings(environ={"ONETAPE_SERVE__HOST": host}).serve.host == host
    write('[serve]\nhost = "0.0.0.0"\nallow_remote = true\n')
    assert load_settings(environ=NONE).serve.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("interval", "ns"),
    [
        ("auto", None),
        ("off", 0),
        ("1m", 60 * 10**9),
        ("90m", 5400 * 10**9),
        ("24h", 86400 * 10**9),
        ("1d", 86400 * 10**9),
    ],
)
def test_intervals(interval, ns):
    assert text.parse_interval(interval) == ns


@given(st.integers(0, text.MONEY_MAX - 1), st.sampled_from(["text", "toml", "zeros"]))
def test_amounts_are_exact(units, form):
    written = f"{units // 10_000}.{units % 10_000:04}" + ("000" if form == "zeros" else "")
    value = Decimal(written) if form == "toml" else written
    amount = text.read_amount(value, 0, text.MONEY_MAX - 1)
    assert text.units_of(amount) == units
    assert text.amount_of(units) == amount


@given(
    st.decimals(allow_nan=True, allow_infinity=True) | st.text(max_size=12) | st.floats() | st.none() | st.booleans()
)
def test_amounts_are_exact_or_refused(value):
    try:
        amount = text.read_amount(value, -(10**9), 10**9)
    except ValueError as error:
        said = str(error)
    else:
        said = "must be an amount from -100000 to 100000 with at most 4 decimals, not "
        assert Fraction(text.units_of(amount), text.SCALE) == Fraction(amount)
    assert said.startswith("must be an amount from -100000 to 100000 with at most 4 decimals, not ")


PARTS = {
    "bps": (5, 10_000 * 10**5),
    "flat": (4, 2**62 - 1),
    "min": (4, 2**61),
    "max": (4, 2**62 - 1),
    "round": (4, 2**62 - 1),
}


@given(st.data())
def test_fee_rules_are_exact(data):
    names = data.draw(st.permutations(sorted(PARTS)))[: data.draw(st.integers(1, 5))]
    want, parts = dict(text.FEE_FREE), []
    for name in names:
        places, top = PARTS[name]
        low = {"max": 2**61, "round": 1}.get(name, 0)
        units = want[text.FEE_PARTS[name]] = data.draw(st.integers(low, top))
        parts.append(f" {name}:{units // 10**places}.{units % 10**places:0{places}} ")
    rule = ",".join(parts)
    if {"bps", "flat"} & set(names):
        assert text.parse_fee_rule(rule) == want
    else:
        with pytest.raises(ValueError, match="need a bps or a flat charge"):
            text.parse_fee_rule(rule)


@given(st.text(alphabet="bpsflatminxroundze:,.0123456789- ", max_size=20) | st.text(max_size=10))
def test_fee_rules_parse_or_are_refused_clearly(rule):
    try:
        terms = text.parse_fee_rule(rule)
    except ValueError as error:
        said = str(error)
        terms = dict(text.FEE_FREE)
    else:
        said = "is no fee rule: write zero, or bps:X"
    assert "is no fee rule: " in said and "write zero, or bps:X" in said
    assert terms.keys() == text.FEE_FREE.keys()
    assert all(0 <= value < text.MONEY_MAX for value in terms.values())


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("", "is no part"),
        ("bps", "bps needs a plain number such as bps:2.5"),
        ("bps:", "bps needs a plain number"),
        ("bps:-3", "bps needs a plain number"),
        ("bps:1e3", "bps needs a plain number"),
        ("bps:٣", "bps needs a plain number"),
        ("bps:0.000001", "bps takes at most 5 decimals"),
        ("flat:0.00001", "flat takes at most 4 decimals"),
        ("bps:10000.1", "bps is at most 10000"),
        ("flat:461168601842738.7904", "flat is at most 461168601842738.7903"),
        ("bps:3,bps:4", "bps is there twice"),
        ("bps:3,zero", "zero stands alone"),
        ("bps:3,", "is no part"),
        ("bps:3,max:0", "max cannot be 0"),
        ("bps:3,round:0", "round cannot be 0"),
        ("bps:3,min:5,max:4", "min is above max"),
        ("min:5", "need a bps or a flat charge"),
        ("bps:3,mn:5", "did you mean min?"),
    ],
)
def test_fee_rule_errors(rule, what):
    with pytest.raises(ValueError, match="is no fee rule") as caught:
        text.parse_fee_rule(rule)
    assert what in str(caught.value)


def test_fee_rule_examples():
    assert text.parse_fee_rule("zero") == text.FEE_FREE
    assert text.parse_fee_rule("bps:3")["fee_rate"] == 300_000
    assert text.parse_fee_rule("bps:10,flat:1.5,min:2,max:20,round:0.01") == {
        "fee_rate": 1_000_000,
        "fee_flat": 15_000,
        "fee_min": 20_000,
        "fee_max": 200_000,
        "fee_round": 100,
    }
