import pytest
import torch

from kedge.training.config import Config
from kedge.training.network import Network

CONFIG = Config(hidden=16, embedding=4)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network([8, 1], [5, 3], CONFIG).eval()


def inputs(rows: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    x_BN = torch.rand((rows, 2), generator=random) * 2 - 1
    return x_BN, torch.zeros(rows, 2), torch.randint(0, 3, (rows, 2), generator=random)


def test_one_log_odds_per_row(network: Network) -> None:
    assert network(*inputs(7)).shape == (7,)


@pytest.mark.parametrize(("pieces", "buckets"), [([4, 4], []), ([], [3, 3])])
def test_one_kind_of_features_is_enough(pieces: list[int], buckets: list[int]) -> None:
    network = Network(pieces, buckets, CONFIG)
    x_BN, m_BN, c_BC = inputs(5)
    logits = network(x_BN[:, : len(pieces)], m_BN[:, : len(pieces)], c_BC[:, : len(buckets)])
    assert logits.shape == (5,)
    network.settle(c_BC[:, : len(buckets)])
    assert torch.isfinite(network.category.weight).all()


def test_features_do_not_share_buckets(network: Network) -> None:
    x_BN, m_BN, _ = inputs(1)
    first, second = (network(x_BN, m_BN, torch.tensor([c])) for c in ([1, 2], [2, 1]))
    assert first.item() != second.item()


def test_an_indicator_never_trained_changes_nothing(network: Network) -> None:
    x_BN, m_BN, c_BC = inputs(6)
    assert torch.equal(network(x_BN, m_BN, c_BC), network(x_BN, torch.ones_like(m_BN), c_BC))


def test_a_bucket_never_trained_is_the_mean_of_those_that_were(network: Network) -> None:
    c_BC = torch.tensor([[2, 0], [2, 0], [3, 0], [2, 2]])
    before = network.category.weight.detach().clone()
    network.settle(c_BC)
    after = network.category.weight.detach()
    mean = before[2] * 0.75 + before[3] * 0.25
    assert torch.equal(after[2:4], before[2:4])
    for bucket in (0, 1, 4):
        assert torch.allclose(after[bucket], mean)
    assert torch.allclose(after[5 + 1], before[5] * 0.75 + before[7] * 0.25)
