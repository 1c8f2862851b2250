"""Contract files in, `Contracts` out. Reads package data only; every error names file, key and value."""

from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from typing import cast

import yaml
from pydantic import ValidationError

from collector.contract.schema import (
    ContractFile,
    EndpointFile,
    SignalFile,
    SourceFile,
    version_range,
)
from collector.errors import ConfigurationError
from collector.model.contract import (
    CanonicalSignal,
    Contract,
    Contracts,
    Endpoint,
    EngineSignal,
    GatewaySignal,
    SeriesSource,
    SignalRule,
    version_numbers,
)
from collector.model.replica import EngineKind

GATEWAY = "foresail_gateway"


def load_contracts() -> Contracts:
    """The contracts shipped with this package. Raises ConfigurationError for a broken file."""
    folder = resources.files("collector.contract")

    def read(name: str) -> Contract:
        return contract_of((folder / f"{name}.yaml").read_text("utf-8"), name=f"{name}.yaml")

    return Contracts(engines={kind: read(kind.value) for kind in EngineKind}, gateway=read(GATEWAY))


def contract_of(text: str, *, name: str) -> Contract:
    """The contract written in `text`. Raises ConfigurationError; `name` says which file it was."""
    try:
        document = ContractFile.model_validate(yaml.safe_load(text))
        return _contract(document)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{name}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{name}: {_first_error(error)}") from error
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def _first_error(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False)
    first = details[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{where}: {first['msg']}, got {str(first['input'])[:80]!r}{more}"


def _contract(document: ContractFile) -> Contract:
    kinds = {kind.value for kind in EngineKind}
    if document.engine not in kinds | {GATEWAY}:
        raise ValueError(f"engine: {document.engine!r} is none of {sorted(kinds | {GATEWAY})}")
    vocabulary = _vocabulary(GatewaySignal if document.engine == GATEWAY else EngineSignal)
    _check_covers(document, vocabulary)
    return Contract(
        engine=document.engine,
        versions=version_range(document.versions),
        assumed_version=version_numbers(document.assumed_version),
        endpoints=tuple(_endpoint(endpoint) for endpoint in document.endpoints),
        dropped_suffixes=tuple(document.dropped_suffixes),
        rules={
            vocabulary[name]: _rule(vocabulary[name], signal)
            for name, signal in document.signals.items()
        },
        cannot_see={vocabulary[name]: why for name, why in document.cannot_see.items()},
    )


def _vocabulary(signals: type[StrEnum]) -> Mapping[str, CanonicalSignal]:
    # Only the two members of the union are passed in.
    return {signal.value: cast("CanonicalSignal", signal) for signal in signals}


def _check_covers(document: ContractFile, vocabulary: Mapping[str, CanonicalSignal]) -> None:
    told, blind = set(document.signals), set(document.cannot_see)
    if unknown := sorted((told | blind) - set(vocabulary)):
        raise ValueError(f"signals: {unknown[0]!r} is no signal; known are {sorted(vocabulary)}")
    if both := sorted(told & blind):
        raise ValueError(f"cannot_see: {both[0]!r} stands in signals as well; keep one")
    if silent := sorted(set(vocabulary) - told - blind):
        raise ValueError(f"signals: {silent[0]!r} is neither there nor in cannot_see")


def _endpoint(endpoint: EndpointFile) -> Endpoint:
    safe = endpoint.observer_safe
    return Endpoint(
        path=endpoint.path,
        serves_metrics=endpoint.serves_metrics,
        observer_safe=None if safe == "never" else version_range(safe),
        note=endpoint.note,
    )


def _rule(signal: CanonicalSignal, document: SignalFile) -> SignalRule:
    return SignalRule(
        signal=signal,
        kind=document.kind,
        unit=document.unit,
        keep=tuple(document.keep),
        aggregate=dict(document.aggregate),
        sources=tuple(_source(source) for source in document.sources),
        state_label=document.state_label,
        states=document.states,
    )


def _source(document: SourceFile) -> SeriesSource:
    return SeriesSource(
        names=_spellings(document.series),
        versions=version_range(document.versions),
        select={label: frozenset(values) for label, values in document.select.items()},
        value_labels=tuple(document.value_labels),
        scale=document.scale,
    )


def _spellings(series: str) -> tuple[str, ...]:
    if "[:_]" not in series:
        return (series,)
    return series.replace("[:_]", ":"), series.replace("[:_]", "_")
