"""What the owner declared: services, objectives, tiers, variants, pools, authority.

Made from catalogue.yaml by `collector.catalogue_file`; every stage and the gateway read it.
Constructors check what types cannot; the file reader turns a ValueError into file, line and key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from collector.model.calendar import CalendarEvent
from collector.model.ids import PoolName, QuotaName, ServiceName, TierName, VariantName
from collector.model.replica import HAND_OVERS, EngineKind
from collector.model.roles import EngineRole, HandOver, RoleEngines


class Sli(StrEnum):
    """What an objective is about."""

    TIME_TO_FIRST_TOKEN = "time_to_first_token"  # noqa: S105  not a secret
    INTER_TOKEN_LATENCY = "inter_token_latency"  # noqa: S105
    END_TO_END_LATENCY = "end_to_end_latency"
    AVAILABILITY = "availability"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A share of events that must be good over a window."""

    sli: Sli
    threshold_seconds: float | None  # a good event is at or under it; None for availability
    target_ratio: float  # 0 < target < 1
    window_seconds: float  # compliance window, looking back

    def __post_init__(self) -> None:
        if not 0 < self.target_ratio < 1:
            raise ValueError(f"target_ratio must be between 0 and 1, got {self.target_ratio}")
        if (self.sli is Sli.AVAILABILITY) != (self.threshold_seconds is None):
            raise ValueError(f"threshold_seconds belongs to latencies only, got {self.sli.value}")
        if self.threshold_seconds is not None and self.threshold_seconds <= 0:
            raise ValueError(f"threshold_seconds must be above 0, got {self.threshold_seconds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A business class of services."""

    name: TierName
    violation_price_per_minute: float  # money per violation-minute; the unit of `cost_per_hour`


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTarget:
    """A variant that Foresail runs as a process of its own on this machine."""

    command: tuple[str, ...]  # words may hold {port}, {python}, {state_dir}, {replica_id}
    environment: Mapping[str, str] = field(default_factory=dict)
    required_files: tuple[str, ...] = ()  # checked before the start, e.g. the model file
    health_path: str = "/health"
    startup_timeout_seconds: float = 300.0
    drain_timeout_seconds: float = 120.0  # how long requests in flight may take to finish
    terminate_timeout_seconds: float = 20.0  # from SIGTERM to SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlTarget:
    """Replicas that somebody else runs; Foresail routes to them and never starts or stops them."""

    urls: tuple[str, ...]


Target = ProcessTarget | UrlTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPrior:
    """Declared or probed cost of work on one saturated replica."""

    prompt_seconds_per_token: float  # replica-seconds per prompt token, >= 0
    output_seconds_per_token: float  # replica-seconds per output token with all slots busy, > 0

    def __post_init__(self) -> None:
        if self.prompt_seconds_per_token < 0 or self.output_seconds_per_token < 0:
            raise ValueError("costs per token must not be negative")
        if self.prompt_seconds_per_token + self.output_seconds_per_token <= 0:
            raise ValueError("one of the costs per token must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run a service. Where it has roles, one replica of it is a unit of engines: memory, slots,
    cost and capacity are those of a unit."""

    name: VariantName
    engine: EngineKind
    target: Target
    pool: PoolName
    memory_bytes: int  # declared footprint of one replica
    slots: int  # requests one replica works on at once
    min_replicas: int
    max_replicas: int
    cost_per_hour: float  # of one replica, same money as the tier's price
    upstream_model: str | None = None  # the model's name at the engine; None: as the client said
    keep_alive: bool = True  # False: one connection per request (llama.cpp's server needs it)
    capacity_prior: CapacityPrior | None = None  # None: probed at the first start
    match: Mapping[str, str] = field(default_factory=dict)  # labels its series have in Prometheus
    is_spot: bool = False  # its replicas may be taken away at any time
    quota: QuotaName | None = None  # limits the replicas of several variants together
    roles: tuple[RoleEngines, ...] = ()  # prefill and decode; none: an engine does whole requests

    def __post_init__(self) -> None:
        if self.memory_bytes <= 0:
            raise ValueError(f"memory_bytes must be above 0, got {self.memory_bytes}")
        if self.slots < 1:
            raise ValueError(f"slots must be at least 1, got {self.slots}")
        if not 0 <= self.min_replicas <= self.max_replicas:
            raise ValueError(
                f"0 <= min_replicas <= max_replicas must hold, got {self.min_replicas} and "
                f"{self.max_replicas}"
            )
        if self.roles and {each.role for each in self.roles} != set(EngineRole):
            raise ValueError("roles must be prefill and decode, once each")

    @property
    def is_run_by_others(self) -> bool:
        """Whether somebody else starts and stops its replicas."""
        return isinstance(self.target, UrlTarget)

    @property
    def is_sized(self) -> bool:
        """Whether it is decided how many replicas it has: to be carried out, or as advice."""
        return not isinstance(self.target, UrlTarget) or bool(self.roles)

    def engines_of(self, role: EngineRole | None) -> RoleEngines | None:
        """The engines of one of its roles; None where it has no such role."""
        return next((each for each in self.roles if each.role is role), None)

    def engine_urls(self) -> Iterator[tuple[str, str, EngineRole | None]]:
        """(number or role/number, address, role) of each engine that somebody else runs."""
        if self.roles:
            for engines in self.roles:
                for number, url in enumerate(engines.urls):
                    yield f"{engines.role.value}/{number}", url, engines.role
        elif isinstance(self.target, UrlTarget):
            for number, url in enumerate(self.target.urls):
                yield str(number), url, None

    def match_of(self, role: EngineRole | None) -> Mapping[str, str]:
        """The labels of one engine's series: the variant's, and those of its role."""
        engines = self.engines_of(role)
        return self.match if engines is None else {**self.match, **engines.match}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """An OpenAI-compatible API that may take what a service's own replicas cannot carry, for money."""

    base_url: str  # without /v1; the request's own path is appended
    model: str  # the model's name there
    price_per_million_prompt_tokens: float  # same money as the tier's price
    price_per_million_output_tokens: float
    max_requests_in_flight: int
    max_cost_per_hour: float  # of tokens, over any hour
    api_key_file: str | None = None  # absolute; read by the gateway alone. None: no key is sent

    def cost(self, *, prompt_tokens: float, output_tokens: float) -> float:
        """Money for so many tokens."""
        return (
            prompt_tokens * self.price_per_million_prompt_tokens
            + output_tokens * self.price_per_million_output_tokens
        ) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A model served to users under objectives."""

    name: ServiceName
    models: tuple[str, ...]  # the names clients may use for it
    owner: str
    tier: TierName
    objectives: tuple[Objective, ...]
    variants: tuple[Variant, ...]
    hold_timeout_seconds: float  # how long the gateway holds a request for it
    max_held_requests: int  # above it, requests are shed with 429
    max_in_flight_per_replica: int | None = None  # None: no limit at the gateway
    calendar: tuple[CalendarEvent, ...] = ()  # when more will be asked for than the past tells
    overflow: Overflow | None = None  # None: nothing leaves

    @property
    def hand_overs(self) -> Mapping[VariantName, HandOver]:
        """How each variant that has roles passes a request on; in turn where that is not known."""
        return {
            each.name: HAND_OVERS.get(each.engine, HandOver.IN_TURN)
            for each in self.variants
            if each.roles
        }


class PoolKind(StrEnum):
    """Whose memory it is."""

    DISCRETE = "discrete"  # of one accelerator
    UNIFIED = "unified"  # shared by processor and accelerator; also a box without accelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPool:
    """Memory that replicas share."""

    name: PoolName
    kind: PoolKind
    capacity_bytes: int  # what Foresail may hand out in all
    reserve_bytes: int  # kept free of it, for everybody else
    device: str | None = None  # UUID or index of the accelerator; None: nobody reads its memory

    def __post_init__(self) -> None:
        if not 0 <= self.reserve_bytes < self.capacity_bytes:
            raise ValueError(
                f"reserve_bytes must be at least 0 and under capacity_bytes, got "
                f"{self.reserve_bytes} of {self.capacity_bytes}"
            )

    @property
    def budget_bytes(self) -> int:
        """What replicas may hold together."""
        return self.capacity_bytes - self.reserve_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A limit on the replicas of all variants that name it, of whatever service."""

    name: QuotaName
    max_replicas: int  # draining ones count until they are gone

    def __post_init__(self) -> None:
        if self.max_replicas < 0:
            raise ValueError(f"max_replicas must not be negative, got {self.max_replicas}")


class Mode(StrEnum):
    """Whether anything is carried out at all."""

    DRY_RUN = "dry_run"
    ACTIVE = "active"


class AuthorityLevel(StrEnum):
    """Who may decide; the later ones are more restrictive. `approve` arrives with approvals."""

    AUTO = "auto"
    ADVISE = "advise"
    DENY = "deny"


class ActionKind(StrEnum):
    """The kinds of action an authority can be given for."""

    SCALE = "scale"
    SWAP = "swap"
    RESHAPE = "reshape"
    OVERFLOW = "overflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Who decides what, reduced to a default per kind of action."""

    mode: Mode = Mode.DRY_RUN
    levels: Mapping[ActionKind, AuthorityLevel] = field(default_factory=dict)  # absent: advise

    def level(self, kind: ActionKind) -> AuthorityLevel:
        """The level for one kind of action; `advise` unless it was declared."""
        return self.levels.get(kind, AuthorityLevel.ADVISE)

    def may_act(self, kind: ActionKind) -> bool:
        """Whether that kind of action is carried out without asking anybody."""
        return self.mode is Mode.ACTIVE and self.level(kind) is AuthorityLevel.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Windows and limits of the decision. Defaults are for models that take minutes to load."""

    level_window_seconds: float = 60.0  # demand level: mean over this window
    length_window_seconds: float = 300.0  # mean length of requests: over this window
    scale_in_hold_seconds: float = 300.0  # a replica goes when it was not needed for this long
    idle_to_zero_seconds: float = 900.0  # without any demand; only where min_replicas is 0
    utilisation_target_ratio: float = 0.9  # of capacity, when sizing up
    scale_in_utilisation_ratio: float = 0.9  # what the remaining N-1 may be loaded to
    backlog_drain_seconds: float = (
        60.0  # time in which held and waiting requests are to be worked off
    )
    stale_after_seconds: float = 20.0  # a reading older than this allows no scale-in
    start_retry_seconds: float = 30.0  # after a failed start; doubles with every further failure
    start_retry_max_seconds: float = 600.0
    max_spot_ratio: float = 0.5  # of what is sized; the rest is on variants that are not spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All that was declared, in force together."""

    version: int
    services: tuple[Service, ...]
    tiers: tuple[Tier, ...]
    pools: tuple[MemoryPool, ...]
    authority: Authority
    control: Control
    digest: str  # of the file's bytes; goes into every decision
    quotas: tuple[Quota, ...] = ()

    def service(self, name: ServiceName) -> Service | None:
        """The declared service; None for a name that is not (or no longer) in the file."""
        return next((service for service in self.services if service.name == name), None)

    def tier(self, name: TierName) -> Tier:
        """The declared tier. Raises KeyError; the file reader has checked all references."""
        return next(tier for tier in self.tiers if tier.name == name)

    def pool(self, name: PoolName) -> MemoryPool:
        """The declared pool."""
        return next(pool for pool in self.pools if pool.name == name)

    def variant(self, service: ServiceName, variant: VariantName) -> Variant | None:
        """One variant of one service; None when either is not declared."""
        declared = self.service(service)
        variants = declared.variants if declared else ()
        return next((each for each in variants if each.name == variant), None)
