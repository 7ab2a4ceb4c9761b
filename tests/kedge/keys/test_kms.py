"""Keys in AWS KMS, against moto's server in a process of its own."""

import json
import logging
import multiprocessing
import os
import pickle
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest

from kedge import durable
from kedge.errors import Conflict, KedgeError, Tampered, Terminal, Transient
from kedge.keys import KeyGone, KeyRing, WrongKey, create_keys, new_key, open_keys
from kedge.keys.kms import AwsKms
from kedge.keys.kmsclient import Patience
from kedge.lake import Draft, Lake, produce, rotation
from kedge.outcome import Findings
from kedge.settings import KeyPlace

IMPATIENT = Patience(connect_seconds=0.5, answer_seconds=0.5, attempts=3)


def lake_id() -> str:
    return f"l{os.urandom(16).hex()}"


@pytest.fixture
def keys(kms: Any, tmp_path: Path) -> AwsKms:
    return AwsKms.create(tmp_path / "keys", lake_id())


def reopened(tmp_path: Path, patience: Patience | None = None) -> AwsKms:
    (folder,) = (tmp_path / "keys").iterdir()
    return AwsKms.open(tmp_path / "keys", folder.name, patience)


def test_wrap_and_unwrap(keys: AwsKms, tmp_path: Path) -> None:
    key = new_key()
    wrapped = keys.wrap("bank", "open", key, b"place")
    json.dumps(wrapped)
    assert wrapped["kek"].startswith("arn:aws:kms:eu-central-1:")
    assert keys.unwrap("bank", "open", wrapped, b"place") == key
    assert reopened(tmp_path).unwrap("bank", "open", wrapped, b"place") == key


@pytest.mark.parametrize(
    ("pipeline", "zone", "context"),
    [("bank", "open", b"elsewhere"), ("bank", "restricted", b"place"), ("b", "open", b"place")],
)
def test_a_wrapped_key_opens_only_where_it_belongs(keys: AwsKms, pipeline: str, zone: str, context: bytes) -> None:
    wrapped = keys.wrap("bank", "open", new_key(), b"place")
    with pytest.raises(WrongKey, match=f"wrapped key of {context.decode()}"):
        keys.unwrap(pipeline, zone, wrapped, context)


def test_the_key_of_another_lake_does_not_open_it(keys: AwsKms, tmp_path: Path) -> None:
    other = AwsKms.create(tmp_path / "other", lake_id())
    with pytest.raises(WrongKey):
        other.unwrap("bank", "open", keys.wrap("bank", "open", new_key(), b""), b"")


def test_owners_have_keys_of_their_own_and_names_that_say_whose(keys: AwsKms) -> None:
    owners = [("a", "open"), ("a", "restricted"), ("b", "open")]
    assert len({keys.wrap(pipeline, zone, new_key(), b"")["kek"] for pipeline, zone in owners}) == 3
    names = {alias["AliasName"] for alias in boto3.client("kms").list_aliases()["Aliases"]}
    assert f"alias/kedge-{keys._lake_id}-a-restricted" in names
    assert [(kek.pipeline, kek.zone) for kek in keys.keys(None)] == owners
    assert [kek.zone for kek in keys.keys("a")] == ["open", "restricted"]


@pytest.mark.parametrize("wrapped", [{}, {"kek": "k"}, {"kek": "k", "wrapped": "?"}, {"kek": "k", "wrapped": 3}])
def test_a_damaged_wrapped_key_is_named(keys: AwsKms, wrapped: dict[str, object]) -> None:
    with pytest.raises(Tampered, match="wrapped key of place"):
        keys.unwrap("bank", "open", wrapped, b"place")


def test_a_key_that_a_ring_wrapped_is_not_asked_of_kms(keys: AwsKms, tmp_path: Path) -> None:
    wrapped = KeyRing.create(tmp_path / "ring", lake_id()).wrap("bank", "open", new_key(), b"")
    with pytest.raises(KeyGone, match="KEDGE_KEYS_PROVIDER"):
        keys.unwrap("bank", "open", wrapped, b"")


def test_rotation_moves_the_alias_and_rewraps_without_seeing_the_key(keys: AwsKms) -> None:
    key = new_key()
    old = keys.wrap("bank", "open", key, b"place")
    assert keys.rewrap("bank", "open", old, b"place") is old
    kek = keys.rotate("bank", "open")
    new = keys.rewrap("bank", "open", old, b"place")
    assert new["kek"] == kek != old["kek"]
    assert keys.unwrap("bank", "open", new, b"place") == keys.unwrap("bank", "open", old, b"place") == key
    assert [(one.id, one.current) for one in keys.keys("bank")] == [(old["kek"], False), (kek, True)]


def test_a_destroyed_key_is_gone_at_once_also_for_who_used_it_before(keys: AwsKms, tmp_path: Path) -> None:
    other = reopened(tmp_path)
    wrapped = keys.wrap("bank", "open", new_key(), b"")
    other.unwrap("bank", "open", wrapped, b"")
    kek = keys.rotate("bank", "open")
    keys.destroy("bank", "open", wrapped["kek"])
    keys.destroy("bank", "open", wrapped["kek"])
    for one in (keys, other):
        with pytest.raises(KeyGone, match="pending deletion"):
            one.unwrap("bank", "open", wrapped, b"")
        with pytest.raises(KeyGone):
            one.rewrap("bank", "open", wrapped, b"")
    state = boto3.client("kms").describe_key(KeyId=wrapped["kek"])["KeyMetadata"]
    assert state["KeyState"] == "PendingDeletion"
    assert 6.9 < (state["DeletionDate"].timestamp() - time.time()) / 86_400 < 7.1
    gone, current = keys.keys("bank")
    assert (gone.id, gone.current, current.id, current.destroyed) == (wrapped["kek"], False, kek, None)
    assert gone.destroyed is not None
    assert gone.created < gone.destroyed


def test_a_destroyed_current_key_has_a_successor_when_something_is_wrapped(keys: AwsKms) -> None:
    old = keys.wrap("bank", "open", new_key(), b"")["kek"]
    keys.destroy("bank", "open", old)
    assert keys.wrap("bank", "open", new_key(), b"")["kek"] != old


def test_only_keys_of_that_owner_can_be_destroyed(keys: AwsKms) -> None:
    keys.wrap("bank", "open", new_key(), b"")
    restricted = keys.wrap("bank", "restricted", new_key(), b"")["kek"]
    foreign = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    for kek in (restricted, foreign, "nonsense", restricted[:-12] + "0" * 12):
        with pytest.raises(KeyGone):
            keys.destroy("bank", "open", kek)
    client = boto3.client("kms")
    assert {client.describe_key(KeyId=kek)["KeyMetadata"]["KeyState"] for kek in (restricted, foreign)} == {"Enabled"}


def test_a_key_that_somebody_disabled_is_said_and_no_other_is_made(keys: AwsKms) -> None:
    wrapped = keys.wrap("bank", "open", new_key(), b"")
    boto3.client("kms").disable_key(KeyId=wrapped["kek"].rpartition("/")[2])
    with pytest.raises(KeyGone, match="a key that is disabled"):
        keys.unwrap("bank", "open", wrapped, b"")
    with pytest.raises(KeyGone, match="a key that is disabled"):
        keys.wrap("bank", "open", new_key(), b"")
    assert len(keys.keys("bank")) == 1


def test_a_key_that_had_to_be_made_is_announced_once(keys: AwsKms) -> None:
    made: list[Any] = []
    keys.announce = made.append
    kek = keys.wrap("bank", "open", new_key(), b"")["kek"]
    keys.wrap("bank", "open", new_key(), b"")
    assert [(one.id, one.current) for one in made] == [(kek, True)]


def _first(folder: str, lake: str, go: Any, told: Any) -> None:
    keys = AwsKms.open(Path(folder), lake)
    go.wait()
    told.put(keys.wrap("bank", "open", bytes(32), b"")["kek"])


def test_machines_that_need_the_first_key_at_once_agree_on_it(keys: AwsKms, tmp_path: Path) -> None:
    """Three folders stand for three machines: they share KMS and no lock."""
    processes = multiprocessing.get_context("spawn")
    go, told = processes.Event(), processes.Queue()
    note = next((tmp_path / "keys").glob("*/kms.json"))
    started = []
    for machine in range(3):
        folder = tmp_path / f"machine-{machine}"
        (folder / keys._lake_id).mkdir(parents=True)
        (folder / keys._lake_id / "kms.json").write_bytes(note.read_bytes())
        started.append(processes.Process(target=_first, args=(str(folder), keys._lake_id, go, told)))
    for process in started:
        process.start()
    time.sleep(2)
    go.set()
    assert len({told.get(timeout=60) for _ in started}) == 1
    for process in started:
        process.join()
    usable = [kek for kek in keys.keys("bank") if kek.destroyed is None]
    assert len(usable) == 1


class Overtaken(AwsKms):
    """Somebody else's first key is there when ours has been made."""

    def _new_key(self, owner: str, pipeline: str = "", zone: str = "") -> str:
        ours, theirs = (super(Overtaken, self)._new_key(owner, pipeline, zone) for _ in range(2))
        name, target = self._alias(owner), theirs.rpartition("/")[2]
        boto3.session.Session().client("kms").create_alias(AliasName=name, TargetKeyId=target)
        return ours


def test_the_loser_of_that_race_gives_its_own_key_up(keys: AwsKms, tmp_path: Path) -> None:
    loser = Overtaken.open(tmp_path / "keys", keys._lake_id)
    made: list[Any] = []
    loser.announce = made.append
    wrapped = loser.wrap("bank", "open", new_key(), b"")
    ours, theirs = sorted(keys.keys("bank"), key=lambda kek: kek.current)
    assert (theirs.id, theirs.current, theirs.destroyed) == (wrapped["kek"], True, None)
    assert ours.destroyed is not None
    assert made == []


def test_the_loser_of_that_race_who_may_destroy_nothing_uses_the_winners_key(
    keys: AwsKms, kms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first policy of docs/keys.md: machines of the nights hold no right to destroy."""
    may = ["Encrypt", "Decrypt", "DescribeKey", "CreateKey", "TagResource", "CreateAlias", "ListAliases"]
    key = new_key()
    with user(kms, monkeypatch, allowed([f"kms:{action}" for action in may])):
        loser = Overtaken.open(tmp_path / "keys", keys._lake_id)
        wrapped = loser.wrap("bank", "open", key, b"")
        assert loser.unwrap("bank", "open", wrapped, b"") == key
    ours, theirs = sorted(keys.keys("bank"), key=lambda kek: kek.current)
    assert (theirs.id, theirs.current) == (wrapped["kek"], True)
    assert (ours.current, ours.destroyed) == (False, None)
    keys.destroy("bank", "open", ours.id)


@pytest.mark.parametrize(("mode", "said"), [("throttled", "ThrottlingException"), ("slow", "ReadTimeoutError")])
def test_a_service_that_does_not_keep_up_is_asked_a_few_times_and_no_more(
    keys: AwsKms, kms: Any, tmp_path: Path, mode: str, said: str
) -> None:
    wrapped = keys.wrap("bank", "open", new_key(), b"")
    impatient = reopened(tmp_path, IMPATIENT)
    kms.be(mode)
    began = time.perf_counter()
    with pytest.raises(Transient, match=f"a key service that answers.*{said}") as caught:
        impatient.unwrap("bank", "open", wrapped, b"")
    assert time.perf_counter() - began < 10
    assert caught.value.__context__ is None
    assert kms.be("well") == IMPATIENT.attempts
    impatient.unwrap("bank", "open", wrapped, b"")


def test_a_service_that_is_gone_is_a_transient_error_and_nothing_is_written(
    keys: AwsKms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = keys.wrap("bank", "open", new_key(), b"")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        away = reopened(tmp_path, IMPATIENT)
        for ask in (
            lambda: away.wrap("bank", "open", new_key(), b""),
            lambda: away.unwrap("bank", "open", wrapped, b""),
            lambda: away.rewrap("bank", "open", wrapped, b""),
            lambda: away.rotate("bank", "open"),
            lambda: away.destroy("bank", "open", wrapped["kek"]),
            lambda: away.count_erasure("bank"),
            away.keys,
        ):
            with pytest.raises(Transient, match="no answer"):
                ask()
        with pytest.raises(Transient, match="no answer"):
            AwsKms.create(tmp_path / "more", lake_id(), IMPATIENT)
    assert list((tmp_path / "more").glob("*/kms.json")) == []
    assert [kek.destroyed for kek in keys.keys(None)] == [None]
    assert keys.erasures("bank") == 0


def allowed(actions: list[str]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}


@contextmanager
def user(kms: Any, monkeypatch: pytest.MonkeyPatch, *policies: dict[str, Any]) -> Iterator[None]:
    """This process is one who may do what the policies allow, and the service looks."""
    client, name = boto3.client("iam"), f"kedge-{os.urandom(4).hex()}"
    client.create_user(UserName=name)
    for number, policy in enumerate(policies):
        client.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))
    made = client.create_access_key(UserName=name)["AccessKey"]
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])
        try:
            kms.get("/moto-api/reset-auth", b"0")
            yield
        finally:
            kms.get("/moto-api/reset-auth", b"inf")


def test_what_is_denied_names_the_permission(
    keys: AwsKms, kms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = keys.wrap("bank", "open", new_key(), b"")
    with user(kms, monkeypatch, allowed(["kms:Encrypt", "kms:DescribeKey"])):
        one = reopened(tmp_path)
        one.wrap("bank", "open", new_key(), b"")
        for ask, action in (
            (lambda: one.unwrap("bank", "open", wrapped, b""), "kms:Decrypt"),
            (lambda: one.rotate("bank", "open"), "kms:CreateKey"),
            (one.keys, "kms:ListAliases"),
        ):
            with pytest.raises(Terminal, match=f"leave for {action}.*docs/keys.md") as caught:
                ask()
            assert not isinstance(caught.value, KeyGone)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        with pytest.raises(Terminal, match="credentials that AWS knows"):
            reopened(tmp_path).unwrap("bank", "open", wrapped, b"")


def test_the_policies_of_the_manual_are_enough_and_the_first_destroys_nothing(
    kms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their actions, that is: moto looks at neither conditions nor resources of KMS."""
    manual = (Path(__file__).parents[3] / "docs" / "keys.md").read_text()
    nights, operator = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", manual, re.DOTALL))
    for policy in (nights, operator):
        for statement in policy["Statement"]:
            statement.pop("Condition", None)
            statement["Resource"] = "*"
    with user(kms, monkeypatch, nights):
        keys = AwsKms.create(tmp_path / "keys", lake_id())
        wrapped = keys.wrap("bank", "open", new_key(), b"")
        keys.unwrap("bank", "open", wrapped, b"")
        keys.count_erasure("bank")
        assert len(keys.keys()) == 1
        with pytest.raises(Terminal, match="kms:DisableKey"):
            keys.destroy("bank", "open", wrapped["kek"])
        with pytest.raises(Terminal, match="kms:UpdateAlias"):
            keys.rotate("bank", "open")
    with user(kms, monkeypatch, nights, operator):
        operated = reopened(tmp_path)
        operated.rotate("bank", "open")
        operated.rewrap("bank", "open", wrapped, b"")
        for kek in operated.keys(None):
            operated.destroy("bank", "open", kek.id)
        assert all(kek.destroyed for kek in operated.keys(None))


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "NoCredentialsError"),
        (("AWS_REGION", "AWS_DEFAULT_REGION"), "NoRegionError"),
    ],
)
def test_without_region_or_credentials_it_says_what_to_set(
    keys: AwsKms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], said: str
) -> None:
    for name in missing:
        monkeypatch.delenv(name)
    with pytest.raises(Terminal, match=f"{said}.*Set AWS_REGION"):
        reopened(tmp_path).keys()


def test_without_boto3_it_says_what_to_install(keys: AwsKms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(Terminal, match=r"kedge\[aws\]"):
        reopened(tmp_path).keys()


def test_no_key_gets_into_a_log_however_much_is_logged(
    keys: AwsKms, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """botocore's own debug log holds the bodies of requests and answers."""
    import base64

    key = new_key()
    logging.getLogger("botocore").setLevel(logging.NOTSET)
    with caplog.at_level(logging.DEBUG):
        fresh = reopened(tmp_path)
        fresh.unwrap("bank", "open", fresh.wrap("bank", "open", key, b""), b"")
    assert base64.b64encode(key).decode() not in caplog.text
    assert repr(fresh) == f"AwsKms({keys._lake_id})"
    with pytest.raises(TypeError, match="does not travel"):
        pickle.dumps(fresh)


def test_a_forked_process_has_a_connection_of_its_own(keys: AwsKms) -> None:
    key = new_key()
    wrapped = keys.wrap("bank", "open", key, b"")
    ours = keys._client._opened
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fresh = keys.unwrap("bank", "open", wrapped, b"") == key and keys._client._opened != ours
            os.write(write, b"well" if fresh else b"same")
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    assert os.read(read, 4) == b"well"
    os.close(read)
    assert keys.unwrap("bank", "open", wrapped, b"") == key


def test_erasures_are_counted_and_another_count_is_noticed(keys: AwsKms, tmp_path: Path) -> None:
    note = next((tmp_path / "keys").glob("*/kms.json"))
    assert [keys.count_erasure("bank"), keys.count_erasure("bank"), keys.erasures("shop")] == [1, 2, 0]
    assert reopened(tmp_path).erasures("bank") == 2
    assert note.stat().st_mode & 0o777 == 0o600
    content = json.loads(note.read_text())
    for change in ({"erasures": {"bank": 1}}, {"erasures": {}}, {"mac": "0" * 64}, {"mac": "\ud800"}):
        note.write_text(json.dumps({**content, **change}))
        with pytest.raises(Tampered, match=r"edited|other bytes") as caught:
            reopened(tmp_path).erasures("bank")
        assert caught.value.part == "ring"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}'])
def test_a_note_that_is_damaged_or_missing_is_said_when_the_lake_is_opened(
    keys: AwsKms, tmp_path: Path, content: str
) -> None:
    note = next((tmp_path / "keys").glob("*/kms.json"))
    note.write_text(content)
    with pytest.raises(Tampered, match=r"kms\.json"):
        reopened(tmp_path)
    note.unlink()
    with pytest.raises(Terminal, match="no such file"):
        AwsKms.open(tmp_path / "keys", keys._lake_id)


def test_what_is_there_is_not_made_again(keys: AwsKms, tmp_path: Path) -> None:
    with pytest.raises(Conflict):
        AwsKms.create(tmp_path / "keys", keys._lake_id)
    with pytest.raises(Terminal, match="keys in AWS KMS"):
        open_keys(KeyPlace(folder=tmp_path / "keys"), keys._lake_id)


Write = Callable[[Path, str, str], object]
NEW_KEY = ("keys.kms.made", "keys.kms.named", "keys.kms.current")
NOTED = tuple(f"keys.note.{step}" for step in durable.REPLACE)
WRITES: dict[str, tuple[Write, tuple[str, ...]]] = {
    "create": (lambda folder, lake, _: AwsKms.create(folder, lake), (*NEW_KEY[:2], *NOTED)),
    "wrap": (lambda folder, lake, _: AwsKms.open(folder, lake).wrap("shop", "open", bytes(32), b""), NEW_KEY),
    "rotate": (lambda folder, lake, _: AwsKms.open(folder, lake).rotate("bank", "open"), NEW_KEY),
    "destroy": (
        lambda folder, lake, old: AwsKms.open(folder, lake).destroy("bank", "open", old),
        ("keys.kms.disabled", "keys.kms.scheduled"),
    ),
    "erasure": (lambda folder, lake, _: AwsKms.open(folder, lake).count_erasure("bank"), NOTED),
}


def killed_at(point: str, write: Callable[[], object]) -> bool:
    child = os.fork()
    if child == 0:
        os.environ["KEDGE_FAULT"] = f"{point}:kill"
        try:
            write()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize(("name", "point"), [(name, point) for name, (_, points) in WRITES.items() for point in points])
def test_killed_at_each_request_that_changes_something_a_rerun_goes_on(
    keys: AwsKms, tmp_path: Path, name: str, point: str
) -> None:
    key, old, folder = new_key(), "", tmp_path / "keys"
    wrapped = keys.wrap("bank", "open", key, b"")
    if name == "destroy":
        old = wrapped["kek"]
        keys.rotate("bank", "open")
        wrapped = keys.rewrap("bank", "open", wrapped, b"")
    lake = lake_id() if name == "create" else keys._lake_id
    write = WRITES[name][0]
    assert killed_at(point, lambda: write(folder, lake, old))
    if name == "create" and point in ("keys.note.renamed", "keys.note.after"):
        with pytest.raises(Conflict):
            write(folder, lake, old)
    else:
        write(folder, lake, old)
    assert AwsKms.open(folder, lake).erasures("bank") in ((1, 2) if name == "erasure" else (0,))
    assert list(folder.rglob(".tmp-*")) == []
    assert keys.unwrap("bank", "open", wrapped, b"") == key
    assert len([kek for kek in keys.keys("bank") if kek.current]) == 1
    assert [kek.id for kek in keys.keys("bank") if kek.destroyed] == ([old] if old else [])


def test_a_lake_stores_reads_rotates_and_loses_its_keys_with_kms(kms: Any, tmp_path: Path) -> None:
    place = KeyPlace(folder=tmp_path / "keys", keeper="aws-kms")
    lake = Lake.open(tmp_path / "lake", place)
    raw = lake.dataset("restricted", "bank", "raw")
    rows = pl.DataFrame({"_row": [0, 1], "name": ["a", "b"]})

    def write(draft: Draft) -> Findings:
        draft.write_frame(rows)
        return Findings()

    version = produce(raw, "2026-01-01", inputs={"delivery": "d"}, declared={}, code=1, write=write).version
    (old,) = (kek.id for kek in lake.keys.keys("bank") if kek.zone == "restricted")
    backup = (version.path / "keys.json").read_bytes()
    done = rotation.rotate(lake, "bank", "restricted")
    assert done.rewrapped == 2
    rotation.destroy(lake, "bank", "restricted", old)
    again = Lake.open(tmp_path / "lake", place).dataset("restricted", "bank", "raw").current("2026-01-01")
    assert again is not None
    assert again.scan().collect().to_dicts() == rows.to_dicts()
    (version.path / "keys.json").write_bytes(backup)
    with pytest.raises(KeyGone, match="pending deletion"):
        again.scan()


def test_a_lake_is_not_made_where_kms_refuses(kms: Any, tmp_path: Path) -> None:
    kms.be("throttled")
    with pytest.raises(KedgeError, match="a key service that answers"):
        create_keys(KeyPlace(folder=tmp_path / "keys", keeper="aws-kms"), lake_id())
    assert list((tmp_path / "keys").rglob("*.json")) == []


def test_secrets_are_asked_for_rarely_and_not_used_for_long_once_their_key_is_gone(kms: Any, tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", KeyPlace(folder=tmp_path / "keys", keeper="aws-kms"))
    token = lake.secrets("bank").token("email")
    kms.be("well")
    assert {lake.secrets("bank").token("email") for _ in range(200)} == {token}
    assert kms.be("well") <= 20
    (kek,) = (kek.id for kek in lake.keys.keys("bank") if kek.zone == "restricted")
    rotation.destroy(lake, "bank", "restricted", kek, with_data=True)
    end = time.monotonic() + lake.keys.trusted_seconds
    while time.monotonic() < end:
        time.sleep(0.1)
    with pytest.raises(KeyGone):
        lake.secrets("bank").token("email")
