"""llama.cpp's own server with a model that sleeps after a second without a request.

python -m support.sleepy_llama PORT MODEL.gguf
"""

import os
import signal
import sys

import xllamacpp

_IDLE_SECONDS = 1


def main() -> None:
    """Serves until it is killed."""
    port, model = sys.argv[1:]
    parameters = xllamacpp.CommonParams()
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = int(port)
    parameters.model.path = model
    parameters.model_alias = {"tiny"}
    parameters.n_parallel = 2
    parameters.n_ctx = 2048
    parameters.cpuparams.n_threads = 1
    parameters.endpoint_metrics = True
    parameters.ui = False
    parameters.verbosity = 0
    parameters.sleep_idle_seconds = _IDLE_SECONDS
    _server = xllamacpp.Server(parameters)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)  # ending it in order waits for idle connections


if __name__ == "__main__":
    main()
