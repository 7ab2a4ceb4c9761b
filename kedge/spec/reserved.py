"""Keys that later versions will fill: accepted at their default today, refused with "not supported yet" otherwise."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from kedge.spec.mistake import kind_of, not_supported


def _only_nothing(value: Any) -> None:
    # false, [] and {} say "not wanted" as well as leaving the key out does
    if value is None or value is False or value in ([], {}):
        return
    raise not_supported(kind_of(value), "to be left out")


Reserved = Annotated[
    None,
    BeforeValidator(_only_nothing),
    Field(description="reserved for a later version"),
    WithJsonSchema({"description": "reserved for a later version", "type": "null"}),
]


def only(default: str, *later: str) -> BeforeValidator:
    """Validator of a choice of which only `default` works so far; the `later` ones are refused as not supported yet."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in later:
            raise not_supported(repr(value), default)
        return value

    return BeforeValidator(check)
