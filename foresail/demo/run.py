"""`foresail demo`: real engines, real traffic, real decisions, and a summary at the end.

In: options. Out: a work folder with models and files, both processes under the supervisor, a replay
of recorded traffic through the gateway, a live table, a document. Leaves no process behind, however
it ends; the folder goes too, unless it is to be kept.
"""

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from rich.console import Console

from autoscaler.checkpoint import load_checkpoint
from autoscaler.ledger import (
    RecordKind,
    decoded_decision,
    decoded_entry,
    read_records,
    verify_ledger,
)
from collector.catalogue_file import read_catalogue
from collector.clock import Clock, SystemClock
from collector.errors import CollectorError
from collector.model.catalogue import CapacityPrior
from foresail.demo.completion import Endpoint, RequestResult
from foresail.demo.errors import DemoError
from foresail.demo.load import ReplayCount, replay
from foresail.demo.machine import BusyMeter, core_count
from foresail.demo.options import DemoOptions, check_options, free_ports
from foresail.demo.screen import print_summary
from foresail.demo.summary import Document, LoadCount, RunRecord, summary
from foresail.demo.trace import (
    RECORDED_SECONDS,
    PlannedRequest,
    ReplayPlan,
    TokenCost,
    default_plan,
    read_cut,
    scale_cut,
)
from foresail.demo.watcher import Watcher
from foresail.demo.workshop import (
    CONTROL,
    SERVICES,
    Measured,
    write_catalogue,
    write_models,
    write_settings,
)
from foresail.settings import Settings, read_settings
from foresail.supervisor import Supervisor, stop_on_signals
from foresail.up import controller_url, make_supervisor
from foresail.wiring.engines import end_left_over, measure_engine

T = TypeVar("T")

READY_TIMEOUT_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 2.5
"""After the last answer: two decisions, so that the last snapshot has seen it."""
INTERRUPTED_EXIT_CODE: Final = 130
PLAIN_WIDTH: Final = 110
"""Columns of the summary when it goes to a file."""
LOAD_PER_CORE: Final = 0.5
"""The default plan is for two cores; a smaller machine gets less of it."""


def run_demo(options: DemoOptions) -> int:
    """0 after a whole run with an intact ledger, 1 with a broken one, 130 when interrupted.

    Raises ConfigurationError for options that cannot work, before anything is started.
    """
    check_options(options)
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    return asyncio.run(Demo(options, console=console, clock=SystemClock()).run())


class Interrupted(Exception):
    """The owner wants it to end before there is anything to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the client did."""

    count: ReplayCount
    failures: Counter[str]
    start_timestamp_seconds: float
    end_timestamp_seconds: float
    machine_busy_ratio: float | None


class Demo:
    """One run."""

    def __init__(self, options: DemoOptions, *, console: Console, clock: Clock) -> None:
        self._options = options
        self._console = console
        self._clock = clock
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """The exit code; what there is to tell is on the console and in the file asked for."""
        stop_on_signals(self._stop)
        try:
            with self._folder() as folder:
                settings, requests = await self._prepare(folder)
                async with self._serving(settings):
                    load = await self._traffic(settings, requests)
                document = self._document(settings, load)
        except Interrupted:
            return INTERRUPTED_EXIT_CODE
        self._tell(document)
        if self._stop.is_set():
            return INTERRUPTED_EXIT_CODE
        return 0 if ledger_is_verified(document) else 1

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="foresail-demo-"))
        try:
            yield folder
        finally:
            if self._options.keep:
                self._say(f"kept: {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)

    async def _prepare(self, folder: Path) -> tuple[Settings, tuple[PlannedRequest, ...]]:
        """Models written, one engine measured, files written, traffic planned for this machine."""
        self._say(f"writing {len(SERVICES)} small models to {folder}")
        models = await asyncio.to_thread(write_models, folder)
        measured = await self._unless_stopped(self._measure(folder, models=models))
        ports = free_ports(2)
        settings_path = write_settings(
            folder, gateway_port=self._options.port or ports[0], controller_port=ports[1]
        )
        write_catalogue(folder, models=models, measured=measured)
        plan = replay_plan(self._options, capacity=measured.capacity)
        requests = scale_cut(read_cut(), plan=plan)
        self._say(
            f"replaying {len(requests)} recorded requests at {plan.speed_ratio:.0f} times their speed"
        )
        return read_settings(settings_path, {}), requests

    async def _measure(self, folder: Path, *, models: dict[str, Path]) -> Measured:
        """One engine alone, through the same actuator that will run all of them."""
        self._say("measuring one engine for a few seconds")
        draft = write_catalogue(folder, models=models, measured=PLACEHOLDER)
        service = read_catalogue(draft).services[0]
        found = await measure_engine(
            service.variants[0], service=service.name, state_dir=folder / "measuring"
        )
        capacity = found.capacity
        self._say(
            f"  a prompt token takes {1e3 * capacity.prompt_seconds_per_token:.2f} ms, an output token "
            f"{1e3 * capacity.output_seconds_per_token:.2f} ms, a replica "
            f"{found.memory_bytes / 2**20:.0f} MiB"
        )
        return Measured(capacity=capacity, memory_bytes=found.memory_bytes)

    @contextlib.asynccontextmanager
    async def _serving(self, settings: Settings) -> AsyncIterator[None]:
        """Gateway and controller run and are ready; engines end with them."""
        supervisor = make_supervisor(settings, stop_engines=True, clock=self._clock, say=self._say)
        try:
            await supervisor.start()
            await self._unless_stopped(self._ready(settings, supervisor))
            self._say(
                f"endpoint: {settings.gateway.url}/v1   live page: {controller_url(settings)}"
            )
            self._say(
                "mode: active, with short windows for a short hour: "
                + ", ".join(f"{name} {value}" for name, value in CONTROL.items())
            )
            yield
        finally:
            self._say("ending all engines, the controller and the gateway")
            await supervisor.end()
            await end_left_over(settings.state_dir)  # of a controller that had to be killed

    async def _unless_stopped(self, work: Coroutine[object, object, T]) -> T:
        """Its result. Raises Interrupted when told to stop, once the work has put things away."""
        task, stopped = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            task.cancel()  # without effect where it is done
            await asyncio.gather(task, return_exceptions=True)
        if self._stop.is_set():
            raise Interrupted
        return task.result()

    async def _ready(self, settings: Settings, supervisor: Supervisor) -> None:
        watcher = Watcher(settings, console=self._console, clock=self._clock)
        deadline = self._clock.monotonic_seconds() + READY_TIMEOUT_SECONDS
        while True:
            is_ready = await watcher.is_ready()  # asked first: a gateway may be another one's
            for child in supervisor.children:
                if child.failed.is_set():
                    raise DemoError(f"{child.settings.name}: {child.last_log_line()}")
            if is_ready:
                return
            if self._clock.monotonic_seconds() > deadline:
                raise DemoError(
                    f"not ready after {READY_TIMEOUT_SECONDS:.0f} s; run again with --keep and look "
                    f"at the logs in its work folder"
                )
            await self._clock.sleep(0.1)

    async def _traffic(self, settings: Settings, requests: tuple[PlannedRequest, ...]) -> Load:
        """Sends everything while the screen is kept up to date."""
        failures: Counter[str] = Counter()
        meter, started = BusyMeter(), self._clock.timestamp_seconds()

        def note(result: RequestResult) -> None:
            if result.outcome.value not in {"ok", "cancelled"}:
                failures[f"{result.request.service}: {result.reason or result.outcome.value}"] += 1

        watcher = Watcher(settings, console=self._console, clock=self._clock)
        total = max((request.at_seconds for request in requests), default=0.0)
        screen = asyncio.create_task(
            watcher.watch(total_seconds=total, headless=self._options.headless)
        )
        try:
            count = await replay(
                requests,
                endpoint=Endpoint(url=settings.gateway.url),
                clock=self._clock,
                on_result=note,
                stop_event=self._stop,
            )
            ended, busy = self._clock.timestamp_seconds(), meter.busy_ratio()
            if not self._stop.is_set():
                await self._clock.sleep(SETTLE_SECONDS)
        finally:
            screen.cancel()
            await asyncio.gather(screen, return_exceptions=True)
        return Load(
            count=count,
            failures=failures,
            start_timestamp_seconds=started,
            end_timestamp_seconds=ended,
            machine_busy_ratio=busy,
        )

    def _document(self, settings: Settings, load: Load) -> Document:
        saved = load_checkpoint(settings.checkpoint_path)
        records, report = read_records(settings.ledger_path), verify_ledger(settings.ledger_path)
        return summary(
            RunRecord(
                catalogue=saved.catalogue,
                snapshot=saved.snapshot,
                decisions=tuple(
                    decoded_decision(each.body)
                    for each in records
                    if each.kind == RecordKind.DECISION
                ),
                entries=tuple(
                    decoded_entry(each.body) for each in records if each.kind == RecordKind.EFFECT
                ),
                load_start_timestamp_seconds=load.start_timestamp_seconds,
                load_end_timestamp_seconds=load.end_timestamp_seconds,
                load=LoadCount(
                    sent=load.count.sent,
                    ok=load.count.ok,
                    failed=load.count.failed,
                    cancelled=load.count.cancelled,
                    failures=load.failures,
                ),
                machine_busy_ratio=load.machine_busy_ratio,
                ledger_record_count=report.record_count,
                ledger_is_intact=report.is_intact,
            )
        )

    def _tell(self, document: Document) -> None:
        print_summary(document, console=self._console)
        path = self._options.json_path
        if path is None:
            return
        try:
            path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise CollectorError(f"demo: cannot write {path}: {error.strerror}") from error

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


PLACEHOLDER: Final = Measured(
    capacity=CapacityPrior(prompt_seconds_per_token=1e-3, output_seconds_per_token=1e-2),
    memory_bytes=256 * 2**20,
)
"""For the catalogue that the measured engine is started from; replaced by what it gives."""


def ledger_is_verified(document: Document) -> bool:
    """Whether the ledger of a run is intact."""
    ledger = document["ledger"]
    return isinstance(ledger, dict) and ledger.get("verified") is True


def replay_plan(options: DemoOptions, *, capacity: CapacityPrior) -> ReplayPlan:
    """What to replay within the time asked for, at a load that this machine can carry."""
    cost = TokenCost(
        prompt_seconds_per_token=max(capacity.prompt_seconds_per_token, 1e-9),
        output_seconds_per_token=max(capacity.output_seconds_per_token, 1e-9),
    )
    plan = default_plan(
        {service.name: cost for service in SERVICES},
        duration_seconds=60.0 * options.minutes,
        load_ratio=min(1.0, LOAD_PER_CORE * core_count()),
    )
    if options.speed is None:
        return plan
    duration = min(plan.duration_seconds, RECORDED_SECONDS / options.speed)
    return replace(plan, speed_ratio=options.speed, duration_seconds=duration)
