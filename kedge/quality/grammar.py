"""What text counts as a value of a type or format: regular expressions that two engines understand alike.

Only explicit ASCII classes: `\\w`, `\\d` and `\\s` mean different things in Rust (polars) and in Python (Great
Expectations), and every difference would look like a disagreement about the data and block a night.
"""

MAX_CHARS = 100_000  # of one text; larger cells are no texts about a person but a broken quote or an attack

_LEAP = r"(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|1[26]|[3579][26])00)"
_DATE = (  # every day of the Gregorian calendar from year 1000 to 9999
    r"(?:[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    rf"|{_LEAP}-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_OFFSET = r"(?:Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])"  # from UTC
# No control characters but tab and line ends, and nothing that turns the direction of what follows round.
_TEXT = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202d\u202e]"

TYPES: dict[str, str] = {
    "string": rf"{_TEXT}*",
    "category": rf"{_TEXT}*",
    "bool": r"(?i:true|false|1|0|yes|no|t|f)",
    "integer": r"[+-]?[0-9]{1,18}",  # always fits 64 bits
    # finite whatever the digits say: no nan, no inf, at most 10 to the power of 139
    "float": r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE](?:\+?[0-9]{1,2}|-[0-9]{1,3}))?",
    "date": _DATE,
    "datetime": rf"{_DATE}[T ]{_TIME}{_OFFSET}?",
}
TRUE = ("true", "1", "yes", "t")

_ATOM = r"[^\x00-\x20\x7f@,;:<>()\[\]\x22\\]"
_HEX = r"[0-9a-fA-F]{1,4}"
FORMATS: dict[str, str] = {
    "email": rf"{_ATOM}+@{_ATOM}+\.{_ATOM}{{2,}}",
    "phone": r"\+?[0-9(][0-9 ()./-]{5,22}[0-9](?: ?(?:x|ext\.?) ?[0-9]{1,5})?",
    "iban": r"[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}",
    "card": r"[0-9](?:[ -]?[0-9]){11,18}",
    "ip": r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    rf"|(?:{_HEX}:){{7}}{_HEX}|(?:(?:{_HEX}:){{0,6}}{_HEX})?::(?:(?:{_HEX}:){{0,6}}{_HEX})?",
}


def rust(pattern: str) -> str:
    """The pattern for the whole text, as polars understands it."""
    return rf"\A(?:{pattern})\z"


def python_type(kind: str) -> str:
    """The pattern of a type as Python understands it; texts are limited in the pattern, which Rust cannot count to."""
    return python(rf"{_TEXT}{{0,{MAX_CHARS}}}" if kind in ("string", "category") else TYPES[kind])


def python(pattern: str) -> str:
    """The pattern for the whole text, as Python (and pandas) understands it; `$` would allow a line end after it."""
    return rf"\A(?:{pattern})\Z"
