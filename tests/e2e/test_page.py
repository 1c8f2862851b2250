"""The live page in a real browser: what its owner reads when nothing, much, or too little goes on.

Chromium renders the page of the real app over a fake controller, on a free loopback port, and prints
the document; a word the browser's console says about it (an error, a refused resource) fails the
test.
"""

import html
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from autoscaler.model.decision import Verdict
from collector.model.catalogue import Mode
from collector.model.ids import ServiceName
from foresail.http.app import create_app
from foresail.ports import ControllerReport, TickReport
from support.fake_controller import (
    FakeControllerView,
    busy_past,
    busy_report,
    empty_report,
    make_catalogue,
    make_decision,
    make_service,
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
XSS = ServiceName("<img src=x onerror=\"document.title='owned'\">")

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="chromium is not installed, so no page can be seen"
    ),
    pytest.mark.xdist_group("browser"),
]


class DiesAfterOneAnswer(FakeControllerView):
    """A controller that breaks, and whose server then goes, once the page has shown it.

    The browser's time runs faster than the server ends: until then it gets errors.
    """

    server: uvicorn.Server | None = None
    report_count = 0

    def report(self) -> ControllerReport:
        self.report_count += 1
        if self.report_count == 1:
            return super().report()
        if self.server is not None:
            self.server.should_exit = self.server.force_exit = True
        raise RuntimeError("broken for the test")


@contextmanager
def served(view: FakeControllerView) -> Iterator[str]:
    """The address of the app over this controller."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        app = create_app(view, allowed_hosts=["127.0.0.1"])
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        if isinstance(view, DiesAfterOneAnswer):
            view.server = server
        listener.listen()  # requests wait here until the thread is up
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
    assert not thread.is_alive()


def seen(view: FakeControllerView, *, folder: Path) -> tuple[str, str]:
    """(document, what the console said about it) after a few polls."""
    with served(view) as address:
        done = subprocess.run(
            [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                f"--user-data-dir={folder}", "--enable-logging=stderr", "--window-size=1280,900",
                "--virtual-time-budget=4000", "--dump-dom", address,
            ],
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        )  # fmt: skip
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return done.stdout, console


def texts(document: str, *, element_id: str = "") -> str:
    """The text of the document, or of one element and what follows it, as one line."""
    part = document.partition(f'id="{element_id}"')[2] if element_id else document
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", "<" + part)))


def test_a_controller_that_just_started_is_shown_without_errors(tmp_path: Path) -> None:
    document, console = seen(FakeControllerView(empty_report()), folder=tmp_path)
    assert console == ""
    text = texts(document)
    for words in (
        "NO CATALOGUE",
        "Starting: no tick has succeeded yet.",
        "none yet",
        "No memory pool is known yet.",
        "No service is known yet.",
        "No decision has been made yet.",
    ):
        assert words in text


def test_a_busy_box_can_be_read(tmp_path: Path) -> None:
    view = FakeControllerView(busy_report(), past=busy_past())
    document, console = seen(view, folder=tmp_path)
    assert console == ""
    text = texts(document)
    for words in (
        "ACTIVE Foresail starts and stops replicas by itself.",
        "2 s ago",
        "1,204 records, verified",
        "code: an objective is missed; embed: 1 replica failed, requests are held.",
        "chat 17 GiB in 3 replicas",
        "free 3.1 GiB",
        "serving 3 in flight",
        "loading for 9 s",
        "draining 1 in flight",
        "failed ordered 5 min ago",
        "3.3 requests/s",
        "unknown",
        "2 40 s old",
        "1 for 3 s",
        "99.6 % objective met first token within 1 s for 99 % over 28 d",
        "96.2 % objective missed",
        "not judged yet",
        "scale out 2 → 3 : the demand expected within the lead time needs them",
        "engine:code-7: metrics: no answer within 2 s",
    ):
        assert words in text, words
    rows = texts(document, element_id="decisions")
    assert rows.count("Scale only in 2 to 1: fewer were enough for the whole hold") == 1
    assert rows.count("nothing to do") == 4  # the repeated hold of chat is shown once


def test_dry_run_is_said_in_plain_words(tmp_path: Path) -> None:
    view = FakeControllerView(busy_report(mode=Mode.DRY_RUN), past=busy_past(Verdict.DRY_RUN))
    document, console = seen(view, folder=tmp_path)
    assert console == ""
    text = texts(document)
    assert "DRY RUN Foresail decides and records, and starts and stops nothing." in text
    assert "dry run: shown only" in text
    assert "Foresail acts" not in text


def test_names_that_look_like_markup_are_text(tmp_path: Path) -> None:
    report = replace(
        empty_report(),
        ticks=TickReport(last_success_age_seconds=1.0),
        catalogue=make_catalogue(make_service(XSS)),
        decisions=(make_decision(XSS),),
    )
    document, console = seen(FakeControllerView(report), folder=tmp_path)
    assert console == ""
    assert "<title>Foresail</title>" in document
    assert "<img src=x" not in document
    assert XSS in html.unescape(document)


def test_a_controller_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    document, console = seen(DiesAfterOneAnswer(busy_report()), folder=tmp_path)
    assert "Uncaught" not in console
    text = texts(document)
    assert re.search(
        r"The controller does not answer since \d\d:\d\d:\d\d\. What you see is from before\.", text
    )
    assert "99.6 %" in text, "the last state stays to be read"
