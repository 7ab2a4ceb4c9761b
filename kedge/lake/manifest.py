"""The manifest: what a stored version is, what went into it and what was measured on it. No rows and no values."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from kedge.errors import Tampered, Terminal
from kedge.lake.names import MANIFEST
from kedge.outcome import Check, Fact
from kedge.spec.canonical import as_written, canonical

_SEAL = "seal"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything about a version but its rows.

    Attributes:
        zone, pipeline, dataset, partition, version: where it lies.
        inputs: what it was made from, by role: version ids, for `raw` the keyed digest of the delivery.
        declared: digest of the stage's part of the declaration.
        code: version of the stage's code.
        rows: rows of the main frame; 0 when there is none.
        schema: its columns in order, each `(name, dtype)`.
        files: by name `{"bytes": size, "sha256": of the ciphertext}`.
        content_digest: keyed digest of the canonical plaintext, 64 hexadecimal digits; comparable within a lake.
        facts, checks, notes: what the stage found, see `kedge.outcome.Findings`.
        released: whether every blocking check passed; only then may the version be current.
        reason: why it was not released.
        predecessor: the version that was current when this one was written.
        created: time of writing (ISO 8601, UTC); in no digest.
    """

    zone: str
    pipeline: str
    dataset: str
    partition: str
    version: str
    inputs: Mapping[str, str]
    declared: str
    code: int
    seed: int | None
    rows: int
    schema: tuple[tuple[str, str], ...]
    files: Mapping[str, Mapping[str, Any]]
    content_digest: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    released: bool
    reason: str | None
    predecessor: str | None
    created: str
    notes: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "checks": [check.to_json() for check in self.checks]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Manifest":
        checks = tuple(Check.from_json(check) for check in data["checks"])
        schema = tuple((str(name), str(dtype)) for name, dtype in data["schema"])
        return cls(**{**data, "checks": checks, "schema": schema})

    def sealed(self, secret: bytes) -> bytes:
        """The bytes to store: readable JSON with a keyed seal, so that an edited fact or verdict is noticed.

        Raises:
            Terminal: a fact or note is no JSON: a number that is not finite, an object of a numeric library.
        """
        body = json.loads(_canonical(self))
        return json.dumps({**body, _SEAL: _mac(body, secret)}, indent=1, ensure_ascii=False).encode()


def read_manifest(path: Path, secret: bytes, place: str) -> Manifest:
    """Read `path` and verify its seal.

    Raises:
        Tampered: it is missing, no manifest, or was edited.
    """
    try:
        body = as_written(path.read_bytes())
        found = str(body.pop(_SEAL))
    except FileNotFoundError:
        raise _tampered(place, "no such file") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise _tampered(place, "bytes that are no sealed manifest") from None
    if not hmac.compare_digest(found.encode(), _mac(body, secret).encode()):
        raise _tampered(place, "a manifest that was edited, or one sealed in another lake")
    return Manifest.from_json(body)


def _canonical(manifest: Manifest) -> bytes:
    try:
        return canonical(manifest.to_json())
    except (TypeError, ValueError) as error:
        failure = type(error).__name__  # its message may quote a fact
    raise Terminal(
        f"{manifest.zone}/{manifest.pipeline}/{manifest.dataset}/{manifest.partition}",
        need="facts, checks and notes of JSON's types, numbers finite",
        got=f"something else ({failure})",
        remedy="Convert numbers of numpy and polars with int() or float(), and store an undefined one as None.",
    )


def _mac(body: Mapping[str, Any], secret: bytes) -> str:
    return blake2b(canonical(body), key=secret, digest_size=32, person=b"kedge.manifest").hexdigest()


def _tampered(place: str, got: str) -> Tampered:
    remedy = "Restore the version from a backup, or run its stage again."
    need = "the manifest that was written there"
    return Tampered(f"{place}/{MANIFEST}", need=need, got=got, remedy=remedy, part="manifest")
