"""No library phones home. Tried in a process of its own: some libraries are silent under pytest and CI anyway."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.offline import SWITCHES, silence

PROGRAM = """
import json, socket, sys, time, warnings
warnings.simplefilter("ignore")
asked = []
def record(place):
    def refuse(*args, **kwargs):
        hosts = [str(a) for a in args if not isinstance(a, socket.socket)]
        asked.append(place + " " + " ".join(hosts[:1]))
        raise OSError("no network in this test")
    return refuse
socket.getaddrinfo = record("getaddrinfo")
socket.socket.connect = record("connect")
socket.socket.connect_ex = record("connect_ex")
socket.socket.sendto = record("sendto")
if sys.argv[1] == "silent":
    from kedge.offline import silence
    silence()
from pathlib import Path
from kedge.registry import tracking
if sys.argv[1] == "loud":
    tracking.silence = lambda: None
home = Path(sys.argv[2])
store = tracking.Tracking(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")
with store.run("bank", "v1") as run:
    run.register({"model.json": b"{}"})
if sys.argv[1] == "silent":
    import pandas as pd
    import great_expectations as gx
    context = gx.get_context(mode="ephemeral")
    table = pd.DataFrame({"x": range(100)})
    batch = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    batch.get_batch({"dataframe": table}).validate(gx.expectations.ExpectColumnValuesToNotBeNull(column="x"))
    from evidently import Report
    from evidently.presets import DataDriftPreset
    Report([DataDriftPreset()]).run(table, table).dict()
time.sleep(2)  # telemetry is sent by threads
print(json.dumps(asked))
"""


def asked(how: str, home: Path) -> list[str]:
    """Where the libraries wanted to connect to."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(Path.cwd())}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, str(home)], env=env, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return list(json.loads(found.stdout.splitlines()[-1]))


def test_nothing_phones_home(tmp_path: Path) -> None:
    assert asked("silent", tmp_path) == []


def test_without_the_switches_the_test_sees_a_library_phone_home(tmp_path: Path) -> None:
    assert any("mlflow" in place for place in asked("loud", tmp_path))


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_every_switch_is_set_whatever_was_said_before(name: str) -> None:
    env = {name: "something else", "OTHER": "kept"}
    silence(env)
    assert env[name] == SWITCHES[name]
    assert env["OTHER"] == "kept"
