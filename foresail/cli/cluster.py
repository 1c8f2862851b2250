"""`foresail cluster`: what is seen of a Kubernetes cluster, and what is not and why. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.cli.failure import FOUND_SOMETHING
from foresail.cli.output import print_json, print_table
from foresail.cli.session import JsonOption, session_of

if TYPE_CHECKING:
    from collector.model.cluster import ClusterView

KUBECONFIG_VARIABLE = "KUBECONFIG"
IN_CLUSTER_VARIABLE = "KUBERNETES_SERVICE_HOST"


def cluster(
    context: typer.Context,
    *,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Credentials. Default: $KUBECONFIG, else the account of the pod, else ~/.kube/config.",
            show_default=False,
        ),
    ] = None,
    kubernetes_context: Annotated[
        str | None,
        typer.Option(
            "--context", metavar="NAME", help="A context of that file. Default: its current one."
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="Only this one. Default: all."),
    ] = None,
    timeout_seconds: Annotated[
        float, typer.Option(min=0.1, help="How long to wait for the cluster.")
    ] = 20.0,
    as_json: JsonOption = False,
) -> None:
    """Shows what can be seen of a Kubernetes cluster.

    Exit code 1: something could not be read.
    """
    from foresail.wiring.cluster import cluster_reader

    path = kubeconfig or _default_kubeconfig(session_of(context).environ)
    reader = cluster_reader(
        kubeconfig_path=path, context=kubernetes_context, namespace=namespace or None
    )
    try:
        reader.start()
        reader.wait_for_first_look(timeout_seconds=timeout_seconds)
        view = reader.read_cluster()
    finally:
        reader.close()
    if as_json:
        print_json(view)
    else:
        _print(view)
    if view.problems or _has_unread(view):
        raise typer.Exit(FOUND_SOMETHING)


def _default_kubeconfig(environ: Mapping[str, str]) -> Path | None:
    """The file to use; None: the account of the pod that we run in."""
    given = environ.get(KUBECONFIG_VARIABLE, "").split(":")[0]
    if given:
        return Path(given)
    if IN_CLUSTER_VARIABLE in environ:
        return None
    return Path(environ.get("HOME", "")) / ".kube/config"


def _has_unread(view: ClusterView) -> bool:
    from foresail.cluster_view import kind_rows

    return any(seen in {"not read yet", "unreachable"} for _, seen, _ in kind_rows(view))


def _print(view: ClusterView) -> None:
    from collector.contract.conditions import load_condition_facts
    from foresail import cluster_view

    print_table(cluster_view.KIND_COLUMNS, cluster_view.kind_rows(view))
    for columns, rows in (
        (cluster_view.NODE_COLUMNS, cluster_view.node_rows(view)),
        (cluster_view.POD_COLUMNS, cluster_view.pod_rows(view)),
        (cluster_view.TARGET_COLUMNS, cluster_view.target_rows(view)),
    ):
        if rows:
            print()
            print_table(columns, rows)
    for each in cluster_view.service_lines(view, facts=load_condition_facts()):
        print(each)
    for line in cluster_view.problem_lines(view):
        print(line)
