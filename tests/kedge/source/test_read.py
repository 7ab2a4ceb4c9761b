import gzip
import io
import os
import traceback

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kedge.errors import Terminal, Transient
from kedge.source import limits, stream
from kedge.source.file import fingerprint
from kedge.source.read import Delivery
from kedge.spec import Source

NAMES = ("id", "age", "city")
SECRET = "Quintessa"


def deliver(path, body, *, declared=NAMES, keyed="", key=b"", **source):
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return Delivery(
        path=path, source=Source(files=str(path), replay=1, **source), declared=declared, keyed=keyed, key=key
    )


def rows(delivery):
    return delivery.scan().collect().drop("_row").rows()


@pytest.fixture
def csv(tmp_path):
    return tmp_path / "a.csv"


def everything(error):
    """All that a log could hold of an error: message, arguments, and whatever is chained to it."""
    held = "".join(traceback.format_exception(error))
    while error is not None:
        held += repr(error.args) + repr(getattr(error, "object", ""))
        error = error.__cause__ or error.__context__
    return held


def test_cells_are_text_as_received_with_their_position(csv):
    delivery = deliver(csv, 'id,age,city\n007,1.50,"Ulm, a/d"\nC2,,"say ""hi"""\n')
    frame = delivery.scan().collect()
    assert frame.schema == {"id": pl.String, "age": pl.String, "city": pl.String, "_row": pl.UInt64}
    assert frame.rows() == [("007", "1.50", "Ulm, a/d", 0), ("C2", None, 'say "hi"', 1)]


@pytest.mark.parametrize(
    ("delimiter", "body"), [(";", "1; 2;?\n"), ("\t", "1\t2\t?\n"), ("|", "1|  2|?\n"), (",", "1, 2, ?\n")]
)
def test_any_delimiter_blanks_after_it_and_missing_markers(csv, delimiter, body):
    delivery = deliver(csv, body, header=False, delimiter=delimiter, missing=["", "?"])
    assert rows(delivery) == [("1", "2", None)]


def test_only_declared_markers_are_missing(csv):
    body = "id,age,city\n?,NA,\n"
    assert rows(deliver(csv, body)) == [("?", "NA", None)]
    assert rows(deliver(csv, body, missing=["NA", "?"])) == [(None, None, "")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\n\r\n", ""])
def test_line_ends_and_blank_lines(csv, end):
    line = end[:2] if end.startswith("\r") else "\n"
    assert rows(deliver(csv, f"id,age,city{line}1,2,3{line}4,5,6{end}")) == [("1", "2", "3"), ("4", "5", "6")]


def test_gzip_of_several_members(tmp_path):
    packed = gzip.compress(b"id,age,city\n1,2,3\n") + gzip.compress(b"4,5,6\n")
    assert rows(deliver(tmp_path / "a.csv.gz", packed)) == [("1", "2", "3"), ("4", "5", "6")]


def test_encodings_and_byte_order_marks(csv):
    body = "id,age,city\n1,2,Zürich\n"
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "utf-16"):
        declared = "utf-8" if encoding == "utf-8-sig" else encoding
        assert rows(deliver(csv, body.encode(encoding), encoding=declared)) == [("1", "2", "Zürich")]


def test_a_character_cut_by_the_size_of_a_chunk_stays_whole(csv, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK", 7)
    body = "id,age,city\n" + "".join(f"{n},ä€𝄞,ö\n" for n in range(50))
    assert rows(deliver(csv, body)) == [(str(n), "ä€𝄞", "ö") for n in range(50)]


def test_positions_go_on_across_batches_and_slices_are_counted_from_zero(csv, monkeypatch):
    monkeypatch.setattr(limits, "MAX_ROW_BYTES", 256)
    delivery = deliver(csv, "id,age,city\n" + "".join(f"{n},1,x\n" for n in range(1000)))
    frames = list(delivery.batches())
    assert len(frames) > 10
    whole = pl.concat(frames)
    assert whole["_row"].to_list() == list(range(1000)) == whole["id"].cast(pl.Int64).to_list()
    assert delivery.scan().filter(pl.col("_row") == 700).select("id").collect().item() == "700"
    part = delivery.rows(range(300, 400))
    assert part["id"].to_list() == [str(n) for n in range(300, 400)]
    assert part["_row"].to_list() == list(range(100))
    assert delivery.rows(range(990, 2000)).height == 10
    assert delivery.rows(range(5000, 6000)).height == 0


def test_a_header_without_rows_is_an_empty_frame(csv):
    for body in ("id,age,city", "id,age,city\n", "id,age,city\n\n"):
        frame = deliver(csv, body).scan().collect()
        assert frame.shape == (0, 4)
    assert deliver(csv, "", header=False).scan().collect().shape == (0, 4)


@pytest.mark.parametrize(
    ("body", "got"),
    [
        (f"id,age,city\n1,2,3\n{SECRET},5\n", "1 rows with another number of fields; the first is row 2 with 2"),
        (f"id,age,city\n1,2,3,{SECRET}\n1,2,3\n1\n", "2 rows with another number"),
        (f'id,age,city\n1,2,"{SECRET}\n4,5,6\n', "not closed"),
        (f'id,age,city\n1,"{SECRET},3\n4,5,6\n', "rows with another number of fields|not closed"),
        (f"id,age,city\n1,{SECRET},3\n".encode() + b"4,\xff\xfe,6\n", "bytes that are no utf-8"),
        (f"id,age,city\n1,{SECRET},3\n".encode("utf-16"), "bytes that are no utf-8"),
        ("", "an empty first line, or nothing"),
        ("\nid,age,city\n", "an empty first line"),
        ('id,"age\n",city\n', "holds a line end in quotes"),
    ],
)
def test_a_file_that_does_not_parse_is_refused_whole_and_never_quoted(csv, body, got):
    with pytest.raises(Terminal, match=got) as caught:
        deliver(csv, body).scan().collect()
    assert SECRET not in everything(caught.value)
    assert csv.name in str(caught.value)


def test_a_row_of_many_megabytes_is_refused(csv):
    with pytest.raises(Terminal, match="a row longer than 8 MiB") as caught:
        rows(deliver(csv, f"id,age,city\n1,2,{SECRET * 2_500_000}\n"))
    assert SECRET not in everything(caught.value)


@pytest.mark.parametrize(("broken", "got"), [(lambda b: b[:-30], "ends too early"), (lambda b: b[9:], "damaged gzip")])
def test_a_broken_gzip_is_refused(tmp_path, broken, got):
    whole = gzip.compress(b"id,age,city\n" + os.urandom(20_000).hex().encode())
    with pytest.raises(Terminal, match=got):
        rows(deliver(tmp_path / "a.csv.gz", broken(whole)))


def test_a_gzip_bomb_is_refused_before_it_unfolds(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", 1 << 20)
    packed = gzip.compress(b"id,age,city\n" + b"1,2,3\n" * 2_000_000)
    with pytest.raises(Terminal, match="unpacks to more than 200 times"):
        rows(deliver(tmp_path / "a.csv.gz", packed))


def test_without_a_header_the_columns_come_in_declared_order(csv):
    assert deliver(csv, "1,2,3\n", header=False).scan().collect().columns == ["id", "age", "city", "_row"]
    with pytest.raises(Terminal, match="3 fields in every row"):
        rows(deliver(csv, "1,2,3,4\n", header=False))


def test_a_header_may_come_in_another_order_with_more_and_fewer_columns(csv):
    delivery = deliver(csv, "emp.var.rate, city ,id\n1,2,3\n", declared=("id", "age", "city", "emp_var_rate"))
    assert delivery.columns == ("emp_var_rate", "city", "id")


def test_a_first_line_that_is_a_person_is_never_a_header(csv):
    with pytest.raises(Terminal, match="3 fields, 0 of them declared") as caught:
        deliver(csv, f"{SECRET},33,Ulm\nC2,34,Ulm\n")
    assert SECRET not in everything(caught.value)


@pytest.mark.parametrize("header", ["id,age,ID", "id,age,a b,a.b", "id,age,1st", "id,age,", f"id,age,{'x' * 64}"])
def test_names_that_cannot_be_told_apart_or_used_are_refused_by_position(csv, header):
    with pytest.raises(Terminal, match=r"field [34] of the header"):
        deliver(csv, header + "\n1,2,3\n")


def test_thousands_of_columns_are_refused(csv):
    header = "id,age,city," + ",".join(f"c{n}" for n in range(3000))
    with pytest.raises(Terminal, match="3003 fields"):
        deliver(csv, header)


def test_links_devices_and_folders_are_refused(csv, tmp_path):
    csv.write_text("id,age,city\n")
    link = tmp_path / "link.csv"
    link.symlink_to(csv)
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path):
        with pytest.raises(Terminal, match="regular file"):
            Delivery(path=path, source=Source(files="x.csv", replay=1), declared=NAMES)


def test_a_file_that_changes_after_it_was_hashed_is_noticed(csv):
    body = "id,age,city\n1,2,3\n"
    csv.write_text(body)
    keyed = fingerprint(csv, b"k" * 32).keyed
    assert rows(deliver(csv, body, keyed=keyed, key=b"k" * 32)) == [("1", "2", "3")]
    with pytest.raises(Transient, match="other bytes than a moment ago"):
        rows(deliver(csv, body.replace("2", "9"), keyed=keyed, key=b"k" * 32))


def test_a_file_whose_header_changes_between_two_reads_is_noticed(csv):
    delivery = deliver(csv, "id,age,city\n1,2,3\n")
    csv.write_text("city,age,id\n1,2,3\n")
    with pytest.raises(Transient):
        rows(delivery)


cell = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12).filter(
    lambda text: not text.startswith(" ")
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(table=st.lists(st.tuples(cell, cell, cell), max_size=20))
def test_what_a_csv_writer_wrote_comes_back(csv, table):
    import csv as stdlib

    text = io.StringIO()
    writer = stdlib.writer(text, lineterminator="\n", quoting=stdlib.QUOTE_ALL)
    writer.writerows([NAMES, *table])
    got = rows(deliver(csv, text.getvalue(), missing=[]))
    assert got == table


@pytest.mark.parametrize(
    ("source", "body", "cells"),
    [
        ({"quote": "'"}, "id,age,city\n1,2,'Ulm, a/d'\n3,4,'it''s'\n", [("1", "2", "Ulm, a/d"), ("3", "4", "it's")]),
        ({"quote": ""}, 'id,age,city\n1,2,5" pipe\n3,4,"\n', [("1", "2", '5" pipe'), ("3", "4", '"')]),
        ({"quote": "'"}, 'id,age,city\n1,2,5" pipe\n', [("1", "2", '5" pipe')]),
        ({"quote": "'"}, "'id','age','ci''ty'\n1,2,3\n", [("1", "2", "3")]),
    ],
)
def test_fields_are_quoted_by_the_declared_character_or_by_none(csv, source, body, cells):
    assert rows(deliver(csv, body, declared=("id", "age"), **source)) == cells


def test_the_dialect_of_the_official_test_file_of_adult(csv):
    body = "|1x3 Cross validator\n25, Private, ?\n38, ?, Ulm\n\n"
    delivery = deliver(csv, body, header=False, comment="|", missing=["?"])
    assert rows(delivery) == [("25", "Private", None), ("38", None, "Ulm")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_comments_are_skipped_wherever_the_file_is_cut(csv, monkeypatch, size):
    monkeypatch.setattr(stream, "CHUNK", size)
    body = '# "a\nid,age,city\n#\n1,2,#3\n4,"5\n# no comment\n",6\n#\'"\n7,8,9\n# the end'
    got = rows(deliver(csv, body, comment="#"))
    assert got == [("1", "2", "#3"), ("4", "5\n# no comment\n", "6"), ("7", "8", "9")]
    assert rows(deliver(csv, "//\nid,age,city\n/1,2,3\n//\n", comment="//")) == [("/1", "2", "3")]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_utf_8_where_a_single_byte_encoding_is_declared_is_refused_not_garbled(csv, encoding):
    body = f"id,age,city\n1,{SECRET},Zürich\n"
    assert rows(deliver(csv, body.encode(encoding), encoding=encoding)) == [("1", SECRET, "Zürich")]
    with pytest.raises(Terminal, match="UTF-8 where") as caught:
        rows(deliver(csv, body, encoding=encoding))
    assert SECRET not in everything(caught.value)
    assert rows(deliver(csv, "id,age,city\n1,2,3\n", encoding=encoding)) == [("1", "2", "3")]


@pytest.mark.parametrize(
    ("written", "declared", "got"),
    [
        ("latin-1", "utf-8", "bytes that are no utf-8"),
        ("utf-16-le", "utf-8", "bytes that are no utf-8"),
        ("utf-16", "cp1252", "0 of them declared|no cp1252"),
        ("utf-8", "utf-16", "no byte order mark: declare utf-16-le or utf-16-be"),
        ("utf-16-be", "utf-16", "no byte order mark"),
        ("utf-16-be", "utf-16-le", "0 of them declared|bytes that are no utf-16-le"),
    ],
)
def test_a_wrong_encoding_is_refused(csv, written, declared, got):
    with pytest.raises(Terminal, match=got) as caught:
        rows(deliver(csv, f"id,age,city\n1,{SECRET},Zürich\n".encode(written), encoding=declared))
    assert SECRET not in everything(caught.value)


def test_cp1252_has_bytes_that_mean_nothing(csv):
    with pytest.raises(Terminal, match="bytes that are no cp1252"):
        rows(deliver(csv, b"id,age,city\n1,2,\x81\n", encoding="cp1252"))


def test_a_file_that_no_longer_parses_because_it_changes_is_no_broken_file(csv):
    body = "id,age,city\n1,2,3\n"
    csv.write_text(body)
    keyed = fingerprint(csv, b"k" * 32).keyed
    for meanwhile in ("", "id,age,city\n1,2\n", "id,a"):
        with pytest.raises(Transient, match="other bytes than a moment ago"):
            rows(deliver(csv, meanwhile, keyed=keyed, key=b"k" * 32))


def test_limits_are_looked_at(csv, monkeypatch):
    with pytest.raises(Terminal, match="cells of at most 1048576 bytes; got one of 2097152 in column city") as caught:
        rows(deliver(csv, f"id,age,city\n1,2,{'x' * (2 << 20)}\n"))
    assert caught.value.remedy
    monkeypatch.setattr(limits, "MAX_ROWS", 2)
    with pytest.raises(Terminal, match="at most 2 rows; got more"):
        rows(deliver(csv, "id,age,city\n1,2,3\n1,2,3\n1,2,3\n"))
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 10)
    with pytest.raises(Terminal, match="at most 0 GiB; got 0 MiB"):
        deliver(csv, "id,age,city\n1,2,3\n")


def test_a_header_that_is_one_endless_field_or_holds_our_own_name_is_refused(csv):
    with pytest.raises(Terminal, match="cannot be split into fields"):
        deliver(csv, "id,age,city" + "x" * 200_000 + "\n1,2,3\n")
    with pytest.raises(Terminal, match=r"field 4 of the header: .* got one that can be none"):
        deliver(csv, "id,age,city,_row\n1,2,3,4\n")
