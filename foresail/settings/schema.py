"""The form of foresail.yaml: every key with meaning, unit, default and the reason for the default.

In: plain values of the file, with variables laid over them. Out: a validated `SettingsFile`, which
`read` turns into `Settings`. Also the source of deploy/schema/foresail.schema.json.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from collector.catalogue_file.words import LabelName, LabelValue
from collector.files.part import FilePart, choice, quantity
from collector.files.units import Duration, MemoryAmount
from collector.ports import TargetIdentity
from foresail.settings.values import EngineSource, HistoryKind, LogFormat, LogLevel
from foresail.settings.words import (
    header_bytes_of,
    host,
    host_header,
    path,
    prometheus_url,
    rising,
)

Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, AfterValidator(host)]
HostHeader = Annotated[str, AfterValidator(host_header)]
FilePath = Annotated[str, AfterValidator(path)]
Edges = Annotated[list[Duration], AfterValidator(rising)]


def edges_of(default: str) -> Any:  # noqa: ANN401  as Field itself
    """A key for one histogram; an empty list stands for the default."""
    return Field(
        default_factory=list,
        description="Upper bounds of the buckets; thresholds of objectives are always added. "
        f"Default: {default}.",
    )


class LatencyEdgesPart(FilePart):
    """Upper bounds of the histograms' buckets, rising."""

    time_to_first_token: Edges = edges_of("vLLM's, so that both can be read alike")
    inter_token_latency: Edges = edges_of("vLLM's, and finer ones below for small models")
    end_to_end_latency: Edges = edges_of("vLLM's, and finer ones below for embeddings")


class GatewayPart(FilePart):
    """The one OpenAI-compatible endpoint that clients use."""

    enabled: bool = Field(
        default=True,
        description="Run it. Default true. Say false where clients come through a gateway of your own: "
        "then engines alone tell the demand, nothing is held while a model wakes, and the catalogue may "
        "not name processes, to which nobody would route.",
    )
    host: Host = Field(
        default="127.0.0.1",
        description="The address it listens on. Default 127.0.0.1: only this machine. Another one "
        "needs keys_file and TLS, or allow_insecure_listen.",
    )
    port: Port = Field(
        default=8080,
        description="The TCP port it listens on. Default 8080, usual and unprivileged.",
    )
    keys_file: FilePath | None = Field(
        default=None,
        description="A file of lines `tenant:sha256 of the key`. Default: none, and no key is asked "
        "for, as is usual on one's own machine.",
    )
    tls_certificate: FilePath | None = Field(
        default=None,
        description="The certificate chain (PEM) for https. Default: none, plain http on loopback.",
    )
    tls_key: FilePath | None = Field(
        default=None,
        description="The private key (PEM) of the certificate. Default: none, as the certificate.",
    )
    allowed_hosts: list[HostHeader] = Field(
        default_factory=list,
        description="Names clients may use for it in the Host header, besides loopback names and "
        "`host`. Default: none, so that a web page cannot reach it under a name of its own.",
    )
    allow_insecure_listen: bool = Field(
        default=False,
        description="Listen beyond loopback without keys and TLS. Default false: whoever reaches the "
        "port could use the models and read every answer on the way.",
    )
    max_body: MemoryAmount = quantity(
        "32MiB",
        description="The largest request body, in bytes or with a unit. Default 32MiB: a few images in "
        "a prompt.",
    )
    max_headers: Annotated[int, AfterValidator(header_bytes_of)] = Field(
        default=16384,
        description="The most bytes of request headers. Default 16384: as large as common servers take.",
    )
    connect_timeout: Duration = quantity(
        "3s",
        description="How long connecting to a replica may take before another one is tried. Default "
        "3s: replicas are near.",
    )
    read_idle_timeout: Duration = quantity(
        "10m",
        description="The longest silence of a replica within an answer. Default 10m: a long prompt on "
        "a slow device.",
    )
    body_timeout: Duration = quantity(
        "60s", description="How long a client may take to send its body. Default 60s: a slow link."
    )
    write_timeout: Duration = quantity(
        "60s",
        description="How long a client may take to accept a piece of its answer. Default 60s: then "
        "it is taken for gone, and its replica is freed.",
    )
    idle_timeout: Duration = quantity(
        "75s",
        description="How long a connection may stand open without a request. Default 75s, as common "
        "servers.",
    )
    drain_timeout: Duration = quantity(
        "30s",
        description="How long requests in flight may take to finish when the gateway is told to end. "
        "Default 30s: service managers wait longer than that.",
    )
    latency_edges: LatencyEdgesPart = Field(
        default_factory=LatencyEdgesPart,
        description="Buckets of the latency histograms. Default: those of each key.",
    )


class ControllerPart(FilePart):
    """The controller's own server: page, state, metrics."""

    host: Host = Field(
        default="127.0.0.1",
        description="The address it listens on. Default 127.0.0.1: only this machine.",
    )
    port: Port = Field(
        default=8081, description="The TCP port it listens on. Default 8081, beside the gateway's."
    )
    allowed_hosts: list[HostHeader] = Field(
        default_factory=list,
        description="Names people may use for it in the Host header, besides loopback names and "
        "`host`. Default: none, so that a web page cannot reach it under a name of its own.",
    )
    allow_insecure_listen: bool = Field(
        default=False,
        description="Listen beyond loopback, where everybody who reaches the port may read the page, "
        "the state and the metrics. Default false: they name services, models and owners.",
    )


class TicksPart(FilePart):
    """How often things are done."""

    ingest: Duration = quantity(
        "5s", description="How often everything is read. Default 5s: three readings per decision."
    )
    decide: Duration = quantity(
        "15s",
        description="How often it is decided, besides at once when a request is held. Default 15s: one "
        "bin of history.",
    )


class HistoryPart(FilePart):
    """What is kept of the past."""

    kind: HistoryKind = choice(
        "memory",
        description="memory, or day_files: files in the state directory that outlive the controller, "
        "with coarser bins of 1 min for 3 days and 5 min for 400 days, or prometheus: memory that "
        "starts with what Prometheus has seen of the gateway. Default memory: nothing looks further "
        "back than `keep` today.",
    )
    bin: Duration = quantity(
        "15s", description="The width of one bin. Default 15s: one decision, one new bin."
    )
    keep: Duration = quantity(
        "6h", description="How far back it reaches. Default 6h: all that decisions look at today."
    )
    max_size: MemoryAmount = quantity(
        "1GiB",
        description="How much the day files may take; the oldest days go first. Default 1GiB: 400 days "
        "of about a hundred busy services.",
    )


class SourcesPart(FilePart):
    """Where readings come from. Our gateway is always read directly: demand must not be late."""

    engines: EngineSource = choice(
        "direct",
        description="Who reads the engines' metric pages: direct (the controller itself), or "
        "prometheus (it asks Prometheus, one query per signal for all engines). Default direct: needs "
        "nothing else to run, and is younger by half a scrape interval.",
    )


class PrometheusPart(FilePart):
    """The Prometheus that `sources` and `history` may name. Needs `pip install 'foresail[prometheus]'`."""

    url: Annotated[str, AfterValidator(prometheus_url)] | None = Field(
        default=None,
        description="Where it is, with its path if it has one: http://127.0.0.1:9090. Default: none, "
        "as nothing asks it.",
    )
    timeout: Duration = quantity(
        "3s",
        description="How long one query may take. Default 3s: shorter than the time between two "
        "readings (ticks.ingest).",
    )
    scrape_interval: Duration = quantity(
        "15s",
        description="How often it scrapes the gateway and the engines, as in its own configuration. "
        "Default 15s, a usual value. A reading is older than that at worst, so control.stale_after "
        "of the catalogue must be longer, and without our gateway longer than two of them.",
    )
    bearer_token_file: FilePath | None = Field(
        default=None,
        description="A file with the token it asks for; read anew for each query, so that it may "
        "change. Default: none.",
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="Certificates (PEM) that may sign its own. Default: those of the Python package "
        "certifi.",
    )
    replica_label: LabelName = Field(
        default="instance",
        description="The label by which it tells replicas apart. Default instance, which Prometheus "
        "sets by itself; others are pod or a label of your own.",
    )
    replica_label_holds: TargetIdentity = choice(
        "address",
        description="What of a replica stands in that label: address (host:port), host (the host "
        "alone), or replica_id. Default address, as in instance.",
    )
    engine_match: dict[LabelName, LabelValue] = Field(
        default_factory=dict,
        description="Labels of all engines' targets, such as {job: engines}, for a Prometheus that "
        "knows others, or scrapes one engine for two jobs. Default: none.",
    )
    gateway_match: dict[LabelName, LabelValue] = Field(
        default_factory=dict,
        description="Labels of this gateway's target, such as {job: foresail-gateway}, for a "
        "Prometheus that scrapes several. Default: none.",
    )


class LoggingPart(FilePart):
    """What is written to stdout."""

    level: LogLevel = choice(
        "info",
        description="The least important lines written: debug, info, warning or error. Default info: "
        "one line per tick and decision.",
    )
    format: LogFormat = choice(
        "auto",
        description="text, json, or auto (text on a terminal, json elsewhere). Default auto: people "
        "read terminals, machines read the rest.",
    )


class SettingsFile(FilePart):
    """How the processes of Foresail run on this machine."""

    state_dir: FilePath = Field(
        default=".foresail",
        description="The folder of everything Foresail writes: ledger, journal, routes, engine logs. "
        "Relative paths are seen from this file's folder. Default .foresail beside this file, so that "
        "two setups on one box never share state.",
    )
    catalogue: FilePath = Field(
        default="catalogue.yaml",
        description="The file that says what is served. Default catalogue.yaml beside this file.",
    )
    gateway: GatewayPart = Field(
        default_factory=GatewayPart,
        description="The endpoint clients use. Default: those of each key.",
    )
    controller: ControllerPart = Field(
        default_factory=ControllerPart,
        description="The controller's own server. Default: those of each key.",
    )
    ticks: TicksPart = Field(
        default_factory=TicksPart,
        description="How often things are done. Default: those of each key.",
    )
    history: HistoryPart = Field(
        default_factory=HistoryPart,
        description="What is kept of the past. Default: those of each key.",
    )
    sources: SourcesPart = Field(
        default_factory=SourcesPart,
        description="Where readings come from. Default: those of each key.",
    )
    prometheus: PrometheusPart = Field(
        default_factory=PrometheusPart,
        description="The Prometheus that sources and history may name. Default: those of each key.",
    )
    logging: LoggingPart = Field(
        default_factory=LoggingPart,
        description="What is written to stdout. Default: those of each key.",
    )
