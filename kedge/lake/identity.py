"""The version id: a digest of what went in, known before a byte is written."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from kedge.spec.canonical import canonical

if TYPE_CHECKING:
    from kedge.lake.dataset import Dataset


def version_id(
    dataset: "Dataset",
    partition: str,
    inputs: Mapping[str, str],
    declared: Mapping[str, Any],
    code: int,
    seed: int | None = None,
) -> str:
    """Id of the version that these inputs make: `v` and 32 hexadecimal digits.

    Args:
        inputs: version ids by role; for `raw` the keyed digest of the delivery.
        declared: the stage's part of the declaration, defaults left out.
        code: version of the stage's code, an integer kept by hand.
        seed: of the stage's random numbers, where it has some.
    """
    identity = {
        "zone": dataset.zone,
        "pipeline": dataset.pipeline,
        "dataset": dataset.name,
        "partition": partition,
        "inputs": dict(inputs),
        "declared": dict(declared),
        "code": code,
        "seed": seed,
    }
    return "v" + blake2b(canonical(identity), digest_size=16, person=b"kedge.version").hexdigest()
