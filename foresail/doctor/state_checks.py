"""Whether what Foresail writes can be written, and what it wrote is still whole."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from autoscaler.errors import LedgerError
from autoscaler.ledger import verify_ledger
from foresail.doctor.finding import Finding, ok, problem, warning
from foresail.doctor.subject import Subject

MAX_STATE_DIR_BYTES = 90
"""A Unix socket's path has at most 107 bytes on Linux; the rest is for the socket's own name."""
MIN_FREE_BYTES = 256 * 2**20
"""Ledger, checkpoint and logs of some weeks."""


def check_state_dir(subject: Subject) -> Iterator[Finding]:
    """The folder exists or can be made, can be written, and is short enough for a socket."""
    folder = subject.settings.state_dir
    length = len(os.fsencode(folder))
    if length > MAX_STATE_DIR_BYTES:
        yield problem(
            "state_dir",
            f"the path of {folder} has {length} bytes, at most {MAX_STATE_DIR_BYTES} fit for a socket in it",
            next_step="set a shorter state_dir in the settings",
        )
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield problem(
            "state_dir",
            f"{existing} is not a folder that this user may write to",
            next_step="correct its owner or mode, or set another state_dir in the settings",
        )
        return
    yield _space_finding(folder, existing=existing)


def _space_finding(folder: Path, *, existing: Path) -> Finding:
    space = os.statvfs(existing)
    free = space.f_bavail * space.f_frsize
    if free < MIN_FREE_BYTES:
        return warning(
            "state_dir",
            f"{folder} has {free // 2**20} MiB of disk left, {MIN_FREE_BYTES // 2**20} MiB are advised",
            next_step="free some space: without it no decision can be recorded, so none is carried out",
        )
    return ok("state_dir", f"{folder} can be written")


def check_ledger(subject: Subject) -> Iterator[Finding]:
    """The record is what was written."""
    path = subject.settings.ledger_path
    if not path.exists():
        yield ok("ledger", f"{path} does not exist yet")
        return
    try:
        report = verify_ledger(path)
    except LedgerError as error:
        yield problem("ledger", str(error), next_step="look at it with: foresail ledger verify")
        return
    if report.is_intact:
        yield ok("ledger", f"{path} is intact; records: {report.record_count}")
    for finding in report.findings:
        yield problem(
            "ledger",
            f"{path}: {finding}",
            next_step="keep a copy of it, then find out who or what changed it",
        )


def check_secret_files(subject: Subject) -> Iterator[Finding]:
    """Files of keys exist, and nobody else may read the private one."""
    if not subject.settings.has_gateway:
        return
    gateway = subject.settings.gateway
    for key, path in (
        ("keys_file", gateway.keys_file),
        ("tls_certificate", gateway.tls_certificate),
        ("tls_key", gateway.tls_key),
    ):
        if path is None:
            continue
        if not path.is_file():
            yield problem(
                "keys",
                f"gateway.{key}: {path} is not a file",
                next_step="put it there, or correct the settings",
            )
        elif key == "tls_key" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield warning(
                "keys",
                f"gateway.tls_key: others may read {path}",
                next_step=f"chmod 600 {path}",
            )
