"""A whole night of 3,000 rows with every kind of rule."""

import hashlib
import json
import time

import pytest

from kedge.quality import suite
from kedge.quality import validate as module
from kedge.quality.validate import validate

DAY = "2026-01-01"


@pytest.fixture(scope="module", autouse=True)
def loaded():
    with suite._quiet():
        pass


def test_a_night_of_3000_rows(ws, declare, deliver, arrive):
    """Decrypt, evaluate twice, write two datasets: about a second of work, imports paid before."""
    declaration = declare()
    arrive(deliver(3000, {("plan", row): "gold" for row in range(200)}), declaration)
    start = time.process_time()
    result = validate(ws, declaration, DAY)
    assert time.process_time() - start < 2.0
    assert result.quarantine.rows == 200


# Raise kedge.quality.validate.CODE_VERSION together with this digest when the same raw rows have to give others.
GOLDEN = {1: "44ec6bd66b901956"}


def test_the_code_version_stands_for_what_the_stage_does(ws, declare, deliver, arrive):
    declaration = declare()
    cells = {
        ("plan", 3): "gold",
        ("id", 5): "Zoe\u0308",
        ("left", 6): "No",
        ("seen", 7): "2026-01-31T07:05",
        ("phone", 8): None,
    }
    arrive(deliver(40, cells), declaration)
    result = validate(ws, declaration, DAY)
    frames = [outcome.version.scan().collect() for outcome in (result.validated, result.quarantine)]
    stored = json.dumps([[str(frame.schema), frame.rows()] for frame in frames], default=str).encode()
    assert {module.CODE_VERSION: hashlib.sha256(stored).hexdigest()[:16]} == GOLDEN
