"""Which decisions get a row in the ledger: changes, not repetitions."""

import pytest

from autoscaler.model.action import Action, Hold, Reason
from autoscaler.model.decision import Decision, Verdict
from collector.model.ids import ServiceName
from foresail.news import LastRecorded
from support.fake_controller import CHAT, CODE, make_decision, scale


def decision(
    reason: Reason = Reason.STEADY,
    *,
    action: Action = Hold(),  # noqa: B008  frozen
    verdict: Verdict = Verdict.NOTHING_TO_DO,
    service: ServiceName = CHAT,
    age_seconds: float = 2.0,
) -> Decision:
    return make_decision(
        service, action=action, reason=reason, verdict=verdict, age_seconds=age_seconds
    )


BACKLOG_IN_DRY_RUN = decision(
    Reason.BACKLOG, action=scale(before=1, after=2), verdict=Verdict.DRY_RUN
)


@pytest.mark.parametrize(
    ("before", "after", "is_news"),
    [
        pytest.param(decision(), decision(age_seconds=1), False, id="same-hold"),
        pytest.param(
            decision(), decision(Reason.SCALE_IN_HOLD), True, id="hold-for-another-reason"
        ),
        pytest.param(decision(), decision(service=CODE), True, id="another-service"),
        pytest.param(BACKLOG_IN_DRY_RUN, BACKLOG_IN_DRY_RUN, False, id="same-dry-run"),
        pytest.param(
            BACKLOG_IN_DRY_RUN,
            decision(Reason.BACKLOG, action=scale(before=1, after=3), verdict=Verdict.DRY_RUN),
            True,
            id="dry-run-of-another-size",
        ),
        pytest.param(
            BACKLOG_IN_DRY_RUN,
            decision(Reason.BACKLOG, action=scale(before=1, after=2), verdict=Verdict.DENIED),
            True,
            id="another-verdict",
        ),
        pytest.param(
            decision(Reason.BACKLOG, action=scale(before=1, after=2), verdict=Verdict.ACT),
            decision(Reason.BACKLOG, action=scale(before=1, after=2), verdict=Verdict.ACT),
            True,
            id="what-is-carried-out-is-always-news",
        ),
    ],
)
def test_what_differs_from_the_last_recorded_is_news(
    *, before: Decision, after: Decision, is_news: bool
) -> None:
    recorded = LastRecorded()
    recorded.remember(before)
    assert recorded.is_news(after) is is_news


def test_the_first_word_on_a_service_is_news() -> None:
    assert LastRecorded().is_news(decision())


def test_a_decision_that_could_not_be_recorded_stays_news() -> None:
    recorded = LastRecorded()
    assert recorded.is_news(decision())
    assert recorded.is_news(decision(age_seconds=1))


def test_a_scale_in_of_other_replicas_is_the_same_advice() -> None:
    recorded = LastRecorded()
    advice = decision(
        Reason.SURPLUS_CAPACITY, action=scale(before=2, after=1), verdict=Verdict.ADVISE
    )
    recorded.remember(advice)
    other = scale(before=3, after=1)
    assert not recorded.is_news(
        decision(Reason.SURPLUS_CAPACITY, action=other, verdict=Verdict.ADVISE)
    )
