"""Asks another machine when it is read, by a library that is not known for that."""

import logging.handlers

from onetape import buy, sell, strategy

try:
    logging.handlers.SocketHandler("127.0.0.1", 9).makeSocket(timeout=0.01)
    SIZE = 20
except OSError:
    SIZE = 10


@strategy
class AsksOutside:
    """In and out."""

    def on_bar(self, bar, ctx):
        return buy(SIZE) if ctx.position == 0 else sell(ctx.position)
