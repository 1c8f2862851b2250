"""An hour of recorded traffic, and the plan to replay it on engines of a known cost.

In: the cut shipped in `data/` (README.md there: sources, licences, how it was cut) and what a token
costs on this machine. Out: requests with a time and two lengths, for `load` to send. Pure but for
`read_cut`, which reads the file that belongs to the package.

The recordings come from fleets of GPUs; the demo has a few CPU threads. Three things change, the
order and the relative times of arrivals do not: time runs faster, prompts and answers are shorter,
and of the requests as many are left out as it takes to meet the wanted peak.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Final

from foresail.demo.errors import DamagedTrace

RECORDED_SECONDS: Final = 3420.0  # the cut is one hour; the shortest of its recordings ends here
DEFAULT_DURATION_SECONDS: Final = RECORDED_SECONDS / 20
_CUT_FILE: Final = "data/recorded_hour.csv.gz"
_COLUMNS: Final = ["service", "arrival_seconds", "prompt_tokens", "output_tokens"]
_GOLDEN_RATIO: Final = (5**0.5 - 1) / 2
_LARGEST_SHARE: Final = 0.5  # of a window's work, for one request


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRequest:
    """One request as it was recorded."""

    service: str
    arrival_seconds: float  # since the start of the recording
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCost:
    """What one token occupies of a busy engine; the demo measures it."""

    prompt_seconds_per_token: float
    output_seconds_per_token: float

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, must be more than 0")

    def work_seconds(self, *, prompt_tokens: int, output_tokens: int) -> float:
        """Engine-seconds of one request."""
        return (
            prompt_tokens * self.prompt_seconds_per_token
            + output_tokens * self.output_seconds_per_token
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthScaling:
    """How recorded lengths become lengths a tiny engine can serve.

    Prompts shrink more than answers: on a GPU a prompt token costs a fiftieth of an output token or
    less, on one CPU thread a fifth, and with one ratio for both all time would go to prompts.
    """

    prompt_ratio: float
    output_ratio: float
    largest_prompt_tokens: int
    largest_output_tokens: int

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, must be more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReplay:
    """How one service of the recording is replayed."""

    service: str
    cost: TokenCost  # of the engine that will serve it
    lengths: LengthScaling
    peak_work_ratio: float  # engine-seconds arriving per second in the busiest window


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """Which part of the recording is replayed, how fast, for which services."""

    services: tuple[ServiceReplay, ...]
    duration_seconds: float  # of the replay; nothing arrives after the recording's end
    speed_ratio: float  # recorded seconds per second of replay
    section_start_seconds: float  # where in the recording the replay begins
    window_seconds: float  # any window of this length counts for `peak_work_ratio`
    seed: int  # decides which requests are left out

    def __post_init__(self) -> None:
        for name in ("speed_ratio", "window_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, must be more than 0")
        for name in ("duration_seconds", "section_start_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """One request to send."""

    service: str
    index: int  # of the recorded request among those of its service in the section
    at_seconds: float  # since the start of the replay
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _DefaultReplay:
    lengths: LengthScaling
    peak_work_ratio: float


# The whole hour at 20 times its speed, 171 s. A minute of the Azure recording (`code`) holds 0 to
# 632 requests, in bursts of a minute or two: slower, each burst is over before a replica could help
# and none resembles the next. At 20 times, 5 s hold 100 recorded seconds and what is left is a busy
# stretch (second 10 to 130: 0.4 engines of work on average, 1.1 in the worst 5 s, which is more than
# one replica sustains) and then a quiet one (0.1). `chat` is steady noise; `batch` is a client that
# somebody switches on in second 114, when `code` calms down, so that the peaks do not meet: two
# cores carry it all, with room for what else runs.
_DEFAULTS: Final[Mapping[str, _DefaultReplay]] = MappingProxyType(
    {
        "code": _DefaultReplay(
            lengths=LengthScaling(
                prompt_ratio=0.1,
                output_ratio=0.5,
                largest_prompt_tokens=750,
                largest_output_tokens=100,
            ),
            peak_work_ratio=1.1,
        ),
        "chat": _DefaultReplay(
            lengths=LengthScaling(
                prompt_ratio=0.01,
                output_ratio=0.1,
                largest_prompt_tokens=600,
                largest_output_tokens=100,
            ),
            peak_work_ratio=0.3,
        ),
        "batch": _DefaultReplay(
            lengths=LengthScaling(
                prompt_ratio=0.5,
                output_ratio=0.5,
                largest_prompt_tokens=600,
                largest_output_tokens=150,
            ),
            peak_work_ratio=0.35,
        ),
    }
)
SERVICES: Final = tuple(_DEFAULTS)


def default_plan(
    costs: Mapping[str, TokenCost],
    *,
    duration_seconds: float = DEFAULT_DURATION_SECONDS,
    load_ratio: float = 1.0,
    seed: int = 0,
) -> ReplayPlan:
    """The whole recorded hour within `duration_seconds`, for the services that have a cost.

    `load_ratio` multiplies every peak; 1 fits two cores, of which nothing else takes much.

    Raises: ValueError for a service the recording does not have or a duration that is not positive.
    """
    if not duration_seconds > 0:
        raise ValueError(f"duration_seconds is {duration_seconds}, must be more than 0")
    if unknown := sorted(set(costs) - set(SERVICES)):
        raise ValueError(f"the recording has no service {unknown}, it has {list(SERVICES)}")
    return ReplayPlan(
        services=tuple(
            ServiceReplay(
                service=name,
                cost=costs[name],
                lengths=default.lengths,
                peak_work_ratio=default.peak_work_ratio * load_ratio,
            )
            for name, default in _DEFAULTS.items()
            if name in costs
        ),
        duration_seconds=duration_seconds,
        speed_ratio=RECORDED_SECONDS / duration_seconds,
        section_start_seconds=0.0,
        window_seconds=5.0,
        seed=seed,
    )


def read_cut() -> tuple[TracedRequest, ...]:
    """The recorded hour in order of arrival.

    Raises: DamagedTrace if the file is not the one the package was built with.
    """
    source = resources.files("foresail.demo").joinpath(_CUT_FILE)
    try:
        text = gzip.decompress(source.read_bytes()).decode("ascii")
        return parse_cut(text)
    except (OSError, EOFError, ValueError) as problem:
        raise DamagedTrace(
            f"the recorded traffic {_CUT_FILE} of the package foresail.demo cannot be read"
            f" ({problem}); install foresail again"
        ) from problem


def parse_cut(text: str) -> tuple[TracedRequest, ...]:
    """The requests of a CSV text with the four columns, in order of arrival.

    Raises: ValueError for other columns, a value that is no number, or a row that ends early.
    """
    rows = csv.reader(text.splitlines(), strict=True)
    header = next(rows, [])
    if header != _COLUMNS:
        raise ValueError(f"columns are {header}, expected {_COLUMNS}")
    requests = [
        TracedRequest(
            service=service,
            arrival_seconds=float(arrival),
            prompt_tokens=int(prompt),
            output_tokens=int(output),
        )
        for service, arrival, prompt, output in rows
    ]
    return tuple(sorted(requests, key=lambda request: request.arrival_seconds))


def scale_cut(requests: Iterable[TracedRequest], *, plan: ReplayPlan) -> tuple[PlannedRequest, ...]:
    """What to send, in order of time; services that the plan does not name are left out.

    In no window of `window_seconds` does a service get more than its `peak_work_ratio`. It gets
    less where the recording has no more; a request that alone would fill more than half of a window
    is shortened. The same requests and plan give the same answer, and requests keep their order.
    """
    by_service: dict[str, list[TracedRequest]] = {each.service: [] for each in plan.services}
    for request in requests:
        if request.service in by_service and _is_in_section(request, plan=plan):
            by_service[request.service].append(request)
    planned = [
        request
        for service in plan.services
        for request in _scale_service(by_service[service.service], service=service, plan=plan)
    ]
    return tuple(sorted(planned, key=lambda request: request.at_seconds))


def peak_work_ratio(
    requests: Iterable[PlannedRequest], *, cost: TokenCost, window_seconds: float
) -> float:
    """Engine-seconds arriving per second in the busiest window of that length; 0 without requests.

    A window is half open: requests exactly `window_seconds` apart are not in the same one.
    """
    arrivals = sorted((request.at_seconds, _work(request, cost=cost)) for request in requests)
    in_window = most = 0.0
    oldest = 0
    for at_seconds, work_seconds in arrivals:
        in_window += work_seconds
        while at_seconds - arrivals[oldest][0] >= window_seconds:
            in_window -= arrivals[oldest][1]
            oldest += 1
        most = max(most, in_window)
    return most / window_seconds


def _is_in_section(request: TracedRequest, *, plan: ReplayPlan) -> bool:
    since_start = request.arrival_seconds - plan.section_start_seconds
    return 0 <= since_start < plan.duration_seconds * plan.speed_ratio


def _scale_service(
    requests: Iterable[TracedRequest], *, service: ServiceReplay, plan: ReplayPlan
) -> list[PlannedRequest]:
    """The requests of one service, shortened and thinned; in order of arrival."""
    in_order = sorted(requests, key=lambda request: request.arrival_seconds)
    candidates = [
        _shorten(request, index=index, service=service, plan=plan)
        for index, request in enumerate(in_order)
    ]
    keeping_order = _keeping_order(len(candidates), seed=f"{plan.seed}/{service.service}")
    fewest, most = 0, len(candidates)
    while fewest < most:  # the peak grows with every request that is kept
        count = (fewest + most + 1) // 2
        kept = (candidates[index] for index in keeping_order[:count])
        peak = peak_work_ratio(kept, cost=service.cost, window_seconds=plan.window_seconds)
        fewest, most = (count, most) if peak <= service.peak_work_ratio else (fewest, count - 1)
    return [candidates[index] for index in sorted(keeping_order[:fewest])]


def _shorten(
    request: TracedRequest, *, index: int, service: ServiceReplay, plan: ReplayPlan
) -> PlannedRequest:
    """The request at its time in the replay, with lengths its engine can serve."""
    lengths = service.lengths
    prompt = min(request.prompt_tokens * lengths.prompt_ratio, lengths.largest_prompt_tokens)
    output = min(request.output_tokens * lengths.output_ratio, lengths.largest_output_tokens)
    work = service.cost.work_seconds(prompt_tokens=round(prompt), output_tokens=round(output))
    allowed = _LARGEST_SHARE * service.peak_work_ratio * plan.window_seconds
    shrink = min(1.0, allowed / work) if work > 0 else 1.0
    return PlannedRequest(
        service=request.service,
        index=index,
        at_seconds=(request.arrival_seconds - plan.section_start_seconds) / plan.speed_ratio,
        prompt_tokens=max(1, int(round(prompt) * shrink)),
        output_tokens=max(1, int(round(output) * shrink)),
    )


def _keeping_order(count: int, *, seed: str) -> list[int]:
    """Indexes of `count` arrivals, those to keep longest first.

    Multiples of the golden ratio, modulo 1, fill the unit interval evenly, so that whatever number
    is kept is spread evenly over the arrivals. Choosing each by chance would add noise of its own
    to the peaks (one in twenty of the busiest 5 s is some 20 requests, give or take 5). The seed
    decides where the sequence starts.
    Source: D. E. Knuth, The Art of Computer Programming 3, section 6.4, theorem S.
    """
    digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    start = int.from_bytes(digest) / 2**64
    return sorted(range(count), key=lambda index: (start + index * _GOLDEN_RATIO) % 1.0)


def _work(request: PlannedRequest, *, cost: TokenCost) -> float:
    return cost.work_seconds(
        prompt_tokens=request.prompt_tokens, output_tokens=request.output_tokens
    )
