"""Keys: hashed at rest, one tenant each, and nothing in an error message."""

from pathlib import Path

import pytest

from collector.errors import ConfigurationError
from collector.gateway.headers import host_name
from collector.gateway.keys import KeyRing, hash_key, read_keys

RING = KeyRing(tenants=((hash_key("one"), "acme"), (hash_key("two"), "zeta")))


def test_a_hash_is_the_sha256_in_hex() -> None:
    assert hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("authorization", "tenant"),
    [
        ("Bearer one", "acme"),
        ("bearer two", "zeta"),
        ("Bearer  two ", "zeta"),
        ("Bearer three", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic one", None),
        ("one", None),
        ("", None),
        (None, None),
        ("Bearer \udcff", None),
        ("Bearer " + hash_key("one"), None),
    ],
)
def test_a_key_names_its_tenant(authorization: str | None, tenant: str | None) -> None:
    assert RING.tenant(authorization) == tenant


def test_a_wrong_line_is_named_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"acme:{hash_key('one')}\nzeta:plain-text-key\n")
    with pytest.raises(ConfigurationError, match=r"keys:2: ") as caught:
        read_keys(path)
    assert "plain-text-key" not in str(caught.value)


def test_a_file_is_read_with_comments_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# who\n\n  acme:{hash_key('one')}  \n")
    assert read_keys(path).tenant("Bearer one") == "acme"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("LOCALHOST", "localhost"),
        ("localhost:80", "localhost"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("::1", ":"),
        ("a:b", "a:b"),
        (":80", ":80"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name
