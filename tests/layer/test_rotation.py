"""A night of the bank runs through Dagster's own job while its keys are rotated and the old ones destroyed."""

import os
import subprocess
import sys

from rich.console import Console

from commands import run
from kedge.keys import KeyProvider
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.testing.bank import Bank
from kedge.workspace import ZONES, Workspace
from resources.instance import instance

ROTATING = """
import sys
from select import select
from commands import keys
from kedge.settings import Settings
from rich.console import Console
settings, console, turns = Settings.from_environment(), Console(file=sys.stderr), 0
while not select([sys.stdin], [], [], 0)[0]:
    keys.rotate(settings, sys.argv[1], None, None, console, destroy_old=True)
    turns += 1
print(turns)
"""


def living(keys: KeyProvider, pipeline: str) -> list[str]:
    return [kek.zone for kek in keys.keys(pipeline) if not kek.destroyed]


def test_a_night_does_not_notice_that_its_keys_change(places: Settings, declaration: Declaration, bank: Bank) -> None:
    for number in (1, 2):
        bank.write(bank.night(number), places.data / "inbox")
    with instance(places) as dagster:
        assert run.nightly(dagster, declaration.name, bank.date(1).isoformat(), Console(quiet=True))
        command = [sys.executable, "-c", ROTATING, declaration.name]
        with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True, env=os.environ) as rotating:
            succeeded = run.nightly(dagster, declaration.name, bank.date(2).isoformat(), Console(quiet=True))
            turns, told = rotating.communicate("stop\n", timeout=60)
    assert succeeded
    assert rotating.returncode == 0, told
    assert int(turns) >= 2
    ws, read = Workspace.open(places), 0
    for dataset in (ws.dataset(declaration.name, name) for name in ZONES):
        for version in (dataset.require(day, "") for day in dataset.partitions()):
            version.check_whole()
            read += 1
    assert read >= 4
    assert sorted(living(ws.lake.keys, declaration.name)) == ["audit", "open", "restricted"]
