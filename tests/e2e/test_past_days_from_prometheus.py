"""A controller beside a Prometheus with three days of history begins with what those days were like."""

import time
from functools import partial
from pathlib import Path
from struct import unpack_from
from typing import Any

import numpy as np
import pytest
import yaml

from autoscaler.checkpoint import load_checkpoint
from autoscaler.errors import CheckpointError
from autoscaler.model.state import DayProfile
from collector.model.ids import ServiceName
from support.desks import Desk, catalogue, desk, service, wait_until
from support.engines import free_port
from support.prometheus_server import PROMETHEUS, PROMTOOL, running_prometheus
from support.scraped_gateway import write_scrapes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason="no Prometheus here"),
]

DAY_SECONDS = 86_400
DAYS = 3
SCRAPE_SECONDS = 60
PROMPT_TOKENS, OUTPUT_TOKENS = 100.0, 20.0


def write_history(path: Path) -> None:
    """Half a request a second, and two in the second half of every hour, until now."""
    now = int(time.time())
    moments = np.arange(now - DAYS * DAY_SECONDS, now, SCRAPE_SECONDS)
    rates = np.where(moments % 3600 < 1800, 0.5, 2.0)
    totals = dict(zip(moments.tolist(), np.cumsum(rates * SCRAPE_SECONDS).tolist(), strict=True))
    write_scrapes(
        path,
        moments=moments.tolist(),
        arrived={"chat": lambda at: totals[int(at)]},
        prompt_tokens=PROMPT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
    )


def read_from(it: Desk, url: str) -> None:
    settings = yaml.safe_load(it.settings_path.read_text())
    settings["history"]["kind"] = "prometheus"
    settings["prometheus"] = {
        "url": url,
        "scrape_interval": f"{SCRAPE_SECONDS}s",
        "gateway_match": {"job": "gateway"},
        "timeout": "10s",
    }
    it.settings_path.write_text(yaml.safe_dump(settings))


def content() -> dict[str, Any]:
    return catalogue({"chat": service(min_replicas=0, max_replicas=1)})


def saved_profile(it: Desk) -> DayProfile:
    try:
        state = load_checkpoint(it.state_dir / "checkpoint").state
    except CheckpointError:
        return DayProfile()
    return state.service(ServiceName("chat")).scale_fit.day_profile


def told(it: Desk) -> list[str]:
    return [each["told"] for each in it.events("controller", "past_days")]


async def has_decided(it: Desk, *, more_than: int, told_lines: int) -> bool:
    """Whether this controller has decided so often, and so many profiles were told."""
    decided = await it.decisions() if await it.state() else []
    return len(decided) > more_than and len(told(it)) >= told_lines


def mean_work(profile: DayProfile, *, minutes: range) -> float:
    """Over these minutes of every hour of the days that were told."""
    places = [place for place in range(1440) if 2 * place % 60 in minutes and profile.days[place]]
    return float(np.mean([unpack_from("<f", profile.work, 4 * place)[0] for place in places]))


async def test_days_in_prometheus_are_in_the_first_profile_and_read_once(tmp_path: Path) -> None:
    write_history(tmp_path / "past.txt")
    with desk(tmp_path, content()) as it:
        async with running_prometheus(
            tmp_path / "prometheus", history=tmp_path / "past.txt"
        ) as server:
            read_from(it, server.url)
            it.start("gateway")
            first = it.start("controller")

            await wait_until(
                partial(has_decided, it, more_than=0, told_lines=1),
                what=lambda: it.log("controller")[-2000:],
            )
            seen = len(await it.decisions())
            await wait_until(
                partial(has_decided, it, more_than=seen + 1, told_lines=1),
                what=lambda: it.log("controller")[-2000:],
            )
            first.terminate()
            first.wait()
            assert told(it) == ["day profile of chat: 3 days of 14 told from history"]
            profile = saved_profile(it)
            quiet = mean_work(profile, minutes=range(6, 26))
            busy = mean_work(profile, minutes=range(36, 56))
            assert busy / quiet == pytest.approx(4.0, rel=0.02)
            it.start("controller")
            await wait_until(
                partial(has_decided, it, more_than=2, told_lines=1),
                what=lambda: it.log("controller")[-2000:],
            )
        assert len(told(it)) == 1
        assert sum(saved_profile(it).days) >= sum(profile.days)
        assert it.events("controller", "side_work_failed") == []


async def test_a_prometheus_that_is_down_is_said_once_and_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    with desk(tmp_path, content()) as it:
        url = f"http://127.0.0.1:{free_port()}"
        read_from(it, url)
        it.start("gateway")
        it.start("controller")

        async def is_said() -> bool:
            decided = it.events("controller", "decision")
            return bool(decided and it.events("controller", "past_days_left_out"))

        await wait_until(is_said, what=lambda: it.log("controller")[-2000:])
        (line,) = it.events("controller", "past_days_left_out")
        assert line["error"].startswith("0 of 14 days before were read: ")
        assert url in line["error"]
        assert told(it) == []
        assert sum(saved_profile(it).days) == 0
