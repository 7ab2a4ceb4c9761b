"""What happens to a column at the border between the zones."""

from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from kedge.spec.mistake import Flaw, describe, not_supported
from kedge.spec.model import SpecModel
from kedge.spec.quantity import CalendarUnit, parse_width

Kind = Literal["drop", "token", "bins", "prefix", "redact"]
FORMS = "one of drop, token, redact, {bins: 10y}, {bins: 5}, {prefix: 1}"


class Treatment(SpecModel):
    """What happens to a column at the border between the zones.

    Written `drop`, `token` (also `{token: keyed}`), `redact`, `{bins: 10y}`, `{bins: 5}` or `{prefix: 1}`.

    Attributes:
        width: of a bin, in `unit`s for dates, in the column's own unit (`unit` None) for numbers.
        length: characters that a prefix keeps.
    """

    kind: Kind
    width: float | None = None
    unit: CalendarUnit | None = None
    length: Annotated[int, Field(ge=1)] | None = None
    token: Literal["keyed"] = "keyed"  # noqa: S105  the way tokens are made

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        if isinstance(value, Treatment):
            return value
        if value in ("drop", "token", "redact"):
            return {"kind": value}
        if isinstance(value, dict) and len(value) == 1:
            return _parameters(*next(iter(value.items())))
        raise Flaw(FORMS, describe(value), "Take the one that leaves as little of a person as the model can bear.")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        def form(key: str, value: JsonSchemaValue) -> JsonSchemaValue:
            return {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}

        return {
            "anyOf": [
                {"enum": ["drop", "token", "redact"]},
                form("token", {"const": "keyed"}),
                form("bins", {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}),
                form("prefix", {"type": "integer", "minimum": 1}),
            ]
        }


def _parameters(kind: Any, value: Any) -> dict[str, Any]:
    if kind == "token" and value == "keyed":
        return {"kind": "token"}
    if kind == "token" and value == "vault":
        raise not_supported("token: vault", "token: keyed")
    if kind == "bins":
        width, unit = parse_width(value)
        return {"kind": "bins", "width": width, "unit": unit}
    if kind == "prefix" and type(value) is int and value >= 1:
        return {"kind": "prefix", "length": value}
    raise Flaw(FORMS, f"{{{kind}: {describe(value)}}}", "A prefix is a whole number of characters, at least 1.")
