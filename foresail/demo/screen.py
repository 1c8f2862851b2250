"""The live table of the demo, from the controller's `/v1/state`; and plain lines when headless.

In: state bodies as JSON. Out: rich renderables and lines. Must not decide or keep anything but what
it has already said. Texts go in as they are: a bracket in a name is no markup.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

State = Mapping[str, Any]  # Any: JSON as `foresail.http.bodies.StateBody` describes it

STATE_STYLES = {"serving": "green", "loading": "yellow", "pending": "yellow", "draining": "magenta"}
LETTERS = ", ".join(f"{state[0].upper()} {state}" for state in STATE_STYLES)
SHOWN_DECISIONS = 8
SERVICE_COLUMNS = (
    "service",
    "tier",
    "replicas",
    "requests/s",
    "in flight",
    "held",
    "objective",
    "met",
    "now",
)
NARROW_COLUMNS = ("service", "replicas", "requests/s", "held", "met", "objective")
WIDE_COLUMNS = 150
"""Of a terminal in which every column of the wide tables can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitting:
    """The one of two that the terminal has room for."""

    wide: RenderableType
    narrow: RenderableType

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        yield self.wide if options.max_width >= WIDE_COLUMNS else self.narrow


def screen(
    state: State | None, *, changes: Sequence[State], elapsed_seconds: float, total_seconds: float
) -> RenderableType:
    """The whole screen: progress, services, the last changes."""
    head = Text(f"{elapsed_seconds:5.0f} s of {total_seconds:.0f} s", style="bold")
    head.append(f"   replicas: {LETTERS}", style="not bold dim")
    if state is None:
        return Group(head, Text("waiting for the controller"))
    wide = Group(services_table(state), changes_table(changes))
    narrow = Group(narrow_services_table(state), narrow_changes_table(changes))
    return Group(head, _Fitting(wide=wide, narrow=narrow))


def services_table(state: State) -> Table:
    """One row per service."""
    table = Table(title=None, expand=True)
    *short, last = SERVICE_COLUMNS
    for name in short:
        table.add_column(name, no_wrap=True)
    table.add_column(last, ratio=1)
    for service in state["services"]:
        table.add_row(*_service_cells(service))
    return table


def _service_cells(service: State) -> tuple[RenderableType, ...]:
    objective = next(iter(service["objectives"]), None)
    decision = service["last_decision"]
    return (
        Text(service["name"]),
        Text(service["tier"]),
        _replicas(service["replicas"]),
        _number(service["demand"]["requests_per_second"], digits=1),
        _number(service["in_flight_requests"]["value"], digits=0),
        _number(service["held_requests"]["value"], digits=0),
        Text(objective["words"] if objective else "none"),
        _percent(objective["attainment_ratio"] if objective else None),
        Text(decision["reason_words"] if decision else ""),
    )


def narrow_services_table(state: State) -> Table:
    """What matters most, for 80 columns: names are whole, the objective may take two lines."""
    table = Table(box=box.SIMPLE_HEAD, expand=True)
    *short, last = NARROW_COLUMNS
    for name in short:
        table.add_column(name, no_wrap=True)
    table.add_column(last, ratio=1)
    for service in state["services"]:
        cells = dict(zip(SERVICE_COLUMNS, _service_cells(service), strict=True))
        table.add_row(*(cells[name] for name in NARROW_COLUMNS))
    return table


def _replicas(replicas: Sequence[State]) -> Text:
    """A block per replica that exists, its state by colour and by letter."""
    text = Text()
    for replica in replicas:
        style = STATE_STYLES.get(replica["state"])
        if style:
            text.append(f"{replica['state'][0].upper()} ", style=f"bold {style}")
    return text or Text("none", style="dim")


def changes_table(changes: Sequence[State]) -> Table:
    """The last decisions that changed something, newest first."""
    table = Table(expand=True, title="decisions", title_justify="left")
    for name in ("service", "action", "reason", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", ratio=1, no_wrap=True, overflow="ellipsis")
    for each in changes[:SHOWN_DECISIONS]:
        names = ("service", "action_words", "reason", "verdict", "explanation")
        table.add_row(*(Text(each[name]) for name in names))
    return table


def narrow_changes_table(changes: Sequence[State]) -> Table:
    """The same with the reason in words in place of the whole explanation."""
    table = Table(box=box.SIMPLE_HEAD, expand=True)
    for name in ("decision", "action"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", ratio=1)
    for each in changes[:SHOWN_DECISIONS]:
        table.add_row(*(Text(each[name]) for name in ("service", "action_words", "reason_words")))
    return table


def change_lines(changes: Sequence[State], *, said: set[str]) -> Iterator[str]:
    """A line for each change that was not said yet, oldest first; remembers them in `said`."""
    for each in reversed(changes):
        if each["decision_id"] not in said:
            said.add(each["decision_id"])
            yield f"{each['service']}: {each['action_words']} ({each['reason_words']})"


BUSY_RATIO = 0.95
SUMMARY_NOTE = (
    "p50, p95, p99: time to first token; engine s: seconds that replicas existed; "
    "always on: had each service kept its peak all the time"
)
BUSY_NOTE = (
    "The processor was busy throughout: objectives are then missed however many replicas there are. "
    "Try it on a machine with less to do."
)
SUMMARY_COLUMNS = (
    "service",
    "tier",
    "met",
    "target",
    "p50",
    "p95",
    "p99",
    "engine s",
    "always on",
)


def print_summary(document: Mapping[str, Any], *, console: Console) -> None:
    """The end of the demo for a person. Any: the JSON document of `summary`."""
    requests = document["requests"]
    console.print(
        f"\n{requests['sent']} requests sent, {requests['ok']} ok, {requests['failed']} failed, "
        f"{requests['cancelled']} cancelled in {document['duration_seconds']:.0f} s; machine "
        f"{_percent(document['machine_busy_ratio'])} busy",
        markup=False,
    )
    console.print(_summary_table(document["services"]))
    console.print(SUMMARY_NOTE, highlight=False, markup=False)
    if _was_too_busy(document):
        console.print(BUSY_NOTE, highlight=False, markup=False)
    for each in document["decisions"]:
        console.print(
            f"  {each['at_seconds']:6.1f} s  {each['service']:<6} {each['direction']:<3} "
            f"{each['from_replicas']} to {each['to_replicas']}  {each['reason']}: {each['outcome']}",
            highlight=False,
            markup=False,
        )
    ledger = document["ledger"]
    state = "verified" if ledger["verified"] else "NOT INTACT"
    console.print(f"ledger: {ledger['records']} records, {state}")


def _was_too_busy(document: Mapping[str, Any]) -> bool:
    """Whether a missed objective says more about the machine than about replicas."""
    busy = document["machine_busy_ratio"]
    missed = [
        each["name"]
        for each in document["services"]
        if None not in (each["attainment_ratio"], each["target_ratio"])
        and each["attainment_ratio"] < each["target_ratio"]
    ]
    return busy is not None and busy >= BUSY_RATIO and bool(missed)


def _summary_table(services: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in SUMMARY_COLUMNS:
        justify: JustifyMethod = "left" if name in {"service", "tier"} else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for each in services:
        ttft = each["ttft_seconds"]
        table.add_row(
            Text(each["name"]),
            Text(each["tier"]),
            _percent(each["attainment_ratio"]),
            _percent(each["target_ratio"]),
            *(_seconds(ttft[name]) for name in ("p50", "p95", "p99")),
            f"{each['engine_seconds']:.0f}",
            f"{each['always_on_engine_seconds']:.0f}",
        )
    return table


def _number(value: float | None, *, digits: int) -> str:
    return "?" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.1f} %"


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f} s"
