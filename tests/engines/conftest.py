"""One real server of each kind for the whole stage: a start of vLLM takes half a minute."""

from collections.abc import Iterator

import pytest

from support.real_ollama import OLLAMA, Ollama, running_ollama
from support.real_programs import held_open, not_installed
from support.real_vllm import VLLM, Engine, running_vllm


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if VLLM is None:
        pytest.skip(not_installed("vllm"))
    with held_open(running_vllm(tmp_path_factory.mktemp("vllm"))) as engine:
        yield engine


@pytest.fixture(scope="session")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ollama]:
    if OLLAMA is None:
        pytest.skip(not_installed("ollama"))
    with held_open(running_ollama(tmp_path_factory.mktemp("ollama"))) as server:
        yield server
