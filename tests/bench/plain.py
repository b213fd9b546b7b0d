"""A strategy in plain Python, for the bench: what a call of it costs when it does nothing."""

from onetape import HOLD, PythonStrategy


class Trivial(PythonStrategy):
    """Looks at nothing and does nothing."""

    def on_bar(self, bar, ctx):
        return HOLD
