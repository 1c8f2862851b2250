"""Reads metric names out of released packages and writes collector/contract/packages/*.json.

Run in a checkout: `.venv/bin/python deploy/contract/read_packages.py [ENGINE...]`. In: packages.yaml
beside this file, and what pip and the go command download. Nothing of a package is imported or
built: pip runs in an environment without setuptools, so that unpacking a source archive cannot run its
setup.py. Archives are deleted when they have been read.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from go_metrics import metrics_of_go
from source_metrics import SourceMetric, metrics_of_calls, metrics_of_constants

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "collector" / "contract" / "packages"
_ACTUAL_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A package as it lies on the disk."""

    sha256: str
    sources: dict[str, str]  # {path in the package: text}


def main(engines: list[str]) -> int:
    """Reads the packages of these engines, of all where none is named. Exit code 1 if one failed."""
    failed = 0
    OUT.mkdir(parents=True, exist_ok=True)
    for entry in yaml.safe_load((HERE / "packages.yaml").read_text("utf-8")):
        if engines and entry["engine"] not in engines:
            continue
        for version in map(str, entry["versions"]):
            try:
                count = write_facts(entry, version=version)
                sys.stdout.write(f"{entry['engine']} {version}: {count} metrics\n")
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                failed += 1
                sys.stderr.write(f"{entry['engine']} {version}: {error}\n")
    return 1 if failed else 0


def write_facts(entry: dict[str, Any], *, version: str) -> int:  # Any: a YAML entry
    """Writes what one release declares; the number of metrics. Raises ValueError for an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        archive = downloaded(entry, version=version, folder=Path(folder))
    metrics = sorted(_metrics(entry, archive=archive), key=lambda each: str(each["name"]))
    if not metrics:
        raise ValueError(f"no metric in {', '.join(entry['folders'])}; has the package moved them?")
    facts = {
        "engine": entry["engine"],
        "package": entry["package"],
        "version": version,
        "archive": entry["archive"],
        "sha256": archive.sha256,
        "metrics": metrics,
    }
    lines = ",\n    ".join(json.dumps(each) for each in metrics)
    head = json.dumps(facts | {"metrics": []}, indent=1)[: -len("[]\n}")]
    text = f"{head}[\n    {lines}\n ]\n}}\n"
    json.loads(text)
    (OUT / f"{entry['engine']}-{version}.json").write_text(text, "utf-8")
    return len(metrics)


def _metrics(entry: dict[str, Any], *, archive: Archive) -> Iterator[dict[str, object]]:
    best: dict[str, dict[str, object]] = {}
    for path, text in sorted(archive.sources.items()):
        for metric in _declared(entry, text=text, archive=archive):
            found = asdict(metric) | {"file": path}
            known = best.get(metric.name)
            if known is None or (known["kind"] is None and metric.kind is not None):
                best[metric.name] = found
    # A counter is exposed with _total; the bare string found elsewhere is the same metric.
    yield from (each for name, each in best.items() if each["kind"] or f"{name}_total" not in best)


def _declared(entry: dict[str, Any], *, text: str, archive: Archive) -> Iterator[SourceMetric]:
    if entry["reader"] == "go":
        yield from metrics_of_go(text, package="\n".join(archive.sources.values()))
        return
    for class_name, prefix in entry["prefixes"].items():
        if entry["reader"] == "calls":
            yield from metrics_of_calls(text, prefix=prefix)
        else:
            yield from metrics_of_constants(text, class_name=class_name, prefix=prefix)


def downloaded(entry: dict[str, Any], *, version: str, folder: Path) -> Archive:
    """The sources of one release. Raises ValueError when nobody gives it."""
    if entry["archive"] == "go":
        wanted = tuple(entry["folders"])
        return _go_module(f"{entry['package']}@v{version}", wanted=wanted, folder=folder)
    requirement = f"{entry['package']}=={version}"
    get = _wheel if entry["archive"] == "wheel" else _source_archive
    return get(requirement, wanted=tuple(entry["folders"]), folder=folder)


def _wheel(requirement: str, *, wanted: tuple[str, ...], folder: Path) -> Archive:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run(
        [*command, "--only-binary", ":all:", "--dest", str(folder), requirement],
        check=True,
        timeout=300,
        stdout=subprocess.DEVNULL,
    )
    file = next(folder.glob("*.whl"))
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if _is_wanted(name, wanted)]
        sources = {name: archive.read(name).decode("utf-8", "replace") for name in names}
    return Archive(sha256=hashlib.sha256(file.read_bytes()).hexdigest(), sources=sources)


def _source_archive(requirement: str, *, wanted: tuple[str, ...], folder: Path) -> Archive:
    """Downloads and unpacks; pip cannot go on from there, since there is nothing to build with."""
    pip = _pip_without_setuptools(folder / "pip")
    listed = folder / "requirements.txt"
    listed.write_text(f"{requirement}\n", "utf-8")
    shared = [*pip, "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    refused = _run([*shared, "--require-hashes", "-r", str(listed)], folder=folder)
    told = _ACTUAL_HASH.search(refused)
    if told is None:
        raise ValueError(f"pip gives no source archive of {requirement}: {refused[-200:]!r}")
    _run([*shared, "--no-clean", f"{requirement}"], folder=folder)
    root = next(iter(folder.glob("pip-download-*/*_*")), None)
    if root is None:
        raise ValueError(f"pip unpacked nothing for {requirement}")
    files = {str(file.relative_to(root)): file for file in root.rglob("*.py")}
    sources = {
        name: file.read_text("utf-8", "replace")
        for name, file in files.items()
        if _is_wanted(name, wanted)
    }
    return Archive(sha256=told.group(1), sources=sources)


def _go_module(module: str, *, wanted: tuple[str, ...], folder: Path) -> Archive:
    """From the Go module proxy; downloading a module runs nothing of it."""
    told = _run(
        ["go", "mod", "download", "-json", module],
        folder=folder,
        variables={
            "GOMODCACHE": str(folder / "mod"),
            "GOFLAGS": "-modcacherw",
            "GOTOOLCHAIN": "local",
        },
    )
    answer = json.loads(told[told.find("{") :] or "{}")
    if "Zip" not in answer:
        raise ValueError(f"go gives no {module}: {answer.get('Error', told)[-200:]!r}")
    zipped = Path(answer["Zip"])
    with zipfile.ZipFile(zipped) as archive:
        names = {name: name.removeprefix(f"{module}/") for name in archive.namelist()}
        sources = {
            path: archive.read(name).decode("utf-8", "replace")
            for name, path in names.items()
            if _is_wanted(path, wanted)
        }
    return Archive(sha256=hashlib.sha256(zipped.read_bytes()).hexdigest(), sources=sources)


def _pip_without_setuptools(folder: Path) -> list[str]:
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "uninstall", "--yes", "--quiet", "setuptools"], check=False, timeout=60)
    return pip


def _run(command: list[str], *, folder: Path, variables: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        check=False,
        timeout=300,
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder)} | (variables or {}),
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def _is_wanted(name: str, wanted: tuple[str, ...]) -> bool:
    inside = any(name == each or name.startswith(f"{each}/") for each in wanted)
    return inside and name.endswith((".py", ".go")) and not name.endswith("_test.go")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
