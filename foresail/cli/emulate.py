"""`foresail emulate`: engines that are not there, with vLLM's HTTP, metrics and timing."""

from typing import Annotated

import typer

Row = Annotated[
    str, typer.Option(metavar="NAME", help="Model and accelerator: one of those --rows lists.")
]
Rows = Annotated[bool, typer.Option("--rows", help="List the rows and end.")]
Count = Annotated[int, typer.Option(min=1, max=1000, help="How many engines.")]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")]
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="The first port; the others follow. 0: free ones.")
]
ModelName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Served as. Default: the row's model.")
]
Speed = Annotated[float, typer.Option(min=0.001, max=1000, help="Engine seconds per second.")]
StartSeconds = Annotated[float, typer.Option(min=0, help="Engine seconds until it listens.")]
ModelTokens = Annotated[int, typer.Option(min=2, help="Prompt and answer together.")]
Sequences = Annotated[int, typer.Option(min=1, help="Requests running at once.")]
StepTokens = Annotated[
    int | None, typer.Option(min=1, help="Tokens of a step. Default: the row's.")
]
CacheTokens = Annotated[
    int | None, typer.Option(min=2, help="KV cache in tokens. Default: the row's.")
]
Queued = Annotated[
    int | None, typer.Option(min=1, help="More requests are refused. Default: none are.")
]
DevMode = Annotated[bool, typer.Option("--dev-mode", help="/sleep, /wake_up, /pause and more.")]
LoadTracking = Annotated[bool, typer.Option("--enable-server-load-tracking", help="/load counts.")]
Faults = Annotated[bool, typer.Option("--faults", help="POST /emulate/fault.")]
Shutdown = Annotated[
    float, typer.Option(min=0, help="Seconds for requests in flight after SIGTERM.")
]
GpuPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="A DCGM-style page. Default: none.")
]


def emulate(
    *,
    row: Row = "llama-3.1-8b-h100-tp1",
    rows: Rows = False,
    count: Count = 1,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    model_name: ModelName = None,
    speed: Speed = 1.0,
    start_seconds: StartSeconds = 0.0,
    max_model_len: ModelTokens = 8192,
    max_num_seqs: Sequences = 256,
    max_num_batched_tokens: StepTokens = None,
    kv_tokens: CacheTokens = None,
    max_num_queued_reqs: Queued = None,
    dev_mode: DevMode = False,
    enable_server_load_tracking: LoadTracking = False,
    faults: Faults = False,
    shutdown_timeout: Shutdown = 0.0,
    gpu_metrics_port: GpuPort = None,
) -> None:
    """Runs emulated engines with vLLM's HTTP and metrics."""
    from foresail.emulate.performance import read_row
    from foresail.emulate.process import Plan, consecutive_ports, run_until_stopped
    from foresail.emulate.settings import EngineSettings

    if rows:
        _print_rows()
        return
    chosen = read_row(row)
    settings = EngineSettings(
        row=chosen,
        model_name=model_name or chosen.model,
        max_model_tokens=max_model_len,
        max_sequence_count=max_num_seqs,
        max_step_tokens=max_num_batched_tokens,
        kv_capacity_tokens=kv_tokens,
        max_queued_requests=max_num_queued_reqs,
        speed=speed,
        start_seconds=start_seconds,
        has_dev_mode=dev_mode,
        tracks_server_load=enable_server_load_tracking,
        takes_faults=faults,
        shutdown_timeout_seconds=shutdown_timeout,
    )
    ports = consecutive_ports(port, count=count)
    plan = Plan(settings=settings, host=host, ports=ports, gpu_port=gpu_metrics_port)
    raise typer.Exit(run_until_stopped(plan, say=lambda line: print(line, flush=True)))


def _print_rows() -> None:
    from foresail.emulate.performance import read_rows

    for each in read_rows().values():
        print(f"{each.name:32} {each.model} on {each.gpu_count} x {each.gpu}")
