"""A trained model with its preprocessing: what is saved, loaded and scores."""

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import numpy as np
import torch
from safetensors.torch import load as read_weights
from safetensors.torch import save as write_weights

from kedge.errors import Tampered
from kedge.training import arrow
from kedge.training.config import Config
from kedge.training.head import BINARY, Head
from kedge.training.network import Network
from kedge.training.preprocess import Encoded, Encoder

WEIGHTS, SETTINGS = "model.safetensors", "model.json"
FORMAT = 1
BLOCK = 1024  # rows per pass, always filled up: a row's score does not depend on the rows beside it

Scores = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class TabularModel:
    """A network and the preprocessing it was trained with.

    Attributes:
        encoder: fitted preprocessing.
        network: on CPU, in evaluation mode.
        config: what it was trained with.
        positive: the class whose probability is the score; empty where the target is no class.
        head: what the network's output means.
        exposure: column that the expected count of a row is proportional to; None: every row counts 1.
    """

    encoder: Encoder
    network: Network
    config: Config
    positive: str
    head: Head = BINARY
    exposure: str | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Columns that `score` reads."""
        exposure = [self.exposure] if self.exposure else []
        return (*self.encoder.numeric, *self.encoder.category, *exposure)

    def score(self, frame: Any) -> Scores:
        """Score of each row, float64 of shape (rows,): the probability of the positive class, the expected number in
        the target's unit, or the expected count for the row's exposure (NaN without one).

        Args:
            frame: polars frame or `pyarrow.Table` with `features`; more columns are ignored.

        Raises:
            Terminal: a feature is missing or of another type than in training.
        """
        encoded = self.encoder.encode(frame)
        with one_thread():
            found = answers(self.network, encoded, "cpu", self.head, at_once=len(os.sched_getaffinity(0)))
        return found if self.exposure is None else found * arrow.floats(arrow.as_table(frame), self.exposure)

    def save(self) -> dict[str, bytes]:
        """File names and contents; the settings hold the digest of the weights.

        Open evidence: edges and categories stand for at least 11 persons each.
        """
        weights = write_weights({name: value.contiguous() for name, value in self.network.state_dict().items()})
        settings = {
            "format": FORMAT,
            "positive": self.positive,
            "config": self.config.to_json(),
            "encoder": self.encoder.to_json(),
            "weights_sha256": sha256(weights).hexdigest(),
        }
        if self.head != BINARY:
            settings |= {"head": self.head.to_json(), "exposure": self.exposure}
        return {WEIGHTS: weights, SETTINGS: json.dumps(settings, sort_keys=True, indent=1).encode()}

    @classmethod
    def load(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `save` gave.

        Raises:
            Tampered: the weights are not those the settings were saved with; safetensors itself would not notice.
        """
        settings, weights = json.loads(files[SETTINGS]), files[WEIGHTS]
        if settings["format"] != FORMAT or sha256(weights).hexdigest() != settings["weights_sha256"]:
            raise Tampered(
                WEIGHTS,
                need="the weights that were saved together with model.json",
                got="other bytes, or another format",
                remedy="Train again; do not use this model.",
                part="model",
            )
        encoder, config = Encoder.from_json(settings["encoder"]), Config.from_json(settings["config"])
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn and thrown away
            network = Network.of(encoder, config)
        network.load_state_dict(read_weights(weights))
        head = Head.from_json(settings["head"]) if "head" in settings else BINARY
        return cls(encoder, network.eval(), config, settings["positive"], head, settings.get("exposure"))


def answers(network: Network, encoded: Encoded, device: str, head: Head = BINARY, at_once: int = 1) -> Scores:
    """What the head makes of the outputs for encoded rows (see `Head.link`), in passes of `BLOCK`, in fp32.

    Args:
        at_once: passes at a time, each in a thread of its own that torch does not divide further: the bits do not
            depend on it.
    """
    was_training = network.training
    network.eval()
    scores = np.empty(len(encoded), np.float64)

    @torch.inference_mode()
    def answer(start: int) -> None:
        rows = encoded.rows(slice(start, start + BLOCK))
        filled = [_filled(part).to(device) for part in (rows.x_BN, rows.m_BN, rows.c_BC)]
        # of the filled block too: the sigmoid of a vector's last elements may differ in the last bit
        scores[start : start + BLOCK] = head.link(network(*filled))[: len(rows)].cpu().numpy()

    starts = range(0, len(encoded), BLOCK)
    if at_once == 1 or len(starts) < 2:
        for start in starts:
            answer(start)
    else:
        with ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            deque(pool.map(answer, starts), maxlen=0)
    network.train(was_training)
    return scores


def _filled(part: np.ndarray[Any, Any]) -> torch.Tensor:
    rows = torch.zeros((BLOCK, part.shape[1]), dtype=torch.from_numpy(part[:0]).dtype)
    rows[: len(part)] = torch.from_numpy(part)
    return rows


@contextmanager
def one_thread(threads: int = 1) -> Iterator[None]:
    """Fix torch's threads for the block: sums in one order, the same bits on every machine with such a CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
