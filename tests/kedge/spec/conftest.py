"""A declaration to vary: as attributes, as YAML in a pipeline's folder."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kedge.spec import Declaration, SpecError, load

ATTRIBUTES: dict[str, Any] = {
    "partitions": {"start": "2026-01-01"},
    "source": {"files": "inbox/{date}.csv"},
    "columns": {
        "customer_id": {"type": "string", "role": "subject", "privacy": "token"},
        "birth_date": {"type": "date", "privacy": {"bins": "10y"}, "quasi": True},
        "zip": {"type": "string", "privacy": {"prefix": 1}, "quasi": True},
        "sex": {"type": "category", "values": ["f", "m"], "protected": True},
        "balance": {"type": "float", "min": 0},
        "plan": {"type": "category", "values": ["basic", "plus"]},
        "left": {"type": "bool", "role": "target"},
    },
}


def _varied(**changes: Any) -> dict[str, Any]:
    attributes = deepcopy(ATTRIBUTES)
    for path, value in changes.items():
        *parents, last = path.split("__")
        inside = attributes
        for parent in parents:
            inside = inside.setdefault(parent, {})
        if value is ...:
            del inside[last]
        else:
            inside[last] = value
    return attributes


@pytest.fixture
def varied() -> Callable[..., dict[str, Any]]:
    """Attributes of a declaration; `columns__zip__quasi=False` replaces a setting, `...` removes one."""
    return _varied


@pytest.fixture
def declare() -> Callable[..., Declaration]:
    """The declaration of such attributes."""
    return lambda **changes: Declaration.named("bank", _varied(**changes))


@pytest.fixture
def refusal() -> Callable[..., dict[str, str]]:
    """What is wrong with such attributes: setting -> message."""

    def messages(**changes: Any) -> dict[str, str]:
        try:
            Declaration.model_validate(_varied(**changes))
        except ValidationError as failure:
            errors = failure.errors(include_url=False)
            return {".".join(map(str, error["loc"])): str(error["ctx"]["error"]) for error in errors}
        return {}

    return messages


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """The lines of the error that a `pipelines/bank/defs.yaml` of this text gives; empty if it is in order."""

    def written(text: str) -> list[str]:
        monkeypatch.chdir(tmp_path)
        path = Path("pipelines/bank/defs.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        try:
            load(path)
        except SpecError as error:
            return str(error).splitlines()
        return []

    return written
