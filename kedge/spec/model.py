"""The base of all models of the declaration: strict, frozen, and it reports every mistake at once.

pydantic stops comparing settings with each other as soon as one of them is wrong by itself. Here the broken
settings are set aside (a placeholder stands in for a required one) and the others are still compared.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails

from kedge.spec.mistake import Mistake, Vocabulary


class SpecModel(BaseModel):
    """A part of the declaration; unknown keys are refused and no value is silently turned into another type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    placeholders: ClassVar[dict[str, Any]] = {}  # stand-ins for required settings that are missing or broken
    mappings: ClassVar[frozenset[str]] = frozenset()  # settings whose entries can be set aside one by one

    def mistakes(self, broken: frozenset[str]) -> Iterator[Mistake]:
        """What is wrong between settings; `broken` names those that hold a placeholder: say nothing about them."""
        return iter(())

    @classmethod
    def set_aside(cls, data: dict[str, Any], errors: list[ErrorDetails]) -> tuple[dict[str, Any], frozenset[str]]:
        """The settings without the broken ones, and the names of these: `gates`, or `columns.zip` in a mapping."""
        entries: set[tuple[Any, ...]] = set()
        whole: set[Any] = set()
        for loc in (error["loc"] for error in errors if error["loc"]):
            in_mapping = loc[0] in cls.mappings and len(loc) > 1
            entries.update({loc[:2]} if in_mapping else ())
            whole.update(() if in_mapping else {loc[0]})
        kept = {key: value for key, value in data.items() if key not in whole}
        for setting in {setting for setting, _ in entries} & kept.keys():
            kept[setting] = {name: value for name, value in kept[setting].items() if (setting, name) not in entries}
        kept |= {key: value for key, value in cls.placeholders.items() if key in whole}
        return kept, frozenset(map(str, whole)) | {f"{setting}.{name}" for setting, name in entries}

    @model_validator(mode="wrap")
    @classmethod
    def _collect(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate; on failure, compare what is left, and raise all mistakes in kedge's words."""
        value: Self | None = None
        errors: list[ErrorDetails] = []
        broken: frozenset[str] = frozenset()
        data = cls._plain_on(data)
        try:
            value = handler(data)
        except ValidationError as failure:
            errors = failure.errors(include_url=False)
            value, broken = cls._rest(data, errors, handler)
        vocabulary = Vocabulary(
            {field.alias or name: field.description or "" for name, field in cls.model_fields.items()}
        )
        details = [vocabulary.detail(error) for error in errors]
        if value is not None:
            details += [found.detail() for found in value.mistakes(broken)]
        if details or value is None:
            raise ValidationError.from_exception_data(cls.__name__, details)
        return value

    @classmethod
    def _plain_on(cls, data: Any) -> Any:
        """The key `on`, which Dagster's reader of YAML (1.1) takes for true."""
        if "on" not in cls.model_fields or not isinstance(data, dict) or True not in data or "on" in data:
            return data
        return {"on" if key is True else key: value for key, value in data.items()}

    @classmethod
    def _rest(
        cls, data: Any, errors: list[ErrorDetails], handler: ModelWrapValidatorHandler[Self]
    ) -> tuple[Self | None, frozenset[str]]:
        if not isinstance(data, dict):
            return None, frozenset()
        kept, broken = cls.set_aside(data, errors)
        try:
            return handler(kept), broken
        except ValidationError:
            return None, broken
