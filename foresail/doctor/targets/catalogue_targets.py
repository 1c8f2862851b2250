"""The targets of a setup: every address Foresail would read now.

In: settings and catalogue. Out: questions. Addresses of processes are those of the last routing
table, which counts only while the gateway that keeps it answers; the caller leaves out the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from collector.errors import GatewayError
from collector.gateway.admin import ADMIN_SOCKET
from collector.gateway.routes_file import read_routes
from collector.model.catalogue import Catalogue, ProcessTarget, Service, Sli, UrlTarget, Variant
from collector.model.contract import Contract, Contracts
from collector.page_safety import is_started_awake
from foresail.doctor.targets.address import Address
from foresail.doctor.targets.examination import Question
from foresail.doctor.targets.recognise import PROMETHEUS
from foresail.doctor.targets.visit import Asked
from foresail.settings import Settings

GATEWAY: Final = "gateway"


def catalogue_questions(
    settings: Settings, catalogue: Catalogue, *, contracts: Contracts
) -> tuple[Question, ...]:
    """The addresses that the catalogue writes down."""
    return tuple(
        replace(
            _question(
                f"{service.name}/{variant.name}/{number}",
                url=url,
                service=service,
                contract=contracts.engines[variant.engine],
            ),
            has_gateway=settings.has_gateway,
            models=_models(service, variant),
        )
        for service in catalogue.services
        for variant in service.variants
        for number, url, _ in variant.engine_urls()
    )


def prometheus_question(settings: Settings) -> tuple[Question, ...]:
    """The Prometheus that is asked.

    None where it wants a token, which the doctor does not send, or has certificates of its own, which
    its reader does not know: it would be called out of reach.
    """
    asked = settings.prometheus
    if asked.url is None or asked.bearer_token_path is not None or asked.ca_path is not None:
        return ()
    address = Address(name=PROMETHEUS, base_url=asked.url, path="/metrics")
    return (Question(asked=Asked(address=address)),)


def running_questions(
    settings: Settings, catalogue: Catalogue, *, contracts: Contracts
) -> tuple[Question, ...]:
    """The gateway, if it left a socket, and the replicas it was last told of."""
    socket = settings.state_dir / ADMIN_SOCKET
    if not (settings.has_gateway and socket.exists()):
        return ()
    address = Address(
        name=GATEWAY, base_url="http://gateway", path=None, unix_socket_path=str(socket)
    )
    gateway = Question(asked=Asked(address=address, declared=contracts.gateway))
    return (gateway, *_replica_questions(settings, catalogue, contracts=contracts))


def _replica_questions(
    settings: Settings, catalogue: Catalogue, *, contracts: Contracts
) -> Iterator[Question]:
    try:
        table = read_routes(settings.state_dir)
    except GatewayError:
        return  # the checks of the setup say so
    for route in table.services if table else ():
        service = catalogue.service(route.service)
        written = _written_urls(service) if service else frozenset()
        for replica in route.replicas if service else ():
            if service is not None and replica.base_url not in written:
                question = _question(
                    replica.replica_id,
                    url=replica.base_url,
                    service=service,
                    contract=_contract(service, contracts),
                )
                asked = replace(
                    question.asked, is_known_awake=_are_started_awake(service, contracts)
                )
                yield replace(question, asked=asked, has_gateway=True)


def _written_urls(service: Service) -> frozenset[str]:
    return frozenset(
        url.rstrip("/")
        for variant in service.variants
        if isinstance(variant.target, UrlTarget)
        for url in variant.target.urls
    )


def _contract(service: Service, contracts: Contracts) -> Contract | None:
    """The engine of its processes; None where variants differ, so that the page has to tell."""
    kinds = {each.engine for each in service.variants if _is_process(each)}
    return contracts.engines[kinds.pop()] if len(kinds) == 1 else None


def _are_started_awake(service: Service, contracts: Contracts) -> bool:
    """Whether none of its processes may sleep when idle: which one answers here is not known."""
    processes = [each for each in service.variants if _is_process(each)]
    return bool(processes) and all(
        is_started_awake(each, contract=contracts.engines[each.engine]) for each in processes
    )


def _is_process(variant: Variant) -> bool:
    return isinstance(variant.target, ProcessTarget)


def _models(service: Service, variant: Variant) -> tuple[str, ...]:
    return (variant.upstream_model,) if variant.upstream_model else service.models


def _question(name: str, *, url: str, service: Service, contract: Contract | None) -> Question:
    return Question(
        asked=Asked(address=Address(name=name, base_url=url.rstrip("/")), declared=contract),
        thresholds=_thresholds(service),
    )


def _thresholds(service: Service) -> Mapping[Sli, tuple[float, ...]]:
    found: dict[Sli, tuple[float, ...]] = {}
    for objective in service.objectives:
        if objective.threshold_seconds is not None:
            seconds = found.get(objective.sli, ())
            found[objective.sli] = (*seconds, objective.threshold_seconds)
    return found
