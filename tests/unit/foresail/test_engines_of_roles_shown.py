"""Engines of units where people look: what the doctor examines, and who holds memory."""

from pathlib import Path

from collector.contract.loader import load_contracts
from foresail.doctor.targets.catalogue_targets import catalogue_questions
from foresail.http.state_view import pool_body
from foresail.settings import read_settings
from support.builders import GIB, NOW, make_catalogue, make_snapshot
from support.files import write_desk
from support.units import make_engine_views, make_split_service


def test_the_doctor_examines_engines_and_not_the_router(tmp_path: Path) -> None:
    settings = read_settings(write_desk(tmp_path), {})
    questions = catalogue_questions(
        settings, make_catalogue(make_split_service()), contracts=load_contracts()
    )
    assert [each.asked.address.name for each in questions] == [
        "chat/split/prefill/0",
        "chat/split/decode/0",
    ]
    assert [each.asked.address.base_url for each in questions] == [
        "http://prefill",
        "http://decode",
    ]


def test_an_engine_holds_what_one_engine_of_its_role_is_declared_to() -> None:
    service = make_split_service(decode_fields={"memory_bytes": 2 * GIB})
    catalogue = make_catalogue(service, pool_bytes=100 * GIB)
    body = pool_body(
        catalogue.pools[0],
        catalogue=catalogue,
        snapshot=make_snapshot(replicas=make_engine_views(prefill=1, decode=2)),
        now=NOW,
    )
    assert [each.memory_bytes for each in body.holders] == [GIB, 2 * GIB, 2 * GIB]
