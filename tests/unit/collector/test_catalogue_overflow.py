"""A service's overflow in catalogue.yaml: what it means, and what its owner is told when it is wrong."""

from pathlib import Path

import pytest

from collector.catalogue_file import parse_catalogue
from collector.errors import CatalogueError
from collector.model.catalogue import ActionKind, AuthorityLevel, Catalogue, Mode, Overflow
from support.files import CATALOGUE

PART = """\
    overflow:
      url: https://api.example.com/openai/v1
      model: vendor/large
      api_key_file: keys/api
      price_per_million_prompt_tokens: 0.5
      price_per_million_output_tokens: 1.5
      max_requests_in_flight: 40
      max_cost_per_hour: 12
"""
PLACE = "    tier: gold\n"


def parsed(part: str = PART, *, authority: str = "") -> Catalogue:
    text = CATALOGUE.replace(PLACE, PLACE + part, 1)
    text = text.replace("scale: auto", f"scale: auto{authority}", 1)
    return parse_catalogue(text.encode(), path=Path("/etc/desk/catalogue.yaml"))


def test_everything_said_arrives() -> None:
    assert parsed().services[0].overflow == Overflow(
        base_url="https://api.example.com/openai",
        model="vendor/large",
        api_key_file="/etc/desk/keys/api",
        price_per_million_prompt_tokens=0.5,
        price_per_million_output_tokens=1.5,
        max_requests_in_flight=40,
        max_cost_per_hour=12.0,
    )
    assert parsed("").services[0].overflow is None


def test_a_price_is_per_million_tokens() -> None:
    overflow = parsed().services[0].overflow
    assert overflow is not None
    assert overflow.cost(prompt_tokens=1e6, output_tokens=2e6) == 3.5


def test_it_is_advised_unless_the_owner_says_auto() -> None:
    by_default = parsed().authority
    assert by_default.level(ActionKind.OVERFLOW) is AuthorityLevel.ADVISE
    assert not by_default.may_act(ActionKind.OVERFLOW)


def test_the_owners_word_is_taken() -> None:
    authority = parsed(authority=", overflow: auto").authority
    assert authority.mode is Mode.ACTIVE
    assert authority.may_act(ActionKind.OVERFLOW)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param(
            "https://api.example.com/openai/v1", "http://api.example.com",
            "overflow.url would send the key unencrypted to another machine; use https",
            id="key-in-the-clear",
        ),
        pytest.param(
            "https://api.example.com/openai/v1", "ftp://api.example.com",
            "must be a url such as http://127.0.0.1:8000", id="no-http",
        ),
        pytest.param(
            "https://api", "https://me:secret@api", "must not hold a user or password", id="user"
        ),
        pytest.param(
            "openai/v1", "openai/v1?key=1", "must end after host and port", id="query"
        ),
        pytest.param(
            "max_cost_per_hour: 12", "max_cost_per_hour: 0", "max_cost_per_hour", id="no-limit"
        ),
        pytest.param("      max_cost_per_hour: 12\n", "", "max_cost_per_hour", id="limit-missing"),
        pytest.param(
            "prompt_tokens: 0.5\n      price_per_million_output_tokens: 1.5",
            "prompt_tokens: 0\n      price_per_million_output_tokens: 0",
            "has two prices of 0, so max_cost_per_hour would never hold; give a price",
            id="for-nothing",
        ),
        pytest.param("api_key_file: keys/api", "api_key: sk-1", "api_key_file", id="the-key-itself"),
        pytest.param("keys/api", "~/key", "~ is not filled in", id="tilde"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(old: str, new: str, told: str) -> None:
    assert old in PART
    with pytest.raises(CatalogueError) as caught:
        parsed(PART.replace(old, new, 1))
    assert told in str(caught.value)
    assert "sk-1" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_key_may_go_in_the_clear_to_this_machine() -> None:
    here = PART.replace("https://api.example.com/openai/v1", "http://127.0.0.1:9000")
    overflow = parsed(here).services[0].overflow
    assert overflow is not None
    assert overflow.base_url == "http://127.0.0.1:9000"
