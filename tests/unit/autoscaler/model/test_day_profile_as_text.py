"""A day profile in a checkpoint's document is text, and the same afterwards."""

import json
from struct import pack

import pytest
from pydantic import TypeAdapter, ValidationError

from autoscaler.model.state import PROFILE_PLACES, DayProfile, ScaleFit

FITS = TypeAdapter(ScaleFit)
PROFILE = DayProfile(
    work=pack("<f", 1 / 3) * PROFILE_PLACES, days=b"\0\xff" * (PROFILE_PLACES // 2), next_bin=7
)


def test_it_comes_back_as_it_went() -> None:
    fit = ScaleFit(day_profile=PROFILE, rows_total=41)
    text = json.dumps(FITS.dump_python(fit, mode="json"), allow_nan=False)
    assert FITS.validate_json(text) == fit
    assert len(text) < 10_000


def test_a_fit_from_before_days_were_remembered_has_none() -> None:
    assert FITS.validate_json('{"rows_total": 41}') == ScaleFit(rows_total=41)


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param({"work": "AAAA", "days": "AAAA"}, id="too-short"),
        pytest.param({"days": "AAAA"}, id="days-of-nothing"),
        pytest.param({"work": "%"}, id="no-base64"),
    ],
)
def test_what_is_no_profile_is_refused(profile: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        FITS.validate_json(json.dumps({"day_profile": profile}))
