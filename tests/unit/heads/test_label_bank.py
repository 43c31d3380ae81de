"""Label bank: prototypes, mean pooling, similarity."""

import pytest
import torch

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.heads import label_bank

TOKENS, MASK = torch.randn(4, 5, 16), torch.ones(4, 5, dtype=torch.bool)


def make(**settings):
    torch.manual_seed(0)
    return label_bank.Head(label_bank.Config(width=16, num_heads=2, **settings)).eval()


@pytest.mark.parametrize(("prototypes", "shape"), [(1, (4, 16)), (3, (4, 3, 16))])
def test_shapes_and_lengths(prototypes, shape):
    labels = make(num_prototypes=prototypes)(TOKENS, MASK)
    assert labels.shape == shape
    torch.testing.assert_close(labels.norm(dim=-1), torch.ones(shape[:-1]))


def test_prototypes_are_read_apart():
    many = make(num_prototypes=3)
    one = make(num_prototypes=1)
    state = {k: v for k, v in many.state_dict().items() if not k.startswith("outputs.")}
    state |= {f"outputs.0.{k}": v for k, v in many.outputs[1].state_dict().items()}
    one.load_state_dict(state | {"queries": many.queries[1]})
    torch.testing.assert_close(one(TOKENS, MASK), many(TOKENS, MASK)[:, 1], atol=1e-6, rtol=1e-5)


def test_padding_changes_nothing():
    mask = MASK.clone()
    mask[0, 2:] = False
    other = TOKENS.clone()
    other[0, 2:] = 99.0
    for head in (make(), make(use_mean_pooling=True)):
        torch.testing.assert_close(head(TOKENS, mask), head(other, mask))


def test_mean_pooling_learns_nothing():
    head = make(use_mean_pooling=True)
    assert not list(head.parameters())
    expected = torch.nn.functional.normalize(TOKENS.mean(1), dim=-1)
    torch.testing.assert_close(head(TOKENS, MASK), expected)


def test_similarity_takes_the_best_prototype():
    features = torch.nn.functional.normalize(torch.randn(3, 16), dim=-1)
    labels = make(num_prototypes=3)(TOKENS, MASK)
    got = label_bank.similarity(features, labels)
    expected = torch.stack([features @ labels[:, k].T for k in range(3)]).amax(0)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(
        label_bank.similarity(features, labels[:, 0]), features @ labels[:, 0].T
    )


def test_no_noise_in_the_targets_by_default():
    head = make().train()
    assert torch.equal(head(TOKENS, MASK), head(TOKENS, MASK))


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="use_mean_pooling gives one prototype"):
        parse(label_bank.Config, {"use_mean_pooling": True, "num_prototypes": 2})
    with pytest.raises(ConfigError, match="at least 1"):
        parse(label_bank.Config, {"num_prototypes": 0})
