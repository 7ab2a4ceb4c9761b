import ctypes

import pytest

from kedge.training.memory import closed

GET_DUMPABLE = 3


def dumpable() -> int:
    return int(ctypes.CDLL(None).prctl(GET_DUMPABLE, 0, 0, 0, 0))


def test_it_is_closed_while_the_block_runs() -> None:
    before = dumpable()
    with closed():
        assert dumpable() == 0
        with closed():
            assert dumpable() == 0
        assert dumpable() == 0
    assert dumpable() == before


def test_it_is_opened_again_after_an_error() -> None:
    before = dumpable()
    with pytest.raises(KeyboardInterrupt), closed():
        raise KeyboardInterrupt
    assert dumpable() == before
