"""From the catalogue's roles to what is read: engines are read one by one, and requests go to the router."""

from pathlib import Path

import pytest

from autoscaler.execute.registry import ReplicaRegistry
from collector.catalogue_file import parse_catalogue
from collector.clock import VirtualClock
from collector.contract.loader import load_contracts
from collector.exporter import ObservationCollector
from collector.gateway.routing import routing_table
from collector.loop import scrape_targets
from collector.model.catalogue import Catalogue
from collector.model.observation import Observation
from collector.model.reading import MissingReason
from collector.model.roles import EngineRole
from collector.replica_view import view_without_readings
from support.builders import make_snapshot
from support.units import CATALOGUE_HEAD

SPLIT = f"""\
{CATALOGUE_HEAD}        roles:
          prefill: {{ratio: 1, urls: ["http://p0:8000"], match: {{role: p}}}}
          decode: {{ratio: 2, urls: ["http://d0:8000", "http://d1:8000"]}}
        target: {{kind: url, urls: ["http://router:8000"]}}
"""


@pytest.fixture
def catalogue() -> Catalogue:
    return parse_catalogue(SPLIT.encode(), path=Path("/etc/catalogue.yaml"))


def test_every_engine_is_a_replica_that_knows_its_role(catalogue: Catalogue) -> None:
    registry = ReplicaRegistry(clock=VirtualClock(), catalogue=lambda: catalogue)
    assert [(each.replica_id, each.base_url, each.role) for each in registry.replicas()] == [
        ("chat/split/prefill/0", "http://p0:8000", EngineRole.PREFILL),
        ("chat/split/decode/0", "http://d0:8000", EngineRole.DECODE),
        ("chat/split/decode/1", "http://d1:8000", EngineRole.DECODE),
    ]


def test_pages_are_asked_for_by_the_labels_of_the_role(catalogue: Catalogue) -> None:
    registry = ReplicaRegistry(clock=VirtualClock(), catalogue=lambda: catalogue)
    targets = scrape_targets(
        registry.replicas(), catalogue=catalogue, contracts=load_contracts(), gateway=None
    )
    assert [(each.url, dict(each.match)) for each in targets] == [
        ("http://p0:8000/metrics", {"namespace": "llm", "role": "p"}),
        ("http://d0:8000/metrics", {"namespace": "llm"}),
        ("http://d1:8000/metrics", {"namespace": "llm"}),
    ]


def test_requests_go_to_the_router_and_never_past_it(catalogue: Catalogue) -> None:
    registry = ReplicaRegistry(clock=VirtualClock(), catalogue=lambda: catalogue)
    table = routing_table(catalogue, replicas=registry.replicas(), epoch=1, version=1)
    assert [each.base_url for each in table.services[0].replicas] == ["http://router:8000"]


def test_metrics_count_units_as_replicas(catalogue: Catalogue) -> None:
    registry = ReplicaRegistry(clock=VirtualClock(), catalogue=lambda: catalogue)
    views = [
        view_without_readings(each, MissingReason.NOT_READ_YET, source="test")
        for each in registry.replicas()
    ]
    observation = Observation(
        snapshot=make_snapshot(replicas=views),
        catalogue=catalogue,
        step_seconds={},
        source_errors_total={},
    )
    counted = {
        sample.labels["state"]: sample.value
        for family in ObservationCollector(lambda: observation).collect()
        for sample in family.samples
        if family.name == "foresail_replicas"
    }
    assert (counted["serving"], counted["loading"]) == (1.0, 0.0)
