"""The controller's HTTP app. It only reads: no route changes state.

In: a `ControllerView` and the registries of `/metrics`. Out: a FastAPI app for uvicorn. Routes turn
reports into bodies and nothing more. Must not know who implements the view, nor read a clock.
"""

from collections.abc import Collection, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Response
from fastapi.responses import FileResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.staticfiles import StaticFiles

from collector.model.ids import ServiceName
from foresail import __version__
from foresail.http.bodies import DecisionsBody, Health, Refusal, StateBody
from foresail.http.decision_view import decision_body
from foresail.http.guard import Guard
from foresail.http.state_view import not_ready_reason, state_body
from foresail.ports import ControllerView

PAGE_FOLDER = Path(str(files("foresail") / "page"))
MAX_DECISIONS_PER_ANSWER = 500
DEFAULT_DECISIONS_PER_ANSWER = 50


def create_app(
    source: ControllerView,
    *,
    allowed_hosts: Collection[str],
    registries: Sequence[CollectorRegistry] = (),
) -> FastAPI:
    """The app over one controller.

    `allowed_hosts` are names without a port, as clients write them (`localhost`, `127.0.0.1`,
    `[::1]`). `registries` are put on `/metrics` one after the other; they must not share a series.
    """
    app = FastAPI(
        title="Foresail controller",
        version=__version__,
        description="State and decisions of one Foresail controller. Reads only.",
        # Both documentation pages load scripts from elsewhere; the schema itself stays.
        docs_url=None,
        redoc_url=None,
        # Otherwise variables of the environment could send spans of every request elsewhere.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        responses={400: {"model": Refusal, "description": "The Host header is not allowed"}},
    )
    app.add_middleware(Guard, allowed_hosts=allowed_hosts)
    _add_health(app, source=source)
    _add_metrics(app, registries=registries)
    _add_data(app, source=source)
    _add_page(app)
    return app


def _add_health(app: FastAPI, *, source: ControllerView) -> None:
    @app.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> Health:
        return Health(status="ok")

    @app.get(
        "/readyz",
        summary="Whether decisions are being made",
        responses={503: {"model": Health, "description": "Not ready, and why"}},
    )
    async def readyz(response: Response) -> Health:
        reason = not_ready_reason(source.report())
        if reason is None:
            return Health(status="ok")
        response.status_code = 503
        return Health(status="not_ready", reason=reason)


def _add_metrics(app: FastAPI, *, registries: Sequence[CollectorRegistry]) -> None:
    @app.get("/metrics", summary="Series for Prometheus", response_class=Response)
    async def metrics() -> Response:
        text = b"".join(generate_latest(each) for each in registries)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _add_data(app: FastAPI, *, source: ControllerView) -> None:
    @app.get("/v1/state", summary="Everything the page shows")
    async def state() -> StateBody:
        return state_body(source.report())

    @app.get("/v1/decisions", summary="Remembered decisions, newest first")
    async def decisions(
        last: Annotated[
            int, Query(ge=1, le=MAX_DECISIONS_PER_ANSWER, description="At most this many")
        ] = DEFAULT_DECISIONS_PER_ANSWER,
        service: Annotated[
            str | None, Query(max_length=253, description="Of this service only")
        ] = None,
        changes_only: Annotated[
            bool, Query(description="Leave out those that repeat the one before them")
        ] = False,
    ) -> DecisionsBody:
        found = source.decisions(
            last_count=last,
            service=None if service is None else ServiceName(service),
            changes_only=changes_only,
        )
        return DecisionsBody(decisions=[decision_body(each) for each in found])


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE_FOLDER / "index.html", media_type="text/html")

    app.mount("/static", StaticFiles(directory=PAGE_FOLDER), name="static")
