"""When checkpoints are anchored: after every stage, before it if required, and what happens when the place is gone."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from kedge.audit.anchor import open_anchor, place
from kedge.audit.anchored import anchored, keep
from kedge.audit.checkpoint import parse_signed
from kedge.audit.trail import Trail
from kedge.errors import Tampered, Terminal, Transient
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace

COLUMNS = {"amount": {"type": "float"}, "left": {"type": "bool", "role": "target"}}

Declare = Callable[..., Declaration]


@pytest.fixture
def worm(tmp_path: Path) -> Path:
    (tmp_path / "worm").mkdir()
    return tmp_path / "worm"


@pytest.fixture
def declare(worm: Path) -> Declare:
    def declared(**audit: Any) -> Declaration:
        source = {"partitions": {"start": "2026-01-01"}, "source": {"files": "{date}.csv"}}
        return Declaration.named("bank", {**source, "columns": COLUMNS, "audit": {"anchor": str(worm)} | audit})

    return declared


@pytest.fixture
def trail(settings: Settings) -> Trail:
    return Workspace.open(settings).trail


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"anchor-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    yield f"s3://{name}/kedge"
    moto.stop()


def actions(trail: Trail) -> list[str]:
    return [entry["action"] for _, entry in trail.log("bank").entries()]


def test_what_a_stage_wrote_is_anchored_when_it_ends(
    trail: Trail, declare: Declare, worm: Path, settings: Settings
) -> None:
    with anchored(trail, declare(), settings.home):
        trail.event("bank", "read", dataset="raw")
        assert open_anchor(str(worm)).all() == []
    log = trail.log("bank")
    [text] = open_anchor(str(worm), origin=log.origin).all()
    checkpoint = parse_signed(text, log.vkey)
    assert checkpoint == log.sign()
    assert checkpoint.size == log.size


def test_a_stage_that_fails_is_anchored_too_and_raises_its_own_error(
    trail: Trail, declare: Declare, worm: Path, settings: Settings
) -> None:
    trail.event("bank", "read", dataset="raw")
    with pytest.raises(ZeroDivisionError), anchored(trail, declare(), settings.home):
        raise ZeroDivisionError
    assert len(open_anchor(str(worm)).all()) == 1


def test_a_log_that_has_not_grown_is_anchored_once(
    trail: Trail, declare: Declare, worm: Path, settings: Settings
) -> None:
    trail.event("bank", "read", dataset="raw")
    assert keep(trail, declare(), settings.home)
    assert keep(trail, declare(), settings.home)
    assert len(open_anchor(str(worm)).all()) == 1


def test_without_an_anchor_nothing_is_anchored(trail: Trail, declare: Declare, settings: Settings) -> None:
    assert not keep(trail, declare(anchor=None), settings.home)


def test_an_anchor_that_is_gone_stops_no_stage_is_logged_and_made_good_by_the_next(
    trail: Trail, declare: Declare, worm: Path, settings: Settings
) -> None:
    away = worm.rename(worm.with_name("unmounted"))
    with anchored(trail, declare(), settings.home):
        trail.event("bank", "read", dataset="raw")
    [*_, (_, last)] = trail.log("bank").entries()
    assert (last["action"], last["result"], last["what"]) == ("anchor", "failed", "Transient")
    assert not worm.exists()
    away.rename(worm)
    with anchored(trail, declare(), settings.home):
        pass
    assert [int(Path(place(text)).name) for text in open_anchor(str(worm)).all()] == [trail.log("bank").size]
    assert actions(trail).count("anchor") == 1


def test_a_required_anchor_that_is_gone_stops_the_stage_before_it_begins(
    trail: Trail, declare: Declare, worm: Path, settings: Settings
) -> None:
    worm.rmdir()
    with (
        pytest.raises(Transient, match="Mount the disk"),
        anchored(trail, declare(anchor_required=True), settings.home),
    ):
        pytest.fail("the stage began")
    assert actions(trail)[-1] == "anchor"


def test_a_required_anchor_that_goes_meanwhile_fails_the_stage(
    trail: Trail, declare: Declare, worm: Path, settings: Settings
) -> None:
    with pytest.raises(Transient), anchored(trail, declare(anchor_required=True), settings.home):
        worm.rename(worm.with_name("unmounted"))


@pytest.mark.parametrize("required", [False, True])
def test_an_anchor_inside_kedge_home_is_refused_in_any_case(
    trail: Trail, declare: Declare, settings: Settings, required: bool
) -> None:
    inside = declare(anchor=str(settings.home / "worm"), anchor_required=required)
    with pytest.raises(Terminal, match="outside KEDGE_HOME"), anchored(trail, inside, settings.home):
        pass


@pytest.mark.parametrize("further", [0, 1, 2, 5])
@pytest.mark.parametrize("where", ["folder", "s3"])
def test_an_old_copy_that_was_put_back_is_found_by_the_next_stage_however_far_it_went_on(
    trail: Trail, declare: Declare, settings: Settings, where: str, further: int, request: pytest.FixtureRequest
) -> None:
    declaration = declare() if where == "folder" else declare(anchor=request.getfixturevalue("bucket"))
    trail.event("bank", "read", dataset="raw")
    trail.close()
    folder = settings.audit / "bank"
    old = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for _ in range(2):
        trail.event("bank", "read", dataset="validated")
    assert keep(trail, declaration, settings.home)
    trail.close()
    for path in folder.iterdir():
        path.unlink()
    for name, data in old.items():
        (folder / name).write_bytes(data)
    for _ in range(further):
        trail.event("bank", "read", dataset="quarantine")
    with pytest.raises(Tampered, match="fork or an old copy") as raised:
        keep(trail, declaration, settings.home)
    assert raised.value.part == "anchor"


def test_a_log_that_goes_on_is_anchored_again_and_again(
    trail: Trail, declare: Declare, worm: Path, settings: Settings
) -> None:
    for number in range(12):
        for _ in range(number):
            trail.event("bank", "read", dataset="raw")
        assert keep(trail, declare(), settings.home)
    assert len(open_anchor(str(worm)).all()) == 12


def test_a_checkpoint_that_this_log_did_not_sign_is_refused(
    trail: Trail, declare: Declare, worm: Path, settings: Settings
) -> None:
    trail.event("bank", "read", dataset="raw")
    assert keep(trail, declare(), settings.home)
    [path] = worm.glob("*/*/*")
    path.write_text(path.read_text().replace("\n\n", "A\n\n").replace("=A", "="))
    path.write_text(path.read_text()[:-5] + "AAA=\n")
    with pytest.raises(Tampered) as raised:
        keep(trail, declare(), settings.home)
    assert raised.value.part == "anchor"
