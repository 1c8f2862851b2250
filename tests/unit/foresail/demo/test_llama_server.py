import socket
from pathlib import Path

import pytest

from foresail.demo.errors import EngineRejected
from foresail.demo.llama_server import EngineOptions, check_startable, main


def options(model: Path, *, port: int) -> EngineOptions:
    return EngineOptions(
        port=port,
        model=model,
        alias="tiny",
        slots=2,
        context_tokens=2048,
        serves_embeddings=False,
        logs=False,
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF....")
    return path


def test_a_port_that_was_just_left_is_free(model: Path) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            accepted.close()  # the side that closes first keeps the address in TIME_WAIT
            client.recv(1)
    check_startable(options(model, port=port))


def test_a_port_in_use_is_refused(model: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(EngineRejected, match="choose another --port"):
            check_startable(options(model, port=listener.getsockname()[1]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "No such file", id="missing"),
        pytest.param(b"", "not a GGUF file", id="empty"),
        pytest.param(b"GGML....", "not a GGUF file", id="older-format"),
    ],
)
def test_a_file_that_is_no_model_is_refused(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineRejected, match=said):
        check_startable(options(path, port=1))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--model", "m", "--alias", "a"], "--port", id="no-port"),
        pytest.param(["--port", "0", "--model", "m", "--alias", "a"], "from 1 to 65535", id="zero"),
        pytest.param(["--port", "x", "--model", "m", "--alias", "a"], "'x' is not", id="word"),
        pytest.param(
            ["--port", "9", "--model", "m", "--alias", "a", "--slots", "0"], "--slots", id="slots"
        ),
    ],
)
def test_wrong_use_is_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert said in capsys.readouterr().err
