"""What API servers and networks do to a watch, on the hand-written server; nothing of it may lose an object."""

import threading
import time

import pytest

from collector.clock import SystemClock
from collector.model.reading import Fresh, Missing, MissingReason, Stale, known_value
from collector.sources.kubernetes_api import (
    KubernetesAccess,
    KubernetesClusterReader,
    WatchPace,
    open_api,
)
from support.cluster_worlds import QUICK, reading, until
from support.control_plane import wait_for
from support.engines import free_port
from support.kube_api import running_kube_api
from support.kube_objects import named, write_kubeconfig

SOON_SILENT = WatchPace(
    silence_seconds=0.2,
    stale_after_seconds=0.3,
    first_pause_seconds=0.05,
    longest_pause_seconds=0.1,
    second_look_seconds=0.1,
)


@pytest.fixture
def api():
    with running_kube_api() as server:
        yield server


@pytest.fixture
def kubeconfig(api, tmp_path):
    return write_kubeconfig(tmp_path / "kubeconfig", server=api.url)


def names(reading_):
    return [each.identity.reference.name for each in known_value(reading_) or ()]


def test_a_cut_watch_goes_on_from_where_it_was(api, kubeconfig):
    with reading(kubeconfig) as reader:
        api.cut_watches()
        api.put("leases", named("meanwhile"))
        until(reader, lambda view: names(view.leases) == ["meanwhile"], what="the lease")
        assert api.count("list", "leases") == 1


def test_what_happened_before_a_version_that_is_gone_is_listed_anew(api, kubeconfig):
    api.put("leases", named("removed"))
    with reading(kubeconfig) as reader:
        api.cut_watches()
        api.delete("leases", "removed")
        api.put("leases", named("new"))
        api.compact()
        until(reader, lambda view: names(view.leases) == ["new"], what="the list after 410")


def test_a_silent_watch_grows_stale_and_is_listed_anew(api, kubeconfig):
    api.put("leases", named("a"))
    with reading(kubeconfig, pace=SOON_SILENT) as reader:
        api.is_silent = True
        api.put("leases", named("b"))
        until(reader, lambda view: names(view.leases) == ["a", "b"], what="the list after silence")


def test_what_nobody_confirms_any_more_is_stale(api, kubeconfig):
    api.put("leases", named("a"))
    with reading(kubeconfig, pace=SOON_SILENT) as reader:
        api.refusals["leases"] = 503
        api.cut_watches()
        view = until(reader, lambda view: isinstance(view.leases, Stale), what="doubt")
        assert names(view.leases) == ["a"]
        assert isinstance(view.pods, Fresh)
        until(reader, lambda view: view.problems, what="a problem that is told")
        del api.refusals["leases"]
        view = until(reader, lambda view: isinstance(view.leases, Fresh), what="recovery")
        assert view.problems == ()


def test_bookmarks_keep_a_quiet_kind_fresh(api, kubeconfig):
    with reading(kubeconfig) as reader:
        first = reader.read_cluster().nodes.observed_timestamp_seconds
        until(reader, lambda view: view.nodes.observed_timestamp_seconds > first, what="a bookmark")
        assert api.count("list", "nodes") == 1


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"not json\n", id="no-json"),
        pytest.param(b"[]\n", id="no-object"),
        pytest.param(b'{"type": "ADDED"}\n', id="no-object-in-event"),
        pytest.param(b'{"type": "ERROR", "object": {"code": 500}}\n', id="error-in-watch"),
        pytest.param(b'{"type": "ERROR"}\n', id="error-without-status"),
        pytest.param(b"[" * 100_000 + b"\n", id="too-deep"),
        pytest.param(b"\xff\xfe\n", id="no-text"),
    ],
)
def test_a_garbled_event_costs_a_list_and_no_object(api, kubeconfig, garbage):
    with reading(kubeconfig) as reader:
        api.watch_lines.append(garbage)
        wait_for(lambda: api.watch_lines == [], what="the garbage to be sent")
        api.put("leases", named("after"))
        until(reader, lambda view: names(view.leases) == ["after"], what="the lease after it")


def test_objects_without_a_name_are_counted_and_left_out(api, kubeconfig):
    api.put("leases", {"metadata": {"namespace": "default"}})
    api.put("leases", named("good"))
    with reading(kubeconfig) as reader:
        view = reader.read_cluster()
    assert names(view.leases) == ["good"]
    assert [each.message for each in view.problems] == ["1 objects without a name are left out"]


@pytest.mark.parametrize("forgets", [False, True], ids=["page-by-page", "pages-are-forgotten"])
def test_a_list_of_many_pages_is_complete(api, kubeconfig, forgets):
    api.page_objects, api.forgets_pages = 2, forgets
    for number in range(5):
        api.put("leases", named(f"lease-{number}"))
    with reading(kubeconfig) as reader:
        assert names(reader.read_cluster().leases) == [f"lease-{n}" for n in range(5)]


def test_an_older_version_is_read_where_the_newest_is_not_served(api, kubeconfig):
    api.absent_versions.add(("llminferenceservices", "v1alpha2"))
    api.put("llminferenceservices", named("old"))
    with reading(kubeconfig) as reader:
        assert names(reader.read_cluster().llm_inference_services) == ["old"]


def test_a_definition_that_is_installed_later_is_found(api, kubeconfig):
    api.refusals["inferenceservices"] = 404
    with reading(kubeconfig) as reader:
        missing = reader.read_cluster().inference_services
        assert isinstance(missing, Missing)
        assert missing.reason is MissingReason.NOT_SUPPORTED
        api.put("inferenceservices", named("chat"))
        del api.refusals["inferenceservices"]
        until(reader, lambda view: names(view.inference_services) == ["chat"], what="the service")


def test_a_right_to_list_without_one_to_watch_is_no_right(api, kubeconfig):
    api.refused_verbs["watch", "leases"] = 403
    with reading(kubeconfig) as reader:
        view = until(reader, lambda view: isinstance(view.leases, Missing), what="the refusal")
    assert view.leases.reason is MissingReason.NO_PERMISSION
    assert "cannot watch" in view.problems[0].message


def test_a_server_that_is_no_api_server_is_a_problem_and_not_an_empty_cluster(api, kubeconfig):
    api.refusals["pods"] = 404
    with reading(kubeconfig) as reader:
        view = reader.read_cluster()
    assert view.pods.reason is MissingReason.SOURCE_UNREACHABLE
    assert view.problems[0].message.startswith("pods cannot be read: 404")


def test_nobody_there_is_unreachable_and_comes_back(tmp_path):
    port = free_port()
    nowhere = write_kubeconfig(tmp_path / "kubeconfig", server=f"http://127.0.0.1:{port}")
    with reading(nowhere) as reader:
        view = reader.read_cluster()
    assert view.pods == Missing(reason=MissingReason.SOURCE_UNREACHABLE, source="kubernetes:Pod")
    assert view.problems[0].message == (
        "pods cannot be read: the API server cannot be reached: Connection refused"
    )


def test_before_the_first_look_nothing_is_known(api, kubeconfig):
    clock = SystemClock()
    client = open_api(KubernetesAccess(kubeconfig_path=kubeconfig), clock=clock)
    reader = KubernetesClusterReader(client, clock=clock)
    assert reader.read_cluster().pods.reason is MissingReason.NOT_READ_YET
    assert reader.wait_for_first_look(timeout_seconds=0.0) is False
    reader.close()


@pytest.mark.parametrize("hangs", [False, True], ids=["while-watching", "while-listing"])
def test_closing_lets_go_of_threads_that_wait(api, kubeconfig, hangs):
    api.hangs, api.is_silent = hangs, True
    clock = SystemClock()
    client = open_api(KubernetesAccess(kubeconfig_path=kubeconfig), clock=clock)
    reader = KubernetesClusterReader(client, clock=clock)
    reader.start()
    reader.start()  # changes nothing
    wait_for(lambda: len(api.asked) >= (10 if hangs else 20), what="threads that wait")
    begin = time.monotonic()
    reader.close()
    assert time.monotonic() - begin < 2.0
    assert [each for each in threading.enumerate() if each.name.startswith("watch ")] == []


def test_what_comes_and_goes_leaves_nothing_behind(api, kubeconfig):
    with reading(kubeconfig, pace=QUICK) as reader:
        for number in range(300):
            api.put("pods", named(f"pod-{number}"))
            api.delete("pods", f"pod-{number}")
        api.put("pods", named("last"))
        until(reader, lambda view: names(view.pods) == ["last"], what="the end of the churn")
