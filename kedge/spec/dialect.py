"""How a delivered file is written: its format, and for text the encoding and what separates one cell from the next."""

import codecs
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kedge.spec.mistake import Flaw, Mistake, describe
from kedge.spec.model import SpecModel
from kedge.spec.quantity import Texts

Format = Literal["csv", "jsonl", "parquet"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
    ".parquet": "parquet",
}
_LONGEST_COMMENT = 8
# Keys that mean something to other formats only, and may stand at their default.
_FOREIGN = {
    "csv": (),
    "jsonl": ("header", "delimiter", "quote", "comment"),
    "parquet": ("header", "delimiter", "quote", "comment", "encoding"),
}


def _encoding(value: Any) -> Any:
    try:
        name = codecs.lookup(value).name
        "".encode(name)
    except (LookupError, TypeError, UnicodeError):  # unknown, no text, a codec from bytes to bytes such as hex
        raise Flaw("a text encoding such as utf-8", describe(value), "Take a name that Python knows.") from None
    return name


class Dialect(SpecModel):
    """How files are written.

    Attributes:
        format: by the suffix of the file's name if it is left out; any name goes with it. `.gz` means gzip.
        header: whether the first line names the columns; without it they come in declared order (csv).
        delimiter: between fields (csv).
        quote: around a field that holds a delimiter or line end, doubled inside; empty: no quoting at all (csv).
        comment: lines that begin with it are skipped; empty: there are none (csv).
        encoding: of text (csv, jsonl).
        missing: texts that mean "no value".
    """

    format: Format | None = Field(
        default=None, description="csv, jsonl or parquet, when the name of the files does not say it"
    )
    header: bool = Field(default=True, description="whether the first line names the columns")
    delimiter: str = Field(default=",", description="one character between fields")
    quote: str = Field(default='"', description='character around fields, or "" for none')
    comment: str = Field(default="", description="lines that begin with it are skipped")
    encoding: Annotated[str, BeforeValidator(_encoding)] = Field(
        default="utf-8", description="text encoding of the files"
    )
    missing: Texts = Field(default=("",), description='texts that mean "no value", such as ["", "?"]')

    def format_of(self, name: str) -> Format | None:
        """Format of a file or of a template of file names; None if neither the declaration nor the suffix says it."""
        return self.format or next((kind for end, kind in SUFFIXES.items() if name.endswith(end)), None)

    def dialect_mistakes(self, name: str | None, broken: frozenset[str]) -> Iterator[Mistake]:
        """Settings that do not go together.

        Args:
            name: of the files, as declared; None if there is none.
        """
        if not broken & {"delimiter", "quote", "comment"}:
            yield from self._character_mistakes()
        if "missing" not in broken and len(set(self.missing)) < len(self.missing):
            yield Mistake(at=("missing",), need="each text once", got="one twice", remedy="Remove the repetition.")
        kind = None if name is None or "format" in broken else self.format_of(name)
        if kind is None or name is None:
            return
        for key in _FOREIGN[kind]:
            if key not in broken and getattr(self, key) != type(self).model_fields[key].default:
                remedy = "Remove it, or correct format."
                yield Mistake(at=(key,), need=f"to be left out with {kind}", got="a setting", remedy=remedy)
        if kind == "parquet" and PurePosixPath(name).suffix == ".gz":
            remedy = "Let the sender write Parquet, which packs its pages itself."
            yield Mistake(at=("format",), need="csv or jsonl for a .gz file", got=kind, remedy=remedy)

    def _character_mistakes(self) -> Iterator[Mistake]:
        if not _is_character(self.delimiter) or self.delimiter == self.quote or self.delimiter == '"':
            yield Mistake(
                at=("delimiter",),
                need="exactly one ASCII character that is no quote or line end",
                got=describe(self.delimiter),
                remedy='Write it in quotes, such as ";" or "\\t".',
            )
        if self.quote and not _is_character(self.quote):
            yield Mistake(
                at=("quote",),
                need='one ASCII character that is no line end, or ""',
                got=describe(self.quote),
                remedy='Write quote: "\'" for single quotes.',
            )
        if len(self.comment) > _LONGEST_COMMENT or set(self.comment) & set("\r\n"):
            yield Mistake(
                at=("comment",),
                need=f"at most {_LONGEST_COMMENT} characters and no line end",
                got=describe(self.comment),
                remedy='Write what such lines begin with, such as "#".',
            )


def _is_character(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in "\r\n\x00"
