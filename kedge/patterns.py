"""Patterns of personal data in text: what quality looks for in columns and privacy removes from free text.

They are written in the syntax that the engines of polars (Rust) and Python share: no look-around, no
back-references. They know formats, not names, addresses or places; what they miss is measured in the tests on
published texts. Where a format is ambiguous (a run of 12 digits, `555 0123`) they take it for personal: removing
too much from a note costs a word, removing too little costs a person.
"""

# In the order in which text is redacted: a longer format before one that would match a part of it.
PATTERNS: dict[str, str] = {
    "email": r"[\w.%+'-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}",
    "url": r"(?i:\b(?:https?://|ftp://|www\.)[^\s<>\"]+)",
    # ISO 13616: 15 to 34 characters; in groups of four only in capitals, or any word after it would be taken along.
    "iban": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2}(?: ?[A-Z0-9]{3}|(?: ?[A-Z0-9]{4}){1,6}(?: ?[A-Z0-9]{1,3})?)\b"
    r"|(?i:\b[a-z]{2}\d{2}[a-z0-9]{11,30}\b)",
    # ISO/IEC 7812: 12 to 19 digits, solid or grouped as printed on cards.
    "card": r"\b\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}\b|\b\d{4}[ -]\d{6}[ -]\d{4,5}\b|\b\d{12,19}\b",
    "ssn": r"\b\d{3}-\d{2}-\d{4}\b",
    "phone": r"\+\d{1,3}[\d ()./-]{5,18}\d(?: ?(?:x|ext\.?) ?\d{1,5}\b)?"  # international (ITU-T E.123)
    r"|\(\d{2,5}\) ?\d{2,4}(?:[ -]?\d{2,4}){1,3}(?: ?x\d{1,5})?\b"  # area code in brackets
    r"|\b\d{3}[-.]\d{3}[-.]\d{4}(?:x\d{1,5})?\b"  # North America
    r"|\b0\d{2,5}[ /-]\d{3,8}(?:[ -]\d{1,4}){0,3}\b"  # trunk prefix, number in one or two blocks
    r"|\b\d{3,4}(?: \d{2,4}){2,4}\b|\b\d{2}(?: \d{2,4}){2,4}\b"  # three blocks or more with spaces
    r"|\b\d{3}(?:-\d{2,4}){2,4}\b|\b\d{2}(?:-\d{2}){3,4}\b|\b\d{2}-\d{3,4}-\d{3,4}\b"  # with dashes, but no date
    r"|\b\d{2}(?:\.\d{2}){4}\b"  # France
    r"|\b\d{3}[ -]\d{4}\b|\b\d{4} \d{4,7}\b|\b\d{2} \d{6}\b"  # two blocks
    r"|\b\d{10,11}\b",  # solid
    "ip": r"\b(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\b"
    r"|(?i:\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b)",
}

# Something of which every match of every pattern holds one: most texts have none, and need not be searched.
TRACE = r"[@:\d]|(?i:www\.)"
