"""The state that `foresail list` shows, from the best source there is.

In: settings. Out: a `FoundState`: the body of `/v1/state` of the running controller; else the same
body made of its last checkpoint, with its age; else of the catalogue alone. Reads only.
"""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collector.clock import Clock
from collector.errors import ConfigurationError
from foresail.settings import ControllerSettings, Settings

TIMEOUT_SECONDS = 3.0
MAX_ANSWER_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundState:
    """A state and where it is from."""

    source: str  # controller, checkpoint or catalogue
    words: str  # the same for people
    age_seconds: float | None  # None: it says nothing about a moment
    body: Mapping[str, Any]  # Any: JSON as `foresail.http.bodies.StateBody` describes it


def find_state(settings: Settings, *, clock: Clock) -> FoundState:
    """The freshest state. Raises CatalogueError when not even the catalogue can be read."""
    address = f"{settings.controller.host}:{settings.controller.port}"
    body = read_live_state(settings.controller)
    if body is not None:
        return FoundState(
            source="controller", words=f"controller at {address}", age_seconds=0.0, body=body
        )
    from autoscaler.checkpoint import FILE_NAME
    from autoscaler.errors import CheckpointError

    try:
        return _saved_state(settings, now=clock.timestamp_seconds(), address=address)
    except CheckpointError as error:
        is_new = not (settings.checkpoint_path / FILE_NAME).exists()
        why = "none has run here yet" if is_new else str(error)
        return _declared_state(settings, why=f"no controller at {address}, {why}")


def read_live_state(controller: ControllerSettings) -> Mapping[str, Any] | None:
    """What the running controller says; None when nobody answers. Raises ConfigurationError."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(controller.host, controller.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, controller.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/v1/state")
        answer = connection.getresponse()
        content = answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if answer.status != http.HTTPStatus.OK or not isinstance(body, dict) or "services" not in body:
        raise ConfigurationError(
            f"port {controller.port} of {host} is answered by something else (HTTP {answer.status}); "
            "change controller.port, or end that program"
        )
    return body


def _saved_state(settings: Settings, *, now: float, address: str) -> FoundState:
    from autoscaler.checkpoint import load_checkpoint
    from foresail.cli.output import age_text
    from foresail.http.state_view import state_body
    from foresail.ports import ControllerReport, TickReport

    saved = load_checkpoint(settings.checkpoint_path)
    report = ControllerReport(
        reported_timestamp_seconds=saved.now,
        ticks=TickReport(),
        started_timestamp_seconds=saved.now,
        decide_interval_seconds=settings.ticks.decide_seconds,
        catalogue=saved.catalogue,
        snapshot=saved.snapshot,
        history=saved.history,
    )
    age = max(0.0, now - saved.now)
    return FoundState(
        source="checkpoint",
        words=f"no controller at {address}; this is its checkpoint of {age_text(age)} ago",
        age_seconds=age,
        body=state_body(report).model_dump(mode="json"),
    )


def _declared_state(settings: Settings, *, why: str) -> FoundState:
    from collector.catalogue_file import read_catalogue
    from foresail.http.state_view import state_body
    from foresail.ports import ControllerReport, TickReport

    report = ControllerReport(
        reported_timestamp_seconds=0.0,
        ticks=TickReport(),
        started_timestamp_seconds=0.0,
        decide_interval_seconds=settings.ticks.decide_seconds,
        catalogue=read_catalogue(settings.catalogue_path),
    )
    return FoundState(
        source="catalogue",
        words=f"{why}; this is what the catalogue declares",
        age_seconds=None,
        body=state_body(report).model_dump(mode="json"),
    )
