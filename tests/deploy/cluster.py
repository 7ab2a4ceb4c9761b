"""As much of a Kubernetes API server as launching needs: it takes Jobs and keeps them.

It starts nothing: what is looked at are the objects that dagster-k8s and the real Kubernetes client send.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml


class Cluster:
    """What was sent.

    Attributes:
        jobs: by name, as sent.
        url: where it listens.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                cluster.jobs[job["metadata"]["name"]] = job
                self._answer(201, job)

            def _answer(self, code: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads here."""
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        clusters = [{"name": "c", "cluster": {"server": self.url}}]
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [context]}
        path.write_text(yaml.safe_dump({**config, "clusters": clusters, "users": [{"name": "u", "user": {}}]}))
        return path


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that listens while the block lasts."""
    found = Cluster()
    thread = threading.Thread(target=found._server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield found
    finally:
        found._server.shutdown()
        thread.join()
        found._server.server_close()
