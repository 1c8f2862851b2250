"""What a decision says of roles: the unit, what has to be there, which role binds, and whether the ratio fits."""

import pytest

from autoscaler.model.action import Action, Direction, Hold, Scale
from autoscaler.model.role_evidence import RoleEvidence
from autoscaler.roles_told import roles_sentence
from collector.model.ids import VariantName
from collector.model.roles import EngineRole

SPLIT = VariantName("split")
OUT = Scale(variant=SPLIT, direction=Direction.OUT, from_replicas=2, to_replicas=3)


def told(
    *,
    ratio: tuple[int, int] = (1, 2),
    used: tuple[float | None, float | None] = (None, None),
    action: Action | None = None,
) -> str:
    roles = [
        RoleEvidence(
            variant=SPLIT,
            role=role,
            engines_per_unit=engines,
            serving_engines=2 * engines,
            needed_engines=3 * engines,
            sustained_requests_per_second=None if share is None else 4.0 / share,
            used_ratio=share,
        )
        for role, engines, share in zip(EngineRole, ratio, used, strict=True)
    ]
    return roles_sentence(roles, action=action or Hold())


UNIT = " A replica of split is a unit of 1 prefill and 2 decode engines; 2 prefill and 4 decode engines serve."


def test_without_roles_nothing_is_said() -> None:
    assert roles_sentence((), action=OUT) == ""


@pytest.mark.parametrize(
    ("used", "sentence"),
    [
        pytest.param((None, None), "", id="not-known-yet"),
        pytest.param(
            (0.7, 1.0), " A unit sustains 4.00 requests/s, where decode is at its end.", id="decode-binds"
        ),
        pytest.param(
            (1.0, 0.5), " A unit sustains 4.00 requests/s, where prefill is at its end.", id="half-is-no-misfit"
        ),
        pytest.param(
            (0.2, 1.0),
            " A unit sustains 4.00 requests/s, where decode is at its end. Prefill is used to 20 % then: "
            "for this mix of tokens a ratio of 1 prefill to 10.0 decode would do.",
            id="prefill-idles",
        ),
        pytest.param(
            (1.0, 0.4),
            " A unit sustains 4.00 requests/s, where prefill is at its end. Decode is used to 40 % then: "
            "for this mix of tokens a ratio of 1.2 prefill to 1 decode would do.",
            id="decode-idles",
        ),
    ],
)  # fmt: skip
def test_the_role_that_binds_and_the_one_that_idles(
    used: tuple[float | None, float | None], sentence: str
) -> None:
    assert told(used=used) == UNIT + sentence


def test_a_change_is_told_in_engines() -> None:
    assert told(action=OUT) == (
        f"{UNIT} 3 units are 3 prefill and 6 decode engines: whoever runs them has to start or stop the rest."
    )


def test_a_change_of_another_variant_says_nothing_of_these_engines() -> None:
    other = Scale(
        variant=VariantName("whole"), direction=Direction.OUT, from_replicas=1, to_replicas=2
    )
    assert told(action=other) == UNIT
