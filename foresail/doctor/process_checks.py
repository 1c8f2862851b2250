"""Whether our two processes run, or could."""

from collections.abc import Iterator

from foresail.doctor.finding import Finding, ok, problem, warning
from foresail.doctor.machine import says_json
from foresail.doctor.subject import Subject


def check_gateway(subject: Subject) -> Iterator[Finding]:
    """The endpoint answers, or its port is free."""
    if not subject.settings.has_gateway:
        yield ok("gateway", "left out (gateway.enabled: false); engines tell the demand")
        return
    settings = subject.settings.gateway
    where = f"{settings.host}:{settings.port}"
    if settings.allow_insecure_listen:
        yield warning(
            "gateway",
            f"{where} may be open to others without keys and TLS (allow_insecure_listen)",
            next_step="set keys_file, tls_certificate and tls_key in the settings",
        )
    reason = subject.machine.may_bind(host=settings.host, port=settings.port)
    if reason is None:
        yield ok("gateway", f"does not run; {where} is free for it")
    elif settings.tls_certificate is not None:
        yield ok("gateway", f"{where} is taken, by a TLS server that is not asked who it is")
    else:
        yield _taken(subject, name="gateway", host=settings.host, port=settings.port, reason=reason)


def check_controller(subject: Subject) -> Iterator[Finding]:
    """The controller answers, or its port is free."""
    settings = subject.settings.controller
    reason = subject.machine.may_bind(host=settings.host, port=settings.port)
    if reason is None:
        yield ok("controller", f"does not run; {settings.host}:{settings.port} is free for it")
    else:
        yield _taken(
            subject, name="controller", host=settings.host, port=settings.port, reason=reason
        )


def _taken(subject: Subject, *, name: str, host: str, port: int, reason: str) -> Finding:
    path, key = {"gateway": ("/v1/models", "data"), "controller": ("/v1/state", "services")}[name]
    answer = subject.machine.answer(host=host, port=port, path=path)
    asks_for_key = answer is not None and name == "gateway" and answer.status == 401
    if answer is not None and (asks_for_key or says_json(answer, key)):
        return ok(name, f"runs and answers on {host}:{port}")
    return problem(
        name,
        f"cannot listen on {host}:{port}: {reason}, and what is there does not answer as the {name}",
        next_step=f"end that program, or set {name}.port in the settings",
    )
