"""`onetape serve` and `onetape token`: the query API and what opens it."""

from argparse import Namespace

from api.commands.common import settings_of


def run_serve(options: Namespace) -> int:
    from api.serve import serve

    home, settings = settings_of(options)
    serve(home, settings)
    return 0


def run_token(options: Namespace) -> int:
    from api.auth import make_token

    home, settings = settings_of(options)
    print(make_token(home, options.days or settings.serve.token_days, "cli"))
    return 0
