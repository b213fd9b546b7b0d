"""An installed package that offers a strategy, as pip would leave it in a folder."""

import shutil
from pathlib import Path

ORIGIN = "acme.momentum:Momentum"
MODULE = '''from onetape import *

from .sizes import FACTOR, sized


@strategy
class Momentum:
    """Buys {word}."""

    size = Param(1, low=1, high=9, doc="how much")

    def on_bar(self, bar, ctx):
        if ctx.position == 0 and ctx.working == 0:
            return buy(sized(self.size))
        return HOLD
'''


def offer(site: Path, name: str = "momentum", value: str = ORIGIN, factor: int = 3, version: str = "1.2") -> Path:
    """Write the package acme and what says that it is installed; `site`."""
    for old in site.glob("acme*"):
        shutil.rmtree(old)
    (site / "acme").mkdir(parents=True)
    (site / "acme" / "__init__.py").write_text("")
    (site / "acme" / "sizes.py").write_text(
        f"from onetape import helper\nFACTOR = {factor}\n\n\n@helper\ndef sized(n):\n    return n * FACTOR\n"
    )
    (site / "acme" / "momentum.py").write_text(MODULE.format(word="what rises"))
    about = site / f"acme_strategies-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-strategies\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[onetape.strategies]\n{name} = {value}\n")
    return site
