"""The contract as a Great Expectations suite, evaluated by Great Expectations on pandas: the second opinion.

The suite reads the cells as text and judges types by pattern, where polars parses them; bounds and uniqueness are
judged on the parsed values. Results are reduced to row positions at once: no failing value is asked for
(`exclude_unexpected_values`), no row, no query, and nothing is written to disk, drawn or sent anywhere.
"""

import logging
import os
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import polars as pl

from kedge.quality import typed
from kedge.quality.grammar import FORMATS, python, python_type
from kedge.quality.rules import Rule, column_rules
from kedge.spec import Declaration

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

MAX_ROWS = 100_000
SAMPLED_ROWS = 25_000
"""Of the rows that pass, in deliveries of more than `MAX_ROWS`: if the engines disagree about one row in 5,000 that
passes, chances are 99.3 % that such a row is among them."""

_LOCATED = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
}
_JUDGED = {"result_format": "BOOLEAN_ONLY"}


def build(declaration: Declaration, rules: Sequence[Rule] | None = None) -> "gx.ExpectationSuite":
    """The suite of all rules, or of some; each expectation names its rule in `meta`."""
    with _quiet() as gx:
        return gx.ExpectationSuite(
            name=declaration.name or "contract",
            expectations=[
                _expectation(gx.expectations, rule, declaration.columns[str(rule.column)].type)
                for rule in (column_rules(declaration) if rules is None else rules)
            ],
        )


def evaluate(frame: pl.DataFrame, declaration: Declaration, clean: Container[str] = ()) -> dict[str, pl.Series | None]:
    """Rows that break each rule, as Great Expectations sees it.

    Args:
        frame: text as received, with all declared columns and `_row`; at most `MAX_ROWS` rows.
        clean: rules that no row is believed to break; of these only a yes or no is asked for, at half the price.

    Returns:
        By rule the `_row`s (UInt64, unordered), None where an expectation could not be evaluated or a rule that was
        believed clean is not.
    """
    rules = column_rules(declaration)
    nothing = pl.Series([], dtype=pl.UInt64)
    if frame.is_empty():
        return {rule.name: nothing for rule in rules}
    # a share of missing cells is met by few of them as well: a yes would not say that there are none
    doubted = [rule for rule in rules if rule.kind == "nulls_at_most" or rule.name not in clean]
    believed = [rule for rule in rules if rule not in doubted]
    with _quiet():
        table = _pandas(frame, declaration)
        located = dict(results(table, build(declaration, doubted), _LOCATED)) if doubted else {}
        judged = dict(results(table, build(declaration, believed), _JUDGED)) if believed else {}
    return located | judged


def results(
    frame: "pd.DataFrame", suite: "gx.ExpectationSuite", result_format: Mapping[str, Any]
) -> Iterator[tuple[str, pl.Series | None]]:
    """Let Great Expectations evaluate the suite; per expectation its rule and the index of the rows at fault."""
    context = _context()
    batch = (
        context.data_sources.add_pandas("delivery")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": frame})
    )
    result = batch.validate(suite, result_format=dict(result_format))
    context.data_sources.delete("delivery")  # the context outlives this call, the rows must not
    for one in result.results:
        rows = one.result.get("unexpected_index_list", [])
        whole = one.success if result_format == _JUDGED else len(rows) == one.result.get("unexpected_count")
        failed = _raised(one.exception_info) or not whole
        yield one.expectation_config.meta["rule"], None if failed else pl.Series(rows, dtype=pl.UInt64)


def _expectation(gxe: Any, rule: Rule, kind: str) -> Any:
    given = {"column": rule.column, "meta": {"rule": rule.name}}
    on_value = given if kind in ("string", "category") else given | {"column": f"{rule.column}{typed.VALUE}"}
    match rule.kind:
        case "type":
            return gxe.ExpectColumnValuesToMatchRegex(**given, regex=python_type(kind))
        case "not_null":
            return gxe.ExpectColumnValuesToNotBeNull(**given)
        case "nulls_at_most":
            return gxe.ExpectColumnValuesToNotBeNull(**given, mostly=round(1 - float(str(rule.bound)), 12))
        case "min":
            return gxe.ExpectColumnValuesToBeBetween(**on_value, min_value=_bound(rule.bound, time.min))
        case "max":
            return gxe.ExpectColumnValuesToBeBetween(**on_value, max_value=_bound(rule.bound, time.max))
        case "values":
            return gxe.ExpectColumnValuesToBeInSet(**given, value_set=list(rule.values))
        case "unique":
            return gxe.ExpectColumnValuesToBeUnique(**on_value)
        case "format":
            return gxe.ExpectColumnValuesToMatchRegex(**given, regex=python(FORMATS[str(rule.format)]))


def _pandas(frame: pl.DataFrame, declaration: Declaration) -> "pd.DataFrame":
    """Text of every column and the values that a rule compares; the index is `_row`."""
    compared = {rule.column for rule in column_rules(declaration) if rule.kind in ("min", "max", "unique")}
    columns = declaration.columns
    values = [
        _plain(typed.prepared_value(name, column), column.type)
        for name, column in columns.items()
        if name in compared and not typed.is_text(column)
    ]
    table = typed.prepared(frame.lazy(), columns).select(*columns, *values).collect().to_pandas()
    return table.set_index(frame["_row"].to_numpy())


def _bound(bound: float | date | None, of_day: time) -> float | datetime | None:
    """Days as moments: an upper bound includes its whole day."""
    return datetime.combine(bound, of_day) if isinstance(bound, date) else bound


def _plain(value: pl.Expr, kind: str) -> pl.Expr:
    """Numbers as float64: pandas has no integers with gaps, and bounds are floats anyway."""
    return value.cast(pl.Float64) if kind in ("integer", "bool") else value


def _context() -> Any:
    """A context in memory only: no folder, no documents, no progress bars, no analytics."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    return gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        ),
    )


def _raised(info: Any) -> bool:
    """GX keeps one such mapping per expectation, or one per metric."""
    infos: Sequence[Any] = [info] if "raised_exception" in info else list(info.values())
    return any(one["raised_exception"] for one in infos)


@contextmanager
def _quiet() -> Iterator[Any]:
    """The library, imported and silent: its log quotes values in tracebacks, and its first import looks for the
    variable that stops its analytics."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    log = logging.getLogger("great_expectations")
    with warnings.catch_warnings():
        # great_expectations 1.24 imports sre_constants and sre_parse; drop this when it does not any more
        warnings.filterwarnings("ignore", "module 'sre_(constants|parse)'", DeprecationWarning)
        import great_expectations as gx
        import great_expectations.expectations
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield gx
    finally:
        log.setLevel(before)
