"""Roles in a decision: as data, and in sentences for a person. Pure.

In: an assessment whose variants have roles, and the action. Out: `RoleEvidence` per variant and role, and
what `explain` adds to the paragraph. Part of `conclude`; must not decide.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from autoscaler.capacity.units import RoleShare, role_shares
from autoscaler.model.action import Action, Scale
from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.model.role_evidence import RoleEvidence
from autoscaler.model.unit_capacity import UnitCapacity
from autoscaler.plan.parts import asked_for
from collector.model.replica import ReplicaState
from collector.model.roles import EngineRole


def role_evidence(assessment: Assessment, *, action: Action) -> tuple[RoleEvidence, ...]:
    """Per variant with roles: prefill, then decode. Empty for a service without roles."""
    return tuple(
        each
        for fleet in assessment.fleets
        if fleet.variant.roles
        for each in _of_fleet(fleet, assessment=assessment, action=action)
    )


def _of_fleet(fleet: Fleet, *, assessment: Assessment, action: Action) -> Iterator[RoleEvidence]:
    shares: dict[EngineRole, RoleShare] = {}
    if isinstance(fleet.capacity, UnitCapacity):
        found = role_shares(fleet.capacity, rates=asked_for(assessment))
        shares = {share.role: share for share in found}
    is_meant = isinstance(action, Scale) and action.variant == fleet.variant.name
    units = action.to_replicas if isinstance(action, Scale) and is_meant else len(fleet.supply)
    for engines in fleet.variant.roles:
        share = shares.get(engines.role)
        yield RoleEvidence(
            variant=fleet.variant.name,
            role=engines.role,
            engines_per_unit=engines.ratio,
            serving_engines=sum(
                view.replica.variant == fleet.variant.name
                and view.replica.role is engines.role
                and view.replica.state is ReplicaState.SERVING
                for view in assessment.engines
            ),
            needed_engines=units * engines.ratio,
            sustained_requests_per_second=share.sustained_requests_per_second if share else None,
            used_ratio=share.used_ratio if share else None,
        )


def roles_sentence(roles: Sequence[RoleEvidence], *, action: Action) -> str:
    """What a unit is, which role binds, and whether the ratio fits; empty without roles."""
    told = [
        sentence
        for _, each in groupby(roles, key=lambda role: role.variant)
        for sentence in _sentences(tuple(each), action=action)
    ]
    return "".join(f" {sentence}." for sentence in told)


def _sentences(roles: Sequence[RoleEvidence], *, action: Action) -> Iterator[str]:
    variant = roles[0].variant
    unit = _together((each.engines_per_unit, each.role) for each in roles)
    serving = _together((each.serving_engines, each.role) for each in roles)
    yield f"A replica of {variant} is a unit of {unit} engines; {serving} engines serve"
    if isinstance(action, Scale) and action.variant == variant:
        needed = _together((each.needed_engines, each.role) for each in roles)
        yield (
            f"{action.to_replicas} units are {needed} engines: whoever runs them has to start or "
            "stop the rest"
        )
    yield from _binding(roles)


def _together(counts: Iterator[tuple[int, EngineRole]]) -> str:
    return " and ".join(f"{count} {role.value}" for count, role in counts)


def _binding(roles: Sequence[RoleEvidence]) -> Iterator[str]:
    """Which role is at its end first, and a hint where the other one idles then."""
    known = [
        (each.used_ratio, each.sustained_requests_per_second, each)
        for each in roles
        if each.used_ratio is not None and each.sustained_requests_per_second is not None
    ]
    if not known:
        return
    _, sustained, binding = max(known, key=lambda each: each[0])
    yield f"A unit sustains {sustained:.2f} requests/s, where {binding.role.value} is at its end"
    for used, _, other in known:
        if other.is_misfit:
            yield (
                f"{other.role.value.capitalize()} is used to {100 * used:.0f} % then: for this mix "
                f"of tokens a ratio of {_fitting(roles)} would do"
            )


def _fitting(roles: Sequence[RoleEvidence]) -> str:
    """The ratio at which both roles would be at their ends together."""
    used = {each.role: each.engines_per_unit * (each.used_ratio or 0.0) for each in roles}
    decode = used[EngineRole.DECODE] / used[EngineRole.PREFILL]
    if decode < 1.0:
        return f"{1.0 / decode:.1f} prefill to 1 decode"
    return f"1 prefill to {decode:.1f} decode"
