"""Leave to use a service's overflow, as the controller gives it to the gateway."""

from dataclasses import dataclass

from collector.model.ids import ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class OverflowGrant:
    """Leave to send a part of one service's requests to its overflow, for a while."""

    service: ServiceName
    granted_timestamp_seconds: float  # names the grant: the same one again renews nothing
    lease_seconds: float  # from when the gateway first hears of it
    share_ratio: float  # of arrivals that go there although replicas may have room; 0..1
    budget: float  # money that may be spent under it, by what the gateway counts
    prompt_tokens_total: float | None = (
        None  # its counters when the budget was made; None: as they are
    )
    output_tokens_total: float | None = None  # when it first hears of the grant
