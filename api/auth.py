"""Bearer tokens of the web server: HS256 over a secret in `<home>/secrets/api.key` that only its owner can read.

Deleting the secret and starting again makes every token invalid.
"""

import os
import secrets
import time
from pathlib import Path
from typing import Any

import jwt

from kernel.errors import ConfigError, TokenRefused

ALGORITHM, AUDIENCE, ISSUER = "HS256", "onetape", "onetape"
KEY_BYTES = 32
DAY_S = 86_400
CLAIMS = ("exp", "iat", "aud", "iss", "sub")


def key_path(home: Path) -> Path:
    return home / "secrets" / "api.key"


def load_key(home: Path) -> bytes:
    """The home's secret, made on first use. Raises ConfigError when others could read it or it is not one."""
    path = key_path(home)
    if not path.exists():
        _create(path)
    _check_private(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} is not a secret of {KEY_BYTES} bytes: delete it, and a new one is made")
    return key


def _create(path: Path) -> None:
    """Write a new secret next to `path` and link it into place, whole; whoever came first has made the one to use."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()


def _check_private(path: Path) -> None:
    if os.name != "posix":  # elsewhere the mode bits say nothing
        return
    about = path.stat()
    if about.st_mode & 0o077:
        raise ConfigError(f"{path} can be read by others: delete it, and a new one is made (or chmod 600 it)")
    if about.st_uid != os.geteuid():
        raise ConfigError(f"{path} belongs to another user: start as that user, or delete it")


def make_token(home: Path, days: int, subject: str) -> str:
    """A token for `subject` that lasts `days`."""
    now = int(time.time())
    claims = {"sub": subject, "iat": now, "exp": now + days * DAY_S, "aud": AUDIENCE, "iss": ISSUER}
    return jwt.encode(claims, load_key(home), algorithm=ALGORITHM)


def check_token(key: bytes, token: str) -> str:
    """The subject of a valid token. Raises TokenRefused."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": list(CLAIMS), "verify_signature": True},
        )
    except jwt.ExpiredSignatureError:
        raise TokenRefused("the token has expired: make a new one with `onetape token`") from None
    except (jwt.PyJWTError, ValueError):
        raise TokenRefused("the token is not valid here: make one with `onetape token`") from None
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject:
        raise TokenRefused("the token is not valid here: make one with `onetape token`")
    return subject
