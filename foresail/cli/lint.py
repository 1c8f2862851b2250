"""`foresail lint`: what is wrong in other people's dashboards, rules and scaler specs, and in ours."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.cli.failure import FOUND_SOMETHING
from foresail.cli.output import print_json
from foresail.cli.session import JsonOption

if TYPE_CHECKING:
    from foresail.lint import Report


def lint(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Files, or folders to look through.")
    ],
    engine: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VERSION",
            help="Version in use, e.g. vllm=0.33; repeatable. Default: the newest known.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Checks PromQL in dashboards, rules and scaler specs. Exit 1 on errors."""
    from foresail.lint import lint_paths, load_name_facts

    missing = [path for path in paths if not path.exists()]
    if missing:
        raise typer.BadParameter(f"{missing[0]}: there is no such file or folder")
    versions = _versions(engine or [])
    report = lint_paths(paths, facts=load_name_facts(), versions=versions)
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if report.error_count:
        raise typer.Exit(FOUND_SOMETHING)


def _versions(texts: list[str]) -> dict[str, tuple[int, ...]]:
    from collector.model.contract import ExporterKind
    from collector.model.replica import EngineKind
    from foresail.lint import version_in_use

    known = sorted({kind.value for kind in (*EngineKind, *ExporterKind)})
    versions: dict[str, tuple[int, ...]] = {}
    for text in texts:
        try:
            name, version = version_in_use(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        if name not in known:
            raise typer.BadParameter(f"--engine {name}: known are {', '.join(known)}")
        versions[name] = version
    return versions


def _print_report(report: "Report") -> None:
    for each in report.findings:
        print(f"{each.file}:{each.line}: {each.severity.value} {each.rule.value}: {each.message}")
    errors = report.error_count
    warnings = len(report.findings) - errors
    print(
        f"{errors} errors, {warnings} warnings in {report.expression_count} expressions of "
        f"{report.file_count} files; {report.ignored_count} ignored, {report.skipped_count} other "
        "files skipped"
    )
