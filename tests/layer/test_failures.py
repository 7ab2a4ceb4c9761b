"""What Dagster is told of a failure, and what not."""

import dagster as dg
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from kedge.errors import Blocked, Conflict, Transient
from resources.failures import shielded

ERROR = {"need": "a", "got": "b", "remedy": "Do c."}


def test_a_message_of_another_library_is_withheld_with_everything_chained_to_it() -> None:
    with pytest.raises(dg.Failure) as failure, shielded("raw"):
        _fail_with_a_chain()
    error = failure.value
    assert "RuntimeError" in str(error.description)
    assert "test_failures.py" in str(error.description)
    assert "jane" not in str(error.description)
    assert "jane" not in str(serializable_error_info_from_exc_info((type(error), error, error.__traceback__)))


@pytest.mark.parametrize("kind", [Blocked, Conflict])
def test_kedges_own_terminal_errors_pass_with_their_message_and_are_not_retried(kind: type[Blocked]) -> None:
    with pytest.raises(dg.Failure, match=r"zip: needs a; got b\. Do c\.") as failure, shielded("raw"):
        raise kind("zip", **ERROR)
    assert failure.value.allow_retries is False


def test_a_transient_error_is_tried_again() -> None:
    with pytest.raises(dg.RetryRequested) as retry, shielded("raw"):
        raise Transient("inbox", **ERROR)
    assert retry.value.max_retries == 2


def _fail_with_a_chain() -> None:
    try:
        raise ValueError("jane.doe@example.com")
    except ValueError as first:
        raise RuntimeError("could not parse jane.doe@example.com") from first
