from pathlib import Path

from kedge.training.config import Config
from kedge.training.task import LabelFile, Night, Task

KEY = b"\x8f" * 32
TASK = Task(
    nights=(
        Night(
            path=Path("/lake/rows.parquet"),
            key=KEY,
            aad="open/bank",
            train=b"\x01",
            validation=b"\x02",
            labels=LabelFile(Path("/lake/labels.parquet"), KEY, "restricted/bank", ("left",)),
        ),
    ),
    features=(("balance", "numeric"), ("plan", "category")),
    target="left",
    positive="true",
    subject=None,
    device="cpu",
    config=Config().to_json(),
    key=KEY,
)


def test_it_survives_the_pipe() -> None:
    assert Task.from_bytes(TASK.to_bytes()) == TASK


def test_it_prints_no_key() -> None:
    assert "8f" not in repr(TASK)
    assert "\\x" not in repr(TASK.nights[0]).replace("b'\\x01'", "").replace("b'\\x02'", "")
