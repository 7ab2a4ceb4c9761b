"""The tree against the vectors of Certificate Transparency and a naive implementation of RFC 6962, section 2.1."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kedge.audit.tree import (
    EMPTY,
    HASH_BYTES,
    Tree,
    leaf_hash,
    node_hash,
    stored_count,
    stored_index,
    verify_consistency,
    verify_inclusion,
)

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Of google/certificate-transparency, merkletree/merkle_tree_test: roots of the first 1 to 8 leaves."""

quick = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
sizes = st.integers(0, 70)


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH, word for word."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = naive_split(len(leaves))
    return sha256(b"\1" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH, word for word."""
    if len(leaves) == 1:
        return []
    k = naive_split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: Sequence[bytes], known: bool) -> list[bytes]:
    """SUBPROOF, word for word."""
    if m == len(leaves):
        return [] if known else [naive_root(leaves)]
    k = naive_split(len(leaves))
    if m <= k:
        return [*naive_subproof(m, leaves[:k], known), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def naive_split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def data(size: int) -> list[bytes]:
    return [str(number).encode() for number in range(size)]


def grown(path: Path, size: int) -> Tree:
    path.unlink(missing_ok=True)
    tree = Tree(path)
    tree.append([leaf_hash(leaf) for leaf in data(size)])
    return tree


def test_roots_are_the_published_ones(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    assert tree.root() == EMPTY == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        tree.append([leaf_hash(bytes.fromhex(leaf))])
        assert tree.root().hex() == root
    assert [tree.root(size + 1).hex() for size in range(8)] == ROOTS


def test_an_audit_path_is_the_published_one(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    tree.append([leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES])
    path = [hash_.hex() for hash_ in tree.inclusion(5, 8)]
    assert path == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    proof = [hash_.hex() for hash_ in tree.consistency(6, 8)]
    assert proof == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@quick
@given(sizes, sizes, st.booleans())
def test_it_agrees_with_the_rfc_word_for_word(tmp_path: Path, one: int, other: int, flushed: bool) -> None:
    old, new = sorted((one, other))
    tree, leaves = grown(tmp_path / "tree", new), data(new)
    if flushed:
        tree.flush()
    assert tree.root() == naive_root(leaves)
    assert tree.root(old) == naive_root(leaves[:old])
    assert tree.consistency(old, new) == (naive_subproof(old, leaves, True) if old else [])
    for number in range(old):
        assert tree.inclusion(number, old) == naive_path(number, leaves[:old])
    tree.close()


@quick
@given(st.integers(1, 70), st.data())
def test_a_proof_holds_and_no_altered_one_does(tmp_path: Path, size: int, draw: st.DataObject) -> None:
    tree, leaves = grown(tmp_path / "tree", size), data(size)
    number, old = draw.draw(st.integers(0, size - 1)), draw.draw(st.integers(1, size))
    leaf, root, path = leaf_hash(leaves[number]), tree.root(), tree.inclusion(number, size)
    assert verify_inclusion(number, size, leaf, path, root)
    assert not verify_inclusion(number, size, leaf_hash(b"another"), path, root)
    assert not verify_inclusion(number, size, leaf, [*path, EMPTY], root)
    assert not verify_inclusion(size, size, leaf, path, root)
    proof = tree.consistency(old, size)
    assert verify_consistency(old, size, tree.root(old), root, proof)
    assert not verify_consistency(old, size, EMPTY, root, proof)
    assert not verify_consistency(old, size, tree.root(old), EMPTY, proof)
    assert not verify_consistency(old, size, tree.root(old), root, [*proof, EMPTY])
    for place in range(len(path)):
        assert not verify_inclusion(number, size, leaf, [*path[:place], EMPTY, *path[place + 1 :]], root)
        assert not verify_inclusion(number, size, leaf, path[:place] + path[place + 1 :], root)
    for place in range(len(proof)):
        altered = [*proof[:place], EMPTY, *proof[place + 1 :]]
        assert not verify_consistency(old, size, tree.root(old), root, altered)
        assert not verify_consistency(old, size, tree.root(old), root, proof[:place] + proof[place + 1 :])
    tree.close()


def test_the_empty_tree_begins_every_tree() -> None:
    root = node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
    assert verify_consistency(0, 2, EMPTY, root, [])
    assert not verify_consistency(0, 2, root, root, [])
    assert not verify_consistency(2, 1, root, root, [])


def test_hashes_lie_where_go_stores_them() -> None:
    places = [stored_index(level, number) for level, number in [(0, 0), (0, 1), (1, 0), (0, 2), (0, 3), (1, 1), (2, 0)]]
    assert places == list(range(7))
    assert [stored_count(size) for size in range(9)] == [0, 1, 3, 4, 7, 8, 10, 11, 15]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 100])
def test_it_is_opened_again_at_any_size(tmp_path: Path, size: int) -> None:
    tree = grown(tmp_path / "tree", 100)
    tree.flush()
    assert (tmp_path / "tree").stat().st_size == HASH_BYTES * stored_count(100)
    assert Tree(tmp_path / "tree").size == 100
    again = Tree(tmp_path / "tree", size=size)
    assert again.root() == naive_root(data(size))
    again.append([leaf_hash(leaf) for leaf in data(100)[size:]])
    assert again.root() == tree.root()
    assert again.consistency(size, 100) == tree.consistency(size, 100)


def test_a_file_that_was_cut_is_a_smaller_tree(tmp_path: Path) -> None:
    grown(tmp_path / "tree", 100).flush()
    with (tmp_path / "tree").open("r+b") as file:
        file.truncate(HASH_BYTES * stored_count(64) + 5)
    assert Tree(tmp_path / "tree").size == 64
    with pytest.raises(ValueError, match="needs 65 leaves"):
        Tree(tmp_path / "tree", size=65)


@pytest.mark.parametrize(("number", "size"), [(-1, 4), (4, 4), (0, 6)])
def test_a_proof_of_what_is_not_there_is_an_error(tmp_path: Path, number: int, size: int) -> None:
    tree = grown(tmp_path / "tree", 5)
    with pytest.raises(ValueError, match="inclusion"):
        tree.inclusion(number, size)
    with pytest.raises(ValueError, match="consistency"):
        tree.consistency(number, 6)
