"""The page of a fleet demo as an HTTP app. It only reads.

In: a function that gives the race as it stands. Out: a FastAPI app for uvicorn, closed as the
controller's is. Must not know who replays, nor read a clock.
"""

from collections.abc import Callable, Collection

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

from foresail import __version__
from foresail.demo.fleet.bodies import FleetBody
from foresail.http.app import PAGE_FOLDER
from foresail.http.bodies import Health, Refusal
from foresail.http.guard import Guard


def create_fleet_app(latest: Callable[[], FleetBody], *, allowed_hosts: Collection[str]) -> FastAPI:
    """`allowed_hosts` are names without a port, as clients write them."""
    app = FastAPI(
        title="Foresail fleet demo",
        version=__version__,
        description="Several services on shared GPUs, replayed beside one peer or live. Reads only.",
        # Both documentation pages load scripts from elsewhere; the schema itself stays.
        docs_url=None,
        redoc_url=None,
        # Otherwise variables of the environment could send spans of every request elsewhere.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        responses={400: {"model": Refusal, "description": "The Host header is not allowed"}},
    )
    app.add_middleware(Guard, allowed_hosts=allowed_hosts)

    @app.get("/healthz", summary="Whether the process is alive")
    async def healthz() -> Health:
        return Health(status="ok")

    @app.get("/v1/fleet", summary="Everything the page shows")
    async def fleet() -> FleetBody:
        return latest()

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE_FOLDER / "fleet.html", media_type="text/html")

    app.mount("/static", StaticFiles(directory=PAGE_FOLDER), name="static")
    return app
