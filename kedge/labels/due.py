"""Which labels have to be joined: facts for a sensor."""

from collections.abc import Iterator

from kedge.source.calendar import delivery_files
from kedge.source.stored import due
from kedge.spec import Declaration
from kedge.spec.labels import contract
from kedge.workspace import Workspace


def arrived(ws: Workspace, declaration: Declaration, partition: str) -> bool:
    """Whether there are labels of a day, in the inbox or in the lake."""
    file = contract(declaration)
    if ws.dataset(declaration.name, "labels_raw").current(partition) is not None:
        return True
    return any(path.exists() for path in delivery_files(file, ws.settings, partition))


def night(ws: Workspace, declaration: Declaration, partition: str) -> str | None:
    """Version id of the rows that labels of this day belong to; None while the night has not run."""
    version = ws.dataset(declaration.name, "validated").current(partition)
    return None if version is None else version.id


def delivered(ws: Workspace, declaration: Declaration, partition: str) -> bool:
    """Whether labels lie in the inbox that have to be taken in, see `kedge.source.stored.due`."""
    return due(ws, contract(declaration), partition, "", "labels_raw")


def again(ws: Workspace, declaration: Declaration) -> Iterator[tuple[str, str]]:
    """Days of the training window whose stored labels are not joined with the night's current rows, oldest first.

    That is so when the night was delivered again, or a run died. What was blocked waits for other labels or rows.

    Returns:
        day, and a text that names labels and rows.
    """
    files, labels, rows = (ws.dataset(declaration.name, name) for name in ("labels_raw", "labels", "validated"))
    for partition in files.partitions()[-declaration.training.window :]:
        file, validated, made = files.current(partition), rows.current(partition), labels.current(partition)
        if file is None or validated is None:
            continue
        wanted = {"labels_raw": file.id, "validated": validated.id}
        if made is not None and made.manifest.inputs == wanted:
            continue
        if not any(
            past.manifest.inputs == wanted and not past.manifest.released for past in labels.attempts(partition)
        ):
            yield partition, f"{file.id} on {validated.id}"
