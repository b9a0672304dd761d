"""Every odd file gives the right table or one clear line."""

from __future__ import annotations

import gzip

import pytest

from hotloop import tables
from hotloop.errors import TableError
from hotloop.tables import csv_blocks

PLAIN = "a,b\n1,x\n2,y\n"


def rows_of(table):
    return table.frame.rows()


def refusal(path, *parts):
    """Read a file that must be refused; return the one line, which names the file and has these parts."""
    with pytest.raises(TableError) as caught:
        tables.read(path)
    line = caught.value.one_line
    assert "\n" not in line
    assert str(path) in line
    for part in parts:
        assert part in line
    return line


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        b"\xff\xfe" + PLAIN.encode("utf-16-le"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.rstrip().encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", "|").encode(),
        PLAIN.replace(",", " , ").encode(),
        b"\n\n" + PLAIN.encode() + b"\n  \n",
        b"a,b\n1,x\n\n   \n2,y\n",
        b'"a","b"\n"1","x"\n"2","y"\n',
    ],
    ids=str,
)
def test_the_same_table_in_many_spellings(csv_of, content):
    table = tables.read(csv_of(content))
    assert table.columns == ("a", "b")
    assert rows_of(table) == [(1, "x"), (2, "y")]


def test_quoted_fields_hold_separators_quotes_and_newlines(csv_of):
    table = tables.read(csv_of('a,b\n1,"x,""y""\nz"\n2,"p\n\nq"\n'))
    assert rows_of(table) == [(1, 'x,"y"\nz'), (2, "p\n\nq")]


def test_a_tsv_is_cut_at_tabs_alone(csv_of):
    assert rows_of(tables.read(csv_of("a\tb\n1,5\tx\n", "data.TSV"))) == [("1,5", "x")]


def test_utf8_names_and_values(csv_of):
    table = tables.read(csv_of("größe,色\n1,红\n2,蓝\n"))
    assert table.columns == ("größe", "色")
    assert rows_of(table) == [(1, "红"), (2, "蓝")]


def test_bad_utf8_names_the_line(csv_of):
    refusal(csv_of(b"a,b\n1,x\n2,caf\xe9\n"), "line 3", "UTF-8", "0xe9")


def test_broken_utf16_is_refused(csv_of):
    refusal(csv_of(b"\xff\xfe" + PLAIN.encode("utf-16-le") + b"\x00\xd8\x00"), "UTF-16")


def test_nul_bytes_name_the_line(csv_of):
    refusal(csv_of(b"a,b\n1,x\n2,\0\n"), "NUL", "line 3")


def test_utf16_without_a_mark_is_refused(csv_of):
    refusal(csv_of(PLAIN.encode("utf-16-le")), "NUL", "UTF-16")


@pytest.mark.parametrize(
    ("content", "line", "fields"),
    [
        ("a,b,c\n1,2,3\n4,5\n6,7,8\n", 3, 2),
        ("a,b,c\n1,2,3\n4,5,6,7\n", 3, 4),
        ("a,b,c\n1\n", 2, 1),
        ("a,b,c\n\n1,2,3\n\n4,5\n", 5, 2),
        # One field too few and one too many: the total is right, the rows are not.
        ('a,b\n1,"x\ny"\n2\n3,4,5\n', 4, 1),
    ],
)
def test_ragged_rows_name_the_line(csv_of, content, line, fields):
    refusal(csv_of(content), f"line {line} has {fields} field", "the header has")


def test_a_ragged_row_far_down_names_the_line(csv_of, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 64)
    refusal(csv_of("a,b\n" + "1,2\n" * 100 + "3\n" + "1,2\n" * 100), "line 102 has 1 field")


def test_an_empty_last_field_is_no_short_row(csv_of):
    assert rows_of(tables.read(csv_of("a,b\n1,\n2,3\n"))) == [(1, None), (2, 3)]


@pytest.mark.parametrize("content", ["", "\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file(csv_of, content):
    refusal(csv_of(content), "it is empty")


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\n\n\n"])
def test_a_header_alone(csv_of, content):
    refusal(csv_of(content), "no rows")


def test_duplicate_names_are_listed(csv_of):
    refusal(csv_of("a,b, a,c,b\n1,2,3,4,5\n"), "'a', 'b'", "more than once")


def test_nameless_columns_are_numbered_with_a_note(csv_of):
    table = tables.read(csv_of(",b,\n1,2,3\n"))
    assert table.columns == ("column 1", "b", "column 3")
    assert "'column 1', 'column 3'" in table.notes[0]


def test_a_header_of_numbers_is_doubted(csv_of):
    table = tables.read(csv_of("5.1,3.5,setosa\n4.9,3.0,setosa\n"))
    assert "looks like numbers" in table.notes[0]
    assert tables.read(csv_of("2019,2020\n4.9,3.0\n")).notes == ()


def test_a_million_columns_are_refused_from_the_header(csv_of, monkeypatch):
    read = []
    monkeypatch.setattr(csv_blocks, "_checked", lambda parts, path: (read.append(p) or p for p in parts))
    header = ",".join(f"column_{i}" for i in range(1_000_000))
    refusal(csv_of(header + "\n" + "1," * 999_999 + "1\n"), "more than 10,000 columns")
    assert len(read) == 0


@pytest.mark.slow
@pytest.mark.no_cover
def test_ten_thousand_columns_are_the_limit(csv_of):
    fine = csv_of(",".join(f"c{i}" for i in range(10_000)) + "\n" + ",".join("1" * 10_000) + "\n")
    assert len(tables.read(fine).columns) == 10_000
    refusal(csv_of(",".join(f"c{i}" for i in range(10_001)) + "\n"), "more than 10,000 columns")


@pytest.mark.parametrize("content", ['a,b\n1,"x\n2,y\n', 'a,b\n1,5" pipe\n2,y\n'])
def test_a_quote_never_closed(csv_of, content):
    refusal(csv_of(content), "never closed", "line")


def test_a_quote_never_closed_in_a_large_file(csv_of, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 64)
    refusal(csv_of('a,b\n1,"x\n' + "1,2\n" * 100), "line 2 is longer than", "never closed")


def test_a_malformed_quote_names_the_line(csv_of):
    refusal(csv_of('a,b\n1,x\n2,"abc" y\n3,z\n'), "line 3 is malformed", '"abc" y')


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(PLAIN.encode(), mtime=0), "gzip"),
        (b"PK\x03\x04rest of a workbook", "Excel"),
        (b"PAR1....PAR1", ".parquet"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_formats_under_a_csv_name(csv_of, content, what):
    refusal(csv_of(content), what)


def test_a_directory(tmp_path):
    refusal(tmp_path, "directory")


def test_a_missing_file_suggests_a_near_name(csv_of, tmp_path):
    csv_of(PLAIN, "flowers.csv")
    refusal(tmp_path / "flower.csv", "no such file", "'flowers.csv'")
    refusal(tmp_path / "nowhere" / "x.csv", "no such file")


def test_an_unreadable_file(csv_of, monkeypatch):
    path = csv_of(PLAIN)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    refusal(path, "Permission denied")


def test_an_unknown_suffix(csv_of):
    refusal(csv_of(PLAIN, "data.xlsx"), ".csv, .tsv, .txt, .parquet")


def test_markup_in_names_is_only_text(csv_of):
    table = tables.read(csv_of("<b>a</b>,[red]x[/red]\n1,2\n"))
    assert table.columns == ("<b>a</b>", "[red]x[/red]")


def test_one_column_keeps_its_blank_lines_as_missing(csv_of):
    assert rows_of(tables.read(csv_of("a\n1\n\n3\n"))) == [(1,), (None,), (3,)]
