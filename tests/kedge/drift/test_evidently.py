from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kedge.drift import evidently
from kedge.drift.column import Column
from kedge.drift.evidence import evidence
from kedge.drift.verdict import Measured


@pytest.fixture
def shown(column: Callable[..., Column], random: np.random.Generator) -> list[Column]:
    """A numeric and a category column, each with values of single people planted in it."""
    numbers = [*random.normal(100, 10, 400), 734512.25, 734512.25], [*random.normal(100, 10, 200), 918273.5]
    texts = ["basic"] * 300 + ["flex"] * 100 + ["PLANTED-A"], ["basic"] * 150 + ["flex"] * 40 + ["PLANTED-B"] * 10
    made = [replace(column(*numbers), name="balance"), replace(column(*texts), name="plan")]
    found = [evidence(one, seed=1) for one in made]
    return [one for one in found if one is not None]


def test_the_html_shows_nothing_about_fewer_than_eleven(shown: list[Column]) -> None:
    measured = {
        "balance": Measured(method="x", value=0.4321, noise=0.1),
        "plan": Measured(method="x", value=0.0765, noise=0.2),
    }
    html = evidently.html(shown, measured).decode()
    assert "734512" not in html
    assert "918273" not in html
    assert "PLANTED" not in html
    assert "basic" in html
    assert "(other)" in html
    # the distance and the verdict that kedge judged by, not those of the coarsened columns
    assert "Data drift detected. Drift detection method: Wasserstein distance in standard deviations" in html
    assert "Drift score: 0.432" in html
    assert "Data drift not detected. Drift detection method: Jensen-Shannon distance. Drift score: 0.076" in html


def test_columns_of_different_lengths_are_drawn(column: Callable[..., Column]) -> None:
    """Rows without a value are left out column by column."""
    made = [
        replace(column([1.0, 2.0] * 30, [1.0, 2.0] * 15), name="short"),
        replace(column(["a", "b"] * 100, ["a"] * 90), name="long"),
        replace(column([3.0] * 50, [3.0] * 40), name="constant"),
    ]
    measured = {one.name: Measured(method="x", value=0.0, noise=0.1) for one in made}
    assert evidently.html(made, measured).count(b"Data drift not detected") >= 3


def test_a_category_that_is_a_script_is_only_text(column: Callable[..., Column]) -> None:
    hostile = "</script><script>document.title='owned'</script>"
    images = '<img src=x onerror="alert(1)">'
    texts = ["basic"] * 50 + [hostile] * 30 + [images] * 30
    made = replace(column(texts, texts), name="plan")
    page = evidently.html([made], {"plan": Measured(method="x", value=0.0, noise=0.1)}).decode()
    assert hostile not in page
    assert "<img src=x" not in page
    assert "&lt;/script&gt;&lt;script&gt;" in page
