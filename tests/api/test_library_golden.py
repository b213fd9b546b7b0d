"""Every strategy that comes with Onetape decides on real days, or on made minutes, what it decided: fixed digests.

A change that moves them must be meant, and said in CHANGELOG.md; `python -m tests.api.test_library_golden` prints new ones.
"""

from pathlib import Path

import pytest

from adapters.market.importer import import_files
from adapters.market.samples import SAMPLE_OPTIONS, sample_path
from adapters.settings import Settings
from adapters.strategies.load import built_in_names
from api.bootstrap import load_strategies, make_config
from api.check_run import Place, Runner, Trial
from api.request import Request
from kernel.jit import COMPILED
from tests.api.conftest import write_mornings

DAYS = {
    "bollinger_reversion": (440, "4f212fc99553f13195066e8b728318bde6ce36be4f9c16add3e440f71814ee0c"),
    "buy_and_hold": (3, "9cc6b1791dca770f574aab1eaae018e677aafc3ac9f9bb8c1e1e7b899a1e2f23"),
    "cross_sectional_momentum,keep=2": (184, "b8b9f8c9d0ed115d5f4be56e9fee49d984956d6e60bd554faebf4c37d1eddcaa"),
    "donchian_breakout": (1120, "91cda5a1174aad7198b317e8e79129a44f58bb269a511229e795f193cfc9b461"),
    "ema_cross": (204, "a9aa0ddad9654e24d52c7b1efe6c36e8bed2199d493aff928a4edea7b4c744b2"),
    "pairs_zscore,first=1,second=2": (52, "e27f2d454c5072bba834e4fdd4a590b2ceaf524b0e1d784dd85ca85b69e98932"),
    "rsi_mean_reversion": (382, "9575421bac852841cf21c1605c4fd01120bf6ee9af82365636f48180b3d6c6bf"),
    "sma_rsi_stop": (244, "4b00aff2c03eed6b1781d74b557bed9d3b736906239d950544ee3e849694b129"),
    "ml_example": (382, "3de84cdcae0f9461564bfd48a9698ed84ebd78ff34aca29c391b3732a28e4bb2"),
    "supertrend": (190, "a2d16fd605ea234711c5e9d51fad73b61fcc582e220be2d7b86fe5e0f87dc826"),
    "volatility_target": (1040, "c1d5886777710ccc952546230caf5866476363a0da9fcdbd98b13bc9c2da5bf3"),
}
MINUTES = {
    "opening_range_breakout,hold=120": (46, "a2db2f5d0c602a6b2b91bfe7e79f25827473662bb92f4a4660d026ab436c1fe2"),
    "vwap_reversion,hold=120": (66, "009fddd9f13d221e71b2e7a1efce2c46892487ee3c395fd0cfda01ee8edbd10b"),
}


def decided(home: Path, spec: str, **asked) -> tuple[int, str]:
    """How many signals a backtest gave, and the digest of all decisions."""
    request = Request([spec], **asked)
    loaded = load_strategies([spec], home)
    config = make_config(home, Settings(), request, loaded, "BACKTEST")
    outcome = Runner(Place(home, config, loaded[0].origin, Settings().capacity.batch))(Trial())
    return len(outcome.signals), outcome.digest


def days_of(home: Path, spec: str) -> tuple[int, str]:
    """On three stocks of the sample, splits among them, from 2004 on."""
    return decided(home, spec, symbols=["AAPL", "IBM", "MSFT"], first_day="2004-01-01")


@pytest.fixture(scope="module")
def sample(load, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sample")
    import_files(home, [sample_path()], SAMPLE_OPTIONS)
    return home


def test_every_one_is_here():
    """But premium_signal, which needs a chain of options: tests/api/test_library_runs.py."""
    assert {spec.partition(",")[0] for spec in (*DAYS, *MINUTES)} == set(built_in_names()) - {"premium_signal"}


@pytest.mark.skipif(not COMPILED, reason="interpreted, thousands of bars take seconds each")
@pytest.mark.parametrize("spec", DAYS)
def test_on_days(sample, spec):
    assert days_of(sample, spec) == DAYS[spec]


@pytest.mark.parametrize("spec", MINUTES)
def test_on_minutes(market, spec):
    assert decided(market, spec) == MINUTES[spec]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as days, tempfile.TemporaryDirectory() as minutes:
        import_files(Path(days), [sample_path()], SAMPLE_OPTIONS)
        write_mornings(Path(minutes), 11)
        for spec in DAYS:
            print(f'    "{spec}": {days_of(Path(days), spec)},')
        for spec in MINUTES:
            print(f'    "{spec}": {decided(Path(minutes), spec)},')
