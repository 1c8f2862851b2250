"""Addresses and thresholds as people type them, ranges of versions, and pages that mean harm."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.catalogue_file import read_catalogue
from collector.contract.loader import load_contracts
from collector.errors import ConfigurationError
from collector.gateway.admin import ADMIN_SOCKET
from collector.gateway.routes_file import write_routes
from collector.model.catalogue import Sli
from collector.model.contract import VersionRange
from collector.ports import Exposition, Reply
from foresail.doctor.targets import Address, TargetReport, address_of, thresholds_of
from foresail.doctor.targets.address import refuse_unsafe_path
from foresail.doctor.targets.catalogue_targets import prometheus_question, running_questions
from foresail.doctor.targets.examination import Question, examine_targets
from foresail.doctor.targets.prometheus import check_prometheus
from foresail.doctor.targets.versions import KnownVersion, evident_versions, range_text
from foresail.doctor.targets.visit import Asked, Visitor
from foresail.settings import read_settings
from support.files import CATALOGUE, write_desk
from support.gateways import replica_route, service_route, table

CONTRACTS = load_contracts()
EVERY = (*CONTRACTS.engines.values(), *CONTRACTS.exporters.values())

ADDRESSES = {
    "bare": ("127.0.0.1:8000", "http://127.0.0.1:8000", None),
    "with its page": ("http://h:8000/metrics", "http://h:8000", None),
    "slash at the end": ("https://h/", "https://h", None),
    "another path": ("http://h/a/metrics", "http://h", "/a/metrics"),
    "v6": ("http://[::1]:8000/metrics/", "http://[::1]:8000", None),
}


@pytest.mark.parametrize(("text", "base", "path"), ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_with_or_without_scheme_and_page(text: str, base: str, path: str | None) -> None:
    assert address_of(text) == Address(name=base, base_url=base, path=path)


@pytest.mark.parametrize("text", ["unix:/run/g.sock", "unix:///run/g.sock"])
def test_a_unix_socket(text: str) -> None:
    assert address_of(text).unix_socket_path == "/run/g.sock"


@pytest.mark.parametrize("text", ["", "http://", "ftp://h", "http://h:x", "unix:", "unix:/", "h:0"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigurationError, match="URL must be an address such as"):
        address_of(text)


@pytest.mark.parametrize(
    "path", ["/slots", "/api/generate/", "/upstream/chat/metrics", "/upstream/chat/health"]
)
def test_a_path_that_loads_or_wakes_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is not read: "):
        refuse_unsafe_path(address_of(f"h:8080{path}"), contracts=EVERY)


@pytest.mark.parametrize("path", ["", "/props", "/upstreams/metrics", "/team/metrics"])
def test_any_other_path_is_read(path: str) -> None:
    refuse_unsafe_path(address_of(f"h:8080{path}"), contracts=EVERY)


def test_a_prometheus_with_a_target_that_has_no_address_is_reported_on() -> None:
    target = '{"scrapeUrl": "http://[::1/metrics", "health": "up"}'
    answer = f'{{"data": {{"activeTargets": [{target}]}}}}'
    (finding,) = check_prometheus(answer, our_urls=["http://h:8000/metrics"])
    assert finding.message == "a Prometheus, no engine; targets: 1, up: 1"


@pytest.mark.parametrize(
    ("line", "is_asked"),
    [("timeout: 3s", True), ("bearer_token_file: token", False), ("ca_file: ca.pem", False)],
    ids=["plain", "token", "certificates of its own"],
)
def test_a_prometheus_that_cannot_be_asked_from_here_is_not_called_unreachable(
    tmp_path: Path, line: str, is_asked: bool
) -> None:
    path = tmp_path / "foresail.yaml"
    path.write_text(f"prometheus:\n  url: https://p:9090\n  {line}\n", encoding="utf-8")
    assert bool(prometheus_question(read_settings(path, {}))) is is_asked


@pytest.mark.parametrize(
    ("word", "is_known_awake"),
    [
        pytest.param("--ctx-size", True, id="without-sleep"),
        pytest.param("--sleep-idle-seconds", False, id="with-sleep"),
    ],
)
def test_a_replica_of_ours_is_known_awake_unless_it_is_started_to_sleep(
    tmp_path: Path, word: str, is_known_awake: bool
) -> None:
    text = CATALOGUE.replace("llama-server, --port", f"llama-server, {word}, '60', --port")
    settings = read_settings(write_desk(tmp_path, catalogue=text), {})
    settings.state_dir.mkdir(parents=True)
    (settings.state_dir / ADMIN_SOCKET).touch()
    replicas = [
        service_route(replica_route("http://h:1"), name="chat"),
        service_route(replica_route("http://h:2"), name="embed"),  # left over: no process today
    ]
    write_routes(table(*replicas), state_dir=settings.state_dir)
    catalogue = read_catalogue(settings.catalogue_path)
    _, chat, embed = running_questions(settings, catalogue, contracts=CONTRACTS)
    assert chat.asked.is_known_awake is is_known_awake
    assert embed.asked.is_known_awake is False


def test_thresholds_are_gathered_by_what_they_are_about() -> None:
    typed = ["time_to_first_token<=1s", "inter_token_latency <= 50ms", "time_to_first_token<=250ms"]
    assert thresholds_of(typed) == {
        Sli.TIME_TO_FIRST_TOKEN: (1.0, 0.25),
        Sli.INTER_TOKEN_LATENCY: (0.05,),
    }


RANGES = st.builds(
    lambda pair, has_lower, has_upper: VersionRange(
        lower=(pair[0],) if has_lower else None, upper=(pair[1],) if has_upper else None
    ),
    st.tuples(st.integers(0, 9), st.integers(10, 20)),
    st.booleans(),
    st.booleans(),
)


@given(known=RANGES, asked=RANGES, exact=st.none() | st.tuples(st.integers(0, 20)))
def test_a_version_is_never_both_inside_and_outside(
    known: VersionRange, asked: VersionRange, exact: tuple[int, ...] | None
) -> None:
    version = KnownVersion(exact=exact, evident=known)
    assert not (version.is_in(asked) and version.is_outside(asked))


def test_names_of_the_past_are_not_believed_beside_newer_ones() -> None:
    old, new = VersionRange(upper=(0, 12)), VersionRange(lower=(0, 17))
    assert evident_versions([old, new]) == VersionRange(lower=(0, 17))
    assert evident_versions([old]) == VersionRange(upper=(0, 12))
    assert evident_versions([]) == VersionRange()


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (VersionRange(lower=(0, 9, 2), upper=(0, 12)), "from 0.9.2 to before 0.12"),
        (VersionRange(lower=(0, 9)), "from 0.9 on"),
        (VersionRange(upper=(1,)), "before 1"),
        (VersionRange(lower=(0,)), "all versions"),
    ],
    ids=["both", "lower", "upper", "none"],
)
def test_a_range_in_words(versions: VersionRange, words: str) -> None:
    assert range_text(versions) == words


def examined(page: str) -> TargetReport:
    class OnePage:
        async def read_expositions(self, targets):
            return {
                each.key: Exposition(
                    key=each.key,
                    text=page,
                    error=None,
                    observed_timestamp_seconds=0.0,
                    reply=Reply(status=200, server_timestamp_seconds=None, elapsed_seconds=0.0),
                )
                for each in targets
            }

    visitor = Visitor(reader=OnePage(), contracts=CONTRACTS)
    question = Question(asked=Asked(address=address_of("http://h")))
    return asyncio.run(examine_targets([question], visitor=visitor))[0]


NAMES = sorted(
    f"{source.names[0]}{part}"
    for rule in CONTRACTS.engines["vllm"].rules.values()  # type: ignore[index]  # a StrEnum's text
    for source in rule.sources
    for part in ("", "_bucket")
)
LINES = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(["", "{", '{le="1"}', '{le="x"}', '{engine="\x1b[2J"}', '{reason="a\\n"}']),
    st.sampled_from(["1", "NaN", "-3", "+Inf", "", "x", "1e999"]),
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(page=st.text() | st.lists(LINES).map(lambda lines: "\n".join([*lines, ""])))
def test_no_page_breaks_the_doctor_and_a_bad_value_is_not_called_told(page: str) -> None:
    report = examined(page)
    assert report.http_status == 200
    assert report.findings or report.signals
    for each in report.findings:
        assert (each.status.value == "ok") == (each.next_step is None)


def test_a_page_of_many_series_is_answered() -> None:
    page = "".join(f'vllm:num_requests_running{{model_name="{n}"}} 1\n' for n in range(20_000))
    label = next(each for each in examined(page).findings if each.kind.value == "label")
    assert len(label.message) < 300
