"""What the conditions of KServe's objects mean. In: kserve_conditions.yaml, package data. Out: facts.

For whoever shows the state of a service: which value is the good one, and what it is about. A name that
is not here is good when it is true, as Kubernetes' conventions have it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from collector.model.cluster import ClusterKind, Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFact:
    """One condition of one kind of object."""

    kind: ClusterKind
    name: str
    is_good_when: bool
    meaning: str  # one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionFacts:
    """All that is known."""

    reference: str  # the packages that were read
    rows: tuple[ConditionFact, ...]

    def is_good(self, condition: Condition, *, kind: str) -> bool:
        """Whether the condition is as it should be; one that is unknown is not."""
        wanted = next(
            (
                row.is_good_when
                for row in self.rows
                if (row.kind, row.name) == (kind, condition.name)
            ),
            True,
        )
        return condition.is_true is wanted


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    good: bool
    meaning: str


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    provenance: Literal["package"]
    reference: str
    conditions: Mapping[ClusterKind, Mapping[str, _Row]]


def load_condition_facts() -> ConditionFacts:
    """The facts shipped with this package."""
    file = resources.files("collector.contract") / "kserve_conditions.yaml"
    document = _File.model_validate(yaml.safe_load(file.read_text("utf-8")))
    return ConditionFacts(
        reference=document.reference,
        rows=tuple(
            ConditionFact(kind=kind, name=name, is_good_when=row.good, meaning=row.meaning)
            for kind, rows in document.conditions.items()
            for name, row in rows.items()
        ),
    )
