"""Contract files in, `Contracts` out. Reads package data only; every error names file, key and value."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

import yaml
from pydantic import ValidationError

from collector.contract.schema import (
    AdviceFile,
    ContractFile,
    EndpointFile,
    OtherSeriesFile,
    SignalFile,
    SourceFile,
    Vocabulary,
    version_range,
)
from collector.errors import ConfigurationError
from collector.model.contract import (
    Advice,
    CanonicalSignal,
    ClusterSignal,
    Contract,
    Contracts,
    DeviceSignal,
    Endpoint,
    EngineSignal,
    ExporterKind,
    GatewaySignal,
    GoneSeries,
    HostSignal,
    Provenance,
    RouterSignal,
    SeriesKind,
    SeriesSource,
    SignalRule,
    version_numbers,
)
from collector.model.replica import EngineKind

GATEWAY = "foresail_gateway"


def load_contracts() -> Contracts:
    """The contracts shipped with this package. Raises ConfigurationError for a broken file."""
    return Contracts(
        engines={kind: load_contract(kind.value) for kind in EngineKind},
        gateway=load_contract(GATEWAY),
        exporters={kind: load_contract(kind.value) for kind in ExporterKind},
    )


def load_contract(engine: str) -> Contract:
    """One of the contracts shipped with this package. Raises ConfigurationError for a broken file."""
    file = resources.files("collector.contract") / f"{engine}.yaml"
    return contract_of(file.read_text("utf-8"), name=f"{engine}.yaml")


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
    kinds = {kind.value for kind in (*EngineKind, *ExporterKind)} | {GATEWAY}
    if document.engine not in kinds:
        raise ValueError(f"engine: {document.engine!r} is none of {sorted(kinds)}")
    vocabulary = _vocabulary(document.tells)
    _check_covers(document, vocabulary)
    return Contract(
        engine=document.engine,
        title=document.title,
        versions=version_range(document.versions),
        assumed_version=version_numbers(document.assumed_version),
        endpoints=tuple(_endpoint(endpoint) for endpoint in document.endpoints),
        dropped_suffixes=tuple(document.dropped_suffixes),
        rules={
            vocabulary[name]: _rule(vocabulary[name], signal, document=document)
            for name, signal in document.signals.items()
        },
        cannot_see=_cannot_see(document, vocabulary),
        keep_alive=document.keep_alive,
        idle_sleep_words=tuple(document.idle_sleep_words),
        label_names={old: each.name for old, each in document.label_names.items()},
        label_versions={
            old: version_range(each.versions) for old, each in document.label_names.items()
        },
        advice=tuple(map(_advice, document.advice)),
        other_series=_other_series(document.other_series),
        gone_series=tuple(GoneSeries(**each.model_dump()) for each in document.gone_series),
        bucket_edges={
            name: tuple(each.edges) for each in document.bucket_edges for name in each.series
        },
        measured_labels=frozenset(document.measured_labels),
    )


def _vocabulary(parts: Sequence[Vocabulary]) -> Mapping[str, CanonicalSignal]:
    signals: Mapping[Vocabulary, Iterable[CanonicalSignal]] = {
        Vocabulary.ENGINE: EngineSignal,
        Vocabulary.GATEWAY: GatewaySignal,
        Vocabulary.ROUTER: RouterSignal,
        Vocabulary.DEVICE: DeviceSignal,
        Vocabulary.HOST: HostSignal,
        Vocabulary.CLUSTER: ClusterSignal,
    }
    return {signal.value: signal for part in parts for signal in signals[part]}


def _check_covers(document: ContractFile, vocabulary: Mapping[str, CanonicalSignal]) -> None:
    told, blind = set(document.signals), set(document.cannot_see)
    if unknown := sorted((told | blind) - set(vocabulary)):
        raise ValueError(f"signals: {unknown[0]!r} is no signal; known are {sorted(vocabulary)}")
    if both := sorted(told & blind):
        raise ValueError(f"cannot_see: {both[0]!r} stands in signals as well; keep one")
    silent = sorted(set(vocabulary) - told - blind)
    if silent and document.cannot_see_others is None:
        raise ValueError(f"signals: {silent[0]!r} is neither there nor in cannot_see")


def _cannot_see(
    document: ContractFile, vocabulary: Mapping[str, CanonicalSignal]
) -> dict[CanonicalSignal, str]:
    others = document.cannot_see_others or ""
    return {
        signal: document.cannot_see.get(name, others)
        for name, signal in vocabulary.items()
        if name not in document.signals
    }


def _endpoint(endpoint: EndpointFile) -> Endpoint:
    safe = endpoint.observer_safe
    return Endpoint(
        path=endpoint.path,
        serves_metrics=endpoint.serves_metrics,
        observer_safe=None if safe == "never" else version_range(safe),
        note=endpoint.note,
        version_key=endpoint.version_key,
        sleep_key=endpoint.sleep_key,
    )


def _other_series(file: OtherSeriesFile) -> dict[str, SeriesKind | None]:
    kinds: tuple[tuple[list[str], SeriesKind | None], ...] = (
        (file.gauge, SeriesKind.GAUGE),
        (file.counter, SeriesKind.COUNTER),
        (file.histogram, SeriesKind.HISTOGRAM),
        (file.unknown, None),
    )
    return {name: kind for names, kind in kinds for name in names}


def _advice(row: AdviceFile) -> Advice:
    return Advice(topic=row.topic, versions=version_range(row.versions), text=row.text)


def _rule(signal: CanonicalSignal, row: SignalFile, *, document: ContractFile) -> SignalRule:
    return SignalRule(
        signal=signal,
        kind=row.kind,
        unit=row.unit,
        keep=tuple(row.keep),
        aggregate=dict(row.aggregate),
        sources=tuple(_source(source, file=document) for source in row.sources),
        state_label=row.state_label,
        states=row.states,
        absent_until=row.absent_until,
    )


def _source(document: SourceFile, *, file: ContractFile) -> SeriesSource:
    provenance = document.provenance or file.provenance
    is_documented = provenance is Provenance.DOCUMENTATION
    return SeriesSource(
        names=_spellings(document.series),
        versions=version_range(document.versions),
        select={label: frozenset(values) for label, values in document.select.items()},
        value_labels=tuple(document.value_labels),
        scale=document.scale,
        provenance=provenance,
        reference=(document.reference or file.reference) if is_documented else document.reference,
    )


def _spellings(series: str) -> tuple[str, ...]:
    if "[:_]" not in series:
        return (series,)
    return series.replace("[:_]", ":"), series.replace("[:_]", "_")
