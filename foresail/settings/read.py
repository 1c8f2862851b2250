"""From foresail.yaml and the variables to `Settings`, or to every problem of them at once.

In: a path and a mapping of variables. Out: `Settings` with absolute paths. Errors are
ConfigurationErrors of one line per problem: file and line (or the variable), key, value, what is
allowed. Reads once; must not read the environment itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from collector.errors import ConfigurationError
from collector.files.document import Document, DocumentRejected, parse_document, read_bytes
from collector.files.problem import KeyPath, Problem, key_text, sentences
from collector.files.schema_problems import schema_problems
from collector.gateway.latency import DEFAULT_EDGES_SECONDS
from collector.gateway.settings import LOOPBACK_HOSTS, GatewaySettings, is_loopback
from collector.model.catalogue import Sli
from foresail.settings.environment import Override, overlaid, read_overrides
from foresail.settings.prometheus import prometheus_problems, prometheus_settings
from foresail.settings.schema import (
    ControllerPart,
    GatewayPart,
    HistoryPart,
    LatencyEdgesPart,
    SettingsFile,
)
from foresail.settings.values import (
    ControllerSettings,
    HistoryKind,
    HistorySettings,
    LoggingSettings,
    Settings,
    SourceSettings,
    TickSettings,
)


def read_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in force. Raises ConfigurationError, one line per problem."""
    try:
        document = parse_document(read_bytes(path), name=str(path), may_be_empty=True)
    except DocumentRejected as error:
        raise ConfigurationError(error.problem.sentence(file=str(path))) from error
    overrides, problems = read_overrides(environ, model=SettingsFile)
    laid = replace(document, values=overlaid(document.values, overrides))
    file = _validated(laid, overrides=overrides, problems=problems)
    found = [*problems, *document.problems]
    found += (_placed(each, document=laid, overrides=overrides) for each in _cross_keys(file))
    if found:
        raise _error(found, document=laid)
    return _settings(file, path=path.absolute())


def _validated(
    document: Document, *, overrides: tuple[Override, ...], problems: tuple[Problem, ...]
) -> SettingsFile:
    try:
        return SettingsFile.model_validate(document.values)
    except ValidationError as error:
        found = schema_problems(error, document=document, model=SettingsFile)
        placed = (_placed(each, document=document, overrides=overrides) for each in found)
        raise _error((*problems, *document.problems, *placed), document=document) from error


def _placed(problem: Problem, *, document: Document, overrides: tuple[Override, ...]) -> Problem:
    """The problem with its line, or with the variable that caused it."""
    for override in overrides:
        if problem.path[: len(override.path)] == override.path:
            message = f"{override.variable} {problem.message}"
            return Problem(line=None, message=message, place="environment")
    return replace(problem, line=document.line(problem.path))


def _error(problems: Iterable[Problem], *, document: Document) -> ConfigurationError:
    return ConfigurationError("\n".join(sentences(problems, file=document.name)))


def _cross_keys(file: SettingsFile) -> Iterator[Problem]:
    gateway, controller = file.gateway, file.controller
    yield from _tls_problems(gateway)
    yield from _exposure_problems(gateway)
    yield from _presence_problems(file) if gateway.enabled else _absence_problems(file)
    if not (is_loopback(controller.host) or controller.allow_insecure_listen):
        yield _problem(
            ("controller", "host"),
            f"is {controller.host!r}, which others can reach; say allow_insecure_listen: true, or use "
            "127.0.0.1",
        )
    if file.ticks.decide < file.ticks.ingest:
        yield _problem(("ticks", "decide"), "must be at least as long as ticks.ingest")
    if file.history.keep < 2 * file.history.bin:
        yield _problem(("history", "keep"), "must be at least two bins (history.bin) long")
    if file.history.kind is HistoryKind.DAY_FILES:
        yield from _day_file_problems(file.history)
    yield from prometheus_problems(file)


def _presence_problems(file: SettingsFile) -> Iterator[Problem]:
    if file.gateway.port == file.controller.port:
        yield _problem(
            ("controller", "port"), f"is {file.controller.port}, which the gateway has already"
        )


def _absence_problems(file: SettingsFile) -> Iterator[Problem]:
    """What cannot be had without our gateway."""
    if file.history.kind is HistoryKind.PROMETHEUS:
        yield _problem(
            ("history", "kind"),
            "is prometheus, which starts with what our gateway has told; without it (gateway.enabled: "
            "false) use memory or day_files",
        )


def _day_file_problems(history: HistoryPart) -> Iterator[Problem]:
    """What the coarser bins, of one and of five minutes, are rolled up from."""
    if history.bin >= 60 or 60 % history.bin:
        yield _problem(
            ("history", "bin"),
            f"is {history.bin:g} s; day_files rolls bins up to minutes, so a minute must be two or more "
            "whole bins, such as 15s",
        )
    if history.keep < 600:
        yield _problem(("history", "keep"), "must be at least 10m for day_files")


def _tls_problems(gateway: GatewayPart) -> Iterator[Problem]:
    pair = ("tls_certificate", "tls_key")
    for key, other in (pair, pair[::-1]):
        if getattr(gateway, key) is not None and getattr(gateway, other) is None:
            yield _problem(("gateway", key), f"needs {key_text(('gateway', other))} beside it")


def _exposure_problems(gateway: GatewayPart) -> Iterator[Problem]:
    is_protected = gateway.keys_file is not None and gateway.tls_certificate is not None
    if not (is_loopback(gateway.host) or is_protected or gateway.allow_insecure_listen):
        yield _problem(
            ("gateway", "host"),
            f"is {gateway.host!r}, which others can reach; add keys_file, tls_certificate and tls_key, "
            "or say allow_insecure_listen: true",
        )


def _problem(path: KeyPath, message: str) -> Problem:
    return Problem(line=None, path=path, message=message)


def _settings(file: SettingsFile, *, path: Path) -> Settings:
    folder = path.parent
    return Settings(
        catalogue_path=folder / file.catalogue,
        settings_path=path,
        has_gateway=file.gateway.enabled,
        gateway=_gateway(file.gateway, folder=folder, state_dir=folder / file.state_dir),
        controller=ControllerSettings(
            host=file.controller.host,
            port=file.controller.port,
            allowed_hosts=_allowed_hosts(file.controller),
            allow_insecure_listen=file.controller.allow_insecure_listen,
        ),
        ticks=TickSettings(ingest_seconds=file.ticks.ingest, decide_seconds=file.ticks.decide),
        history=HistorySettings(
            kind=file.history.kind,
            bin_seconds=file.history.bin,
            keep_seconds=file.history.keep,
            max_bytes=file.history.max_size,
        ),
        sources=SourceSettings(engines=file.sources.engines),
        prometheus=prometheus_settings(file.prometheus, folder=folder),
        logging=LoggingSettings(level=file.logging.level, format=file.logging.format),
    )


def _gateway(part: GatewayPart, *, folder: Path, state_dir: Path) -> GatewaySettings:
    return GatewaySettings(
        state_dir=state_dir,
        host=part.host,
        port=part.port,
        keys_file=_optional(part.keys_file, folder=folder),
        tls_certificate=_optional(part.tls_certificate, folder=folder),
        tls_key=_optional(part.tls_key, folder=folder),
        allow_insecure_listen=part.allow_insecure_listen,
        allowed_hosts=_allowed_hosts(part),
        max_body_bytes=part.max_body,
        max_header_bytes=part.max_headers,
        connect_timeout_seconds=part.connect_timeout,
        read_idle_timeout_seconds=part.read_idle_timeout,
        body_timeout_seconds=part.body_timeout,
        write_timeout_seconds=part.write_timeout,
        idle_timeout_seconds=part.idle_timeout,
        drain_timeout_seconds=part.drain_timeout,
        latency_edges_seconds=_latency_edges(part.latency_edges),
    )


def _allowed_hosts(part: GatewayPart | ControllerPart) -> tuple[str, ...]:
    """Loopback names, the address listened on and what was declared, each once."""
    own = f"[{part.host}]" if ":" in part.host else part.host
    return tuple(dict.fromkeys((*LOOPBACK_HOSTS, own, *part.allowed_hosts)))


def _latency_edges(part: LatencyEdgesPart) -> Mapping[Sli, tuple[float, ...]]:
    declared: Mapping[Sli, list[float]] = {
        Sli.TIME_TO_FIRST_TOKEN: part.time_to_first_token,
        Sli.INTER_TOKEN_LATENCY: part.inter_token_latency,
        Sli.END_TO_END_LATENCY: part.end_to_end_latency,
    }
    return {sli: tuple(edges) or DEFAULT_EDGES_SECONDS[sli] for sli, edges in declared.items()}


def _optional(typed: str | None, *, folder: Path) -> Path | None:
    return None if typed is None else folder / typed
