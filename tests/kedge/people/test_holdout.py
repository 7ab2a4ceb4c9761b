from datetime import date

import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.people import HELDOUT, PARTS, TRAIN, VALIDATION, rule_id, split
from kedge.spec import Declaration

SECRET = bytes(range(32))
GOLDEN = "tthttttthtthtvhthhtttttt"  # first letters of the parts of persons 0 to 23


def declared(subject: bool = True, **evaluation: object) -> Declaration:
    columns = {"balance": {"type": "float"}, "left": {"type": "bool", "role": "target"}}
    if subject:
        columns |= {"customer": {"type": "string", "role": "subject", "privacy": "token"}}
    attributes = {
        "partitions": {"start": str(date(2026, 1, 1))},
        "source": {"files": "{date}.csv"},
        "columns": columns,
        "evaluation": evaluation,
    }
    return Declaration.named("bank", attributes)


def people(count: int) -> pl.DataFrame:
    return pl.DataFrame({"customer": [f"{person:032x}" for person in range(count)]})


def blocks(rows: int, *nights: str) -> pl.DataFrame:
    positions = pl.Series("_row", range(rows), dtype=pl.UInt64)
    return pl.concat([pl.DataFrame({"_row": positions}).with_columns(_partition=pl.lit(night)) for night in nights])


def test_shares_are_those_declared() -> None:
    part = split(people(20_000), declared(holdout=0.2), SECRET)
    counts = dict(part.value_counts().iter_rows())
    assert set(counts) == set(PARTS)
    assert counts[HELDOUT] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert counts[VALIDATION] / (counts[VALIDATION] + counts[TRAIN]) == pytest.approx(0.1, abs=0.01)


def test_a_person_is_on_the_same_side_for_ever() -> None:
    """Golden: a change holds out other people, so that champions would be judged on rows they trained on."""
    part = split(people(24), declared(), SECRET)
    assert "".join(side[0] for side in part) == GOLDEN
    shuffled = people(24).sample(fraction=1.0, shuffle=True, seed=1)
    again = split(shuffled, declared(), SECRET)
    assert dict(zip(shuffled["customer"], again, strict=True)) == dict(zip(people(24)["customer"], part, strict=True))


def test_another_secret_holds_out_other_people() -> None:
    first, second = (split(people(1000), declared(), secret) for secret in (SECRET, SECRET[::-1]))
    both = ((first == HELDOUT) & (second == HELDOUT)).mean()
    assert both == pytest.approx(0.04, abs=0.02)


def test_rows_without_a_subject_stand_together() -> None:
    frame = pl.DataFrame({"customer": pl.Series([None] * 50, dtype=pl.String)})
    assert split(frame, declared(), SECRET).n_unique() == 1


def test_a_smaller_share_holds_out_a_part_of_the_same_people() -> None:
    few, many = (set(_held(share)) for share in (0.1, 0.3))
    assert few < many


def _held(share: float) -> list[str]:
    frame = people(2000)
    return frame.filter(split(frame, declared(holdout=share), SECRET) == HELDOUT)["customer"].to_list()


def test_without_a_subject_whole_blocks_of_a_night_are_held_out() -> None:
    frame = blocks(5000, "2026-01-01", "2026-01-02")
    frame = frame.with_columns(split(frame, declared(subject=False), SECRET), block=pl.col("_row") // 50)
    sides = frame.group_by("_partition", "block").agg(pl.col("_part").n_unique())
    assert sides["_part"].to_list() == [1] * 200
    held = frame.filter(pl.col("_part") == HELDOUT)
    assert len(held) / len(frame) == pytest.approx(0.2, abs=0.06)
    first, second = (set(held.filter(pl.col("_partition") == night)["block"]) for night in frame["_partition"].unique())
    assert first != second


def test_blocks_do_not_depend_on_which_rows_are_read() -> None:
    frame = blocks(1000, "2026-01-01")
    part = split(frame, declared(subject=False), SECRET)
    assert split(frame[::3], declared(subject=False), SECRET).to_list() == part[::3].to_list()


def test_rows_that_cannot_be_split_are_refused() -> None:
    with pytest.raises(Terminal, match="customer, by which rows are held out; got rows without customer"):
        split(pl.DataFrame({"balance": [1.0]}), declared(), SECRET)
    with pytest.raises(Terminal, match="without _partition"):
        split(pl.DataFrame({"_row": [1]}), declared(subject=False), SECRET)


def test_the_rule_has_an_id() -> None:
    assert rule_id(declared()) == rule_id(declared(holdout=0.2))
    assert len({rule_id(declared()), rule_id(declared(holdout=0.3)), rule_id(declared(by="blocks"))}) == 3
