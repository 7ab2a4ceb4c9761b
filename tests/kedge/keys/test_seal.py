import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kedge.keys import WrongKey, new_key, seal, unseal


def test_what_was_sealed_opens_again_and_shows_nothing() -> None:
    key = new_key()
    sealed = seal(key, b"plain words", b"place")
    assert unseal(key, sealed, b"place", what="it") == b"plain words"
    assert b"plain" not in sealed
    assert seal(key, b"plain words", b"place") != sealed


def test_it_is_aes_256_gcm_with_the_nonce_in_front() -> None:
    key = bytes(range(32))
    sealed = seal(key, b"x", b"aad")
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], b"aad") == b"x"
    assert len(sealed) == 12 + 1 + 16


@pytest.mark.parametrize("broken", ["key", "context", "altered", "truncated", "empty"])
def test_anything_else_is_refused(broken: str) -> None:
    key = new_key()
    sealed = seal(key, b"plain words", b"place")
    bad = {"altered": sealed[:-1] + bytes([sealed[-1] ^ 1]), "truncated": sealed[:20], "empty": b""}.get(broken, sealed)
    with pytest.raises(WrongKey, match="the thing") as caught:
        unseal(
            new_key() if broken == "key" else key, bad, b"other" if broken == "context" else b"place", what="the thing"
        )
    assert caught.value.__context__ is None
