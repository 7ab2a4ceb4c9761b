"""Names: which ones are allowed, how a file's header becomes one, and which ones look personal.

A name ends up in paths, in SQL and in check names; anything outside the allow-list is refused, never quoted.
"""

import re

from kedge.errors import Terminal

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
NAME_NEED = "a name of 1 to 63 letters, digits and _ that does not begin with a digit"

# Sequences of words in a column's name (split at _ and at camel case) and what they point to.
_IDENTIFIERS = {
    "a person's name": "name names firstname lastname forename surname fullname nickname username maiden",
    "an e-mail address": "email emails mail e_mail",
    "a phone number": "phone phones telephone tel mobile cellphone fax msisdn",
    "a postal address": "address addresses street addr",
    "an account number": "iban bic account_number account_no",
    "a payment card": "card_number card_no pan creditcard credit_card",
    "an official number": "ssn social_security passport national_id tax_id nin tin driver_license license_plate",
    "a network address": "ip ip_address mac_address device_id cookie",
    "free text": "note notes comment comments remark remarks message messages free_text freetext transcript",
}
_QUASI_IDENTIFIERS = {
    "a place": "zip zipcode zip_code postcode post_code postal postal_code plz latitude longitude",
    "a birth date": "birth birthday birthdate dob date_of_birth",
}


def check_name(kind: str, name: str) -> str:
    """Return `name` if it is on the allow-list.

    Raises:
        Terminal: it is not; the name itself is not repeated, for a header may hold personal data.
    """
    if NAME.fullmatch(name):
        return name
    raise Terminal(kind, need=NAME_NEED, got=f"{len(name)} characters that do not fit", remedy="Rename it.")


def column_name(header: str) -> str | None:
    """Name of the column under which a file's header field is declared, or None if it can have none.

    Blanks around it go; every other character that a name cannot hold becomes `_`: `emp.var.rate` is declared
    as `emp_var_rate`. Two fields of one file that get the same name must be refused by the reader.
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", header.strip())
    return name if NAME.fullmatch(name) else None


def looks_like(name: str) -> tuple[str, bool] | None:
    """What the column name points to and whether that identifies a person directly; None if it looks harmless.

    Returns:
        for instance `("an e-mail address", True)` for `contactEmail`, `("a birth date", False)` for `birth_date`.
    """
    words = f"_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])|[0-9]+', '_', name).lower()}_".replace("__", "_")
    for table, direct in ((_IDENTIFIERS, True), (_QUASI_IDENTIFIERS, False)):
        for kind, patterns in table.items():
            if any(f"_{pattern}_" in words for pattern in patterns.split()):
                return kind, direct
    return None
