"""The lake: every stored dataset of kedge, encrypted from its first byte, immutable and versioned by what went in."""

from kedge.lake.dataset import Dataset
from kedge.lake.draft import Draft
from kedge.lake.filekey import FileKey
from kedge.lake.hooks import Journal, LeaveOut
from kedge.lake.identity import version_id
from kedge.lake.lake import Lake
from kedge.lake.manifest import Manifest
from kedge.lake.names import ALL, ROWS, Zone
from kedge.lake.outcome import Outcome
from kedge.lake.produce import produce
from kedge.lake.rows import PARTITION, RAW, ROW, check_same_rows, join_rows, raw_ancestor, stack_rows
from kedge.lake.secret import Secrets
from kedge.lake.version import Version

__all__ = [
    "ALL",
    "PARTITION",
    "RAW",
    "ROW",
    "ROWS",
    "Dataset",
    "Draft",
    "FileKey",
    "Journal",
    "Lake",
    "LeaveOut",
    "Manifest",
    "Outcome",
    "Secrets",
    "Version",
    "Zone",
    "check_same_rows",
    "join_rows",
    "produce",
    "raw_ancestor",
    "stack_rows",
    "version_id",
]
