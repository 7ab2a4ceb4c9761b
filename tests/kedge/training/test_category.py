import numpy as np
import pyarrow as pa

from kedge.training.category import MISSING, MOST, OTHER, Vocabulary


def words(*counted: tuple[str | None, int]) -> pa.Array:
    return pa.array([word for word, count in counted for _ in range(count)], pa.large_string())


def test_words_of_eleven_people_are_known() -> None:
    values = words(("common", 11), ("rare", 10), (None, 20))
    assert Vocabulary.fit(values, np.arange(41)).words == ("common",)


def test_people_are_counted_and_not_rows() -> None:
    values = words(("one person's", 100), ("many", 11))
    people = np.concatenate([np.zeros(100, np.int64), np.arange(11)])
    assert Vocabulary.fit(values, people).words == ("many",)


def test_unknown_and_missing_words_have_their_own_buckets() -> None:
    vocabulary = Vocabulary(("basic", "plus"))
    found = vocabulary.buckets(pa.array(["plus", None, "never seen", "basic"], pa.large_string()))
    assert found.tolist() == [3, MISSING, OTHER, 2]
    assert found.dtype == np.int64
    assert vocabulary.num_buckets == 4


def test_nothing_known_still_has_buckets() -> None:
    vocabulary = Vocabulary.fit(words((None, 30)), np.arange(30))
    assert vocabulary.words == ()
    assert vocabulary.buckets(pa.array([None, "x"], pa.large_string())).tolist() == [MISSING, OTHER]


def test_the_most_frequent_words_are_kept() -> None:
    values = words(*((f"w{number:04}", 11 + number % 2) for number in range(MOST + 10)))
    found = Vocabulary.fit(values, np.arange(len(values))).words
    assert len(found) == MOST
    assert {word for word in found if int(word[1:]) % 2} == {f"w{number:04}" for number in range(1, MOST + 10, 2)}
    assert list(found) == sorted(found)
