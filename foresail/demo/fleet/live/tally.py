"""How the clients of a live fleet fare: every request that ended, judged by what its client saw.

In: `RequestResult`s. Out: counts per service. Kept means both objectives: first token in time, and the mean
time between later ones. Knows no clock and asks nobody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from autoscaler.replay.tally import Tally
from foresail.demo.completion import Outcome, RequestResult
from foresail.demo.fleet.bodies import ServiceBody

_SHED_STATUS: Final = 429


@dataclass(slots=True, kw_only=True)
class Fates:
    """Where the requests of one service went."""

    served: int = 0
    shed: int = 0  # refused by the gateway with 429
    failed: int = 0  # any other end than an answer
    unfinished: int = 0  # in flight when the run was stopped
    good: int = 0  # of those served: within both objectives

    @property
    def offered(self) -> int:
        """Sent, and ended."""
        return self.served + self.shed + self.failed + self.unfinished

    @property
    def tally(self) -> Tally:
        """The same as a replay counts."""
        judged = self.served + self.shed + self.failed
        return Tally(offered_requests=self.offered, judged_requests=judged, good_requests=self.good)


class ClientTally:
    """All services."""

    def __init__(self, services: Iterable[ServiceBody]) -> None:
        self._services = {each.name: each for each in services}
        self.fates: Mapping[str, Fates] = {name: Fates() for name in self._services}
        self.failures: dict[str, int] = {}  # {service and what its client saw: requests}

    def note(self, result: RequestResult) -> None:
        """One request has ended."""
        name = result.request.service
        fates = self.fates[name]
        if result.outcome is Outcome.OK:
            fates.served += 1
            fates.good += is_good(result, service=self._services[name])
        elif result.outcome is Outcome.CANCELLED:
            fates.unfinished += 1
        elif result.http_status == _SHED_STATUS:
            fates.shed += 1
        else:
            fates.failed += 1
            why = f"{name}: {result.outcome.value}, {result.reason or 'no reason given'}"
            self.failures[why] = self.failures.get(why, 0) + 1


def is_good(result: RequestResult, *, service: ServiceBody) -> bool:
    """Whether an answered request kept both objectives; not without a single token."""
    first = result.time_to_first_token_seconds
    if first is None or first > service.time_to_first_token_seconds:
        return False
    later_tokens = result.output_tokens - 1
    if later_tokens < 1:
        return True
    return (result.end_to_end_seconds - first) / later_tokens <= service.output_token_seconds
