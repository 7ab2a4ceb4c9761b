"""The sensor of unusual access: alerts as lines of its log, each once; nothing is written into the trail."""

import json

import dagster as dg
import pytest

from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.spec.audit import RULES
from kedge.testing.accesses import Trail
from sensors import access


def _log(places: Settings, count: int | None = None) -> bytes:
    trail = Trail(11, days=170)
    for rule in RULES:
        trail.plant(rule, day=150)
    lines = [json.dumps(entry).encode() + b"\n" for _, entry in trail.entries()]
    (places.audit / "bank").mkdir(parents=True, exist_ok=True)
    data = b"".join(lines[:count])
    (places.audit / "bank" / "log.jsonl").write_bytes(data)
    return data


def _tick(
    declaration: Declaration, cursor: str | None, capfd: pytest.CaptureFixture[str]
) -> tuple[list[str], str, str]:
    """Alert lines, the reason that is shown, and the cursor after it."""
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, cursor=cursor) as context,
    ):
        reason = access.sensor(declaration)(context)
        assert isinstance(reason, dg.SkipReason)
        lines = [line for line in capfd.readouterr().err.splitlines() if "ALERT" in line]
        return lines, str(reason.skip_message), str(context.cursor)


def test_unusual_access_is_told_once(
    places: Settings, declaration: Declaration, capfd: pytest.CaptureFixture[str]
) -> None:
    lines, reason, cursor = _tick(declaration, None, capfd)
    assert (lines, reason) == ([], "nothing unusual")
    data = _log(places)
    lines, reason, cursor = _tick(declaration, cursor, capfd)
    assert {rule for rule in RULES for line in lines if f"ALERT bank: access {rule}: " in line} == set(RULES)
    assert "volume: analyst0" in reason
    assert _tick(declaration, cursor, capfd)[:2] == ([], "nothing unusual")
    assert (places.audit / "bank" / "log.jsonl").read_bytes() == data


def test_a_log_that_was_cut_is_told_once_and_shown_until_it_is_mended(
    places: Settings, declaration: Declaration, capfd: pytest.CaptureFixture[str]
) -> None:
    _log(places)
    cursor = _tick(declaration, None, capfd)[2]
    _log(places, count=50)
    lines, reason, cursor = _tick(declaration, cursor, capfd)
    assert len(lines) == 1
    assert "kedge audit verify bank" in reason
    lines, again, cursor = _tick(declaration, cursor, capfd)
    assert (lines, again) == ([], reason)
    _log(places)
    assert _tick(declaration, cursor, capfd)[:2] == ([], "nothing unusual")
