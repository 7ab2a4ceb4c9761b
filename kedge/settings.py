"""Where things live: the environment is read here, once, and handed on as a value."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from kedge.errors import Terminal

Profile = Literal["local", "kubernetes"]
Confined = Literal["auto", "required", "off"]
KeyKeeper = Literal["local", "aws-kms"]


@dataclass(frozen=True, kw_only=True)
class KeyPlace:
    """Who keeps the key-encryption keys, and where.

    Attributes:
        folder: the key rings; of `aws-kms`, a small file per lake (`KEDGE_KEYS`).
        keeper: a key ring in `folder`, or AWS's key management service (`KEDGE_KEYS_PROVIDER`, default `local`).
        key_file: the key that unlocks the ring, if it does not lie beside it (`KEDGE_KEYS_KEY_FILE`).
        passphrase_file: the passphrase that unlocks the ring, in place of a key (`KEDGE_KEYS_PASSPHRASE_FILE`).
    """

    folder: Path
    keeper: KeyKeeper = "local"
    key_file: Path | None = None
    passphrase_file: Path | None = None

    @classmethod
    def from_environment(cls, folder: Path, env: Mapping[str, str]) -> "KeyPlace":
        """Read the `KEDGE_KEYS_*` variables.

        Raises:
            Terminal: there is no such keeper, or more than one way to unlock is named.
        """
        keeper = env.get("KEDGE_KEYS_PROVIDER") or "local"
        if keeper not in get_args(KeyKeeper):
            need, remedy = " or ".join(get_args(KeyKeeper)), "Unset it for a key ring in KEDGE_KEYS."
            raise Terminal("KEDGE_KEYS_PROVIDER", need=need, got="another text", remedy=remedy)
        named = {name: env.get(f"KEDGE_KEYS_{name}_FILE") for name in ("KEY", "PASSPHRASE")}
        files = {name: Path(text).absolute() for name, text in named.items() if text}
        if len(files) > (1 if keeper == "local" else 0):
            need = "at most one of both, and none with a key service"
            names = " and ".join(f"KEDGE_KEYS_{name}_FILE" for name in files)
            raise Terminal(names, need=need, got="a name for it", remedy="Unset what is not meant.")
        found = cast("KeyKeeper", keeper)
        return cls(folder=folder, keeper=found, key_file=files.get("KEY"), passphrase_file=files.get("PASSPHRASE"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Places kedge reads and writes.

    Attributes:
        home: all state: lake, registry, reports, Dagster's and MLflow's stores (`KEDGE_HOME`, default `.kedge`).
        keys: the key ring; never inside `home` (`KEDGE_KEYS`, default under the user's data folder).
        data: relative paths of a declaration's source start here (`KEDGE_DATA`, default the current folder).
        pipelines: folder of declarations (`KEDGE_PIPELINES`, default `pipelines`).
        mlflow_uri: MLflow's tracking store (`KEDGE_MLFLOW_URI`, default SQLite under `home`).
        mlflow_page: where people reach MLflow's web page; links lead there (`KEDGE_MLFLOW_PAGE`).
        reports_page: where people reach `reports` (`KEDGE_REPORTS_PAGE`; `kedge up` serves them).
        profile: where steps are executed: here, or each in a pod of its own (`KEDGE_PROFILE`, default `local`).
        training_confined: whether a training process must be confined: `auto` takes what the machine offers, `required`
            fails without Landlock, `off` asks for nothing (`KEDGE_TRAINING_CONFINED`, default `auto`).
        training_uid: user that a training process becomes; needs root (`KEDGE_TRAINING_UID`, default the same user).
        key_place: who keeps the key-encryption keys (`KEDGE_KEYS_*`, default a key ring in `keys`).
    """

    home: Path
    keys: Path
    data: Path
    pipelines: Path
    mlflow_uri: str
    mlflow_page: str
    reports_page: str
    profile: Profile = "local"
    training_confined: Confined = "auto"
    training_uid: int | None = None
    key_place: KeyPlace

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read the `KEDGE_*` variables.

        Raises:
            Terminal: the key ring would lie inside `KEDGE_HOME`, where a backup of the data takes the keys along; or
                there is no such profile or key provider.
        """
        home = Path(env.get("KEDGE_HOME") or ".kedge").absolute()
        user_data = Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        keys = Path(env.get("KEDGE_KEYS") or user_data / "kedge" / "keys").absolute()
        if keys.resolve().is_relative_to(home.resolve()):
            raise Terminal(
                "KEDGE_KEYS",
                need="a folder outside KEDGE_HOME, so that a copy of the data never holds its keys",
                got="a folder inside KEDGE_HOME",
                remedy="Unset KEDGE_KEYS or point it elsewhere, for instance to ~/.local/share/kedge/keys.",
            )
        profile = env.get("KEDGE_PROFILE") or "local"
        if profile not in get_args(Profile):
            need = " or ".join(get_args(Profile))
            raise Terminal("KEDGE_PROFILE", need=need, got="another text", remedy="Unset it to run here.")
        return cls(
            home=home,
            keys=keys,
            data=Path(env.get("KEDGE_DATA") or ".").absolute(),
            pipelines=Path(env.get("KEDGE_PIPELINES") or "pipelines").absolute(),
            mlflow_uri=env.get("KEDGE_MLFLOW_URI") or f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
            mlflow_page=(env.get("KEDGE_MLFLOW_PAGE") or "http://127.0.0.1:5000").rstrip("/"),
            reports_page=(env.get("KEDGE_REPORTS_PAGE") or "http://127.0.0.1:3001").rstrip("/"),
            profile=cast("Profile", profile),
            training_confined=_confined(env.get("KEDGE_TRAINING_CONFINED") or "auto"),
            training_uid=_user(env.get("KEDGE_TRAINING_UID") or ""),
            key_place=KeyPlace.from_environment(keys, env),
        )

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def audit(self) -> Path:
        """A log per pipeline: who read and changed what (`kedge.audit`)."""
        return self.home / "audit"

    @property
    def registry(self) -> Path:
        return self.home / "registry"

    @property
    def reports(self) -> Path:
        """HTML for people: evidence only (aggregates of at least 11 people), hence not encrypted."""
        return self.home / "reports"

    @property
    def dagster(self) -> Path:
        return self.home / "dagster"

    @property
    def leases(self) -> Path:
        """A file per run that is being executed, held by its process (`kedge.leases`)."""
        return self.home / "leases"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.home / "mlflow" / "artifacts"


def _confined(wanted: str) -> Confined:
    if wanted in get_args(Confined):
        return cast("Confined", wanted)
    need = " or ".join(get_args(Confined))
    raise Terminal("KEDGE_TRAINING_CONFINED", need=need, got="another text", remedy="Unset it for auto.")


def _user(number: str) -> int | None:
    if not number:
        return None
    if number.isdecimal() and 0 < int(number) < 2**32 - 1:
        return int(number)
    need = "the number of a user other than root"
    raise Terminal("KEDGE_TRAINING_UID", need=need, got="another text", remedy="`id -u NAME` tells it.")
