import subprocess
import sys

from kedge.quality.rules import column_rules, rules

TABLE = ["columns_declared", "rows_present", "quarantine_share", "personal_data", "gx_agrees"]


def test_every_rule_is_named_after_its_column_and_kind(declare):
    assert [rule.name for rule in rules(declare())] == [
        "id_type", "id_not_null", "id_unique",
        "email_type", "email_not_null", "email_format",
        "phone_type", "phone_nulls_at_most", "phone_format",
        "born_type", "born_not_null", "born_min", "born_max",
        "seen_type", "seen_min", "seen_max",
        "balance_type", "balance_nulls_at_most", "balance_min", "balance_max",
        "months_type", "months_not_null", "months_min", "months_max",
        "number_type", "number_unique",
        "plan_type", "plan_not_null", "plan_values",
        "left_type", "left_not_null",
        *TABLE,
    ]  # fmt: skip


def test_what_is_deleted_from_the_declaration_is_gone(declare, columns):
    without = columns | {"balance": {"type": "float", "max": 250000}}
    gone = {rule.name for rule in rules(declare())} - {rule.name for rule in rules(declare(without))}
    assert gone == {"balance_min", "balance_nulls_at_most"}


def test_row_rules_send_rows_away_and_table_rules_block(declare):
    blocking = {rule.name for rule in rules(declare()) if rule.blocking}
    assert blocking == {"phone_nulls_at_most", "balance_nulls_at_most", *TABLE}
    assert all(rule.description.endswith(".") for rule in rules(declare()))


def test_names_of_different_columns_never_collide(declare):
    kinds = ("type", "not_null", "nulls_at_most", "min", "max", "values", "unique", "format")
    every = {"min": 0, "max": 9, "unique": True}
    columns = {f"a{'_' + kind if kind else ''}": {"type": "integer"} | every for kind in ("", *kinds)}
    declaration = declare(columns | {"y": {"type": "bool", "role": "target"}})
    names = [rule.name for rule in column_rules(declaration)]
    assert len(names) == len(set(names)) == 9 * 5 + 2


def test_a_code_location_can_import_it_at_no_cost():
    heavy = ["polars", "numpy", "pyarrow", "torch", "pandas", "sklearn", "mlflow", "evidently", "great_expectations"]
    code = f"import sys, kedge.quality.rules; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
