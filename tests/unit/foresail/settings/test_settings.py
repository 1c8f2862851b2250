"""What foresail.yaml and FORESAIL_ variables mean, and what their owner is told when they are wrong."""

from pathlib import Path

import pytest

from collector.errors import ConfigurationError
from collector.gateway.settings import GatewaySettings
from collector.ports import TargetIdentity
from foresail.settings import (
    ControllerSettings,
    EngineSource,
    HistoryKind,
    HistorySettings,
    LogFormat,
    LoggingSettings,
    LogLevel,
    PrometheusSettings,
    Settings,
    SourceSettings,
    TickSettings,
    read_settings,
)
from support.files import write_desk


def read(folder: Path, text: str, **environ: str) -> Settings:
    return read_settings(write_desk(folder, settings=text), environ)


def told(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text, **environ)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize("text", ["", "# all defaults\n", "{}\n"])
def test_every_key_is_optional_and_defaults_are_those_of_the_values(
    tmp_path: Path, text: str
) -> None:
    settings = read(tmp_path, text)
    assert settings == Settings(
        catalogue_path=tmp_path / "catalogue.yaml",
        settings_path=tmp_path / "foresail.yaml",
        gateway=GatewaySettings(state_dir=tmp_path / ".foresail"),
        controller=ControllerSettings(),
        ticks=TickSettings(),
        history=HistorySettings(),
        sources=SourceSettings(),
        prometheus=PrometheusSettings(),
        logging=LoggingSettings(),
    )


def test_what_is_written_lies_under_the_state_directory(tmp_path: Path) -> None:
    settings = read(tmp_path, "state_dir: /var/lib/foresail\n")
    assert settings.state_dir == Path("/var/lib/foresail")
    assert settings.ledger_path == Path("/var/lib/foresail/ledger.sqlite")
    assert settings.history_path == Path("/var/lib/foresail/history")


def test_what_is_said_arrives_in_base_units(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
gateway:
  host: 10.0.0.5
  keys_file: keys
  tls_certificate: tls/a.crt
  tls_key: /etc/a.key
  allowed_hosts: [models.example.com]
  max_body: 1MiB
  latency_edges: {time_to_first_token: [100ms, 1s]}
controller: {port: 9001}
ticks: {ingest: 500ms, decide: 2s}
history: {kind: day_files, bin: 1s, keep: 10m, max_size: 1MiB}
logging: {level: debug, format: json}
""",
    )
    gateway = settings.gateway
    assert (gateway.host, gateway.keys_file) == ("10.0.0.5", tmp_path / "keys")
    assert (gateway.tls_certificate, gateway.tls_key) == (
        tmp_path / "tls/a.crt",
        Path("/etc/a.key"),
    )
    assert gateway.allowed_hosts == (
        "localhost", "127.0.0.1", "[::1]", "10.0.0.5", "models.example.com",
    )  # fmt: skip
    assert gateway.max_body_bytes == 1_048_576
    edges = {sli.value: edges for sli, edges in gateway.latency_edges_seconds.items()}
    assert edges["time_to_first_token"] == (0.1, 1.0)
    assert edges["inter_token_latency"][0] == 0.001
    assert settings.controller.port == 9001
    assert settings.ticks == TickSettings(ingest_seconds=0.5, decide_seconds=2.0)
    assert settings.history == HistorySettings(
        kind=HistoryKind.DAY_FILES, bin_seconds=1.0, keep_seconds=600.0, max_bytes=1_048_576
    )
    assert settings.logging == LoggingSettings(level=LogLevel.DEBUG, format=LogFormat.JSON)


def test_prometheus_is_named_once_for_all_that_ask_it(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
sources: {engines: prometheus}
history: {kind: prometheus}
prometheus:
  url: https://thanos.example.com/prometheus/
  timeout: 2s
  scrape_interval: 30s
  bearer_token_file: token
  ca_file: /etc/ca.crt
  replica_label: pod
  replica_label_holds: replica_id
  engine_match: {job: engines}
  gateway_match: {job: gateway}
""",
    )
    assert settings.sources.engines is EngineSource.PROMETHEUS
    assert settings.history.kind is HistoryKind.PROMETHEUS
    assert settings.prometheus == PrometheusSettings(
        url="https://thanos.example.com/prometheus",
        timeout_seconds=2.0,
        scrape_interval_seconds=30.0,
        bearer_token_path=tmp_path / "token",
        ca_path=Path("/etc/ca.crt"),
        replica_label="pod",
        replica_label_holds=TargetIdentity.REPLICA_ID,
        engine_match={"job": "engines"},
        gateway_match={"job": "gateway"},
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:9090", "http://localhost:9090", "https://p"])
def test_a_token_may_go_to_this_machine_or_be_encrypted(tmp_path: Path, url: str) -> None:
    settings = read(tmp_path, f"prometheus: {{url: '{url}', bearer_token_file: t}}\n")
    assert settings.prometheus.url == url


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        "gateway: {port: 8000, max_headers: 2048}\n",
        FORESAIL_GATEWAY__PORT="9000",
        FORESAIL_GATEWAY__ALLOWED_HOSTS="a.example, b.example",
        FORESAIL_GATEWAY__MAX_BODY="2MiB",
        FORESAIL_STATE_DIR="/tmp/1",
        FORESAIL_TICKS__DECIDE="20",
        FORESAIL_GATEWAY__ALLOW_INSECURE_LISTEN="true",
        FORESAIL_LOGGING__LEVEL="error",
    )
    assert (settings.gateway.port, settings.gateway.max_header_bytes) == (9000, 2048)
    assert settings.gateway.allowed_hosts[-2:] == ("a.example", "b.example")
    assert settings.gateway.max_body_bytes == 2_097_152
    assert settings.state_dir == Path("/tmp/1")
    assert settings.ticks.decide_seconds == 20.0
    assert settings.gateway.allow_insecure_listen is True
    assert settings.logging.level is LogLevel.ERROR


def test_a_variable_repairs_a_wrong_value_of_the_file(tmp_path: Path) -> None:
    assert (
        read(tmp_path, "gateway: {port: no}\n", FORESAIL_GATEWAY__PORT="9000").gateway.port == 9000
    )


def test_variables_that_are_no_settings_are_left_alone(tmp_path: Path) -> None:
    read(
        tmp_path,
        "",
        FORESAIL_REPLICA_ID="chat-1",
        FORESAIL_DEBUG="1",
        FORESAIL_SETTINGS="x",
        # What Kubernetes sets in pods beside Services named foresail and foresail-gateway.
        FORESAIL_PORT="tcp://10.0.0.1:80",
        FORESAIL_SERVICE_HOST="10.0.0.1",
        FORESAIL_GATEWAY_PORT="tcp://10.0.0.1:8080",
        FORESAIL_GATEWAY_SERVICE_PORT_HTTP="8080",
        FORESAIL_GATEWAY_PORT_8080_TCP_ADDR="10.0.0.1",
        OTHER="x",
    )


BROKEN = {
    "unknown key": (
        "gatway: {}\n", {}, "foresail.yaml:1: gatway is not a known key; did you mean 'gateway'?",
    ),
    "unknown key of a group": (
        "gateway:\n  prot: 1\n", {},
        "foresail.yaml:2: gateway.prot is not a known key; did you mean 'port'?",
    ),
    "port of the wrong type": (
        "gateway: {port: '8080'}\n", {},
        "foresail.yaml:1: gateway.port is '8080', must be a whole number",
    ),
    "port out of range": (
        "controller:\n  port: 70000\n", {},
        "foresail.yaml:2: controller.port is 70000, must be at most 65535",
    ),
    "one port for two": (
        "gateway: {port: 8081}\n", {},
        "foresail.yaml:1: controller.port is 8081, which the gateway has already",
    ),
    "host with a scheme": (
        "gateway: {host: 'http://a'}\n", {},
        "foresail.yaml:1: gateway.host is 'http://a', must be an address or a host name without a "
        "port, such as 127.0.0.1",
    ),
    "open to others": (
        "gateway: {host: 0.0.0.0}\n", {},
        "foresail.yaml:1: gateway.host is '0.0.0.0', which others can reach; add keys_file, "
        "tls_certificate and tls_key, or say allow_insecure_listen: true",
    ),
    "controller open to others": (
        "controller: {host: '::'}\n", {},
        "foresail.yaml:1: controller.host is '::', which others can reach; say allow_insecure_listen: "
        "true, or use 127.0.0.1",
    ),
    "half of TLS": (
        "gateway: {tls_key: a.key}\n", {},
        "foresail.yaml:1: gateway.tls_key needs gateway.tls_certificate beside it",
    ),
    "deciding more often than reading": (
        "ticks: {decide: 1s}\n", {},
        "foresail.yaml:1: ticks.decide must be at least as long as ticks.ingest",
    ),
    "history of one bin": (
        "history: {keep: 15s}\n", {},
        "foresail.yaml:1: history.keep must be at least two bins (history.bin) long",
    ),
    "bins that no minute is made of": (
        "history: {kind: day_files, bin: 45s}\n", {},
        "foresail.yaml:1: history.bin is 45 s; day_files rolls bins up to minutes, so a minute must be "
        "two or more whole bins, such as 15s",
    ),
    "day files of a memory too short": (
        "history: {kind: day_files, keep: 5m}\n", {},
        "foresail.yaml:1: history.keep must be at least 10m for day_files",
    ),
    "bins that prometheus is not asked for": (
        "prometheus: {url: 'http://p:9090'}\nhistory: {kind: prometheus, bin: 500ms}\n", {},
        "foresail.yaml:2: history.bin is 0.5 s; prometheus is asked in whole seconds, such as 15s",
    ),
    "engines from a Prometheus nobody named": (
        "sources:\n  engines: prometheus\n", {},
        "foresail.yaml:2: sources.engines is prometheus, but prometheus.url does not say where it is, "
        "e.g. http://127.0.0.1:9090",
    ),
    "history from a Prometheus nobody named": (
        "", {"FORESAIL_HISTORY__KIND": "prometheus"},
        "environment: FORESAIL_HISTORY__KIND is prometheus, but prometheus.url does not say where it "
        "is, e.g. http://127.0.0.1:9090",
    ),
    "source that is none": (
        "sources: {engines: promtheus}\n", {},
        "foresail.yaml:1: sources.engines is 'promtheus', must be one of: direct, prometheus; did you mean "
        "'prometheus'?",
    ),
    "url without a scheme": (
        "prometheus: {url: 'prometheus:9090'}\n", {},
        "foresail.yaml:1: prometheus.url is 'prometheus:9090', must be a url such as http://127.0.0.1:9090",
    ),
    "url with a password": (
        "prometheus: {url: 'https://me:secret@p/'}\n", {},
        "foresail.yaml:1: prometheus.url is 'https://…@p/', must not hold a user or password; "
        "there is bearer_token_file",
    ),
    "url with a query": (
        "prometheus: {url: 'https://p/?tenant=1'}\n", {},
        "foresail.yaml:1: prometheus.url is 'https://p/?tenant=1', must end after host, port and path; "
        "the query is added (/api/v1/query)",
    ),
    "label that is none": (
        "prometheus: {replica_label: my-pod}\n", {},
        "foresail.yaml:1: prometheus.replica_label is 'my-pod', must be a label's name: letters, digits "
        "and '_', such as namespace",
    ),
    "token in the clear": (
        "prometheus:\n  url: http://p.example:9090\n  bearer_token_file: t\n", {},
        "foresail.yaml:3: prometheus.bearer_token_file would be sent unencrypted to p.example; say "
        "https:// in prometheus.url, or leave the token out",
    ),
    "edges that do not rise": (
        "gateway: {latency_edges: {time_to_first_token: [2s, 1s]}}\n", {},
        "foresail.yaml:1: gateway.latency_edges.time_to_first_token is a list, must rise from entry to "
        "entry",
    ),
    "home": (
        "state_dir: ~/x\n", {},
        "foresail.yaml:1: state_dir is '~/x', must be absolute or from this file's folder; ~ is not "
        "filled in",
    ),
    "variable with a wrong value": (
        "", {"FORESAIL_GATEWAY__PORT": "many"},
        "environment: FORESAIL_GATEWAY__PORT is 'many', must be a whole number",
    ),
    "variable that means nothing": (
        "", {"FORESAIL_GATEWAY__PROT": "1"},
        "environment: FORESAIL_GATEWAY__PROT is not a known variable; did you mean "
        "'FORESAIL_GATEWAY__PORT'?",
    ),
    "variable against the rules across keys": (
        "", {"FORESAIL_GATEWAY__HOST": "0.0.0.0"},
        "environment: FORESAIL_GATEWAY__HOST is '0.0.0.0', which others can reach; add keys_file, "
        "tls_certificate and tls_key, or say allow_insecure_listen: true",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "environ", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_mistake_is_told_in_one_line(
    tmp_path: Path, text: str, environ: dict[str, str], message: str
) -> None:
    assert told(tmp_path, text, **environ) == [message]


def test_problems_of_file_and_variables_are_told_at_once(tmp_path: Path) -> None:
    lines = told(tmp_path, "x: 1\ny: 2\n", FORESAIL_Z="3", FORESAIL_LOGGING__LEVEL="loud")
    assert sorted(line.split(" ")[0] for line in lines) == [
        "environment:", "environment:", "foresail.yaml:1:", "foresail.yaml:2:",
    ]  # fmt: skip


def test_a_missing_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(tmp_path / "none.yaml", {})
    assert str(caught.value) == (
        f"{tmp_path}/none.yaml: there is no such file; `foresail init` writes one to start from"
    )


def test_a_gateway_that_is_left_out_needs_no_port_of_its_own(tmp_path: Path) -> None:
    settings = read(tmp_path, "gateway: {enabled: false}\ncontroller: {port: 8080}\n")
    assert settings.has_gateway is False


def test_without_our_gateway_there_is_no_past_of_it_in_prometheus(tmp_path: Path) -> None:
    text = """
gateway: {enabled: false}
history: {kind: prometheus}
prometheus: {url: "http://127.0.0.1:9090"}
"""
    assert told(tmp_path, text) == [
        "foresail.yaml:3: history.kind is prometheus, which starts with what our gateway has told; "
        "without it (gateway.enabled: false) use memory or day_files"
    ]
