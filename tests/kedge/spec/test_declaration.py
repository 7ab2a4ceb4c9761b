"""What a declaration says, and what it refuses."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from kedge.errors import Terminal
from kedge.spec import Declaration
from kedge.spec.columns import Format

SCHEMA = Path(__file__).with_name("schema.json")
ROOT = Path(__file__).parents[3]
Declare = Callable[..., Declaration]
Refusal = Callable[..., dict[str, str]]


def test_what_the_columns_say_about_people_and_the_model(declare: Declare) -> None:
    bank = declare(columns__name={"type": "string", "privacy": "drop"})
    assert (bank.name, bank.subject, bank.target, bank.positive) == ("bank", "customer_id", "left", "true")
    assert bank.features == ("birth_date", "zip", "balance", "plan")
    assert bank.released == ("customer_id", "birth_date", "zip", "sex", "balance", "plan", "left")
    assert bank.quasi == ("birth_date", "zip")
    assert [bank.feature_kind(name) for name in bank.features] == ["numeric", "category", "numeric", "category"]


def test_features_are_released_columns_without_a_role_unless_said_otherwise(declare: Declare) -> None:
    bank = declare(
        columns__notes={"type": "string", "privacy": "redact"},
        columns__household={"type": "string", "privacy": "token", "domain": "customer_id", "feature": True},
        columns__sex__feature=True,
        columns__balance__feature=False,
    )
    assert bank.features == ("birth_date", "zip", "sex", "plan", "household")


def test_the_last_value_of_a_target_is_the_positive_one(declare: Declare) -> None:
    assert declare(columns__left={"type": "category", "role": "target", "values": ["no", "yes"]}).positive == "yes"


def test_values_are_parsed_from_the_form_in_which_people_write_them(declare: Declare) -> None:
    bank = declare(
        columns__birth_date__min="1926-01-01",
        columns__balance__nulls="5%",
        columns__zip__privacy={"prefix": 2},
        columns__plan={"type": "integer", "privacy": {"bins": 5}},
        training__window="90d",
        gates={"auc": ">=0.75", "log_loss": "<= 2"},
        compute={"training": {"gpu": 1, "memory": "16Gi", "cpu": 2}},
    )
    assert bank.partitions.start == date(2026, 1, 1)
    birth = bank.columns["birth_date"]
    assert birth.min == date(1926, 1, 1)
    assert birth.privacy is not None
    assert (birth.privacy.kind, birth.privacy.width, birth.privacy.unit) == ("bins", 10.0, "y")
    assert bank.columns["balance"].nulls == 0.05
    assert bank.columns["zip"].privacy is not None
    assert bank.columns["zip"].privacy.length == 2
    assert bank.training.window == 90
    assert [(gate.metric, gate.op, gate.bound, gate.text) for gate in bank.gates.values()] == [
        ("auc", ">=", 0.75, ">= 0.75"),
        ("log_loss", "<=", 2.0, "<= 2.0"),
    ]
    assert (bank.compute["model"].gpu, bank.compute["model"].memory, bank.compute["model"].cpu) == (1, "16Gi", "2")


def test_a_champion_may_have_a_maximum_age(declare: Declare, refusal: Refusal) -> None:
    assert declare().retrain.at_least_every is None
    assert declare(retrain={"at_least_every": "30d"}).retrain.at_least_every == 30
    assert "a number of days such as 60d; got 30" in refusal(retrain={"at_least_every": 30})["retrain.at_least_every"]


def test_people_are_held_out_where_there_are_any_and_blocks_of_rows_otherwise(declare: Declare) -> None:
    assert declare().evaluation.by == "subject"
    assert declare(columns__customer_id={"type": "string", "privacy": "drop"}).evaluation.by == "blocks"
    assert declare(evaluation={"by": "blocks"}).evaluation.by == "blocks"


# --- later keys


DEFAULTS: dict[str, Any] = {
    "labels": None,
    "erasure": {"retrain": "always"},
    "alerts": {},
    "audit": {"unusual": {"denied": 3, "ignore": []}},
    "fairness": {},
    "retention": {},
    "champion": {"approval": "none", "margin": 0.005},
    "drift__window": "1d",
    "retrain__at_least_every": None,
    "evaluation__recent": None,
    "privacy": {"l": 1, "t": None, "profile": None, "release": "day"},
    "source__sql": None,
    "source__date_column": None,
    "columns__plan__order": None,
    "columns__plan__hierarchy": None,
    "columns__plan__drift": {},
    "columns__plan__from": None,
    "columns__plan__sensitive": False,
    "columns__customer_id__privacy": {"token": "keyed"},
}
LATER: dict[str, Any] = {
    "erasure__retrain": "never",
    "alerts": {"mail": "x"},
    "fairness": {"by": ["sex"]},
    "retention": {"raw": "90d"},
    "champion__approval": "required",
    "drift__window": "7d",
    "evaluation__recent": "7d",
    "privacy__l": 2,
    "privacy__t": 0.2,
    "privacy__profile": "hipaa",
    "privacy__release": "week",
    "source__sql": "postgresql://user:hunter2@host/db",
    "columns__plan__order": ["basic", "plus"],
    "columns__plan__hierarchy": {"basic": "all"},
    "columns__plan__drift": {"threshold": 0.2},
    "columns__plan__sensitive": True,
    "columns__customer_id__privacy": {"token": "vault"},
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_later_key_at_its_default_changes_no_digest(declare: Declare, key: str) -> None:
    plain, stated = declare(), declare(**{key: DEFAULTS[key]})
    assert stated.digest == plain.digest
    for stage in ("raw", "validated", "anonymized", "training_set", "model", "evaluation", "champion", "drift_report"):
        assert stated.part(stage) == plain.part(stage)


@pytest.mark.parametrize("key", LATER)
def test_a_later_key_with_another_value_is_not_supported_yet(refusal: Refusal, key: str) -> None:
    found = refusal(**{key: LATER[key]})
    assert list(found) == [key.replace("__", ".")]
    assert "not supported yet" in str(found)
    assert "hunter2" not in str(found)


def test_all_keys_of_the_design_are_known(declare: Declare) -> None:
    sections = {
        "source": {"header": True, "delimiter": ",", "encoding": "utf-8", "missing": [""], "after": "keep"},
        "partitions": {"start": "2026-01-01", "cron": "0 2 * * *", "timezone": "Europe/Berlin"},
        "quarantine_at_most": "10%",
        "privacy": {"k": 10, "mask_at_most": "5%", "drop_at_most": "1%", "release": "day"},
        "evaluation": {"holdout": "20%", "by": "subject", "slices": ["plan"]},
        "training": {"window": "60d", "model": "auto", "device": "auto", "seed": 0},
        "gates": {"auc": ">= 0.75", "worst_slice_auc": ">= 0.70", "calibration_error": "<= 0.05"},
        "drift": {"window": "1d", "share": 0.3, "patience": 2},
        "retrain": {"cooldown": "3d", "at_most_per_week": 2},
        "champion": {"margin": 0.005, "approval": "none"},
        "compute": {"training": {"gpu": 1, "memory": "16Gi"}},
    }
    source = sections.pop("source")
    assert isinstance(source, dict)
    assert declare(**sections, **{f"source__{key}": value for key, value in source.items()}).gates


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "setting", "words"),
    [
        ({"columns__left__role": ...}, "columns", "exactly one column with role: target; got none"),
        ({"columns__plan": {"type": "bool", "role": "target"}}, "columns.left", "got plan, left"),
        (
            {"columns__zip": {"type": "string", "role": "subject", "privacy": "token"}},
            "columns.zip",
            "at most one column with role: subject; got customer_id, zip",
        ),
        ({"columns__left__type": "date"}, "columns.left.type", "bool, category with two values"),
        (
            {"columns__left": {"type": "category", "role": "target", "values": ["a", "b", "c"]}},
            "columns.left.type",
            "with 3 values",
        ),
        ({"columns__left__privacy": "drop"}, "columns.left.privacy", "nothing for the target"),
        ({"columns__left__nulls": "5%"}, "columns.left.nulls", "0 for the target"),
        ({"columns__customer_id__privacy": "drop"}, "columns.customer_id.privacy", "token for the subject"),
        ({"columns__customer_id__quasi": True}, "columns.customer_id.quasi", "got role: subject"),
        ({"columns__plan__privacy": {"bins": 5}}, "columns.plan.privacy", "date or datetime or float or integer"),
        ({"columns__balance__privacy": {"bins": "5y"}}, "columns.balance.privacy", "a number for numbers"),
        ({"columns__birth_date__privacy": {"bins": 5}}, "columns.birth_date.privacy", "a number for numbers"),
        ({"columns__plan": {"type": "integer", "privacy": {"bins": 2.5}}}, "columns.plan.privacy", "whole numbers"),
        ({"columns__zip__privacy": {"prefix": 0}}, "columns.zip.privacy", "one of drop, token, redact"),
        ({"columns__zip__privacy": "mask"}, "columns.zip.privacy", "got 'mask'"),
        ({"columns__zip__privacy": {"prefix": 1, "bins": 2}}, "columns.zip.privacy", "got a mapping of 2"),
        ({"columns__zip__privacy": {"kind": "drop"}}, "columns.zip.privacy", "one of drop, token, redact"),
        ({"columns__zip__privacy": "drop"}, "columns.zip.quasi", "got privacy: drop"),
        ({"columns__zip__domain": "person"}, "columns.zip.domain", "privacy: token"),
        ({"columns__balance__values": ["1"]}, "columns.balance.values", "category or string"),
        ({"columns__balance__max": -1}, "columns.balance.max", "at least min"),
        ({"columns__balance__min": "2026-01-01"}, "columns.balance.min", "date or datetime"),
        ({"columns__birth_date__min": 3}, "columns.birth_date.min", "float or integer"),
        ({"columns__plan__values": ["a", "a"]}, "columns.plan.values", "each value once"),
        ({"columns__plan__values": []}, "columns.plan.values", "at least 1"),
        ({"columns__plan__format": "email"}, "columns.plan.format", "a column of type string"),
        ({"columns__drop table": {"type": "bool"}}, "columns.drop table.[key]", "1 to 63 letters"),
        ({"columns__x": None}, "columns.x", "a mapping"),
        ({"columns": []}, "columns", "a mapping"),
        ({"gates": {"auc": "<= 0.7"}}, "gates.auc", "needs >= for auc"),
        ({"gates": {"log_loss": ">= 0.7"}}, "gates.log_loss", "needs <= for log_loss"),
        ({"gates": {"auc": ">= 75"}}, "gates.auc", "a bound from 0 to 1"),
        ({"gates": {"auc": 0.75}}, "gates.auc", 'a bound such as ">= 0.75"; got 0.75'),
        ({"gates": {"worst_slice_auc": ">= 0.6"}}, "gates.worst_slice_auc", "evaluation.slices; got no slices"),
        ({"evaluation": {"slices": ["plna"]}}, "evaluation.slices.0", "which is not declared"),
        ({"evaluation": {"slices": ["balance"]}}, "evaluation.slices.0", "which is none"),
        ({"evaluation": {"holdout": 0.9}}, "evaluation.holdout", "5% to 50%"),
        ({"privacy": {"k": 0}}, "privacy.k", "at least 1; got 0"),
        ({"privacy": {"k": "10"}}, "privacy.k", "a whole number; got '10'"),
        ({"privacy": {"k": 10.0}}, "privacy.k", "a whole number"),
        ({"training": {"seed": True}}, "training.seed", "a whole number; got true"),
        ({"training": {"device": "gpu"}}, "training.device", "one of auto, cpu, cuda; got 'gpu'"),
        ({"champion": {"margin": "0.005"}}, "champion.margin", "a number"),
        ({"source__header": "true"}, "source.header", "true or false; got 'true'"),
        ({"source__delimiter": ";;"}, "source.delimiter", "exactly one ASCII character"),
        ({"source__encoding": "utf-9"}, "source.encoding", "a text encoding"),
        ({"source__missing": "?"}, "source.missing", "a list; got '?'"),
        ({"source__missing": ["?", "?"]}, "source.missing", "each text once"),
        ({"source": {}}, "source.files", "a path; got nothing"),
        ({"source__files": "inbox.csv"}, "source.files", "{date} exactly once"),
        ({"source__files": "{date}/{date}.csv"}, "source.files", "{date} exactly once"),
        ({"source__files": "../{date}.csv"}, "source.files", "without .."),
        ({"source__files": "{day}.csv"}, "source.files", "no braces but {date}"),
        ({"source__files": "{date}.txt"}, "source.files", ".jsonl.gz, .parquet file, or format"),
        ({"source__replay": 1000}, "source.files", "no {date} with replay"),
        ({"source__date_column": "birth_date"}, "source.files", "no {date} with date_column"),
        ({"source__files": "in*/{date}.csv"}, "source.files", "* only in the last part"),
        ({"source": {"files": "in/*.csv", "replay": 10}}, "source.files", "none with replay"),
        ({"source": {"files": "a.csv", "date_column": "day"}}, "source.date_column", "one that is not declared"),
        ({"source": {"files": "a.csv", "date_column": "plan"}}, "source.date_column", "of type date or datetime"),
        (
            {"source": {"files": "a.csv", "date_column": "birth_date", "after": "delete"}},
            "source.after",
            "keep with date_column",
        ),
        (
            {"source": {"files": "a.csv", "date_column": "birth_date", "replay": 10}},
            "source.date_column",
            "no date_column with replay",
        ),
        ({"source": {"files": "a.csv", "replay": 10, "after": "delete"}}, "source.after", "keep with replay"),
        ({"partitions": {}}, "partitions.start", "needs this setting; got nothing. Add it: the first day"),
        ({"partitions__cron": "0 25 * * *"}, "partitions.cron", "five fields"),
        ({"partitions__timezone": "Mars/Olympus"}, "partitions.timezone", "a time zone"),
        ({"owners": ["someone"]}, "owners.0", "an e-mail address or team:<name>"),
        ({"owners": "team:a"}, "owners", "a list"),
        ({"compute": {"modle": {"gpu": 1}}}, "compute.modle.[key]", "Did you mean model?"),
        ({"compute": {"model": {"memory": "16 GB"}}}, "compute.model.memory", "a quantity such as 16Gi"),
        ({"compute": {"model": {}, "training": {}}}, "compute", "either training or model; got both"),
        ({"name": "x"}, "name", "needs one of description"),
        ({"descripton": "x"}, "descripton", "Did you mean description?"),
        ({"description": 3}, "description", "a text; got 3"),
    ],
)
def test_a_mistake_is_refused_where_it_is_in_plain_words(
    refusal: Refusal, changes: dict[str, Any], setting: str, words: str
) -> None:
    found = refusal(**changes)
    assert setting in found
    assert words in found[setting]


def test_people_cannot_be_held_out_where_there_are_none(refusal: Refusal) -> None:
    found = refusal(columns__customer_id={"type": "string", "privacy": "drop"}, evaluation={"by": "subject"})
    assert "a column with role: subject; got none" in found["evaluation.by"]


@pytest.mark.parametrize(
    ("name", "column", "seen"),
    [
        ("name", {"type": "string"}, "a person's name"),
        ("contactEmail", {"type": "string"}, "an e-mail address"),
        ("home_phone_2", {"type": "category"}, "a phone number"),
        ("x1", {"type": "string", "format": "iban"}, "the format of an account number"),
        ("notes", {"type": "string"}, "free text"),
        ("zip_code", {"type": "string"}, "a place"),
        ("date_of_birth", {"type": "date"}, "a birth date"),
        ("email", {"type": "string", "quasi": True}, "an e-mail address"),
    ],
)
def test_a_column_that_looks_personal_needs_a_decision(
    refusal: Refusal, name: str, column: dict[str, Any], seen: str
) -> None:
    found = refusal(**{f"columns__{name}": column})
    assert seen in found[f"columns.{name}"]
    assert "Declare privacy: " in found[f"columns.{name}"]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("email", {"type": "string", "privacy": "token"}),
        ("product_name", {"type": "category", "values": ["a", "b"]}),
        ("zip", {"type": "string", "quasi": True}),
        ("birth_date", {"type": "date", "quasi": True}),
        ("birth_date", {"type": "date", "privacy": {"bins": "10y"}}),
        ("job", {"type": "string"}),
        ("num_phones", {"type": "integer"}),
        ("emailed", {"type": "string"}),
        ("tenure_months", {"type": "string"}),
    ],
)
def test_a_column_that_does_not_or_that_was_decided_on_is_accepted(
    refusal: Refusal, name: str, column: dict[str, Any]
) -> None:
    assert refusal(**{f"columns__{name}": column}) == {}


def test_a_declaration_is_frozen(declare: Declare) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        declare().training.seed = 1  # type: ignore[misc]


def test_a_name_comes_from_the_allow_list(varied: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(Terminal, match="1 to 63 letters"):
        Declaration.named("../bank", varied())


def test_a_validated_declaration_can_be_named_afterwards(varied: Callable[..., dict[str, Any]]) -> None:
    attributes = Declaration.model_validate(varied())
    bank = Declaration.named("bank", attributes)
    assert (attributes.name, bank.name, bank.digest) == ("", "bank", attributes.digest)


def test_a_declaration_survives_pickling(declare: Declare) -> None:
    again = pickle.loads(pickle.dumps(declare()))
    assert (again, again.name, again.digest) == (declare(), "bank", declare().digest)


# --- the schema


def test_the_schema_is_the_one_that_is_published() -> None:
    """After a wanted change: `python -m kedge.spec.schema > tests/kedge/spec/schema.json`."""
    assert Declaration.model_json_schema() == json.loads(SCHEMA.read_text())


@pytest.mark.parametrize("file", ["pipelines/bank/defs.yaml", "examples/bank_marketing/defs.yaml"])
def test_the_schema_accepts_the_projects_own_declarations(file: str) -> None:
    loader = yaml.BaseLoader  # whatever kind of scalar a YAML reader makes of 2026-01-01
    text = (ROOT / file).read_text()
    attributes = yaml.safe_load(text)["attributes"]
    attributes["partitions"] = yaml.load(text, loader)["attributes"]["partitions"]
    for name, column in yaml.load(text, loader)["attributes"]["columns"].items():
        for key in {"min", "max"} & column.keys() if column["type"] == "date" else ():
            attributes["columns"][name][key] = column[key]
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert list(validator.iter_errors(attributes)) == []


def test_loading_it_imports_nothing_heavy() -> None:
    heavy = ("polars", "numpy", "pyarrow", "torch", "pandas", "dagster", "cryptography", "sklearn", "mlflow")
    code = f"import sys, kedge.spec; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_format_has_a_pattern_that_quality_checks() -> None:
    from kedge.quality.grammar import FORMATS

    assert set(Format.__args__) == set(FORMATS)  # type: ignore[attr-defined]
