"""One request inside the engine model: how far it is. Internal to the model; mutable on purpose."""

from autoscaler.engine_model.request import Completion, EndReason, Request


class Sequence:
    """A request while it is in the engine."""

    __slots__ = (
        "admitted",
        "arrival",
        "computed_tokens",
        "decode_start",
        "finish_at",
        "first_token",
        "last_token",
        "made_tokens",
        "preemption_count",
        "request",
        "target_tokens",
    )

    def __init__(self, *, request: Request, arrival: int) -> None:
        self.request = request
        self.arrival = arrival
        self.admitted: int | None = None
        self.first_token: int | None = None
        self.last_token = 0  # when the newest token before a preemption was made
        self.made_tokens = 0  # at `decode_start`, or at all while it does not decode
        self.target_tokens = request.prompt_tokens  # to be computed before the next token
        self.computed_tokens = 0
        self.decode_start: int | None = None  # the engine's count of decode steps at that time
        self.finish_at = 0  # the count at which it is done
        self.preemption_count = 0

    def made_at(self, decode_steps: int) -> int:
        """Output tokens made until the engine's count is `decode_steps`."""
        if self.decode_start is None:
            return self.made_tokens
        return self.made_tokens + decode_steps - self.decode_start

    def completion(self, *, reason: EndReason, now: int, output_tokens: int) -> Completion:
        """What is told about it when it leaves."""
        return Completion(
            self.request.number,
            self.request.prompt_tokens,
            output_tokens,
            self.arrival,
            self.admitted,
            self.first_token,
            now,
            self.preemption_count,
            reason,
        )
