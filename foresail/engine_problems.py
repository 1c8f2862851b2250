"""Why engines failed last, kept until one of the same variant serves again. Pure.

In: events of the executor. Out: one line per variant, for the state and the page; the ledger has all
of them. Must not decide: backing off is `autoscaler.plan`'s matter.
"""

from dataclasses import dataclass, field

from autoscaler.model.event import Event, ReplicaReady
from collector.model.catalogue import Catalogue
from collector.model.ids import ServiceName, VariantName
from collector.model.snapshot import Problem


@dataclass(slots=True)
class EngineProblems:
    """The newest failure of each variant."""

    _messages: dict[tuple[ServiceName, VariantName], str] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Remembers a failure; a replica that serves ends it."""
        key = (event.service, event.variant)
        if isinstance(event, ReplicaReady):
            self._messages.pop(key, None)
        else:
            self._messages[key] = event.message

    def of(self, catalogue: Catalogue) -> tuple[Problem, ...]:
        """Those of declared variants, in the order of the catalogue."""
        return tuple(
            Problem(source=f"{service.name}/{variant.name}", message=message)
            for service in catalogue.services
            for variant in service.variants
            if (message := self._messages.get((service.name, variant.name))) is not None
        )
