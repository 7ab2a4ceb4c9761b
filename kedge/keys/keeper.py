"""Which provider keeps a lake's keys: the one that the settings name, for as long as the lake lives."""

from kedge import durable
from kedge.errors import Terminal
from kedge.keys.kms import AwsKms
from kedge.keys.kmsnote import NOTE
from kedge.keys.provider import KeyProvider
from kedge.keys.ring import KeyRing
from kedge.keys.ringfile import RING
from kedge.keys.unlock import Unlocking
from kedge.settings import KeyPlace


def create_keys(place: KeyPlace, lake_id: str) -> None:
    """Make what a new lake needs before its first key.

    Raises:
        Conflict: it is there already.
        Terminal, Transient: the provider refuses, or does not answer.
    """
    if place.keeper == "aws-kms":
        AwsKms.create(place.folder, lake_id)
    else:
        KeyRing.create(place.folder, lake_id, _unlocking(place))


def open_keys(place: KeyPlace, lake_id: str) -> KeyProvider:
    """The provider of an existing lake.

    Raises:
        Terminal: the lake's keys are not there, cannot be reached or unlocked, or are kept by another provider.
        Transient: the disk answers with an error, or the provider does not answer.
        Tampered: what is stored about them was edited.
    """
    try:
        return _opened(place, lake_id)
    except OSError as error:
        raise durable.storage_error("KEDGE_KEYS", error) from None


def _opened(place: KeyPlace, lake_id: str) -> KeyProvider:
    folder = place.folder / lake_id
    others = {"local": NOTE, "aws-kms": RING}[place.keeper]
    if (folder / others).exists():
        got = "keys in a key ring" if others == RING else "keys in AWS KMS"
        need, remedy = f"keys of this lake kept by `{place.keeper}`", "Set KEDGE_KEYS_PROVIDER as when it was made."
        raise Terminal("KEDGE_KEYS_PROVIDER", need=need, got=got, remedy=remedy)
    if place.keeper == "aws-kms":
        return AwsKms.open(place.folder, lake_id)
    return KeyRing.open(place.folder, lake_id, _unlocking(place))


def _unlocking(place: KeyPlace) -> Unlocking:
    return Unlocking(key_file=place.key_file, passphrase_file=place.passphrase_file)
