"""Writes a language model of random weights that vLLM loads without a network, for tests.

    tiny_vllm_model.py FOLDER

Runs in the environment of vLLM (torch, transformers, tokenizers). One byte of a prompt is one token, so
a prompt of N letters has N tokens; the answers are noise. The weights are the same at every run.
"""

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

CONTEXT_TOKENS = 2048
SPECIAL = ("<pad>", "<start>", "<end>")
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


def write_tokenizer(folder: Path) -> int:
    """The number of tokens: one per byte and the special ones."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    numbers = {token: number for number, token in enumerate((*SPECIAL, *letters))}
    bytes_only = Tokenizer(models.BPE(vocab=numbers, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    pad, start, end = SPECIAL
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only,
        pad_token=pad,
        bos_token=start,
        eos_token=end,
        model_max_length=CONTEXT_TOKENS,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return len(numbers)


def write_weights(folder: Path, *, token_count: int) -> None:
    """Two layers; heads of 32 dimensions, the narrowest that vLLM's attention on a processor takes."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=token_count,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)


def main() -> None:
    """Writes both parts."""
    if len(sys.argv) != 2:
        sys.exit("usage: tiny_vllm_model.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder, token_count=write_tokenizer(folder))


if __name__ == "__main__":
    main()
