"""One page under examination: its series, its readings as the controller makes them, its version. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from collector.model.contract import CanonicalSignal, Contract, SeriesSource, SignalRule
from collector.model.page import PageIdentity, PageReadings
from collector.model.reading import Missing, MissingReason
from collector.model.samples import Samples
from collector.normalise.page import page_readings
from foresail.doctor.targets.versions import KnownVersion, evident_versions

_PARTS = ("", "_bucket", "_sum", "_count")
_NOBODY = PageIdentity(key="page", source="page")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldName:
    """One way the page tells a signal."""

    name: str  # histograms without _bucket
    source: SeriesSource


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSubject:
    """A page whose maker is known."""

    text: str
    samples: Samples
    contract: Contract
    readings: PageReadings  # as the controller reads the page
    told: Mapping[CanonicalSignal, tuple[ToldName, ...]]  # names of any version, preferred first
    version: KnownVersion
    version_text: str | None  # None: nobody says

    @property
    def maker(self) -> str:
        """The engine, with its version where that is known."""
        return f"{self.contract.title} {self.version_text or ''}".strip()


def page_subject(
    text: str,
    *,
    samples: Samples,
    contract: Contract,
    version: tuple[int, ...] | None,
    version_text: str | None,
) -> PageSubject:
    """The page as the controller reads it, and under which names it tells what. Raises nothing."""
    told = {
        signal: tuple(_told(samples, contract=contract, rule=rule))
        for signal, rule in contract.rules.items()
    }
    ranges = [name.source.versions for names in told.values() for name in names]
    return PageSubject(
        text=text,
        samples=samples,
        contract=contract,
        readings=page_readings(
            samples,
            contract=contract,
            identity=replace(_NOBODY, engine_version=version),
            observed_timestamp_seconds=0.0,
        ),
        told=told,
        version=KnownVersion(exact=version, evident=evident_versions(ranges)),
        version_text=version_text,
    )


def _told(samples: Samples, *, contract: Contract, rule: SignalRule) -> Iterator[ToldName]:
    """Every name under which the signal stands on the page, as `normalise` sees it."""
    for source in rule.sources:
        for name in source.names:
            part = _part(samples, name=name)
            if not part.by_name and not part.damaged:
                continue
            one = replace(rule, sources=(replace(source, names=(name,)),))
            page = page_readings(
                part,
                contract=replace(contract, rules={rule.signal: one}, cannot_see={}),
                identity=_NOBODY,
                observed_timestamp_seconds=0.0,
            )
            absence = page.absent.get(rule.signal)
            if absence is None or absence.reason is not MissingReason.SERIES_ABSENT:
                yield ToldName(name=name, source=source)


def _part(samples: Samples, *, name: str) -> Samples:
    names = [name + part for part in _PARTS]
    return Samples(
        by_name={each: samples.by_name[each] for each in names if each in samples.by_name},
        damaged=samples.damaged & set(names),
        contradicted=samples.contradicted,
        problems=(),
    )


def missing_reasons(readings: PageReadings, signal: CanonicalSignal) -> frozenset[MissingReason]:
    """Why parts of the signal cannot be read; empty when all of it can."""
    found: list[object] = [
        *(each for key, each in readings.numbers.items() if key[0] is signal),
        *(each for key, each in readings.histograms.items() if key[0] is signal),
    ]
    if signal in readings.absent:
        found.append(readings.absent[signal])
    elif not found:
        found.append(readings.sleep_state)  # the one signal that is neither
    return frozenset(each.reason for each in found if isinstance(each, Missing))
