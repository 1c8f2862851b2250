"""The part of foresail.yaml about Prometheus: its rules across keys, and its values.

In: the file's form after the rules of single keys. Out: problems with the key to change, and
`PrometheusSettings`. Called by `read`; opens no file and asks nobody.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from collector.files.problem import Problem
from collector.gateway.settings import is_loopback
from foresail.settings.schema import HistoryPart, PrometheusPart, SettingsFile
from foresail.settings.values import EngineSource, HistoryKind, PrometheusSettings


def prometheus_problems(file: SettingsFile) -> Iterator[Problem]:
    """What does not fit together; nothing for usable settings."""
    wanted = []
    if file.sources.engines is EngineSource.PROMETHEUS:
        wanted.append(("sources", "engines"))
    if file.history.kind is HistoryKind.PROMETHEUS:
        wanted.append(("history", "kind"))
        yield from _history_problems(file.history)
    if file.prometheus.url is None:
        for path in wanted:
            message = "is prometheus, but prometheus.url does not say where it is, e.g. http://127.0.0.1:9090"
            yield Problem(line=None, path=path, message=message)
    yield from _token_problems(file.prometheus)


def prometheus_settings(part: PrometheusPart, *, folder: Path) -> PrometheusSettings:
    """The same as values; relative paths are seen from `folder`."""
    return PrometheusSettings(
        url=part.url,
        timeout_seconds=part.timeout,
        scrape_interval_seconds=part.scrape_interval,
        bearer_token_path=folder / part.bearer_token_file if part.bearer_token_file else None,
        ca_path=folder / part.ca_file if part.ca_file else None,
        replica_label=part.replica_label,
        replica_label_holds=part.replica_label_holds,
        engine_match=part.engine_match,
        gateway_match=part.gateway_match,
    )


def _history_problems(history: HistoryPart) -> Iterator[Problem]:
    if history.bin != round(history.bin):
        yield Problem(
            line=None,
            path=("history", "bin"),
            message=f"is {history.bin:g} s; prometheus is asked in whole seconds, such as 15s",
        )


def _token_problems(part: PrometheusPart) -> Iterator[Problem]:
    url = urlsplit(part.url or "https://")
    if part.bearer_token_file and url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield Problem(
            line=None,
            path=("prometheus", "bearer_token_file"),
            message=f"would be sent unencrypted to {url.hostname}; say https:// in prometheus.url, or "
            "leave the token out",
        )
