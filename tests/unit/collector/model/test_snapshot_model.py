"""Finding things in a snapshot."""

from collector.model.snapshot import snapshots_by_service
from support.builders import make_replica_view, make_snapshot, make_view

A1, A2 = make_replica_view("a1", service="a"), make_replica_view("a2", service="a")
B1, LOST = make_replica_view("b1", service="b"), make_replica_view("x", service="undeclared")
WHOLE = make_snapshot(services=[make_view("a"), make_view("b")], replicas=[A1, B1, LOST, A2])


def test_a_service_nobody_read_has_no_view() -> None:
    assert WHOLE.service("c") is None
    assert WHOLE.service("b") == make_view("b")


def test_replicas_are_found_in_their_order() -> None:
    assert WHOLE.replicas_of("a") == (A1, A2)


def test_the_parts_hold_what_the_whole_does() -> None:
    parts = snapshots_by_service(WHOLE, services=["b", "a", "c"])
    for name in ("a", "b", "c"):
        assert parts[name].service(name) == WHOLE.service(name)
        assert parts[name].replicas == WHOLE.replicas_of(name)
    assert set(parts) == {"a", "b", "c"}
