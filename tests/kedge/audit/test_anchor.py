"""Anchors: one contract for folders and for S3 over HTTP, and what each place adds to it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from kedge import faults
from kedge.audit.anchor import Anchor, FileAnchor, folder_of, open_anchor, place, same_disk
from kedge.audit.s3 import S3Anchor
from kedge.errors import Tampered, Terminal, Transient

LAKE = "8a1f3c0d9e2b4756a1b2c3d4e5f60718"
ORIGIN = f"kedge/{LAKE}/bank"
BUCKET = "kedge-anchor"


def signed(size: int, root: str = "A", origin: str = ORIGIN, signature: str = "sig") -> str:
    return f"{origin}\n{size}\n{root * 43}=\n\n— {origin} {signature}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def aws(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """S3 with one empty bucket, found by the usual AWS variables."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield client
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)
    client.close()


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        (tmp_path / "worm").mkdir()
        return str(tmp_path / "worm")
    request.getfixturevalue("aws")
    return f"s3://{BUCKET}/audit/kedge"


def test_checkpoints_are_kept_once_and_listed_by_size(url: str) -> None:
    anchor = open_anchor(url)
    assert anchor.all() == []
    for size in (12, 3, 1_000_000):
        anchor.put(signed(size))
    anchor.put(signed(3))
    assert anchor.all() == [signed(3), signed(12), signed(1_000_000)]
    assert anchor.newest(ORIGIN) == signed(1_000_000)
    assert anchor.newest(f"kedge/{LAKE}/nobody") is None


def test_another_checkpoint_of_one_size_is_a_fork_and_the_first_one_stays(url: str) -> None:
    anchor = open_anchor(url)
    anchor.put(signed(7, "A"))
    with pytest.raises(Tampered, match="fork") as raised:
        anchor.put(signed(7, "B"))
    assert raised.value.part == "anchor"
    assert anchor.all() == [signed(7, "A")]


def test_one_statement_with_another_signature_is_no_fork(url: str) -> None:
    anchor = open_anchor(url)
    anchor.put(signed(7))
    anchor.put(signed(7, signature="another"))
    assert anchor.all() == [signed(7)]


def test_several_logs_share_an_anchor_and_each_sees_its_own(url: str) -> None:
    other = f"kedge/{LAKE}/churn"
    anchor = open_anchor(url)
    anchor.put(signed(1))
    anchor.put(signed(1, origin=other))
    assert sorted(anchor.all()) == sorted([signed(1), signed(1, origin=other)])
    assert open_anchor(url, origin=other).all() == [signed(1, origin=other)]
    assert open_anchor(url, origin=f"kedge/{LAKE}/nobody").all() == []


@pytest.mark.parametrize("text", ["", "kedge/../bank\n1\n", "kedge/x/bank\n-1\n", "kedge/x/bank\n1e3\n", "other\n1\n"])
def test_a_text_that_is_no_checkpoint_goes_nowhere(url: str, text: str) -> None:
    anchor = open_anchor(url)
    with pytest.raises(Tampered):
        anchor.put(text)
    assert anchor.all() == []


def test_names_of_checkpoints_sort_by_size() -> None:
    assert place(signed(42)) == f"{LAKE}/bank/000000000042"
    assert folder_of(ORIGIN) == f"{LAKE}/bank"


# --- folders


@pytest.fixture
def folder(tmp_path: Path) -> FileAnchor:
    (tmp_path / "worm").mkdir()
    return FileAnchor(tmp_path / "worm")


@pytest.mark.parametrize("kept", [0, 1, 30])
def test_a_checkpoint_whose_writer_was_killed_is_completed(folder: FileAnchor, kept: int) -> None:
    folder.put(signed(5))
    path = folder.folder / place(signed(5))
    path.write_text(signed(5)[:kept])
    folder.put(signed(5))
    assert folder.all() == [signed(5)]


@pytest.mark.parametrize("step", ["before", "opened", "written", "after"])
def test_a_fault_leaves_a_place_that_takes_the_next_attempt(
    folder: FileAnchor, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(faults.VARIABLE, f"audit.anchor.{step}:error")
    with pytest.raises(Transient):
        folder.put(signed(5))
    monkeypatch.delenv(faults.VARIABLE)
    folder.put(signed(5))
    assert folder.all() == [signed(5)]


@pytest.mark.parametrize("step", ["before", "opened", "written", "after"])
def test_killed_at_each_point_the_next_attempt_keeps_the_checkpoint(folder: FileAnchor, step: str) -> None:
    words = "import sys; from kedge.audit.anchor import open_anchor; open_anchor(sys.argv[1]).put(sys.argv[2])"
    killed = subprocess.run(
        [sys.executable, "-c", words, str(folder.folder), signed(5)],
        env=os.environ | {faults.VARIABLE: f"audit.anchor.{step}:kill"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert folder.all() in ([], [signed(5)])
    folder.put(signed(5))
    assert folder.all() == [signed(5)]
    with pytest.raises(Tampered):
        folder.put(signed(5, "B"))


@pytest.mark.parametrize("left", ["", signed(5)[:40], "\0" * len(signed(5))])
def test_a_file_whose_writer_was_cut_off_says_nothing(folder: FileAnchor, left: str) -> None:
    folder.put(signed(3))
    folder.put(signed(5))
    (folder.folder / place(signed(5))).write_text(left)
    assert folder.all() == [signed(3)]
    assert folder.newest(ORIGIN) == signed(3)


def test_processes_that_anchor_the_same_checkpoints_at_once_write_each_once(folder: FileAnchor) -> None:
    words = (
        "import sys; from kedge.audit.anchor import open_anchor; anchor = open_anchor(sys.argv[1])\n"
        "for text in sys.argv[2:]: anchor.put(text)"
    )
    texts = [signed(size) for size in range(1, 200)]
    writers = [subprocess.Popen([sys.executable, "-c", words, str(folder.folder), *texts]) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert folder.all() == texts


def test_a_mount_that_is_missing_is_not_made_on_the_disk_below(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "not" / "mounted")
    with pytest.raises(Transient, match="Mount the disk"):
        anchor.put(signed(1))
    with pytest.raises(Transient, match="Mount the disk"):
        anchor.all()
    assert not (tmp_path / "not").exists()


def test_a_link_in_place_of_a_checkpoint_is_not_followed(folder: FileAnchor, tmp_path: Path) -> None:
    path = folder.folder / place(signed(5))
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises((Transient, Tampered)):
        folder.put(signed(5))
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_is_ever_opened_for_replacing(folder: FileAnchor, monkeypatch: pytest.MonkeyPatch) -> None:
    flags: list[int] = []
    really = os.open
    monkeypatch.setattr(
        os, "open", lambda path, how, *rest, **more: flags.append(how) or really(path, how, *rest, **more)
    )
    folder.put(signed(1))
    folder.put(signed(1))
    writing = [how for how in flags if how & (os.O_WRONLY | os.O_RDWR)]
    assert writing
    assert all(how & os.O_EXCL and not how & os.O_TRUNC for how in writing)


def test_an_anchor_inside_kedge_home_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    for inside in (home, home / "worm", tmp_path / "link" / "worm"):
        with pytest.raises(Terminal, match="outside KEDGE_HOME"):
            open_anchor(str(inside), home=home)
    assert isinstance(open_anchor(str(tmp_path / "worm"), home=home), FileAnchor)


def test_the_same_disk_is_told(tmp_path: Path) -> None:
    assert same_disk(str(tmp_path), tmp_path)
    assert not same_disk("/proc", tmp_path)
    assert not same_disk("s3://bucket/x", tmp_path)


def test_checkpoints_are_readable_by_auditors_and_hold_nothing_secret(folder: FileAnchor) -> None:
    folder.put(signed(1))
    assert stat.S_IMODE((folder.folder / place(signed(1))).stat().st_mode) & 0o444 == 0o444


# --- S3


def test_objects_lie_below_the_prefix(aws: Any) -> None:
    open_anchor(f"s3://{BUCKET}/audit/kedge/").put(signed(9))
    open_anchor(f"s3://{BUCKET}").put(signed(10))
    keys = {found["Key"] for found in aws.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert keys == {f"audit/kedge/{place(signed(9))}", place(signed(10))}


@pytest.mark.usefixtures("aws")
def test_more_checkpoints_than_a_page_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.audit.s3.PAGE", 3)
    anchor = S3Anchor(BUCKET)
    for size in range(10):
        anchor.put(signed(size))
    assert anchor.all() == [signed(size) for size in range(10)]


@pytest.mark.usefixtures("aws")
def test_a_bucket_that_is_not_there_is_terminal() -> None:
    anchor: Anchor = open_anchor("s3://no-such-bucket")
    with pytest.raises(Terminal, match="NoSuchBucket"):
        anchor.put(signed(1))


@pytest.mark.usefixtures("aws")
def test_missing_credentials_are_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(Terminal, match="AWS variables"):
        open_anchor(f"s3://{BUCKET}").put(signed(1))


@pytest.mark.usefixtures("aws")
def test_a_service_that_is_down_or_silent_is_transient_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.audit.s3.READ_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(Transient, match="anchored again"):
            open_anchor(f"s3://{BUCKET}").put(signed(1))
    with pytest.raises(Transient):
        open_anchor(f"s3://{BUCKET}").all()
    assert time.monotonic() - started < 60
