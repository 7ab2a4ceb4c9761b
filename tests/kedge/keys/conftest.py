"""A KMS over HTTP, in a process of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kms_server.py")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A running KMS: where it is, and how it is asked to misbehave."""

    def __init__(self, port: int) -> None:
        self.port, self.url = port, f"http://127.0.0.1:{port}"

    def get(self, path: str, data: bytes | None = None) -> str:
        asked = urllib.request.Request(self.url + path, data=data, headers={"Content-Type": "text/plain"})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return str(answer.read().decode())

    def be(self, mode: str) -> int:
        """`well`, `slow` or `throttled`; returns how many requests came since the last call."""
        return int(self.get(f"/tests/{mode}"))


@contextmanager
def running(**environment: str) -> Iterator[Service]:
    service = Service(free_port())
    environ = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")} | environment
    command = [sys.executable, str(SCRIPT), str(service.port)]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                service.be("well")
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield service
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with running() as started:
        yield started


@pytest.fixture
def kms(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The service, with this process as its customer."""
    as_customer(monkeypatch, service.url)
    service.be("well")
    yield service
    service.be("well")


def as_customer(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, text in {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, text)
