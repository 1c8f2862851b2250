"""What an emulated engine counts, under vLLM's names.

In: step runs, first tokens, completions and the state of the engine. Out: the lines of its page.
Times are the engine's own (virtual) seconds. Must not know about HTTP.
"""

from collections.abc import Iterable, Iterator, Sequence

from autoscaler.engine_model.costs import seconds
from autoscaler.engine_model.request import Completion, Load, StepRun
from foresail.emulate.metric_page import Family, Histogram, Labels, Values, sample
from foresail.emulate.settings import EngineSettings
from foresail.emulate.vllm_names import (
    FAMILIES,
    HISTOGRAM,
    LABEL_VALUES,
    WITHOUT_ENGINE,
    cache_labels,
    edges,
)

_SLEEP_STATES = {1: "weights_offloaded", 2: "discard_all"}


class EngineMetrics:
    """The counters, gauges and histograms of one engine."""

    def __init__(self, settings: EngineSettings, *, now_timestamp_seconds: float) -> None:
        self._settings = settings
        self._base: Labels = (("engine", "0"), ("model_name", settings.model_name))
        self._values: dict[str, Values] = {}
        self._histograms: dict[str, Histogram] = {}
        self._families: list[Family] = []
        self._preemptions = 0
        for name, kind in FAMILIES:
            self._add_family(name, kind, now=now_timestamp_seconds)
        cache = cache_labels(
            kv_capacity_tokens=settings.capacity_tokens,
            max_model_tokens=settings.max_model_tokens,
            kv_bytes_per_token=settings.row.kv_bytes_per_token,
        )
        cache_info = self._values["cache_config_info"]
        cache_info.values = {(("engine", "0"), *cache): 1.0}
        self._sleep_durations = Histogram(
            name="vllm:sleep_mode_operation_duration_seconds",
            edges=edges(
                "sleep_mode_operation_duration_seconds", max_model_tokens=settings.max_model_tokens
            ),
            now=now_timestamp_seconds,
        )
        self._sleeping_now: dict[str, int] = {}
        self.set_sleep_level(None)

    def _add_family(self, name: str, kind: str, *, now: float) -> None:
        family: Values | Histogram
        if kind == HISTOGRAM:
            limits = edges(name, max_model_tokens=self._settings.max_model_tokens)
            family = Histogram(name=f"vllm:{name}", edges=limits, now=now)
            family.child(self._base)
            self._histograms[name] = family
        else:
            family = Values(name=f"vllm:{name}", kind=kind, now=now)
            for labels in self._children(name):
                family.add(0.0, labels=labels)
            self._values[name] = family
        self._families.append(family)

    def _children(self, name: str) -> list[Labels]:
        base = self._base[1:] if name in WITHOUT_ENGINE else self._base
        if name not in LABEL_VALUES:
            return [base]
        label, values = LABEL_VALUES[name]
        return [(*base, (label, value)) for value in values]

    def count(self, name: str, amount: float = 1.0, *, value: str | None = None) -> None:
        """Adds to a counter; `value` is that of its further label."""
        base = self._base[1:] if name in WITHOUT_ENGINE else self._base
        labels = base if value is None else (*base, (LABEL_VALUES[name][0], value))
        self._values[name].add(amount, labels=labels)

    def observe_runs(self, runs: Iterable[StepRun]) -> None:
        """Steps that ended: tokens made in them and the times between tokens."""
        for run in runs:
            tokens = run.prefill_tokens + run.decoding_count
            self._observe("iteration_tokens_total", tokens, times=run.step_count)
            if run.decoding_count:
                self.count("generation_tokens", run.step_count * run.decoding_count)
                self._histograms["inter_token_latency_seconds"].observe_series(
                    first=seconds(run.first_step_picoseconds),
                    growth=seconds(run.growth_picoseconds),
                    length=run.step_count,
                    times=run.decoding_count,
                    labels=self._base,
                )

    def observe_gaps(self, gaps: Iterable[int]) -> None:
        """Times between two tokens that a preemption lay between."""
        for gap in gaps:
            self._observe("inter_token_latency_seconds", seconds(gap))
            self.count("generation_tokens")

    def observe_first_token(self, *, delay_picoseconds: int, prompt_tokens: int) -> None:
        """A request got its first token: vLLM counts its prompt now, and the time it took."""
        self._observe("time_to_first_token_seconds", seconds(delay_picoseconds))
        self.count("generation_tokens")
        self.count("prompt_tokens", prompt_tokens)
        self.count("prompt_tokens_by_source", prompt_tokens, value="local_compute")

    def observe_end(self, done: Completion, *, reason: str, max_tokens: int) -> None:
        """A request ended, whole or aborted; all but the first token's time is told only now."""
        self.count("request_success", value=reason)
        observed = {
            "request_prompt_tokens": done.prompt_tokens,
            "request_generation_tokens": done.output_tokens,
            "request_max_num_generation_tokens": done.output_tokens,
            "request_params_n": 1,
            "request_params_max_tokens": max_tokens,
            "request_num_preemptions": done.preemption_count,
            "request_prefill_kv_computed_tokens": done.prompt_tokens,
        }
        for name, value in observed.items():
            self._observe(name, value)
        self._observe_times(done)

    def _observe_times(self, done: Completion) -> None:
        end = done.finished_picoseconds
        self._observe("e2e_request_latency_seconds", seconds(end - done.arrival_picoseconds))
        admitted, first = done.admitted_picoseconds, done.first_token_picoseconds
        if admitted is None:
            return
        self._observe("request_queue_time_seconds", seconds(admitted - done.arrival_picoseconds))
        self._observe("request_inference_time_seconds", seconds(end - admitted))
        if first is None:
            return
        self._observe("request_prefill_time_seconds", seconds(first - admitted))
        self._observe("request_decode_time_seconds", seconds(end - first))
        if done.output_tokens > 1:
            each = seconds(end - first) / (done.output_tokens - 1)
            self._observe("request_time_per_output_token_seconds", each)

    def _observe(self, name: str, value: float, *, times: int = 1) -> None:
        self._histograms[name].observe(value, labels=self._base, times=times)

    def set_load(self, load: Load) -> None:
        """The gauges of what is in the engine."""
        self._set("num_requests_running", load.running_count)
        self._set("num_requests_waiting", load.waiting_count)
        self._set("num_requests_waiting_by_reason", load.waiting_count, value="capacity")
        self._set("kv_cache_usage_perc", load.kv_used_tokens / self._settings.capacity_tokens)
        self.count("num_preemptions", load.preemption_count - self._preemptions)
        self._preemptions = load.preemption_count

    def set_sleep_level(self, level: int | None) -> None:
        """None: awake."""
        state = "awake" if level is None else _SLEEP_STATES.get(level)
        for value in LABEL_VALUES["engine_sleep_state"][1]:
            self._set("engine_sleep_state", float(value == state), value=value)

    def sleep_operation_begins(self, operation: str) -> None:
        """`sleep` or `wake` was asked for; the series exist from the first time on."""
        self._sleeping_now[operation] = self._sleeping_now.get(operation, 0) + 1
        self._sleep_durations.child((("operation", operation),))

    def sleep_operation_ends(self, operation: str, *, duration_seconds: float) -> None:
        """It was carried out."""
        self._sleeping_now[operation] -= 1
        self._sleep_durations.observe(duration_seconds, labels=(("operation", operation),))

    def _set(self, name: str, amount: float, *, value: str | None = None) -> None:
        more = () if value is None else ((LABEL_VALUES[name][0], value),)
        self._values[name].set(amount, labels=(*self._base, *more))

    def lines(self) -> Iterator[str]:
        """The engine's part of the page."""
        for family in self._families:
            yield from family.lines()

    def sleep_lines(self) -> Sequence[str]:
        """The sleep operations: last on the page, and only once there was one."""
        if not self._sleeping_now:
            return ()
        name = "vllm:sleep_mode_operations_in_flight"
        return (
            *self._sleep_durations.lines(),
            f"# TYPE {name} gauge",
            *(sample(name, (("operation", o),), n) for o, n in self._sleeping_now.items()),
        )
