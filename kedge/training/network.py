"""A multilayer perceptron on piecewise-linear embeddings (Gorishniy et al., arXiv:2203.05556 and 2410.24210).

Shapes: B rows, N numeric features, C categories, d length of an embedding.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from kedge.training.config import Config
from kedge.training.embeddings import PiecewiseLinearEmbeddings
from kedge.training.numeric import SPAN
from kedge.training.preprocess import Encoder


class Network(nn.Module):
    """Rows to log-odds of the positive class."""

    starts_C: Tensor

    def __init__(self, num_pieces: Sequence[int], num_buckets: Sequence[int], config: Config) -> None:
        """
        Args:
            num_pieces: pieces of each numeric feature.
            num_buckets: buckets of each category.
        """
        super().__init__()
        d = config.embedding
        # At least two pieces: the library warns about one, which a constant feature would have.
        edges = [torch.linspace(-SPAN, SPAN, max(2, pieces) + 1) for pieces in num_pieces]
        self.numeric = PiecewiseLinearEmbeddings(edges, d, activation=False, version="B") if edges else None
        # Zero: an indicator that training never saw changes nothing, whatever it is multiplied with.
        self.missing = nn.Parameter(torch.zeros(len(edges), d))
        self.category = nn.Embedding(sum(num_buckets), d)
        starts = [sum(num_buckets[:c]) for c in range(len(num_buckets))]
        self.register_buffer("starts_C", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.hidden = _hidden(d * (len(num_pieces) + len(num_buckets)), config)
        self.output = nn.Linear(config.hidden, 1)

    @classmethod
    def of(cls, encoder: Encoder, config: Config) -> "Network":
        """A new network for the inputs that `encoder` makes; drawn from torch's current random state."""
        pieces = [numeric.num_pieces for numeric in encoder.numeric.values()]
        return cls(pieces, [words.num_buckets for words in encoder.category.values()], config)

    def forward(self, x_BN: Tensor, m_BN: Tensor, c_BC: Tensor) -> Tensor:
        """Log-odds, shape B."""
        parts = [self.category(c_BC + self.starts_C).flatten(1)]
        if self.numeric is not None:
            parts.append((self.numeric(x_BN) + m_BN.unsqueeze(-1) * self.missing).flatten(1))
        logits_B1: Tensor = self.output(self.hidden(torch.cat(parts, dim=1)))
        return logits_B1.squeeze(1)

    @torch.no_grad()
    def settle(self, c_BC: Tensor) -> None:
        """Give buckets that no training row fell into the mean embedding of their feature's rows.

        Otherwise a value first seen in production would be scored by random numbers.
        """
        counts = torch.bincount((c_BC + self.starts_C).flatten(), minlength=self.category.num_embeddings)
        for start, end in pairwise([*self.starts_C.tolist(), self.category.num_embeddings]):
            share = counts[start:end].to(self.category.weight) / max(1, len(c_BC))
            mean = share @ self.category.weight[start:end]
            self.category.weight[start:end][counts[start:end] == 0] = mean


def _hidden(width: int, config: Config) -> nn.Sequential:
    blocks: list[nn.Module] = []
    for layer in range(config.layers):
        blocks += [nn.Linear(config.hidden if layer else width, config.hidden), nn.ReLU(), nn.Dropout(config.dropout)]
    return nn.Sequential(*blocks)
