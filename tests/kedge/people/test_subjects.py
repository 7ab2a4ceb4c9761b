from hashlib import sha256

from kedge.people.subjects import commit, leaf, root

SECRET = bytes(32)


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def test_root_is_that_of_rfc_6962() -> None:
    a, b, c, d, e = (leaf(token, b"salt") for token in "abcde")
    assert a == sha256(b"\x00salta").digest()
    assert root([]) == sha256(b"").digest()
    assert root([a]) == a
    assert root([a, b, c]) == node(node(a, b), c)
    assert root([a, b, c, d, e]) == node(node(node(a, b), node(c, d)), e)


def test_a_commitment_depends_on_who_and_not_on_the_order() -> None:
    first = commit(["x", "y", "z", "x"], SECRET, "v1")
    assert first == commit(["z", "y", "x"], SECRET, "v1")
    assert (first.count, len(first.salt), len(first.root)) == (3, 32, 64)
    assert commit(["x", "y"], SECRET, "v1").root != first.root


def test_commitments_of_different_sets_cannot_be_compared() -> None:
    first, second = (commit(["x"], SECRET, context) for context in ("v1", "v2"))
    assert first.salt != second.salt
    assert first.root != second.root
    assert commit(["x"], bytes([1]) * 32, "v1").salt != first.salt
