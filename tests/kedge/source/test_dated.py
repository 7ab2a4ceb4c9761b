"""Files whose rows say which day they belong to."""

import random
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kedge.errors import Terminal, Transient
from kedge.source import dated, limits
from kedge.source.dated import day_of
from kedge.source.stored import due
from kedge.source.take import intake, take

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")


def write(path: Path, rows):
    path.write_text("id,seen,left\n" + "".join(f"{name},{seen},true\n" for name, seen in rows))
    return path


def ids(outcome):
    frame = outcome.version.scan().collect()
    assert frame["_row"].to_list() == list(range(frame.height))
    return frame["id"].to_list()


def test_a_night_is_the_rows_of_its_day_in_file_order(ws, by_column, settings):
    write(settings.data / "all.csv", [("a", DAYS[1]), ("b", DAYS[0]), ("c", DAYS[1]), ("d", DAYS[2])])
    declaration = by_column()
    outcomes = [take(ws, declaration, day) for day in DAYS]
    assert [ids(outcome) for outcome in outcomes] == [["b"], ["a", "c"], ["d"]]
    (check,) = outcomes[0].checks
    assert (check.name, check.passed, check.blocking) == ("dated_rows", True, False)
    assert outcomes[0].facts["rows_without_date"] == 0


def test_a_longer_file_leaves_old_nights_valid_and_a_late_row_makes_a_new_version(ws, by_column, settings):
    path, declaration = settings.data / "all.csv", by_column()
    rows = [("a", DAYS[0]), ("b", DAYS[1])]
    write(path, rows)
    first = [take(ws, declaration, day) for day in DAYS[:2]]
    write(path, [*rows, ("c", DAYS[2]), ("late", DAYS[0])])
    again = [take(ws, declaration, day) for day in DAYS]
    assert [outcome.written for outcome in again] == [True, False, True]
    assert ids(again[0]) == ["a", "late"]
    assert again[0].facts["replaces_delivery"] is True
    assert again[0].version.manifest.predecessor == first[0].version.id


def test_several_files_hold_rows_of_the_same_days(ws, by_column, settings):
    (settings.data / "in").mkdir()
    write(settings.data / "in/b.csv", [("b", DAYS[0]), ("c", DAYS[1])])
    write(settings.data / "in/a.csv", [("a", DAYS[0])])
    assert ids(take(ws, by_column(files="in/*.csv"), DAYS[0])) == ["a", "b"]


def test_a_night_without_rows_is_refused_until_it_has_some_and_then_stays(ws, by_column, settings):
    path, declaration = settings.data / "all.csv", by_column()
    with pytest.raises(Transient, match=r"all\.csv: needs the delivery of that day"):
        take(ws, declaration, DAYS[0])
    write(path, [("a", DAYS[0])])
    need = r"needs rows of 2026-01-02 in seen; got none among 1 rows of 1 files"
    with pytest.raises(Terminal, match=need):
        take(ws, declaration, DAYS[1])
    version = take(ws, declaration, DAYS[0]).version
    write(path, [("b", DAYS[1])])  # the files have gone on
    assert take(ws, declaration, DAYS[0]).version == version


def test_rows_without_a_date_are_counted_and_told_and_too_many_refuse_the_files(ws, by_column, settings):
    path, declaration = settings.data / "all.csv", by_column()
    good = [(f"p{n}", DAYS[n % 2]) for n in range(18)]
    write(path, [("x", ""), *good, ("y", "31.12.2025")])
    outcome = take(ws, declaration, DAYS[0])
    (check,) = outcome.checks
    assert (check.passed, check.blocking) == (False, False)
    assert check.facts == {"rows_in_files": 20, "rows_without_date": 2}
    assert outcome.facts["rows_without_date"] == 2
    assert outcome.rows == 9

    write(path, [("x", ""), *good, ("y", "31.12.2025"), ("z", "Quintessa")])
    got = "got 3 of 21 rows without one, which belong to no day"
    with pytest.raises(Terminal, match=got) as error:
        take(ws, declaration, DAYS[1])
    assert "Quintessa" not in str(error.value)


def test_a_file_without_the_column_is_refused(ws, by_column, settings):
    (settings.data / "all.csv").write_text("id,left\na,true\n")
    with pytest.raises(Terminal, match=r"all\.csv: needs the column seen"):
        take(ws, by_column(), DAYS[0])


def test_a_file_that_changes_while_it_is_read_is_refused(ws, by_column, settings, monkeypatch):
    path, declaration = write(settings.data / "all.csv", [("a", DAYS[0])]), by_column()
    together = dated.Together.batches

    def slow(self):
        yield from together(self)
        write(path, [("a", DAYS[0]), ("b", DAYS[0])])

    monkeypatch.setattr(dated.Together, "batches", slow)
    with pytest.raises(Transient, match="a file that rests"):
        take(ws, declaration, DAYS[0])


def test_moments_with_an_offset_are_moved_to_the_time_zone_and_others_are_local(ws, by_column, settings):
    rows = [
        ("utc", "2026-01-01T23:30:00Z"),  # half past midnight in Berlin
        ("local", "2026-01-01 23:30"),
        ("east", "2026-01-02T04:00:00.5+05:30"),
        ("west", "2026-01-01T20:00:00-0500"),
        ("night", "2026-01-02T00:00"),
    ]
    write(settings.data / "all.csv", rows)
    declaration = by_column("datetime", timezone="Europe/Berlin")
    assert ids(take(ws, declaration, DAYS[0])) == ["local", "east"]
    assert ids(take(ws, declaration, DAYS[1])) == ["utc", "west", "night"]
    elsewhere = by_column("datetime", timezone="UTC")
    assert ids(take(ws, elsewhere, DAYS[0])) == ["utc", "local", "east"]


def test_moments_in_parquet_are_moved_too(ws, by_column, settings):
    at = pl.Series("seen", [datetime(2026, 1, 1, 23, 30), datetime(2026, 1, 1, 12)]).dt.replace_time_zone("UTC")
    pl.DataFrame([pl.Series("id", ["late", "noon"]), at, pl.Series("left", [True, False])]).write_parquet(
        settings.data / "all.parquet"
    )
    declaration = by_column("datetime", files="all.parquet", timezone="Europe/Berlin")
    assert ids(take(ws, declaration, DAYS[0])) == ["noon"]
    assert ids(take(ws, declaration, DAYS[1])) == ["late"]


@examples(deadline=None, max_examples=50)
@given(
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(ZoneInfo("UTC"))),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "UTC"]),
)
def test_the_day_is_the_one_that_pythons_own_calendar_says(moment, zone):
    local = moment.astimezone(ZoneInfo(zone))
    texts = [moment.isoformat(), moment.isoformat().replace("+00:00", "Z"), local.replace(tzinfo=None).isoformat(" ")]
    found = pl.DataFrame({"seen": texts}).select(day_of("seen", "datetime", zone)).to_series().to_list()
    assert found == [local.date()] * 3


def test_the_pass_over_all_days_finds_the_digests_that_the_nights_have(ws, by_column, settings, monkeypatch):
    dealt = random.Random(7)
    rows = [(f"p{n}", dealt.choice([*DAYS, "2025-12-31", ""])) for n in range(400)]
    path, declaration = write(settings.data / "all.csv", rows), by_column(quarantine_at_most=0.5)
    stored = {day: take(ws, declaration, day).facts["delivery"] for day in DAYS}
    monkeypatch.setattr(limits, "MAX_ROW_BYTES", 512)  # many small batches
    found, undated = dated.days(intake(ws, declaration, DAYS[0]), [path])
    assert {day: found[day] for day in DAYS} == stored
    assert sorted(found) == ["2025-12-31", *DAYS]
    assert (undated.num_rows, undated.num_undated) == (400, sum(not seen for _, seen in rows))
    assert not due(ws, declaration, DAYS[0], stored[DAYS[0]])
    assert due(ws, declaration, DAYS[0], stored[DAYS[1]])


def test_the_rows_of_a_day_are_bounded_and_those_of_its_files_are_not(ws, by_column, settings, monkeypatch):
    (settings.data / "in").mkdir()
    write(settings.data / "in/a.csv", [("a", DAYS[0]), ("b", DAYS[1])])
    write(settings.data / "in/b.csv", [("c", DAYS[0]), ("d", DAYS[1]), ("e", DAYS[1])])
    monkeypatch.setattr(limits, "MAX_ROWS", 3)
    declaration = by_column(files="in/*.csv")
    assert ids(take(ws, declaration, DAYS[1])) == ["b", "d", "e"]
    write(settings.data / "in/c.csv", [("f", DAYS[1])])
    assert ids(take(ws, declaration, DAYS[0])) == ["a", "c"]
    with pytest.raises(Terminal, match=r"a\.csv: needs at most 3 rows of one day; got more in 3 files"):
        take(ws, declaration, DAYS[1])


def test_a_new_first_file_with_its_columns_in_another_order_leaves_other_days_as_they_are(ws, by_column, settings):
    (settings.data / "in").mkdir()
    write(settings.data / "in/b.csv", [("a", DAYS[0]), ("b", DAYS[0])])
    declaration = by_column(files="in/*.csv")
    first = take(ws, declaration, DAYS[0])
    (settings.data / "in/a.csv").write_text(f"left,seen,id\ntrue,{DAYS[1]},c\n")
    again = take(ws, declaration, DAYS[0])
    assert (again.written, again.version.id) == (False, first.version.id)
    assert ids(take(ws, declaration, DAYS[1])) == ["c"]
    found, _ = dated.days(intake(ws, declaration, DAYS[0]), sorted((settings.data / "in").iterdir()))
    assert not due(ws, declaration, DAYS[0], found[DAYS[0]])
