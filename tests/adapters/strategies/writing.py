"""Strategy files for tests, and short runs of them."""

from kernel.codes import Kind
from tests.kernel.play import TICK, flat, make_engine, of, run_bars

CLASS = (
    "@strategy\nclass Mine:\n    x = Float()\n    n = Int()\n    size = Param(5)\n    mean = Sma(3)\n    warmup = 1\n"
)

EMPTY = "@strategy\nclass Mine:\n    def on_bar(self, bar, ctx):\n        return HOLD\n"


def hook(body: str, name: str = "on_bar(self, bar, ctx)", before: str = "", declared: str = "") -> str:
    """A strategy file whose hook is `body`, with `before` above the class and `declared` in it."""
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return f"{before}\n{CLASS}{declared}\n    def {name}:\n{lines}"


def played(*loaded, stream=None, instruments=1, **rules):
    """An engine of the strategies and its tape after a few bars."""
    engine = make_engine(
        [(one.program, one.params) for one in loaded],
        instruments=tuple((k, TICK, 1) for k in range(instruments)),
        **rules,
    )
    return engine, run_bars(engine, stream if stream is not None else [flat(t, 10 + t) for t in range(1, 7)])


def bought(tape) -> list[tuple[int, int]]:
    return [(int(e["side"]), int(e["qty"])) for e in of(tape, Kind.SIGNAL)]
