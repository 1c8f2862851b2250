"""What is refused where no gateway of ours runs: an overflow, which nobody would send requests to."""

from pathlib import Path

import pytest

from collector.errors import CatalogueError
from collector.gateway.settings import GatewaySettings
from collector.model.catalogue import Service, UrlTarget
from foresail.own_gateway import refuse_unreachable
from foresail.settings import Settings
from support.builders import make_catalogue, make_overflow, make_service, make_variant

URL = make_variant(target=UrlTarget(urls=("http://127.0.0.1:9000",)))


def refuse(service: Service, *, has_gateway: bool) -> None:
    settings = Settings(
        catalogue_path=Path("catalogue.yaml"),
        gateway=GatewaySettings(state_dir=Path("state")),
        has_gateway=has_gateway,
    )
    refuse_unreachable(make_catalogue(service), settings=settings)


def test_an_overflow_needs_our_gateway() -> None:
    overflowing = make_service(variants=(URL,), overflow=make_overflow())
    with pytest.raises(CatalogueError) as caught:
        refuse(overflowing, has_gateway=False)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("catalogue.yaml: services.chat.overflow needs the gateway of Foresail")
    refuse(overflowing, has_gateway=True)
    refuse(make_service(variants=(URL,)), has_gateway=False)
