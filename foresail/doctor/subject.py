"""What the checks look at: files that could be read, and the machine."""

from dataclasses import dataclass

from collector.model.catalogue import Catalogue, ProcessTarget, Service, Variant
from foresail.doctor.machine import Machine
from foresail.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One setup on one machine."""

    settings: Settings
    catalogue: Catalogue
    machine: Machine

    def process_variants(self) -> tuple[tuple[Service, Variant, ProcessTarget], ...]:
        """Every variant that Foresail would run itself."""
        return tuple(
            (service, variant, variant.target)
            for service in self.catalogue.services
            for variant in service.variants
            if isinstance(variant.target, ProcessTarget)
        )
