"""The checks of a day's labels: the contract of the file, and what the join with the night found."""

from kedge.quality import rules as contract_rules
from kedge.spec import Declaration
from kedge.spec.labels import contract

AGREE, SINGLE, MATCHED, PRESENT = "labels_agree", "labels_single", "labels_matched", "labels_present"
_JOINED = {
    AGREE: (False, "No two rows of the file say different things of one key; those that do go to quarantine."),
    SINGLE: (False, "No key means several rows of the night; labels of such a key go to quarantine."),
    MATCHED: (False, "No more labels than quarantine_at_most allows have no row in the night."),
    PRESENT: (True, "At least one row of the night has a label."),
}


def checks(declaration: Declaration) -> dict[str, tuple[bool, str]]:
    """Name -> whether it blocks, and one sentence for people."""
    file = contract_rules.rules(contract(declaration))
    return {rule.name: (rule.blocking, rule.description) for rule in file} | _JOINED


def blocks(name: str) -> bool:
    """Whether a check of the join keeps the labels from being used."""
    return _JOINED[name][0]


def describe(name: str) -> str:
    """The sentence of a check of the join."""
    return _JOINED[name][1]
