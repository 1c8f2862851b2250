"""A random-weight language model that a real engine loads and that costs what the demo needs.

In: a `ModelShape` and a seed. Out: one GGUF file (architecture llama, F32, byte-level vocabulary).
Sits before `llama_server`, which serves the file. The words the model says mean nothing; what is
real is the engine, its queue, its batching and the time each token takes.

Three properties make it a useful load:

* one ASCII byte is one token, so a prompt of N tokens is a string of N letters;
* it never ends by itself: `max_tokens` alone decides the length of an answer;
* it says only lower-case letters and spaces, so no chunk of a stream waits for the rest of a UTF-8
  character, and no parser of tool calls or of reasoning finds anything.

The last two come from one *constant channel*: dimension 0 of the residual stream is set by every
token's embedding, is written by no layer, and the output row of every forbidden token has a large
negative weight on it. Must not import numpy or gguf before a file is asked for.
"""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from foresail.demo.errors import MissingPart

if TYPE_CHECKING:
    import gguf
    import numpy as np
    from numpy.typing import NDArray

    Tensors: TypeAlias = Iterator[tuple[str, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """How large the model is; the time per token follows from the number of weights."""

    embedding_width: int  # dimensions of the residual stream; a multiple of `head_count`
    layer_count: int
    head_count: int  # attention heads, each with its own keys and values
    feed_forward_width: int
    context_tokens: int  # longest prompt + answer the file allows

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 1")
        if self.embedding_width % (2 * self.head_count):
            raise ValueError(
                f"embedding_width is {self.embedding_width}, must be a multiple of twice"
                f" head_count ({self.head_count}): rotary positions turn pairs of dimensions"
            )


# Few wide layers: attention over a long prompt then costs little beside the weights, so the time of
# a request stays close to prompt_tokens * p + output_tokens * o. The three differ only in the
# feed-forward part. One thread of an AMD EPYC (AVX-512, 2 virtual cores, xllamacpp 2026.10.11549,
# 2026-11) does 430, 370 and 290 output tokens/s and 2,600, 2,350 and 1,800 prompt tokens/s; two
# streams together are not faster than one. The demo measures again on every machine.
def _shape(*, feed_forward_width: int) -> ModelShape:
    return ModelShape(
        embedding_width=512,
        layer_count=2,
        head_count=2,
        feed_forward_width=feed_forward_width,
        context_tokens=8192,
    )


SHAPES: Final[MappingProxyType[str, ModelShape]] = MappingProxyType(
    {
        "small": _shape(feed_forward_width=2560),
        "medium": _shape(feed_forward_width=3328),
        "large": _shape(feed_forward_width=4352),
    }
)

_END_OF_TEXT: Final = "<|endoftext|>"
_SPECIAL_TOKENS: Final = (_END_OF_TEXT, "<|system|>", "<|user|>", "<|assistant|>")
_BYTE_COUNT: Final = 256
VOCABULARY_SIZE: Final = _BYTE_COUNT + len(_SPECIAL_TOKENS)
_SAYABLE_BYTES: Final = frozenset((string.ascii_lowercase + " ").encode())

# One special token before each message and one to open the answer.
_CHAT_TEMPLATE: Final = (
    "{%- for message in messages -%}"
    "{{- '<|' + message.role + '|>' + message.content -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
TEMPLATE_TOKENS: Final = 2  # what the template adds to a chat of one user message

_CONSTANT_CHANNEL: Final = 0
_CONSTANT_VALUE: Final = 4.0  # other channels of the embedding have variance 1
_FORBIDDEN_WEIGHT: Final = -200.0  # the final norm leaves > 0.1 of the constant: a logit below -20
_LOGIT_DEVIATION: Final = 2.0  # so that a sampled answer varies and a greedy one is no constant


def write_tiny_model(path: Path, *, shape: ModelShape, seed: int) -> None:
    """A GGUF file at `path`; the same shape and seed give the same bytes.

    The file appears whole or not at all: it is written beside `path` and renamed over it.

    Raises: MissingPart without numpy or gguf; OSError where the folder cannot be written.
    """
    try:
        import gguf
        import numpy as np
    except ImportError as missing:
        raise MissingPart(missing.name or "gguf") from missing
    with _replaced_when_complete(path) as unfinished:
        writer = gguf.GGUFWriter(unfinished, "llama")
        _add_shape(writer, shape=shape)
        _add_vocabulary(writer)
        for name, values in _tensors(shape, random=np.random.default_rng(seed)):
            writer.add_tensor(name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def parameter_count(shape: ModelShape) -> int:
    """Weights in the file, the embedding and the output matrix included; 4 bytes each."""
    width = shape.embedding_width
    per_layer = 4 * width * width + 3 * width * shape.feed_forward_width + 2 * width
    return shape.layer_count * per_layer + 2 * VOCABULARY_SIZE * width + width


@contextmanager
def _replaced_when_complete(path: Path) -> Iterator[Path]:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _add_shape(writer: gguf.GGUFWriter, *, shape: ModelShape) -> None:
    import gguf

    writer.add_name("foresail-demo")
    writer.add_context_length(shape.context_tokens)
    writer.add_embedding_length(shape.embedding_width)
    writer.add_block_count(shape.layer_count)
    writer.add_feed_forward_length(shape.feed_forward_width)
    writer.add_head_count(shape.head_count)
    writer.add_head_count_kv(shape.head_count)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.embedding_width // shape.head_count)
    writer.add_vocab_size(VOCABULARY_SIZE)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    import gguf

    letters = _byte_letters()
    kinds = [gguf.TokenType.NORMAL] * _BYTE_COUNT
    kinds += [gguf.TokenType.CONTROL] * len(_SPECIAL_TOKENS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*letters, *_SPECIAL_TOKENS])
    writer.add_token_types(kinds)
    # The engine wants a list of merges and gguf cannot write an empty one. This one joins two NUL
    # bytes into a word that is not in the vocabulary, so it is taken apart into bytes again.
    writer.add_token_merges([f"{letters[0]} {letters[0]}"])
    writer.add_bos_token_id(_BYTE_COUNT)
    writer.add_eos_token_id(_BYTE_COUNT)
    writer.add_pad_token_id(_BYTE_COUNT)
    writer.add_add_bos_token(False)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _byte_letters() -> tuple[str, ...]:
    """The visible letter that stands for each byte in a byte-level vocabulary, by byte.

    Bytes that print in Latin-1 stand for themselves, the others follow from U+0100 on.
    Source: Radford et al., GPT-2, `encoder.py`, `bytes_to_unicode`.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(_BYTE_COUNT) if byte not in visible]
    stand_in = {byte: chr(0x100 + place) for place, byte in enumerate(hidden)}
    return tuple(stand_in.get(byte, chr(byte)) for byte in range(_BYTE_COUNT))


def _tensors(shape: ModelShape, *, random: np.random.Generator) -> Tensors:
    """Every tensor of the file by its GGUF name, rows = outputs."""
    import numpy as np

    width, hidden = shape.embedding_width, shape.feed_forward_width
    yield "token_embd.weight", _embedding(width, random=random)
    yield "output_norm.weight", np.ones(width, dtype=np.float32)
    yield "output.weight", _output(width, random=random)
    for layer in range(shape.layer_count):
        prefix = f"blk.{layer}."
        yield prefix + "attn_norm.weight", np.ones(width, dtype=np.float32)
        for part in ("attn_q", "attn_k", "attn_v"):
            yield f"{prefix}{part}.weight", _matrix(width, width, random=random)
        yield prefix + "attn_output.weight", _onto_stream(width, width, random=random)
        yield prefix + "ffn_norm.weight", np.ones(width, dtype=np.float32)
        yield prefix + "ffn_gate.weight", _matrix(hidden, width, random=random)
        yield prefix + "ffn_up.weight", _matrix(hidden, width, random=random)
        yield prefix + "ffn_down.weight", _onto_stream(width, hidden, random=random)


def _matrix(
    rows: int, columns: int, *, random: np.random.Generator, deviation: float = 1.0
) -> NDArray[np.float32]:
    """Random weights that turn inputs of variance 1 into outputs of that deviation."""
    import numpy as np

    values = random.standard_normal((rows, columns), dtype=np.float32)
    return values * np.float32(deviation / columns**0.5)


def _onto_stream(rows: int, columns: int, *, random: np.random.Generator) -> NDArray[np.float32]:
    """Weights that write to the residual stream, but not to its constant channel."""
    values = _matrix(rows, columns, random=random)
    values[_CONSTANT_CHANNEL] = 0.0
    return values


def _embedding(width: int, *, random: np.random.Generator) -> NDArray[np.float32]:
    values = _matrix(VOCABULARY_SIZE, width, random=random, deviation=width**0.5)
    values[:, _CONSTANT_CHANNEL] = _CONSTANT_VALUE
    return values


def _output(width: int, *, random: np.random.Generator) -> NDArray[np.float32]:
    values = _matrix(VOCABULARY_SIZE, width, random=random, deviation=_LOGIT_DEVIATION)
    forbidden = [token for token in range(VOCABULARY_SIZE) if token not in _SAYABLE_BYTES]
    values[:, _CONSTANT_CHANNEL] = 0.0
    values[forbidden, _CONSTANT_CHANNEL] = _FORBIDDEN_WEIGHT
    return values
