"""What a live fleet is asked: minutes of the bundled recording, at the speed they were recorded.

In: a duration, a seed. Out: the services, and planned requests for `demo.load`. They are those of the replay;
only the longest are cut, so that the last answer comes soon after the last request. Reads the file that
belongs to the package, and nothing else.
"""

from collections.abc import Iterator
from typing import Final

from autoscaler.replay.workload import Workload
from foresail.backtest.superpose import superposed
from foresail.demo.fleet.bodies import ServiceBody
from foresail.demo.fleet.services import SERVICES, TIERS, FleetService, read_recorded
from foresail.demo.trace import PlannedRequest

SECTION_START_SECONDS: Final = 6_480.0
"""Into the recording: the next minutes have a rise of `chat`, and `documents` is switched on in the second."""
MAX_MINUTES: Final = 57.0
LARGEST_PROMPT_TOKENS: Final = 16_000
LARGEST_OUTPUT_TOKENS: Final = 600
"""Of a later token every 25 ms: an answer ends within a quarter of a minute."""


def live_services() -> list[ServiceBody]:
    """The services of the replay, with the same tiers and objectives."""
    return [_service(each) for each in SERVICES]


def live_requests(*, duration_seconds: float, seed: int) -> tuple[PlannedRequest, ...]:
    """Requests of all services in order of time; 0 is the start of the traffic. Raises DamagedTrace."""
    recorded = read_recorded()
    planned = [
        request
        for index, service in enumerate(SERVICES)
        for request in _requests(
            superposed(recorded[service.name], copies=service.copies, seed=seed + index),
            service=service.name,
            duration_seconds=duration_seconds,
        )
    ]
    return tuple(sorted(planned, key=lambda request: request.at_seconds))


def _service(service: FleetService) -> ServiceBody:
    terms = TIERS[service.tier]
    return ServiceBody(
        name=service.name,
        tier=service.tier,
        gpus_per_replica=1,
        time_to_first_token_seconds=terms.time_to_first_token_seconds,
        output_token_seconds=terms.output_token_seconds,
        target_ratio=terms.target_ratio,
    )


def _requests(
    workload: Workload, *, service: str, duration_seconds: float
) -> Iterator[PlannedRequest]:
    """Those of the section."""
    section = workload.between(SECTION_START_SECONDS, SECTION_START_SECONDS + duration_seconds)
    columns = (section.arrival_seconds, section.prompt_tokens, section.output_tokens)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for index, (arrival, prompt, output) in enumerate(rows):
        yield PlannedRequest(
            service=service,
            index=index,
            at_seconds=arrival,
            prompt_tokens=min(int(prompt), LARGEST_PROMPT_TOKENS),
            output_tokens=min(int(output), LARGEST_OUTPUT_TOKENS),
        )
