"""`onetape serve` and `onetape token`: the query API and what opens it."""

from argparse import Namespace

from api.commands.common import settings_of
from kernel.errors import ConfigError


def run_serve(options: Namespace) -> int:
    from api.serve import serve

    home, settings = settings_of(options)
    serve(home, settings)
    return 0


def run_token(options: Namespace) -> int:
    from api.auth import make_token

    home, settings = settings_of(options)
    days = settings.serve.token_days if options.days is None else options.days
    if not 1 <= days <= 365:
        raise ConfigError(f"--days {days}: a token lasts 1 to 365 days")
    print(make_token(home, days, "cli"))
    return 0
