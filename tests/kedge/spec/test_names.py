"""Names are on the allow-list or refused, without being repeated."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.errors import Terminal
from kedge.spec import check_name, column_name
from kedge.spec.names import looks_like


@given(st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,62}\Z"))
def test_a_name_on_the_allow_list_is_returned(name: str) -> None:
    assert check_name("pipeline", name) == name


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a\n", "ä", "a" * 64, "../x", 'x"; drop table'])
def test_any_other_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(Terminal) as caught:
        check_name("column", name)
    assert not name or name not in str(caught.value)


@given(st.text(max_size=70))
def test_a_header_becomes_a_name_or_nothing(header: str) -> None:
    name = column_name(header)
    assert name is None or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name)
    assert name is None or column_name(name) == name


@pytest.mark.parametrize(
    ("header", "name"),
    [("emp.var.rate", "emp_var_rate"), (" education-num", "education_num"), ("age", "age"), ("1st", None), ("", None)],
)
def test_other_characters_of_a_header_count_as_underscores(header: str, name: str | None) -> None:
    assert column_name(header) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("last_name", ("a person's name", True)),
        ("customerEmail", ("an e-mail address", True)),
        ("email2", ("an e-mail address", True)),
        ("account_number", ("an account number", True)),
        ("date_of_birth", ("a birth date", False)),
        ("ZIP", ("a place", False)),
        ("filename", None),
        ("shipping", None),
        ("monthly_payments", None),
    ],
)
def test_a_name_that_points_to_a_person_is_seen(name: str, expected: tuple[str, bool] | None) -> None:
    assert looks_like(name) == expected
