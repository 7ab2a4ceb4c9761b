"""Piecewise-linear embeddings of rtdl_num_embeddings, imported without scikit-learn.

The library imports scikit-learn (with scipy and pandas, 1 s) if it is installed, for a way of computing bins that
kedge does not use.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let the import of a module that is not loaded yet fail inside the block."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # the import system takes it as "cannot be imported"
    try:
        yield
    finally:
        del sys.modules[name]


with _hidden("sklearn"):
    from rtdl_num_embeddings import PiecewiseLinearEmbeddings

__all__ = ["PiecewiseLinearEmbeddings"]
