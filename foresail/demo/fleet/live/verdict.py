"""Whether a live fleet ended as it should. Pure.

In: the summary and what is known beside it. Out: one line for each thing that is wrong.
"""

from collections.abc import Iterator, Mapping

from foresail.demo.fleet.bodies import FleetSummary

_TOLD_FAILURES = 3


def problems(
    summary: FleetSummary,
    *,
    failures: Mapping[str, int],
    left_engines: int,
    is_ledger_intact: bool,
) -> list[str]:
    """Empty after a run in which requests were served, none was lost and every engine ended.

    `failures`: {service and what its client saw: requests}. A missed objective is no problem of the run.
    """
    return list(
        _problems(
            summary,
            failures=failures,
            left_engines=left_engines,
            is_ledger_intact=is_ledger_intact,
        )
    )


def _problems(
    summary: FleetSummary,
    *,
    failures: Mapping[str, int],
    left_engines: int,
    is_ledger_intact: bool,
) -> Iterator[str]:
    services = [service for side in summary.sides for service in side.services]
    if not any(each.served_requests for each in services):
        yield "no request was served; run it again with --keep and look at the logs in its work folder"
    lost = sum(each.failed_requests + each.unfinished_requests for each in services)
    if lost:
        worst = sorted(failures.items(), key=lambda item: -item[1])[:_TOLD_FAILURES]
        told = "; ".join(f"{count} x {why}" for why, count in worst)
        yield f"{lost} requests were lost ({told}); run it with --keep and look at the logs"
    if left_engines:
        yield f"{left_engines} engines had not been ended by the controller and were ended after it"
    if not is_ledger_intact:
        yield "the ledger is not intact; run it with --keep and `foresail ledger verify` in its folder"
