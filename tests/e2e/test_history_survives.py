"""A controller that is killed and started again knows what its predecessor saw, with day files."""

from pathlib import Path

import pytest
import yaml

from support.desks import Desk, catalogue, desk, service, streaming, wait_until


async def measured_rates(it: Desk) -> list[float]:
    """Requests per second of each measured bin the page shows; empty while nobody answers."""
    state = await it.state()
    services = state["services"] if state else []
    return [
        rate
        for each in services
        for rate in each["demand"]["bins_requests_per_second"]
        if rate is not None
    ]


def keep_history_in(it: Desk, kind: str) -> None:
    settings = yaml.safe_load(it.settings_path.read_text())
    settings["history"] = {"kind": kind, "bin": "1s", "keep": "1h"}
    it.settings_path.write_text(yaml.safe_dump(settings))


@pytest.mark.slow
async def test_day_files_survive_the_death_of_the_controller(tmp_path: Path) -> None:
    content = catalogue({"chat": service(min_replicas=1, max_replicas=1)})
    content["control"] = {**content["control"], "length_window": "40s"}
    with desk(tmp_path, content) as it:
        keep_history_in(it, "day_files")
        it.start("gateway")
        first = it.start("controller")
        await it.wait_serving(1)

        async def has_seen_traffic() -> bool:
            return sum(rate > 0 for rate in await measured_rates(it)) >= 3

        async with streaming(it, users=1) as streams:
            await wait_until(has_seen_traffic, what=lambda: it.log("controller")[-1000:])
        assert streams.failures == []
        first.kill()
        first.wait()

        it.start("controller")

        async def answers() -> bool:
            return bool(await measured_rates(it))

        await wait_until(answers, what=lambda: it.log("controller")[-1000:])
        seen = sum(rate > 0 for rate in await measured_rates(it))
        assert seen >= 2
        assert it.events("controller", "history_trouble") == []
