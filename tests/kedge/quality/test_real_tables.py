"""Real tables through the contract: Adult (no header, ", " between fields, `?` for missing) as one night."""

import shutil

import pytest

from kedge.quality.validate import validate
from kedge.source.take import take
from kedge.spec import Declaration

NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")
ADULT = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship",
    "race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income",
)  # fmt: skip


@pytest.mark.real
def test_adult_as_one_night(ws, real_data):
    types = {name: {"type": "integer", "min": 0} for name in NUMBERS}
    columns = {name: types.get(name, {"type": "category", "nulls": "6%"}) for name in ADULT}
    columns["income"] = {"type": "category", "values": ["<=50K", ">50K"], "role": "target"}
    source = {"files": "{date}.csv.gz", "header": False, "missing": ["", "?"]}
    attributes = {"partitions": {"start": "2026-01-01"}, "source": source, "columns": columns}
    declaration = Declaration.named("adult", attributes)
    ws.settings.data.mkdir()
    shutil.copy(real_data / "adult" / "adult.data.gz", ws.settings.data / "2026-01-01.csv.gz")

    assert take(ws, declaration, "2026-01-01").rows == 32_561
    result = validate(ws, declaration, "2026-01-01")
    assert result.validated.released
    assert [check.name for check in result.validated.checks if not check.passed] == []
    counts = {check.name: check.facts.get("failing") for check in result.validated.checks}
    # missing cells as published with the table
    assert [counts[f"{name}_nulls_at_most"] for name in ("workclass", "occupation", "native_country")] == [
        1836,
        1843,
        583,
    ]
    income = result.validated.version.scan().select("income").collect()["income"]
    assert round((income == ">50K").mean(), 4) == 0.2408
