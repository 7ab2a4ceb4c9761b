from typing import Any

import polars as pl

from kedge.drift import sample
from kedge.drift.sample import draw
from kedge.lake import Draft, produce
from kedge.outcome import Findings
from kedge.people import HELDOUT, split


def test_small_nights_are_taken_whole(stored: Any, declaration: Any) -> None:
    night = stored.night("2026-01-01", 500, seed=1)
    drawn = draw([night], declaration, seed=3)
    assert sorted(drawn.rows["_row"]) == list(range(500))
    assert drawn.rows["_row"].to_list() != list(range(500))


def test_large_ones_are_sampled_from_all_nights(stored: Any, declaration: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sample, "_DRAWN_ROWS", 400)
    monkeypatch.setattr(sample, "MOST_ROWS", 100)
    nights = [stored.night(f"2026-01-0{n}", 1_000 * n, seed=n) for n in (1, 2, 3)]
    drawn = draw(nights, declaration, seed=3)
    assert (drawn.frame.height, drawn.rows.height) == (400, 100)
    assert not drawn.frame.select("_partition", "_row").is_duplicated().any()
    by_night = dict(drawn.frame["_partition"].value_counts().iter_rows())
    assert 40 < by_night["2026-01-01"] < 95  # a sixth of the rows
    assert 160 < by_night["2026-01-03"] < 240  # half of them
    whole = nights[1].scan().collect()
    picked = drawn.frame.filter(_partition="2026-01-02").select(whole.columns)
    assert picked.join(whole, on=whole.columns).height == picked.height


def test_the_same_seed_draws_the_same_rows(stored: Any, declaration: Any) -> None:
    night = stored.night("2026-01-01", 500, seed=1)
    assert draw([night], declaration, seed=3).frame.equals(draw([night], declaration, seed=3).frame)
    assert not draw([night], declaration, seed=3).frame.equals(draw([night], declaration, seed=4).frame)


def test_held_out_rows_are_those_of_the_holdout(stored: Any, declaration: Any) -> None:
    night = stored.night("2026-01-01", 2_000, seed=1)
    heldout = draw([night], declaration, seed=3).heldout
    assert 300 < heldout.height < 500
    assert set(split(heldout, declaration, stored.ws.secrets("bank").holdout)) == {HELDOUT}


def test_late_outcomes_are_drawn_where_there_are_some(stored: Any, declaration: Any) -> None:
    columns = {**declaration.columns}
    target = declaration.target
    columns[target] = columns[target].model_copy(update={"from_": "labels"})
    late = declaration.model_copy(update={"columns": columns})
    night = stored.night("2026-01-01", 500, seed=1)
    outcomes = night.scan().select("_row", target).collect()

    def write(draft: Draft) -> Findings:
        draft.write_frame(outcomes.head(400))
        return Findings(notes=night.manifest.notes)

    dataset = stored.ws.dataset("bank", "labels")
    labels = produce(dataset, "2026-01-01", inputs={}, declared={}, code=1, write=write).version
    unknown = draw([night], late, seed=3).frame
    assert unknown[target].null_count() == 500
    known = draw([night], late, seed=3, labels={"2026-01-01": labels}).frame
    assert known["_row"].equals(unknown["_row"]), "the same rows, whether or not their outcome is known"
    both = known.join(outcomes, on="_row", suffix="_sent").filter(pl.col("_row") < 400)
    assert both[target].equals(both[f"{target}_sent"])
    assert known[target].null_count() == 100
