"""Expressions of Prometheus rules and of Kubernetes objects that scale or carry rules. Pure.

Rule files, PrometheusRule, KEDA's ScaledObject and ScaledJob, HorizontalPodAutoscaler,
prometheus-adapter's configuration, and ConfigMaps or lists that hold any of them.
"""

from collections.abc import Iterator

from foresail.lint.query import Query, QueryKind
from foresail.lint.tree import Part

_SCALED = frozenset({"ScaledObject", "ScaledJob"})
_ADAPTER_RULES = ("rules", "externalRules")


def manifest_queries(part: Part) -> Iterator[Query]:
    """Every expression of one document; nothing for a document of another kind."""
    kind = part.get("kind").text
    if kind in _SCALED:
        yield from _triggers(part)
    elif kind == "HorizontalPodAutoscaler":
        yield from _metric_names(part)
    else:
        for groups in (part.get("groups"), part.get("spec", "groups")):
            for group in groups.items:
                for rule in group.get("rules").items:
                    yield from _rule(rule)
        yield from _adapter(part)
        yield from _adapter_chart(part.get("rules"))


def embedded_texts(part: Part) -> Iterator[tuple[str, Part]]:
    """(file name, text) of the files a ConfigMap or a dashboard resource carries."""
    kind = part.get("kind").text
    if kind == "ConfigMap":
        yield from ((key, text) for key, text in part.get("data").entries.items())
    elif kind == "GrafanaDashboard" and part.get("spec", "json").is_text():
        yield "spec.json", part.get("spec", "json")


def _rule(rule: Part) -> Iterator[Query]:
    expression, alert, record = rule.get("expr"), rule.get("alert").text, rule.get("record").text
    if expression.text is None:
        return
    is_alert = alert is not None
    yield Query(
        text=expression.text,
        kind=QueryKind.ALERT if is_alert else QueryKind.RECORD,
        where=f"alert {alert}" if is_alert else f"record {record or 'without a name'}",
        line=expression.line,
        first_line=rule.line,
        last_line=rule.end_line,
        lacks_for=is_alert and rule.get("for").text is None,
        record=record or "",
    )


def _triggers(part: Part) -> Iterator[Query]:
    for trigger in part.get("spec", "triggers").items:
        query = trigger.get("metadata", "query")
        if trigger.get("type").text == "prometheus" and query.text is not None:
            name = part.get("metadata", "name").text or "unnamed"
            yield _query(query, trigger, kind=QueryKind.SCALER, where=f"trigger of {name}")


def _metric_names(part: Part) -> Iterator[Query]:
    name = part.get("metadata", "name").text or "unnamed"
    for metric in part.get("spec", "metrics").items:
        for source in ("pods", "object", "external"):
            named = metric.get(source, "metric", "name")
            if named.is_text():
                yield _query(named, metric, kind=QueryKind.NAME, where=f"metric of {name}")


def _adapter(part: Part) -> Iterator[Query]:
    for key in _ADAPTER_RULES:
        for rule in part.get(key).items:
            yield from _adapter_rule(rule)


def _adapter_chart(rules: Part) -> Iterator[Query]:
    for key in ("custom", "external"):
        for rule in rules.get(key).items:
            yield from _adapter_rule(rule)


def _adapter_rule(rule: Part) -> Iterator[Query]:
    series, query = rule.get("seriesQuery"), rule.get("metricsQuery")
    if series.is_text():
        yield _query(series, rule, kind=QueryKind.SERIES, where="adapter's series")
    if query.is_text():
        yield _query(query, rule, kind=QueryKind.SCALER, where="adapter's query")


def _query(part: Part, around: Part, *, kind: QueryKind, where: str) -> Query:
    return Query(
        text=part.text or "",
        kind=kind,
        where=where,
        line=part.line,
        first_line=around.line,
        last_line=around.end_line,
    )
