"""Every mistake of a file at once, each with file, line, setting, need, got and remedy."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from kedge.errors import Terminal
from kedge.spec import SpecError, load, load_all

ROOT = Path(__file__).parents[3]
GOOD = """\
type: pipelines.component.TrainingPipeline
attributes:
  partitions: {start: 2026-01-01}
  source: {files: "inbox/{date}.csv"}
  columns:
    customer_id: {type: string, role: subject, privacy: token}
    balance:     {type: float, min: 0}
    plan:        {type: category, values: [basic, plus]}
    left:        {type: bool, role: target}
  gates: {auc: ">= 0.75"}
"""
Problems = Callable[[str], list[str]]


def test_a_good_file_has_no_problems(problems: Problems) -> None:
    assert problems(GOOD) == []


def test_the_pipeline_is_named_after_its_folder(tmp_path: Path) -> None:
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn" / "defs.yaml").write_text(GOOD)
    assert load(tmp_path / "churn" / "defs.yaml").name == "churn"


def test_a_problem_names_file_line_setting_need_got_and_remedy(problems: Problems) -> None:
    assert problems(GOOD.replace("type: float", "type: flaot")) == [
        "pipelines/bank/defs.yaml:7: columns.balance.type: needs one of string, category, bool, integer, float, date, "
        "datetime; got 'flaot'. Did you mean float?"
    ]


def test_all_problems_come_at_once_in_the_order_of_lines(problems: Problems) -> None:
    text = (
        GOOD.replace("2026-01-01", "2026-02-30")
        .replace("role: subject, privacy: token", "role: subject")
        .replace("type: float", "type: flaot")
        .replace("[basic, plus]", "[basic, 1]")
        .replace('{auc: ">= 0.75"}', '{auc: "<= 0.75", auk: ">= 1"}')
        + "  training: {window: 60}\n  aduit: {}\n  drift: {window: 7d}\n"
    )
    starts = [line.split(": needs")[0].removeprefix("pipelines/bank/defs.yaml:") for line in problems(text)]
    assert starts == [
        "3: partitions.start",
        "6: columns.customer_id.privacy",
        "7: columns.balance.type",
        "8: columns.plan.values[1]",
        "10: gates.auc",
        "10: gates.auk",
        "11: training.window",
        "12: aduit",
        "13: drift.window",
    ]


def test_a_missing_setting_is_reported_where_it_belongs(problems: Problems) -> None:
    lines = problems(GOOD.replace("{type: float, min: 0}", "{min: 0}"))
    assert [line.split(" Add it")[0] for line in lines] == [
        "pipelines/bank/defs.yaml:7: columns.balance.type: needs this setting; got nothing."
    ]


def test_a_key_that_is_there_twice_is_refused_with_both_lines(problems: Problems) -> None:
    text = GOOD + "  gates: {}\n"
    (line,) = problems(text)
    assert line.startswith("pipelines/bank/defs.yaml:11: gates: needs each key once; got it again (first in line 10)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ":1: attributes: needs a mapping with type and attributes; got something else"),
        ("- a\n", ":1: attributes: needs a mapping with type and attributes; got something else"),
        ("type: t\n", ":1: attributes: needs a mapping (key: value); got nothing"),
        ("a: [\n", ":2: attributes: needs one YAML document"),
        ("a: 1\n---\nb: 2\n", ":2: attributes: needs one YAML document"),
        ("type: !!python/object:os.system x\n", ":1: attributes: needs one YAML document"),
        ("a: &a [*a]\n", ":1: a[0]: needs a tree; got an anchor that contains itself"),
        ("3: 4\n", ":1: attributes: needs a text as key"),
    ],
)
def test_what_is_no_declaration_at_all_is_refused(problems: Problems, text: str, expected: str) -> None:
    assert any(expected in line for line in problems(text)), problems(text)


def test_only_type_and_attributes_stand_at_the_top(problems: Problems) -> None:
    (line,) = problems(GOOD + "template_vars_module: .x\n")
    assert ":11: template_vars_module: needs only type and attributes at the top" in line


@pytest.mark.parametrize("scalar", ["yes", "no", "on", "off", "010", "1_000", "1:30", "0x10"])
def test_a_scalar_on_which_readers_of_yaml_disagree_needs_quotes(problems: Problems, scalar: str) -> None:
    lines = problems(GOOD.replace("[basic, plus]", f"[basic, {scalar}]"))
    assert "columns.plan.values[1]: needs quotes around it" in lines[0]
    assert problems(GOOD.replace("[basic, plus]", f'[basic, "{scalar}"]')) == []


def test_a_file_that_cannot_be_read_is_a_problem_too(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"defs\.yaml:1: .*needs a readable UTF-8 file; got none"):
        load(tmp_path / "nowhere" / "defs.yaml")


def test_a_folder_whose_name_is_no_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "defs.yaml").write_text(GOOD)
    with pytest.raises(SpecError, match="the folder's name"):
        load(tmp_path / "a b" / "defs.yaml")


def test_load_all_reports_the_problems_of_all_files(tmp_path: Path) -> None:
    for name, text in (("one", GOOD.replace("float", "flaot")), ("two", GOOD), ("three", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "defs.yaml").write_text(text)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError) as caught:
        load_all(tmp_path)
    assert [problem.file for problem in caught.value.problems] == [
        str(tmp_path / "one" / "defs.yaml"),
        str(tmp_path / "three" / "defs.yaml"),
    ]


def test_load_all_of_an_empty_folder_is_empty(tmp_path: Path) -> None:
    assert load_all(tmp_path) == {}


def test_the_error_is_terminal_and_survives_pickling(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "defs.yaml")
    assert isinstance(caught.value, Terminal)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems
    assert str(again) == str(caught.value)


def test_the_projects_own_declarations_are_in_order() -> None:
    bank = load_all(ROOT / "pipelines")["bank"]
    assert bank.subject == "customer_id"
    assert bank.features == (
        "birth_date", "zip", "balance", "tenure_months", "logins", "complaints", "card_spend", "plan",
    )  # fmt: skip
    campaigns = load_all(ROOT / "examples")["bank_marketing"]
    assert campaigns.positive == "yes"
    assert "duration" not in campaigns.released
    assert campaigns.evaluation.by == "blocks"
