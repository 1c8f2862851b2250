"""`foresail list` from the running controller, from its checkpoint, and from the catalogue alone."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.checkpoint import save_checkpoint
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ControllerState
from collector.catalogue_file import read_catalogue
from collector.clock import VirtualClock
from collector.errors import ConfigurationError
from collector.model.history import History
from collector.model.ids import ReplicaId, ServiceName, VariantName
from collector.model.reading import Missing, MissingReason
from collector.model.replica import Replica, ReplicaState
from collector.model.roles import EngineRole
from collector.model.snapshot import ReplicaView, Snapshot
from foresail.cli.main import main
from foresail.cli.state import find_state
from foresail.settings import Settings, read_settings
from support.files import write_desk

UNREAD = Missing(reason=MissingReason.NOT_READ_YET, source="test")


def replica_view(
    number: int, state: ReplicaState, *, role: EngineRole | None = None
) -> ReplicaView:
    return ReplicaView(
        replica=Replica(
            replica_id=ReplicaId(f"chat-{number}"),
            service=ServiceName("chat"),
            variant=VariantName("llama"),
            state=state,
            ordered_timestamp_seconds=1.0,
            serving_timestamp_seconds=None,
            base_url=None,
            role=role,
        ),
        running_requests=UNREAD,
        waiting_requests=UNREAD,
        prompt_tokens_total=UNREAD,
        output_tokens_total=UNREAD,
        in_flight_requests=UNREAD,
        memory_bytes=UNREAD,
    )


class Controller(http.server.BaseHTTPRequestHandler):
    """Answers every path with the server's `body`."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.body)  # type: ignore[attr-defined]  # set by the fixture

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    with http.server.HTTPServer(("127.0.0.1", 0), Controller) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path, server: http.server.HTTPServer) -> Settings:
    """Of a desk whose controller would listen on the server's port, or on one nobody listens on."""
    path = write_desk(tmp_path, settings=f"controller: {{port: {server.server_port}}}\n")
    return read_settings(path, {})


def without_controller(settings: Settings) -> Settings:
    assert settings.settings_path is not None
    return read_settings(settings.settings_path, {"FORESAIL_CONTROLLER__PORT": "1"})


THREE = (
    replica_view(1, ReplicaState.SERVING),
    replica_view(2, ReplicaState.SERVING),
    replica_view(3, ReplicaState.LOADING),
)


def save(settings: Settings, *, now: float, replicas: tuple[ReplicaView, ...] = THREE) -> None:
    save_checkpoint(
        settings.checkpoint_path,
        checkpoint=Inputs(
            snapshot=Snapshot(
                taken_timestamp_seconds=now,
                services=(),
                replicas=replicas,
                pools=(),
            ),
            history=History(services=(), bin_seconds=15.0, end_timestamp_seconds=now, signals={}),
            state=ControllerState(),
            catalogue=read_catalogue(settings.catalogue_path),
            now=now,
        ),
    )


def test_the_running_controller_is_asked_first(
    settings: Settings, server: http.server.HTTPServer
) -> None:
    server.body = b'{"services": [], "x": 1}'  # type: ignore[attr-defined]  # read by the handler
    found = find_state(settings, clock=VirtualClock())
    assert (found.source, found.age_seconds, found.body["x"]) == ("controller", 0.0, 1)


def test_a_stranger_on_the_controllers_port_is_told(
    settings: Settings, server: http.server.HTTPServer
) -> None:
    server.body = b"<html>"  # type: ignore[attr-defined]  # read by the handler
    with pytest.raises(ConfigurationError, match="is answered by something else"):
        find_state(settings, clock=VirtualClock())


def test_without_a_controller_the_checkpoint_is_shown_with_its_age(settings: Settings) -> None:
    dead = without_controller(settings)
    save(dead, now=1000.0)
    found = find_state(dead, clock=VirtualClock(1180.0))
    assert found.source == "checkpoint"
    assert found.age_seconds == 180.0
    assert found.words.endswith("this is its checkpoint of 3 min ago")
    assert len(found.body["services"][0]["replicas"]) == 3


def test_without_anything_the_catalogue_is_shown(settings: Settings) -> None:
    found = find_state(without_controller(settings), clock=VirtualClock())
    assert (found.source, found.age_seconds) == ("catalogue", None)
    assert [service["name"] for service in found.body["services"]] == ["chat", "embed"]


def test_the_table_never_shows_a_number_nobody_measured(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = without_controller(settings)
    save(dead, now=1000.0)
    environ = {"FORESAIL_CONTROLLER__PORT": "1"}
    assert main(["list", "-s", str(dead.settings_path)], environ=environ) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Active: Foresail starts and stops replicas by itself."
    assert lines[3].split() == [
        "chat", "chat,", "my-chat", "gold", "1", "loading,", "2", "serving", "1-3", "?", "?",
    ]  # fmt: skip
    assert lines[4].split() == ["embed", "embed", "gold", "none", "1-1", "?", "?"]


def test_engines_of_a_unit_are_listed_by_role(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    engines = (
        replica_view(1, ReplicaState.SERVING, role=EngineRole.PREFILL),
        replica_view(2, ReplicaState.SERVING, role=EngineRole.DECODE),
        replica_view(3, ReplicaState.SERVING, role=EngineRole.DECODE),
    )
    dead = without_controller(settings)
    save(dead, now=1000.0, replicas=engines)
    assert (
        main(["list", "-s", str(dead.settings_path)], environ={"FORESAIL_CONTROLLER__PORT": "1"})
        == 0
    )
    words = " ".join(capsys.readouterr().out.split())
    assert "2 serving decode, 1 serving prefill" in words


def test_programs_get_the_same_as_data(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"FORESAIL_CONTROLLER__PORT": "1"}
    assert main(["list", "-s", str(settings.settings_path), "--json"], environ=environ) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["source"] == "catalogue"
    assert data["state"]["mode"] == "active"
