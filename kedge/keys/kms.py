"""Key-encryption keys in AWS KMS: one key per (pipeline, zone), which never leaves the service.

The current key of an owner is where the alias `alias/kedge-<lake id>-<pipeline>-<zone>` points; every key has a second
alias for good, the same name followed by `/<key id>`, by which it is listed. Wrapping and unwrapping are requests with
the lake, pipeline, zone and place as encryption context: KMS authenticates it and writes it into its own log.
"""

import base64
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kedge import faults
from kedge.errors import Conflict, Tampered, Terminal
from kedge.keys.kmsclient import KmsClient, Patience
from kedge.keys.kmsnote import KmsNote
from kedge.keys.provider import Announce, Kek, KeyGone, Wrapped
from kedge.keys.seal import new_key

faults.register("keys.kms", steps=("made", "named", "current", "disabled", "scheduled"))

_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/([A-Za-z0-9-]+)")
_SHORTEST_DAYS = 7
"""AWS deletes a key no sooner; it refuses every use from the moment it is disabled."""
_PENDING = frozenset({"PendingDeletion", "PendingReplicaDeletion"})


class AwsKms:
    """A key provider whose keys are in AWS KMS.

    Attributes:
        announce, trusted_seconds: see `kedge.keys.provider.KeyProvider`. A look at a thousand nights opens as many
            seals: without, that would be as many requests.
    """

    trusted_seconds = 2.0

    def __init__(self, folder: Path, lake_id: str, patience: Patience | None = None) -> None:
        self.announce: Announce | None = None
        self._lake_id, self._client = lake_id, KmsClient(patience)
        self._note = KmsNote(folder / lake_id, lake_id, self._unwrap_counters_key)

    def __repr__(self) -> str:
        return f"AwsKms({self._lake_id})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a connection to KMS does not travel between processes: open the lake there")

    @classmethod
    def create(cls, folder: Path, lake_id: str, patience: Patience | None = None) -> "AwsKms":
        """Make a new lake's key for its erasure counters, and the file with these below `folder`.

        Raises:
            Conflict: there is one already.
            Terminal, Transient: KMS refuses, or does not answer.
        """
        made = cls(folder, lake_id, patience)
        with made._note.locked():
            made._note.refuse_existing()
            arn = made._new_key("counters")
            key = new_key()
            asked = {"Plaintext": key, "EncryptionContext": made._counters_context()}
            made._note.create(key, _wrapped(made._client.call("encrypt", about="counters", KeyId=arn, **asked)))
        return made

    @classmethod
    def open(cls, folder: Path, lake_id: str, patience: Patience | None = None) -> "AwsKms":
        """The keys of an existing lake; KMS is asked when one is needed.

        Raises:
            Terminal: the file with the erasure counters is missing.
            Tampered: it is another file.
        """
        found = cls(folder, lake_id, patience)
        found._note.check()
        return found

    def wrap(self, pipeline: str, zone: str, key: bytes, context: bytes) -> Wrapped:
        """Wrap a data key under the current key-encryption key of (pipeline, zone), making one when there is none."""
        alias, about = self._alias(f"{pipeline}-{zone}"), f"{pipeline}/{zone}"
        asked = {"Plaintext": key, "EncryptionContext": self._context(pipeline, zone, context)}
        answer = self._client.find("encrypt", about=about, KeyId=alias, **asked)
        if answer is None:
            answer = self._client.call("encrypt", about=about, KeyId=self._make(pipeline, zone), **asked)
        return _wrapped(answer)

    def unwrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> bytes:
        """The data key again.

        Raises:
            KeyGone: the key-encryption key is not in KMS, disabled, or pending deletion.
            Tampered: the wrapped key was altered or comes from another place.
            Terminal, Transient: KMS refuses, or does not answer.
        """
        what = f"wrapped key of {context.decode(errors='replace')}"
        arn, blob = _parsed(wrapped, what)
        bound = self._context(pipeline, zone, context)
        answer = self._client.call("decrypt", about=what, KeyId=arn, CiphertextBlob=blob, EncryptionContext=bound)
        return bytes(answer["Plaintext"])

    def rewrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> Wrapped:
        """The same data key under the current key-encryption key, which KMS does without showing it to us."""
        what = f"wrapped key of {context.decode(errors='replace')}"
        old, blob = _parsed(wrapped, what)
        current = self._current(f"{pipeline}-{zone}") or self._make(pipeline, zone)
        if current == old:
            return wrapped
        bound = self._context(pipeline, zone, context)
        answer = self._client.call(
            "re_encrypt",
            about=what,
            CiphertextBlob=blob,
            SourceKeyId=old,
            SourceEncryptionContext=bound,
            DestinationKeyId=current,
            DestinationEncryptionContext=bound,
        )
        return _wrapped(answer)

    def rotate(self, pipeline: str, zone: str) -> str:
        """Make a new key and move the alias to it; returns its ARN."""
        owner = f"{pipeline}-{zone}"
        with self._note.locked():
            arn = self._new_key(owner, pipeline, zone)
            how = "update_alias" if self._current(owner) else "create_alias"
            self._client.call(how, about=owner, AliasName=self._alias(owner), TargetKeyId=_id(arn))
            faults.reach("keys.kms.current")
        return arn

    def destroy(self, pipeline: str, zone: str, kek: str) -> None:
        """Disable a key, which KMS then refuses to use, and have it deleted after 7 days. Done already: nothing.

        Raises:
            KeyGone: this owner never had it.
        """
        owner, about = f"{pipeline}-{zone}", f"{pipeline}/{zone}"
        with self._note.locked():
            self._refuse_foreign(owner, kek, about)
            if self._described(kek, about)["KeyState"] not in _PENDING:
                self._client.call("disable_key", about=about, KeyId=_id(kek))
                faults.reach("keys.kms.disabled")
                days = {"PendingWindowInDays": _SHORTEST_DAYS}
                self._client.call("schedule_key_deletion", about=about, KeyId=_id(kek), **days)
                faults.reach("keys.kms.scheduled")
            if self._current(owner) == kek:
                self._client.call("delete_alias", about=about, AliasName=self._alias(owner))

    def keys(self, pipeline: str | None = None) -> list[Kek]:
        """Every key-encryption key that KMS still knows, by pipeline, zone and date; deleted ones are forgotten there.

        Raises:
            Terminal, Transient: KMS refuses, or does not answer.
        """
        aliases = self._aliases()
        found = []
        for name, target in aliases.items():
            owner, of_one_key, _ = name.removeprefix(self._alias("")).partition("/")
            its_pipeline, _, zone = owner.rpartition("-")
            if of_one_key and its_pipeline and pipeline in (None, its_pipeline):
                found.append(self._kek(its_pipeline, zone, target, current=aliases.get(self._alias(owner)) == target))
        return sorted(found, key=lambda kek: (kek.pipeline, kek.zone, kek.created, kek.id))

    def erasures(self, pipeline: str) -> int:
        """How many erasures were counted."""
        return self._note.erasures(pipeline)

    def count_erasure(self, pipeline: str) -> int:
        """Count one more; returns the new number."""
        return self._note.count_erasure(pipeline)

    def _make(self, pipeline: str, zone: str) -> str:
        """The first key of an owner; of two machines that make one, one wins and both use its key."""
        owner, about = f"{pipeline}-{zone}", f"{pipeline}/{zone}"
        with self._note.locked():
            found = self._current(owner)
            if found:
                return found
            arn = self._new_key(owner, pipeline, zone)
            try:
                self._client.call("create_alias", about=about, AliasName=self._alias(owner), TargetKeyId=_id(arn))
            except Conflict:
                self._give_up(arn, about)
                return str(self._described(self._alias(owner), about)["Arn"])
            faults.reach("keys.kms.current")
        if self.announce:
            self.announce(self._kek(pipeline, zone, arn, current=True))
        return arn

    def _give_up(self, arn: str, about: str) -> None:
        """Have a key deleted that nothing was wrapped with. Who may destroy none leaves it: listed, and not current."""
        days = {"PendingWindowInDays": _SHORTEST_DAYS}
        with suppress(Terminal):
            self._client.call("disable_key", about=about, KeyId=_id(arn))
            self._client.call("schedule_key_deletion", about=about, KeyId=_id(arn), **days)

    def _new_key(self, owner: str, pipeline: str = "", zone: str = "") -> str:
        named = {"kedge-lake": self._lake_id, "kedge-pipeline": pipeline, "kedge-zone": zone}
        tags = [{"TagKey": name, "TagValue": value} for name, value in named.items() if value]
        made = self._client.call("create_key", about=owner, Description=f"kedge {owner}", Tags=tags)["KeyMetadata"]
        faults.reach("keys.kms.made")
        name = f"{self._alias(owner)}/{made['KeyId']}"
        self._client.call("create_alias", about=owner, AliasName=name, TargetKeyId=made["KeyId"])
        faults.reach("keys.kms.named")
        return str(made["Arn"])

    def _unwrap_counters_key(self, wrapped: Wrapped) -> bytes:
        arn, blob = _parsed(wrapped, "key of the erasure counters")
        bound, about = self._counters_context(), "KEDGE_KEYS (kms.json)"
        answer = self._client.call("decrypt", about=about, KeyId=arn, CiphertextBlob=blob, EncryptionContext=bound)
        return bytes(answer["Plaintext"])

    def _counters_context(self) -> dict[str, str]:
        return {"lake": self._lake_id, "place": "counters"}

    def _context(self, pipeline: str, zone: str, context: bytes) -> dict[str, str]:
        return {"lake": self._lake_id, "pipeline": pipeline, "zone": zone, "place": context.decode()}

    def _alias(self, owner: str) -> str:
        return f"alias/kedge-{self._lake_id}-{owner}"

    def _current(self, owner: str) -> str | None:
        found = self._client.find("describe_key", about=owner, KeyId=self._alias(owner))
        return None if found is None else str(found["KeyMetadata"]["Arn"])

    def _described(self, key: str, about: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.call("describe_key", about=about, KeyId=key)["KeyMetadata"]
        return found

    def _aliases(self, **of: str) -> dict[str, str]:
        """The lake's aliases and the keys they point at."""
        found: dict[str, str] = {}
        more: dict[str, Any] = {}
        while True:
            page = self._client.call("list_aliases", about="aliases", **of, **more)
            found |= {alias["AliasName"]: alias.get("TargetKeyId", "") for alias in page["Aliases"]}
            if not page.get("Truncated"):
                return {name: key for name, key in found.items() if name.startswith(self._alias(""))}
            more = {"Marker": page["NextMarker"]}

    def _refuse_foreign(self, owner: str, kek: str, about: str) -> None:
        if _ARN.fullmatch(kek) and f"{self._alias(owner)}/{_id(kek)}" in self._aliases(KeyId=_id(kek)):
            return
        got, remedy = "a key of something else, or no key", "Look at `kedge keys list`."
        raise KeyGone(about, need="one of its key-encryption keys", got=got, remedy=remedy)

    def _kek(self, pipeline: str, zone: str, key: str, *, current: bool) -> Kek:
        found = self._described(key, f"{pipeline}/{zone}")
        gone = found["DeletionDate"] - timedelta(days=_SHORTEST_DAYS) if found["KeyState"] in _PENDING else None
        return Kek(
            pipeline=pipeline,
            zone=zone,
            id=found["Arn"],
            created=_text(found["CreationDate"]),
            current=current,
            destroyed=None if gone is None else _text(gone),
        )


def _wrapped(answer: dict[str, Any]) -> Wrapped:
    return {"kek": answer["KeyId"], "wrapped": base64.b64encode(answer["CiphertextBlob"]).decode()}


def _parsed(wrapped: Wrapped, what: str) -> tuple[str, bytes]:
    try:
        arn, blob = str(wrapped["kek"]), base64.b64decode(wrapped["wrapped"], validate=True)
    except (KeyError, TypeError, ValueError):
        remedy = "Restore the file from a backup."
        raise Tampered(what, need="a wrapped key", got="something else", remedy=remedy, part="keys") from None
    if _ARN.fullmatch(arn):
        return arn, blob
    need, got = "a key that AWS KMS wrapped", "one that something else wrapped, or an edited name"
    remedy = "Set KEDGE_KEYS_PROVIDER as when it was written; otherwise restore the file from a backup."
    raise KeyGone(what, need=need, got=got, remedy=remedy)


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
