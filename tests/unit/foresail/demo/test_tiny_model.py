import sys
from pathlib import Path

import pytest

from foresail.demo.errors import MissingPart
from foresail.demo.tiny_model import (
    SHAPES,
    VOCABULARY_SIZE,
    ModelShape,
    parameter_count,
    write_tiny_model,
)

TINY = ModelShape(
    embedding_width=16, layer_count=2, head_count=2, feed_forward_width=24, context_tokens=256
)
needs_gguf = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("gguf") is None, reason="the extra demo is absent"
)


@needs_gguf
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 7), ("second", 7), ("other", 8)):
        write_tiny_model(tmp_path / name, shape=TINY, seed=seed)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert (tmp_path / "first").read_bytes() != (tmp_path / "other").read_bytes()


@needs_gguf
def test_the_file_holds_the_shape_and_one_token_per_byte(tmp_path: Path) -> None:
    import gguf

    write_tiny_model(tmp_path / "tiny.gguf", shape=TINY, seed=1)
    reader = gguf.GGUFReader(tmp_path / "tiny.gguf")
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    assert reader.fields["llama.block_count"].contents() == 2
    assert reader.fields["llama.context_length"].contents() == 256
    assert len(tokens) == len(set(tokens)) == VOCABULARY_SIZE == 260
    assert tokens[ord("a")] == "a"
    assert tokens[ord(" ")] == "Ġ"
    assert sum(int(tensor.n_elements) for tensor in reader.tensors) == parameter_count(TINY)


@needs_gguf
def test_only_letters_and_spaces_can_be_said(tmp_path: Path) -> None:
    import gguf

    write_tiny_model(tmp_path / "tiny.gguf", shape=TINY, seed=1)
    tensors = {
        tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / "tiny.gguf").tensors
    }
    # Dimension 0 is the same for every token, no layer changes it, and it silences all but 27.
    assert set(tensors["token_embd.weight"][:, 0]) == {4.0}
    for layer in range(2):
        assert not tensors[f"blk.{layer}.attn_output.weight"][0].any()
        assert not tensors[f"blk.{layer}.ffn_down.weight"][0].any()
    weights = tensors["output.weight"][:, 0]
    sayable = {chr(token) for token in range(260) if weights[token] == 0}
    assert sayable == set("abcdefghijklmnopqrstuvwxyz ")
    assert set(weights) == {0.0, -200.0}


@needs_gguf
def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    (target / "file").touch()
    with pytest.raises(OSError, match="taken"):
        write_tiny_model(target, shape=TINY, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@needs_gguf
def test_a_file_in_use_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"old")
    with path.open("rb") as in_use:
        write_tiny_model(path, shape=TINY, seed=1)
        assert in_use.read() == b"old"
    assert path.read_bytes()[:4] == b"GGUF"


@pytest.mark.parametrize("module", ["gguf", "numpy"])
def test_a_missing_package_is_named_with_what_to_install(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPart, match=rf"'{module}'.*pip install 'foresail\[demo\]'"):
        write_tiny_model(tmp_path / "tiny.gguf", shape=TINY, seed=1)


def test_a_larger_shape_costs_more_and_no_file_is_over_64_megabytes() -> None:
    weights = [parameter_count(SHAPES[name]) for name in ("small", "medium", "large")]
    assert weights == sorted(set(weights))
    assert 4 * weights[-1] < 64_000_000


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"layer_count": 0}, "layer_count is 0", id="no-layers"),
        pytest.param({"embedding_width": 18}, "embedding_width is 18", id="odd-heads"),
    ],
)
def test_a_shape_no_engine_can_load_is_refused(changes: dict[str, int], named: str) -> None:
    values = {name: getattr(TINY, name) for name in TINY.__slots__}
    with pytest.raises(ValueError, match=named):
        ModelShape(**{**values, **changes})
