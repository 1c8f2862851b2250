"""The doctor's look at metric pages: the reader the controller uses, for one command.

In: an address or a setup. Out: reports. Raises ConfigurationError and CatalogueError.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collector.catalogue_file import read_catalogue
from collector.clock import Clock, SystemClock
from collector.contract.loader import load_contracts
from collector.errors import ConfigurationError
from collector.model.contract import Contract, Contracts
from collector.model.device import DeviceSurvey
from collector.sources.engine_admin import AdminHttp
from collector.sources.exposition_http import HttpExpositionReader
from collector.sources.nvml import NvmlDeviceProbe
from foresail.doctor import ThisMachine
from foresail.doctor.targets.address import Address, refuse_unsafe_path
from foresail.doctor.targets.admin_checks import check_admin
from foresail.doctor.targets.catalogue_targets import (
    GATEWAY,
    catalogue_questions,
    prometheus_question,
    running_questions,
)
from foresail.doctor.targets.examination import Question, examine_targets
from foresail.doctor.targets.objective_checks import Thresholds
from foresail.doctor.targets.report import TargetReport
from foresail.doctor.targets.visit import Asked, Visitor
from foresail.settings import Settings
from foresail.wiring.agent import admin_readers


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTarget:
    """What a person asked about one address."""

    address: Address
    engine: str | None = None  # None: whatever it turns out to be
    thresholds: Thresholds = field(default_factory=dict)
    reads_anyway: bool = False  # its page, even where that may keep a model awake


def this_machine(environ: Mapping[str, str]) -> ThisMachine:
    """The machine we run on, with its accelerators."""
    return ThisMachine(environ=environ, read_devices=lambda: asyncio.run(_survey()))


async def _survey() -> DeviceSurvey:
    probe = NvmlDeviceProbe(clock=SystemClock())
    try:
        return await probe.read_devices()
    finally:
        await probe.close()


def examine_address(asked: OneTarget, *, settings: Settings | None) -> TargetReport:
    """The report of one address; with settings, a Prometheus is held against their targets."""
    contracts = load_contracts()
    every = tuple(_every(contracts))
    refuse_unsafe_path(asked.address, contracts=every)
    question = Question(
        asked=Asked(
            address=asked.address,
            declared=_declared(asked.engine, every),
            reads_anyway=asked.reads_anyway,
        ),
        thresholds=asked.thresholds,
    )
    ours = _our_urls(_questions(settings, contracts=contracts)) if settings else ()
    return asyncio.run(_examined([question], contracts=contracts, our_urls=ours))[0]


def examine_setup(settings: Settings) -> tuple[TargetReport, ...]:
    """A report per target that runs: written addresses, the gateway, its replicas."""
    contracts = load_contracts()
    catalogue = read_catalogue(settings.catalogue_path)
    written = (
        *catalogue_questions(settings, catalogue, contracts=contracts),
        *prometheus_question(settings),
    )
    running = running_questions(settings, catalogue, contracts=contracts)
    ours = _our_urls([*written, *running])
    reports = asyncio.run(_examined([*written, *running], contracts=contracts, our_urls=ours))
    declared, found = reports[: len(written)], reports[len(written) :]
    # A socket or a routing table without a living gateway is what was, not what is.
    is_alive = any(each.name == GATEWAY and each.http_status is not None for each in found)
    return (*declared, *(found if is_alive else ()))


def _questions(settings: Settings, *, contracts: Contracts) -> Sequence[Question]:
    catalogue = read_catalogue(settings.catalogue_path)
    return (
        *catalogue_questions(settings, catalogue, contracts=contracts),
        *running_questions(settings, catalogue, contracts=contracts),
    )


async def _examined(
    questions: Sequence[Question], *, contracts: Contracts, our_urls: Collection[str] = ()
) -> tuple[TargetReport, ...]:
    clock = SystemClock()
    async with HttpExpositionReader(clock=clock) as reader:
        visitor = Visitor(reader=reader, contracts=contracts)
        reports = await examine_targets(questions, visitor=visitor, our_urls=our_urls)
        return await _with_admin_state(reports, questions=questions, clock=clock)


async def _with_admin_state(
    reports: Sequence[TargetReport], *, questions: Sequence[Question], clock: Clock
) -> tuple[TargetReport, ...]:
    """The same reports, with what the engines tell beside their pages."""
    http = AdminHttp(clock=clock)
    readers = admin_readers(http)

    async def completed(report: TargetReport, question: Question) -> TargetReport:
        address = question.asked.address
        reader = next((readers[api] for api in readers if api.value == report.engine), None)
        is_plain = address.unix_socket_path is None and address.path is None
        if reader is None or not is_plain or not (report.http_status or report.version):
            return report
        state = await reader.read_admin_state(address.base_url)
        found = check_admin(state, models=question.models)
        return replace(report, findings=(*report.findings, *found))

    try:
        return tuple(await asyncio.gather(*map(completed, reports, questions)))
    finally:
        await http.close()


def _every(contracts: Contracts) -> Sequence[Contract]:
    return (*contracts.engines.values(), *contracts.exporters.values(), contracts.gateway)


def _declared(engine: str | None, contracts: Sequence[Contract]) -> Contract | None:
    if engine is None:
        return None
    found = next((each for each in contracts if each.engine == engine), None)
    if found is None:
        known = ", ".join(sorted(each.engine for each in contracts))
        raise ConfigurationError(f"--engine {engine} is not known; known are {known}")
    return found


def _our_urls(questions: Iterable[Question]) -> frozenset[str]:
    """The pages that Foresail reads over the network."""
    asked = [each.asked for each in questions if each.asked.address.unix_socket_path is None]
    paths = [(each.address, each.declared.metrics_path(None)) for each in asked if each.declared]
    return frozenset(f"{address.base_url}{path}" for address, path in paths if path)
