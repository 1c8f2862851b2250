"""What cannot be served where clients come through a gateway of the owner's. Pure.

In: settings and the catalogue. Out: nothing, or an error with what to change. Used wherever a
catalogue comes into force, and by the doctor.
"""

from collector.errors import CatalogueError
from collector.model.catalogue import Catalogue, ProcessTarget
from foresail.settings import Settings


def refuse_unreachable(catalogue: Catalogue, *, settings: Settings) -> None:
    """Raises CatalogueError for processes and overflows that no gateway of ours would route to, a line
    each."""
    if settings.has_gateway:
        return
    lines = [
        f"{settings.catalogue_path}: services.{service.name}.variants.{variant.name} is a process, and "
        "gateway.enabled is false: nobody would send requests to its port; use target kind url, or run "
        "the gateway"
        for service in catalogue.services
        for variant in service.variants
        if isinstance(variant.target, ProcessTarget)
    ]
    lines += [
        f"{settings.catalogue_path}: services.{service.name}.overflow needs the gateway of Foresail, and "
        "gateway.enabled is false: nobody would send requests there; leave it out, or run the gateway"
        for service in catalogue.services
        if service.overflow is not None
    ]
    if lines:
        raise CatalogueError("\n".join(lines))
