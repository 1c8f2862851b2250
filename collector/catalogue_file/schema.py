"""The form of catalogue.yaml: every key with meaning, unit, default and the reason for the default.

In: plain values of the file. Out: a validated `CatalogueFile`, which `convert` turns into the
dataclasses everybody else uses. Also the source of deploy/schema/catalogue.schema.json. Rules that
concern one key are here; rules across keys are in `checks`.
"""

from typing import Annotated, Literal

from pydantic import Field

from collector.catalogue_file.calendar_schema import MAX_EVENTS, EventPart
from collector.catalogue_file.overflow_schema import OverflowPart
from collector.catalogue_file.roles_schema import RolesPart
from collector.catalogue_file.target_schema import TargetPart
from collector.catalogue_file.words import Accelerator, ClientModel, LabelName, LabelValue, Name
from collector.files.part import FilePart, choice, quantity, required_choice
from collector.files.units import Duration, MemoryAmount, MemoryReserve, Ratio, Share
from collector.model.catalogue import AuthorityLevel, Mode, PoolKind, Sli
from collector.model.replica import EngineKind

MAX_REPLICAS = 10_000
MAX_SLOTS = 100_000
MAX_HELD_REQUESTS = 1_000_000

Money = Annotated[float, Field(ge=0)]


class AuthorityPart(FilePart):
    """Who may decide what. It only narrows: whatever is not said here is advised, not done."""

    mode: Mode = choice(
        "dry_run",
        description="active: decisions are carried out. dry_run: they are made, recorded and shown, "
        "and nothing is touched. Default dry_run, so that a first start can be watched.",
    )
    scale: AuthorityLevel = choice(
        "advise",
        description="Who decides on starting and stopping replicas: auto, advise (shown only) or "
        "deny. Default advise: acting is granted, never assumed.",
    )
    swap: AuthorityLevel = choice(
        "advise",
        description="Who decides on exchanging models in shared memory: auto, advise or deny. "
        "Default advise: acting is granted, never assumed.",
    )
    reshape: AuthorityLevel = choice(
        "advise",
        description="Who decides on cutting accelerators anew: auto, advise or deny. Default advise: "
        "acting is granted, never assumed.",
    )
    overflow: AuthorityLevel = choice(
        "advise",
        description="Who decides that requests go to a service's overflow, which costs money and "
        "takes prompts off this machine: auto, advise or deny. Default advise: acting is granted, "
        "never assumed.",
    )


class PoolPart(FilePart):
    """Memory that replicas share."""

    kind: PoolKind = required_choice(
        description="Whose memory it is. unified: shared by processor and accelerator, also a box "
        "without accelerator. discrete: of one accelerator."
    )
    capacity: MemoryAmount = Field(
        description="All the memory Foresail may count on here, such as 24GiB (2^30) or 24GB (10^9)."
    )
    reserve: MemoryReserve = Field(
        default=0,
        description="Part of the capacity that replicas never get, for the system and other "
        "programs. Default 0, for a capacity that already leaves room.",
    )
    device: Accelerator | None = Field(
        default=None,
        description="The accelerator of a discrete pool on this machine, by UUID, or by index, which "
        "may change when the driver starts anew. Its free memory and what each replica holds there "
        "are read. Default: nothing is read, and only what is declared counts.",
    )


class QuotaPart(FilePart):
    """A limit on the replicas of several variants together."""

    max_replicas: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] = Field(
        description="The most replicas that all variants naming this quota may have together, of "
        "whatever service, such as the accelerators a provider lends."
    )


class TierPart(FilePart):
    """A business class of services."""

    violation_price_per_minute: Money = Field(
        description="What a minute outside the objectives costs, in the money of cost_per_hour. It "
        "decides who gets memory when not all can have it."
    )


class ControlPart(FilePart):
    """Windows and limits of the decisions. The defaults suit models that take minutes to load."""

    level_window: Duration = quantity(
        "60s",
        description="Demand now is the mean over this window. Default 60s: shorter follows noise, "
        "longer sees a rise late.",
    )
    length_window: Duration = quantity(
        "5m",
        description="The mean length of requests is taken over this window. Default 5m: enough requests "
        "for a mean, few enough to follow a change of use.",
    )
    scale_in_hold: Duration = quantity(
        "5m",
        description="A replica goes once it was not needed for this long. Default 5m: a restart of a "
        "large model costs as much.",
    )
    idle_to_zero: Duration = quantity(
        "15m",
        description="The last replica goes after this long without any request, where min_replicas "
        "is 0. Default 15m: people pause that long within one task.",
    )
    utilisation_target: Ratio = quantity(
        "90%",
        description="How much of the capacity is planned to be used when replicas are added. Default "
        "90%: capacity is what the objectives allow already, and the forecast has its own margin.",
    )
    scale_in_utilisation: Ratio = quantity(
        "90%",
        description="The most the remaining replicas may be used when one goes. Default 90%, like "
        "utilisation_target: the hold keeps replicas from going and coming in turn.",
    )
    backlog_drain: Duration = quantity(
        "60s",
        description="The time in which held and queued requests are to be worked off. Default 60s: "
        "as long as a request is held by default.",
    )
    stale_after: Duration = quantity(
        "20s",
        description="A reading older than this allows no replica to go. Default 20s: four ticks of "
        "reading were missed.",
    )
    start_retry: Duration = quantity(
        "30s",
        description="The wait after a failed start; it doubles with each further failure. Default "
        "30s: a full disk or a busy device may clear in that time.",
    )
    max_spot: Ratio = quantity(
        "50%",
        description="How much of what a service is sized for may be on variants that are spot, where "
        "it has others. Default 50%: what is left when all of it is taken away at once still "
        "serves half.",
    )
    start_retry_max: Duration = quantity(
        "10m",
        description="The longest wait between two starts that fail. Default 10m: a repaired model "
        "comes back while its owner is still there.",
    )


class ObjectivePart(FilePart):
    """A share of events that must be good over a window."""

    sli: Sli = required_choice(
        description="What is measured: time_to_first_token, inter_token_latency, end_to_end_latency "
        "or availability."
    )
    threshold: Duration | None = Field(
        default=None,
        description="A request is good at or under this time, such as 500ms. Required for latencies, "
        "not allowed for availability. No default: only the owner knows it.",
    )
    target: Share = Field(
        description="The share of requests that must be good, such as 99% or 0.99."
    )
    window: Duration = quantity(
        "28d",
        description="The share is counted over this window, looking back. Default 28d: four whole "
        "weeks, so that each has the same weekends.",
    )


class CapacityPart(FilePart):
    """What work costs on one busy replica, if it is known beforehand."""

    prompt_seconds_per_token: Money = Field(
        description="Seconds of one replica that a prompt token costs."
    )
    output_seconds_per_token: Money = Field(
        description="Seconds of one replica that an output token costs while all slots are busy."
    )


class VariantPart(FilePart):
    """One way to run a service."""

    engine: EngineKind = required_choice(
        description="The inference engine, e.g. vllm or llama_cpp."
    )
    pool: str = Field(description="The pool (a name under pools) its replicas take memory from.")
    memory: MemoryAmount = Field(
        description="What one replica holds there, weights and cache, such as 6GiB. It is counted "
        "before a start, and corrected by what is measured. With roles: what one engine holds."
    )
    slots: Annotated[int, Field(ge=1, le=MAX_SLOTS)] = Field(
        description="Requests one replica works on at once (vLLM --max-num-seqs, llama.cpp --parallel). "
        "With roles: one engine."
    )
    min_replicas: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] | None = Field(
        default=None,
        description="Replicas that always run. Default 0: a model nobody asks for takes no memory. "
        "Of a url target always the number of its urls; with roles, the fewest units that are advised.",
    )
    max_replicas: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] | None = Field(
        default=None,
        description="The most replicas that may run. Default 1, or min_replicas where that is more: "
        "copies are asked for, not assumed. Of a url target always the number of its urls; with roles, "
        "the most units that are advised, by default as many as its engines make.",
    )
    cost_per_hour: Money = Field(
        default=0.0,
        description="What one replica costs per hour, in the money of violation_price_per_minute; with "
        "roles, one engine. Default 0, for a box that is paid already.",
    )
    upstream_model: ClientModel | None = Field(
        default=None,
        description="The model's name at the engine, where it differs from what clients say. "
        "Default: the name the client used.",
    )
    keep_alive: bool | None = Field(
        default=None,
        description="Whether the gateway uses a connection for more than one request. Default true, "
        "and false for llama_cpp, whose server drops requests on a connection it is closing.",
    )
    capacity: CapacityPart | None = Field(
        default=None,
        description="What work costs on one replica; with roles, on one engine that does only its part. "
        "Default: measured after the first start, then learned from traffic.",
    )
    spot: bool = Field(
        default=False,
        description="Whether its replicas may be taken away at any time. Of what the service is sized "
        "for, at most control.max_spot is put on such variants. Default false: nothing is taken.",
    )
    quota: str | None = Field(
        default=None,
        description="The quota (a name under quotas) in which each of its replicas takes a place. "
        "Default: none, only its own max_replicas counts.",
    )
    match: dict[LabelName, LabelValue] = Field(
        default_factory=dict,
        description="Labels that single out its replicas' targets in Prometheus, such as namespace, "
        "where the replica's own label is not enough; they add to the service's. Default: none. "
        "Looked at only with `sources: {engines: prometheus}`.",
    )
    roles: RolesPart | None = Field(
        default=None,
        description="Engines that divide every request into prefill and decode, at a ratio. One replica "
        "is then a unit of them, such as 1 prefill and 2 decode, and decisions about it are advice. "
        "Only with a url target, whose urls are where requests go in. Default: none, every engine does "
        "whole requests.",
    )
    target: TargetPart = Field(
        discriminator="kind", description="How replicas come to be: a command of this box, or urls."
    )


class ServicePart(FilePart):
    """A model served to users under objectives."""

    models: list[ClientModel] | None = Field(
        default=None,
        min_length=1,
        description="The names clients may use for it in `model`. Default: the service's own name.",
    )
    owner: str = Field(
        default="unowned",
        min_length=1,
        max_length=200,
        description="Who is asked when something is wrong with it. Default unowned, which is shown "
        "as such.",
    )
    tier: str = Field(description="The tier (a name under tiers) that prices its violations.")
    objectives: list[ObjectivePart] = Field(
        min_length=1, description="What its users were promised; at least one."
    )
    hold_timeout: Duration = quantity(
        "60s",
        description="How long the gateway holds a request while a replica starts. Default 60s: many "
        "clients give up soon after.",
    )
    max_held_requests: Annotated[int, Field(ge=0, le=MAX_HELD_REQUESTS)] = Field(
        default=100,
        description="More requests than this are not held but shed with 429. Default 100: a burst of "
        "people, not of a broken client.",
    )
    max_in_flight_per_replica: Annotated[int, Field(ge=1, le=MAX_HELD_REQUESTS)] | None = Field(
        default=None,
        description="The most requests the gateway has at one replica. Default: no limit, the engine "
        "queues.",
    )
    match: dict[LabelName, LabelValue] = Field(
        default_factory=dict,
        description="The same labels for all its variants; a variant's own win. Default: none.",
    )
    calendar: list[EventPart] = Field(
        default_factory=list,
        max_length=MAX_EVENTS,
        description="Times for which more demand is known to come than the past tells; replicas "
        "serve when they begin. Default: none.",
    )
    overflow: OverflowPart | None = Field(
        default=None,
        description="An API that may take what its own replicas cannot carry, for money, if "
        "authority.overflow says auto. Default: none, nothing leaves.",
    )
    variants: dict[Name, VariantPart] = Field(
        min_length=1, description="The ways to run it, by name; at least one."
    )


class CatalogueFile(FilePart):
    """Services, objectives, tiers, variants, memory pools and authority of one Foresail."""

    version: Literal[1] = Field(description="The version of this form: 1.")
    authority: AuthorityPart = Field(
        default_factory=AuthorityPart,
        description="Who decides what. Default: dry_run, and advise for everything.",
    )
    pools: dict[Name, PoolPart] = Field(
        min_length=1, description="Memory that replicas share, by name; at least one."
    )
    quotas: dict[Name, QuotaPart] = Field(
        default_factory=dict,
        description="Limits on the replicas of several variants together, by name. Default: none.",
    )
    tiers: dict[Name, TierPart] = Field(
        min_length=1, description="Business classes of services, by name; at least one."
    )
    control: ControlPart = Field(
        default_factory=ControlPart,
        description="Windows and limits of the decisions. Default: those of each key.",
    )
    services: dict[Name, ServicePart] = Field(
        min_length=1, description="The models that are served, by name; at least one."
    )
