"""What cannot be declared, and how declarations are found."""

from collections.abc import Callable

import pytest

from collector.model.catalogue import (
    ActionKind,
    Authority,
    AuthorityLevel,
    CapacityPrior,
    MemoryPool,
    Mode,
    Objective,
    PoolKind,
    Sli,
)
from support.builders import BOX, make_catalogue, make_service, make_variant


def objective(**fields: object) -> Objective:
    given = {
        "sli": Sli.TIME_TO_FIRST_TOKEN,
        "threshold_seconds": 1.0,
        "target_ratio": 0.99,
        "window_seconds": 60.0,
        **fields,
    }
    return Objective(**given)  # type: ignore[arg-type]  # by name


def pool(*, capacity: int = 10, reserve: int = 0) -> MemoryPool:
    return MemoryPool(
        name=BOX, kind=PoolKind.UNIFIED, capacity_bytes=capacity, reserve_bytes=reserve
    )


def prior(prompt: float, output: float) -> CapacityPrior:
    return CapacityPrior(prompt_seconds_per_token=prompt, output_seconds_per_token=output)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        pytest.param(lambda: objective(target_ratio=1.0), "target_ratio .* got 1.0", id="target-1"),
        pytest.param(lambda: objective(target_ratio=0.0), "target_ratio .* got 0.0", id="target-0"),
        pytest.param(
            lambda: objective(threshold_seconds=None), "belongs to latencies", id="no-threshold"
        ),
        pytest.param(
            lambda: objective(sli=Sli.AVAILABILITY), "belongs to latencies", id="threshold-too-much"
        ),
        pytest.param(
            lambda: objective(threshold_seconds=0.0), "above 0, got 0.0", id="threshold-0"
        ),
        pytest.param(lambda: prior(-1.0, 2.0), "not be negative", id="negative-cost"),
        pytest.param(lambda: prior(0.0, 0.0), "must be above 0", id="work-that-costs-nothing"),
        pytest.param(lambda: make_variant(memory_bytes=0), "memory_bytes .* got 0", id="no-memory"),
        pytest.param(lambda: make_variant(slots=0), "slots .* got 0", id="no-slots"),
        pytest.param(
            lambda: make_variant(min_replicas=3, max_replicas=2), "got 3 and 2", id="min-above-max"
        ),
        pytest.param(lambda: make_variant(min_replicas=-1), "got -1 and 10", id="negative-minimum"),
        pytest.param(lambda: pool(reserve=10), "got 10 of 10", id="all-reserved"),
        pytest.param(lambda: pool(reserve=-1), "got -1 of 10", id="negative-reserve"),
    ],
)
def test_what_makes_no_sense_cannot_be_declared(
    declare: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        declare()


def test_the_budget_of_a_pool_leaves_the_reserve() -> None:
    assert pool(capacity=10, reserve=3).budget_bytes == 7


def test_declarations_are_found_by_name() -> None:
    catalogue = make_catalogue(
        make_service("chat", variants=(make_variant("a"), make_variant("b")))
    )
    variant = catalogue.variant("chat", "b")
    assert variant is not None
    assert variant.name == "b"
    assert catalogue.service("gone") is None
    assert catalogue.variant("gone", "b") is None
    assert catalogue.variant("chat", "gone") is None


def test_authority_is_advise_and_dry_run_unless_declared() -> None:
    assert Authority().mode is Mode.DRY_RUN
    assert Authority().level(ActionKind.SCALE) is AuthorityLevel.ADVISE
    given = Authority(levels={ActionKind.SCALE: AuthorityLevel.AUTO})
    assert given.level(ActionKind.SCALE) is AuthorityLevel.AUTO
    assert given.level(ActionKind.RESHAPE) is AuthorityLevel.ADVISE
