"""An engine of stdlib only for tests of the process actuator: health, one token, and misbehaviour.

    small_engine.py PORT [--loading-seconds S] [--never-healthy] [--exit-at-start CODE]
                    [--ignore-term] [--with-child] [--embeddings-only] [--starts-file PATH]

POST /die ends it with status 3. `--with-child` starts a child that ignores SIGTERM.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import TextIO

CHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--loading-seconds", type=float, default=0.0)
    parser.add_argument("--never-healthy", action="store_true")
    parser.add_argument("--exit-at-start", type=int, default=None)
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--with-child", action="store_true")
    parser.add_argument("--embeddings-only", action="store_true")
    parser.add_argument("--starts-file")
    return parser.parse_args()


def say(line: str, *, file: TextIO = sys.stdout) -> None:
    file.write(line + "\n")
    file.flush()


class Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    options: argparse.Namespace
    healthy_at: float


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self.answer(200, {"data": [{"id": "small"}]})
        elif self.path == "/health":
            self.answer(200 if self.is_healthy() else 503, {})
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        if self.path == "/die":
            say("out of luck")
            os._exit(3)
        if self.path == "/v1/embeddings" and self.server.options.embeddings_only:
            self.answer(200, {"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 1}})
        elif self.path == "/v1/completions" and not self.server.options.embeddings_only:
            self.answer(200, completion(body))
        else:
            self.answer(404, {"error": {"message": "no such route"}})

    def is_healthy(self) -> bool:
        return not self.server.options.never_healthy and time.monotonic() >= self.server.healthy_at

    def answer(self, status: int, content: object) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *values: object) -> None:
        """Says nothing: the last line of the log is what tests look at."""


def completion(body: dict[str, object]) -> dict[str, object]:
    """One word per token; a prompt token takes 10 us, an output token 200 us."""
    prompt, output = len(str(body["prompt"]).split()), int(str(body.get("max_tokens", 16)))
    time.sleep(prompt * 1e-5 + output * 2e-4)
    usage = {"prompt_tokens": prompt, "completion_tokens": output}
    return {"choices": [{"text": "a " * output}], "usage": usage}


def main() -> None:
    options = parsed_arguments()
    if options.starts_file:
        with open(options.starts_file, "a") as file:
            file.write(os.environ["FORESAIL_REPLICA_ID"] + "\n")
    say("starting")
    if options.exit_at_start is not None:
        say("cannot load the model: it is missing", file=sys.stderr)
        sys.exit(options.exit_at_start)
    if options.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.with_child:
        subprocess.Popen([sys.executable, "-S", "-E", "-c", CHILD])
    server = Server(("127.0.0.1", options.port), Handler)
    server.options = options
    server.healthy_at = time.monotonic() + options.loading_seconds
    say("listening")
    server.serve_forever()


if __name__ == "__main__":
    main()
