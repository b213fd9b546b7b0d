"""The web server: read models over HTTP behind a bearer token, filled from the tapes by a task that follows them.

Money and prices are exact decimal text in the currency, times ISO 8601 text in UTC. The server owns its database
(`<home>/views/serve.duckdb`), takes no writer's lock and shows only what is durable. There is no CORS.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from litestar import Litestar, Request, Response, get
from litestar.datastructures import MutableScopeHeaders, State
from litestar.exceptions import HTTPException, NotAuthorizedException, ValidationException
from litestar.middleware import ASGIMiddleware
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath, QueryParameter
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from adapters.settings import Settings
from adapters.settings_text import check_host
from adapters.tape.reader import config_of
from api.auth import check_token, load_key
from api.following import Views, keep_level
from api.serve_scan import LIMIT, get_scan
from api.tapes import scales_of
from api.version import version
from kernel.codes import Kind
from kernel.errors import ConfigError, NotFound, OnetapeError, TapeCorrupt, TokenRefused
from projections.plain import SCALE, event, plain
from projections.queries import list_positions, list_runs, page
from projections.summary import run_report

BEHIND_S = 10.0  # without a finished look, /health says so
SCAN_ROWS = 1_000_000  # rows one request for events may look through
SEQ_MAX = 2**63 - 1
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
log = logging.getLogger("onetape.serve")

Tape = Annotated[str, QueryParameter(min_length=1, max_length=255, description="A run's id, or accounts/NAME.")]
FromSeq = Annotated[
    int, QueryParameter(ge=0, le=SEQ_MAX, description="Where the page begins: `next` of the page before.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT, description="Most rows of the answer.")]
Json = dict[str, Any]


@get("/health", open_to_all=True, sync_to_thread=False, security=[{}])
def health(state: State) -> Json:
    """Whether the server is level with the tapes. Needs no token."""
    views: Views = state.views
    return {
        "status": "ok" if views.lag_s < BEHIND_S else "behind",
        "version": version(),
        "tapes": views.tapes_known,
        "unread_tapes": views.unread,
        "lag_seconds": round(views.lag_s, 3),
    }


@get("/api/runs", sync_to_thread=True)
def get_runs(state: State) -> Json:
    """The newest run of each tape, newest first."""
    with state.views.cursor() as cursor:
        return {"items": plain(list_runs(cursor))}


@get("/api/runs/{run_id:path}", sync_to_thread=True)
def get_run(state: State, run_id: FromPath[str]) -> Json:
    """Everything the read models say about a run, but its trades."""
    tape = run_id.lstrip("/")
    with state.views.cursor() as cursor:
        state.views.folder_of(tape)
        report = run_report(cursor, tape)
    del report["trades"]
    return {"run_id": tape, **plain(report)}


@get("/api/positions", sync_to_thread=True)
def get_positions(state: State, tape: Tape) -> Json:
    """Positions by strategy and symbol."""
    state.views.folder_of(tape)
    with state.views.cursor() as cursor:
        return {"items": plain(list_positions(cursor, tape))}


@get("/api/orders", sync_to_thread=True)
def get_orders(state: State, tape: Tape, from_seq: FromSeq = 0, limit: Limit = 100) -> Json:
    """Orders as they stand, by order_id."""
    return _page(state.views, "orders", tape, from_seq, limit)


@get("/api/trades", sync_to_thread=True)
def get_trades(state: State, tape: Tape, from_seq: FromSeq = 0, limit: Limit = 100) -> Json:
    """Round trips, by opened_seq."""
    return _page(state.views, "trades", tape, from_seq, limit)


def _page(views: Views, table: str, tape: str, from_seq: int, limit: int) -> Json:
    views.folder_of(tape)
    with views.cursor() as cursor:
        rows, following = page(cursor, table, tape, from_seq, limit)
    return {"items": plain(rows), "next": following}


@get("/api/events", sync_to_thread=True)
def get_events(
    state: State,
    tape: Tape,
    from_seq: FromSeq = 0,
    limit: Limit = 100,
    kind: Annotated[str | None, QueryParameter(description="Only events of this kind, such as ORDER_FILLED.")] = None,
) -> Json:
    """Events as they are on the tape; a page may hold fewer than `limit` and still have a `next`."""
    if kind is not None and kind not in Kind.__members__:
        raise ValidationException(f"no kind {kind!r}: it is one of {', '.join(Kind.__members__)}")
    items: list[Json] = []
    looked, scales = 0, _scales(state.views.folder_of(tape))
    for rows, notes in state.views.source.rows(state.views.folder_of(tape), from_seq):
        wanted = np.flatnonzero(rows["kind"] == Kind[kind]) if kind is not None else np.arange(len(rows))
        for place in wanted.tolist():
            seq = int(rows["seq"][place])
            if len(items) == limit:
                return {"items": items, "next": seq}
            scale = scales.get(int(rows["instrument"][place]), SCALE)
            items.append(event(rows[place], notes.get(seq), scale))
        looked += len(rows)
        if looked >= SCAN_ROWS:
            return {"items": items, "next": int(rows["seq"][-1]) + 1}
    return {"items": items, "next": None}


def _scales(folder: Path) -> dict[int, int]:
    """Price scales of a tape's instruments where they are not the usual one."""
    with suppress(TapeCorrupt, NotFound, ValueError):
        return scales_of(config_of(folder).get("instruments", []))
    return {}


def _refuse_unknown_parameters(request: Request) -> None:
    """A misspelled filter must not read as an answer to the question that was meant."""
    known = [name for name in request.route_handler.parsed_fn_signature.parameters if name != "state"]
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise ValidationException(f"no parameter {unknown[0]!r} here: {takes}")


class BearerAuth(ASGIMiddleware):
    """Lets a request through when it bears a valid token, or its route says `open_to_all`."""

    exclude_opt_key = "open_to_all"

    def __init__(self, key: bytes) -> None:
        self._key = key

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        headers = dict(scope["headers"])
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthorizedException("send `Authorization: Bearer TOKEN`: make one with `onetape token`")
        try:
            scope["user"] = check_token(self._key, token.strip())
        except TokenRefused as error:
            raise NotAuthorizedException(str(error)) from None
        await next_app(scope, receive, send)


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Json]:
    """Any failure as RFC 9457 JSON; what went wrong inside stays in the log."""
    body: Json = {"type": "about:blank"}
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        status, detail = error.status_code, error.detail
        body |= {"errors": error.extra} if error.extra else {}
        headers = {"WWW-Authenticate": 'Bearer realm="onetape"'} if status == 401 else dict(error.headers or {})
    elif isinstance(error, OnetapeError):
        status, detail = (404 if isinstance(error, NotFound) else 503), str(error)
    else:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        status, detail = 500, "the server failed: its log says more"
    body |= {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(body, status_code=status, media_type="application/problem+json", headers=headers)


async def _add_headers(message: Message, scope: Scope) -> None:
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers[name] = value


@asynccontextmanager
async def _following(app: Litestar) -> AsyncIterator[None]:
    """Follow the tapes while the server runs."""
    views: Views = app.state.views
    stopping = threading.Event()
    follower = threading.Thread(target=keep_level, args=(views, stopping), name="follower")
    follower.start()
    try:
        yield
    finally:
        stopping.set()  # a look that is under way ends before its database closes
        await asyncio.to_thread(follower.join)
        views.close()


def make_app(home: Path, settings: Settings) -> Litestar:
    """The application over the tapes of `home`. Raises ConfigError when its secret or database cannot be used."""
    key = load_key(home)
    scheme = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT", description="`onetape token` makes one")
    return Litestar(
        [health, get_runs, get_run, get_positions, get_orders, get_trades, get_events, get_scan],
        state=State({"views": Views(home), "settings": settings, "home": home}),
        lifespan=[_following],
        middleware=[BearerAuth(key)],
        before_request=_refuse_unknown_parameters,
        exception_handlers={HTTPException: _answer_error, Exception: _answer_error},
        before_send=[_add_headers],
        openapi_config=OpenAPIConfig(
            title="Onetape",
            version=version(),
            path="/api/schema",
            render_plugins=[JsonRenderPlugin()],
            components=Components(security_schemes={"bearer": scheme}),
            security=[{"bearer": []}],
            use_handler_docstrings=True,
        ),
        logging_config=None,
        request_max_body_size=0x10000,
        debug=False,
    )


def serve(home: Path, settings: Settings) -> None:
    """Serve `home` until interrupted. Raises ConfigError when the address is not allowed."""
    import uvicorn

    try:
        check_host(settings.serve.host, settings.serve.allow_remote)
    except ValueError as error:
        raise ConfigError(f"serve.host {error}") from None
    app = make_app(home, settings)
    host, port = settings.serve.host, settings.serve.port
    uvicorn.run(app, host=host, port=port, server_header=False, access_log=False, log_level="info")
