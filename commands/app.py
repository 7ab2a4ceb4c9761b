"""`kedge`: check, run, status, verify, predictions, demo, up; keys and audit."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kedge.errors import KedgeError
from kedge.exitcode import exit_code
from kedge.offline import silence
from kedge.settings import Settings

app = typer.Typer(
    name="kedge",
    help="From nightly deliveries of personal data to a monitored model, retrained when the world drifts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback with local variables could print personal values
)

Pipeline = Annotated[str, typer.Argument(help="Name of a declared pipeline: a folder below KEDGE_PIPELINES.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the result to this file.")]


class Job(StrEnum):
    """Which job `kedge run` starts."""

    nightly = "nightly"
    retrain = "retrain"
    labels = "labels"


@app.command()
def check(pipeline: Annotated[str | None, typer.Argument(help="Only this pipeline.")] = None) -> None:
    """Check the declarations: every mistake with file, line, what is needed, what was found and what to do."""
    from commands.check import check

    raise typer.Exit(check(Settings.from_environment(), pipeline, Console()))


@app.command()
def run(
    pipeline: Pipeline,
    partition: Annotated[str, typer.Option(help="The night, as YYYY-MM-DD.")],
    until: Annotated[str | None, typer.Option(help="Last night of a range; each night is a run of its own.")] = None,
    job: Annotated[Job, typer.Option(help="What to run.")] = Job.nightly,
) -> None:
    """Run a night, a range of nights, or a retraining up to a night, here and now."""
    from commands.run import run

    raise typer.Exit(run(Settings.from_environment(), pipeline, partition, until or partition, job.value, Console()))


@app.command()
def status(pipeline: Pipeline, json: Json = None) -> None:
    """Champion and its metrics, nights, drift verdicts, promotions and refusals."""
    from commands.status import show

    show(Settings.from_environment(), pipeline, json, Console())


@app.command()
def verify(pipeline: Pipeline, json: Json = None) -> None:
    """Look whether everything stored is what was written, and what the audit trail says; changes nothing."""
    from commands.verify import verify

    raise typer.Exit(verify(Settings.from_environment(), pipeline, json, Console()))


@app.command()
def predictions(
    pipeline: Pipeline,
    partition: Annotated[str, typer.Option(help="The night, as YYYY-MM-DD.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv or .parquet. It is plaintext and identifies people.")],
) -> None:
    """Hand a night's predictions, with the subject, to the business."""
    from kedge.scoring import hand_out
    from kedge.spec import load
    from kedge.workspace import Workspace

    settings = Settings.from_environment()
    declaration = load(settings.pipelines / pipeline / "defs.yaml")
    rows = hand_out(Workspace.open(settings), declaration, partition, out)
    Console().print(f"{rows} rows in {out}: plaintext, with the subject; delete it when it has been used")


@app.command()
def demo(json: Json = None) -> None:
    """Watch the whole loop: a simulated bank, twelve nights, drift, a retraining, a refusal."""
    from commands.demo import demo

    raise typer.Exit(demo(json, Console()))


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of Dagster's web UI.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of MLflow's web UI.")] = 5000,
    reports_port: Annotated[int, typer.Option(help="Port of the drift reports.")] = 3001,
    demo: Annotated[bool, typer.Option("--demo", help="Show what the last demo left.")] = False,
) -> None:
    """Start Dagster's web UI and daemon, MLflow and the drift reports on localhost, until interrupted."""
    from commands.up import up

    raise typer.Exit(up(port, mlflow_port, reports_port, Console(), demo=demo))


keys = typer.Typer(help="Key-encryption keys: one per pipeline and zone.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@keys.command("list")
def keys_list(
    pipeline: Annotated[str | None, typer.Argument(help="Only this pipeline.")] = None, json: Json = None
) -> None:
    """Which keys there are, since when, and how many files need each of them."""
    from commands.keys import show

    show(Settings.from_environment(), pipeline, json, Console())


@keys.command("rotate")
def keys_rotate(
    pipeline: Pipeline,
    zone: Annotated[str | None, typer.Option(help="Only this zone: restricted, open or audit.")] = None,
    destroy_old: Annotated[bool, typer.Option("--destroy-old", help="Destroy the keys that were replaced.")] = False,
    json: Json = None,
) -> None:
    """Make new keys and wrap every data key anew under them, while runs go on; no data is touched."""
    from commands.keys import rotate

    rotate(Settings.from_environment(), pipeline, zone, json, Console(), destroy_old=destroy_old)


@keys.command("relock")
def keys_relock(
    key_file: Annotated[Path | None, typer.Option(help="Key file to unlock it with; made if it is missing.")] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="File with a passphrase to unlock it with.")] = None,
) -> None:
    """Seal the local key ring under another unlocking key; with no option under a new one in place of unlock.key."""
    from commands.keys import relock

    relock(Settings.from_environment(), key_file, passphrase_file, Console())


@keys.command("destroy")
def keys_destroy(
    pipeline: Pipeline,
    zone: Annotated[str, typer.Argument(help="restricted, open or audit.")],
    key: Annotated[str | None, typer.Option(help="Id of one key; otherwise every key that was replaced.")] = None,
    with_data: Annotated[bool, typer.Option("--with-data", help="Also keys that data still needs.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Otherwise only say what would be destroyed.")] = False,
    json: Json = None,
) -> None:
    """Destroy keys for good: what they wrap is unreadable at once, in every copy and every backup.

    The keys of `restricted` also wrap the pipeline's secrets: with them everything in `open` is unreadable too.
    """
    from commands.keys import destroy

    console = Console()
    done = destroy(Settings.from_environment(), pipeline, zone, key, json, console, with_data=with_data, yes=yes)
    raise typer.Exit(0 if done else 2)


audit = typer.Typer(help="The audit trail: who did what to which version, when and why.", no_args_is_help=True)
app.add_typer(audit, name="audit")


@audit.command("verify")
def audit_verify(
    pipeline: Pipeline,
    key: Annotated[str | None, typer.Option(help="The verifier key that you pinned; see kedge audit key.")] = None,
    json: Json = None,
) -> None:
    """Look whether the log is what was signed; names the first entry that is not."""
    from commands.audit import verify

    verify(Settings.from_environment(), pipeline, key, json, Console())


@audit.command("prove")
def audit_prove(
    pipeline: Pipeline,
    number: Annotated[int, typer.Argument(metavar="N", help="Number of the entry, as kedge audit show has it.")],
    since: Annotated[int | None, typer.Option(help="Also that the log continues its checkpoint of this size.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; otherwise it is printed.")] = None,
) -> None:
    """Prove that an entry is in the log, to somebody who has the verifier key and tools/verify.py."""
    from commands.audit import prove

    prove(Settings.from_environment(), pipeline, number, since, out, Console())


@audit.command("show")
def audit_show(
    pipeline: Pipeline,
    action: Annotated[str | None, typer.Option(help="Such as commit, read, denied, train, promote.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Such as validated.")] = None,
    partition: Annotated[str | None, typer.Option(help="Such as 2026-01-31.")] = None,
    version: Annotated[str | None, typer.Option(help="The version, or its beginning.")] = None,
    run: Annotated[str | None, typer.Option(help="The run, or its beginning.")] = None,
    since: Annotated[str | None, typer.Option(help="UTC, such as 2026-01-31 or 2026-01-31T06:30.")] = None,
    until: Annotated[str | None, typer.Option(help="Likewise; included.")] = None,
    json: Json = None,
) -> None:
    """Entries by what they are about; an intent comes with its outcome."""
    from commands.audit import show
    from kedge.audit.select import Choice

    choice = Choice(
        action=action, dataset=dataset, partition=partition, version=version, run=run, since=since, until=until
    )
    show(Settings.from_environment(), pipeline, choice, json, Console())


@audit.command("key")
def audit_key(pipeline: Pipeline) -> None:
    """Print the verifier key, to be kept where the operator of kedge cannot write."""
    from commands.audit import key

    key(Settings.from_environment(), pipeline)


@audit.command("anchor")
def audit_anchor(pipeline: Pipeline) -> None:
    """Keep a signed checkpoint of the log in the second place that the declaration names, now."""
    from commands.access import anchor

    anchor(Settings.from_environment(), pipeline, Console())


@audit.command("unusual")
def audit_unusual(
    pipeline: Pipeline,
    since: Annotated[str | None, typer.Option(help="Only from this local day on, such as 2026-01-31.")] = None,
    json: Json = None,
) -> None:
    """Access that is unusual by the declared rules: volume, hour, identity, denied, copies before an erasure."""
    from commands.access import unusual

    unusual(Settings.from_environment(), pipeline, since, json, Console())


def main() -> None:
    """Entry point: kedge's own errors are one message and an exit code (`kedge.exitcode`), not a traceback."""
    silence()
    try:
        app()
    except KedgeError as error:
        Console(stderr=True).print(f"[bold red]error[/] {type(error).__name__}: ", end="")
        Console(stderr=True).print(str(error), markup=False, highlight=False)
        sys.exit(exit_code(error))
