"""The form of a variant's roles in catalogue.yaml, what may be wrong with it, and its value.

In: the part `roles` of a variant, with the variant's own keys, which are of one engine and hold for each
role that says nothing else. Out: problems, and the `RoleEngines` of the model. Pure; used by `schema`,
`checks` and `convert`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import Field

from collector.catalogue_file.words import BaseUrl, LabelName, LabelValue
from collector.files.part import FilePart
from collector.files.problem import KeyPath, Problem
from collector.files.units import MemoryAmount
from collector.model.replica import HAND_OVERS, EngineKind
from collector.model.roles import EngineRole, RoleEngines

T = TypeVar("T")

MAX_RATIO = 1000
MAX_SLOTS = 100_000


class RolePart(FilePart):
    """The engines of one role. What is not said here is as the variant says it of every engine."""

    ratio: Annotated[int, Field(ge=1, le=MAX_RATIO)] = Field(
        description="How many engines of this role go with `ratio` engines of the other one, as a whole "
        "number: prefill 1 and decode 2, or 2 and 3. The smallest such set is one replica of the variant."
    )
    urls: list[BaseUrl] = Field(
        min_length=1,
        description="One address per engine of this role, such as http://10.0.0.5:8000. They are read, "
        "and get no requests; those go to the target's urls.",
    )
    memory: MemoryAmount | None = Field(
        default=None,
        description="What one engine of this role holds. Default: the variant's memory.",
    )
    slots: Annotated[int, Field(ge=1, le=MAX_SLOTS)] | None = Field(
        default=None,
        description="Requests one engine of this role works on at once. Default: the variant's slots.",
    )
    cost_per_hour: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="What one engine of this role costs per hour. Default: the variant's cost_per_hour.",
    )
    seconds_per_token: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Seconds of one engine that a token of its part costs: of prefill a prompt token, of "
        "decode an output token while all slots are busy. Default: that of the variant's capacity.",
    )
    match: dict[LabelName, LabelValue] = Field(
        default_factory=dict,
        description="Labels that single out this role's targets in Prometheus; they add to the "
        "variant's. Default: none.",
    )


class RolesPart(FilePart):
    """Engines that divide every request between them: prefill computes the prompt, decode answers."""

    prefill: RolePart = Field(description="The engines that compute prompts.")
    decode: RolePart = Field(description="The engines that give the answers.")

    def by_role(self) -> Mapping[EngineRole, RolePart]:
        """{role: its part}"""
        return {EngineRole.PREFILL: self.prefill, EngineRole.DECODE: self.decode}


@dataclass(frozen=True, slots=True, kw_only=True)
class OneEngine:
    """What the variant says of each engine, whatever its role."""

    memory_bytes: int
    slots: int
    seconds_per_token: Mapping[EngineRole, float]  # of its capacity; without what it does not say


def engines_of(part: RolesPart, *, usual: OneEngine) -> tuple[RoleEngines, ...]:
    """The value, ratios in the smallest whole numbers; what a role does not say is as usual."""
    ratios = unit_ratios(part)
    return tuple(
        RoleEngines(
            role=role,
            ratio=ratios[role],
            urls=tuple(said.urls),
            memory_bytes=_or(said.memory, usual.memory_bytes),
            slots=_or(said.slots, usual.slots),
            seconds_per_token=said.seconds_per_token or usual.seconds_per_token.get(role),
            match=said.match,
        )
        for role, said in part.by_role().items()
    )


def unit_ratios(part: RolesPart) -> Mapping[EngineRole, int]:
    """{role: engines of it in one unit}"""
    common = math.gcd(part.prefill.ratio, part.decode.ratio)
    return {role: said.ratio // common for role, said in part.by_role().items()}


def unit_count(part: RolesPart) -> int:
    """Whole units that the urls come to."""
    ratios = unit_ratios(part)
    return min(len(said.urls) // ratios[role] for role, said in part.by_role().items())


def unit_memory_bytes(part: RolesPart, *, usual_bytes: int) -> int:
    """What all engines of one unit hold."""
    ratios = unit_ratios(part)
    return sum(
        ratios[role] * _or(said.memory, usual_bytes) for role, said in part.by_role().items()
    )


def unit_cost_per_hour(part: RolesPart, *, usual: float) -> float:
    """What all engines of one unit cost."""
    ratios = unit_ratios(part)
    return sum(
        ratios[role] * _or(said.cost_per_hour, usual) for role, said in part.by_role().items()
    )


def role_problems(part: RolesPart, path: KeyPath, *, engine: EngineKind) -> Iterator[Problem]:
    """What is wrong between its keys, and with the engine."""
    if engine not in HAND_OVERS:
        known = " and ".join(kind.value for kind in HAND_OVERS)
        message = (
            f"does not go with engine {engine.value}: it is known of {known} only which role tells "
            "what of a request; leave roles out"
        )
        yield Problem(line=None, path=path, message=message)
    seen: dict[str, str] = {}
    for role, said in part.by_role().items():
        for index, url in enumerate(said.urls):
            if url in seen:
                message = f"repeats {url!r}, which is an engine of {seen[url]} already"
                yield Problem(line=None, path=(*path, role.value, "urls", index), message=message)
            seen.setdefault(url, role.value)


def _or(said: T | None, usual: T) -> T:
    return usual if said is None else said
