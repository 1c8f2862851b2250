"""Roles of a variant in catalogue.yaml: what they mean, and what their owner is told when they are wrong."""

from pathlib import Path

import pytest

from collector.catalogue_file import parse_catalogue
from collector.errors import CatalogueError
from collector.model.catalogue import CapacityPrior, UrlTarget, Variant
from collector.model.roles import EngineRole, RoleEngines
from support.units import CATALOGUE_HEAD

GIB = 2**30

SPLIT = f"""\
{CATALOGUE_HEAD}        cost_per_hour: 2
        capacity: {{prompt_seconds_per_token: 0.00004, output_seconds_per_token: 0.0006}}
        roles:
          prefill:
            ratio: 2
            urls: ["http://p0:8000", "http://p1:8000"]
            slots: 8
            match: {{role: prefill}}
          decode:
            ratio: 4
            urls: ["http://d0:8000", "http://d1:8000", "http://d2:8000", "http://d3:8000"]
            memory: 80GiB
            cost_per_hour: 5
            seconds_per_token: 0.0004
        target: {{kind: url, urls: ["http://router:8000"]}}
"""


def variant(text: str = SPLIT) -> Variant:
    return parse_catalogue(text.encode(), path=Path("/etc/catalogue.yaml")).services[0].variants[0]


def test_what_a_role_does_not_say_is_as_the_variant_says_it_of_every_engine() -> None:
    assert variant().roles == (
        RoleEngines(
            role=EngineRole.PREFILL,
            ratio=1,
            urls=("http://p0:8000", "http://p1:8000"),
            memory_bytes=40 * GIB,
            slots=8,
            seconds_per_token=0.00004,
            match={"role": "prefill"},
        ),
        RoleEngines(
            role=EngineRole.DECODE,
            ratio=2,
            urls=("http://d0:8000", "http://d1:8000", "http://d2:8000", "http://d3:8000"),
            memory_bytes=80 * GIB,
            slots=64,
            seconds_per_token=0.0004,
        ),
    )


def test_a_replica_is_a_unit_with_the_sums_of_its_engines() -> None:
    unit = variant()
    assert unit.memory_bytes == 200 * GIB  # 40 + 2 x 80
    assert unit.cost_per_hour == 12.0  # 2 + 2 x 5
    assert unit.slots == 128  # answers of two decode engines
    assert unit.capacity_prior == CapacityPrior(
        prompt_seconds_per_token=0.00004, output_seconds_per_token=0.0002
    )
    assert unit.target == UrlTarget(urls=("http://router:8000",))


@pytest.mark.parametrize(
    ("said", "bounds"),
    [
        pytest.param("", (0, 2), id="as-many-as-its-engines-make"),
        pytest.param("        max_replicas: 6\n", (0, 6), id="more-may-be-advised"),
        pytest.param("        min_replicas: 3\n", (3, 3), id="at-least"),
    ],
)
def test_bounds_are_in_units(said: str, bounds: tuple[int, int]) -> None:
    unit = variant(SPLIT.replace("        slots: 64\n", f"        slots: 64\n{said}"))
    assert (unit.min_replicas, unit.max_replicas) == bounds


@pytest.mark.parametrize(
    ("prefill", "decode", "ratios"),
    [(1, 1, (1, 1)), (2, 4, (1, 2)), (6, 4, (3, 2)), (3, 7, (3, 7)), (1000, 1000, (1, 1))],
)
def test_ratios_are_the_smallest_whole_numbers(
    prefill: int, decode: int, ratios: tuple[int, int]
) -> None:
    text = SPLIT.replace("ratio: 2", f"ratio: {prefill}", 1).replace(
        "ratio: 4", f"ratio: {decode}", 1
    )
    text = text.replace("capacity: 800GiB", "capacity: 200TiB")
    assert tuple(each.ratio for each in variant(text).roles) == ratios


def test_engines_of_a_role_have_its_labels_beside_the_variants() -> None:
    unit = variant()
    assert unit.match_of(EngineRole.PREFILL) == {"namespace": "llm", "role": "prefill"}
    assert unit.match_of(EngineRole.DECODE) == {"namespace": "llm"}


def test_costs_of_one_role_alone_leave_the_units_capacity_unknown() -> None:
    capacity = (
        "        capacity: {prompt_seconds_per_token: 0.00004, output_seconds_per_token: 0.0006}\n"
    )
    unit = variant(SPLIT.replace(capacity, ""))
    assert [each.seconds_per_token for each in unit.roles] == [None, 0.0004]
    assert unit.capacity_prior is None


PROCESS = """\
      alone:
        engine: vllm
        pool: cluster
        memory: 40GiB
        slots: 64
        target: {kind: process, command: [vllm, --port, "{port}"]}
"""
WHOLE = """\
      whole:
        engine: vllm
        pool: cluster
        memory: 40GiB
        slots: 64
        target: {kind: url, urls: ["http://d3:8000"]}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param("ratio: 2", "ratio: 0", "prefill.ratio is 0, must be at least 1", id="ratio-of-0"),
        pytest.param("ratio: 2", "ratio: -1", "prefill.ratio is -1, must be at least 1", id="negative"),
        pytest.param("ratio: 2", "ratio: 1.5", "prefill.ratio is 1.5, must be", id="half-an-engine"),
        pytest.param("ratio: 2", "ratio: 1001", "at most 1000", id="ratio-too-large"),
        pytest.param(
            "          prefill:", "          encode:",
            "roles has no 'prefill', which is required", id="no-prefill",
        ),
        pytest.param(
            "          prefill:", "          encode:",
            "roles.encode is not a known key", id="another-role",
        ),
        pytest.param(
            '["http://p0:8000", "http://p1:8000"]', "[]", "prefill.urls", id="no-engine-at-all"
        ),
        pytest.param(
            "http://d1:8000", "http://p0:8000",
            "decode.urls[1] repeats 'http://p0:8000', which is an engine of prefill already",
            id="one-engine-in-two-roles",
        ),
        pytest.param(
            "engine: vllm", "engine: llama_cpp",
            "split.roles does not go with engine llama_cpp: it is known of vllm and sglang only which "
            "role tells what of a request; leave roles out", id="engine-without-roles",
        ),
        pytest.param(
            '{kind: url, urls: ["http://router:8000"]}',
            '{kind: process, command: [vllm, --port, "{port}"]}',
            "split.target.kind is process, but Foresail cannot start engines of two roles; use url, so "
            "that it watches them and advises how many, or leave roles out", id="process",
        ),
        pytest.param(
            "      split:\n", f"{WHOLE}      split:\n",
            "split.roles.decode.urls[3] repeats 'http://d3:8000', which is an engine of variant 'whole' already",
            id="one-engine-in-two-variants",
        ),
        pytest.param(
            "      split:\n", f"{PROCESS}      split:\n",
            "split.roles is only advised on, and would be advised in place of starts of 'alone', which "
            "is a process; make it a service of its own", id="beside-a-process",
        ),
        pytest.param(
            "capacity: 800GiB", "capacity: 150GiB",
            "split.memory is 200GiB of one unit, but pool 'cluster' has only 150GiB to give",
            id="a-unit-does-not-fit",
        ),
        pytest.param(
            "slots: 64\n", "slots: 64\n        min_replicas: 5\n",
            "pools.cluster can give 800GiB, but the min_replicas of its variants hold 1000GiB",
            id="the-least-units-do-not-fit",
        ),
        pytest.param(
            "slots: 64\n", "slots: 64\n        min_replicas: 3\n        max_replicas: 2\n",
            "split.max_replicas is 2, must be at least min_replicas, which is 3", id="bounds-crossed",
        ),
        pytest.param(
            "seconds_per_token: 0.0004", "seconds_per_token: 0", "decode.seconds_per_token", id="for-nothing"
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told(old: str, new: str, told: str) -> None:
    assert SPLIT.count(old) == 1 or old in {"slots: 64\n", "engine: vllm"}, old
    with pytest.raises(CatalogueError) as caught:
        variant(SPLIT.replace(old, new, 1))
    assert told in str(caught.value)


def test_engines_are_named_by_role_and_read_in_place_of_the_router() -> None:
    assert list(variant().engine_urls())[:3] == [
        ("prefill/0", "http://p0:8000", EngineRole.PREFILL),
        ("prefill/1", "http://p1:8000", EngineRole.PREFILL),
        ("decode/0", "http://d0:8000", EngineRole.DECODE),
    ]
