"""Text encoder: real MiniLM sentences, independence of neighbours, cache, refusals."""

import os

import pytest
import torch

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DownloadError, FileFormatError
from otolith.encoders import text_minilm, text_transformer


@pytest.fixture(scope="module")
def encoder():
    return text_minilm.Encoder(text_minilm.Config())


def test_sentences_mean_something(encoder):
    walk, stroll, sit = encoder.sentences(["walking upstairs", "climbing stairs", "typing a mail"])
    assert walk @ stroll > walk @ sit + 0.2
    assert walk.norm().item() == pytest.approx(1.0, abs=1e-5)
    assert encoder.width == len(walk) == 384


def test_sentences_are_the_masked_mean_of_the_tokens(encoder):
    tokens, mask = encoder.tokens(["a", "a longer text about walking"])
    assert tokens.shape == (2, mask.shape[1], 384)
    assert mask.sum(1).tolist() == [3, 7]
    assert tokens[~mask].abs().max() == 0
    mean = tokens[0, :3].mean(0)
    torch.testing.assert_close(
        encoder.sentences(["a"])[0], mean / mean.norm(), atol=1e-6, rtol=1e-5
    )


def test_features_do_not_depend_on_neighbours_or_history(encoder):
    fresh = text_minilm.Encoder(text_minilm.Config())
    alone = fresh.tokens(["standing"])[0]
    among, mask = encoder.tokens(["a long text that comes first of all", "standing", "sitting"])
    assert torch.equal(alone[0], among[1][mask[1]])


def test_many_texts_at_once_agree(encoder):
    texts = ["walking", "sitting", "running", "standing still"]
    fast = text_minilm.Encoder(text_minilm.Config(batch_size=8))
    torch.testing.assert_close(
        fast.sentences(texts), encoder.sentences(texts), atol=1e-5, rtol=1e-5
    )


def test_long_texts_are_cut(encoder):
    assert encoder.tokens(["word " * 300])[0].shape[1] == 64


def test_cache_is_bounded_and_forgets_the_least_used():
    encoder = text_minilm.Encoder(text_minilm.Config(cache_size=2))
    encoder.tokens(["a", "b", "c"])
    assert list(encoder._cache) == ["b", "c"]
    encoder.tokens(["b"])
    encoder.tokens(["d"])
    assert list(encoder._cache) == ["b", "d"]
    assert encoder.tokens(["a", "b", "c", "d"])[0].shape[0] == 4


def test_nothing_of_it_is_in_state_dicts_or_trainable(encoder):
    encoder.tokens(["walking"])
    assert not encoder.state_dict()
    assert not list(encoder.parameters())
    assert not encoder.tokens(["walking"])[0].requires_grad


def test_forward_gives_tokens(encoder):
    out = encoder(["walking", "sitting down"])
    assert out.grid.axes == ("token",)
    assert out.grid.sizes == (out.features_BND.shape[1],)
    torch.testing.assert_close(out.pooled_BD, encoder.sentences(["walking", "sitting down"]))


def test_a_folder_works_like_the_package(encoder):
    folder = text_minilm.package_folder()
    other = text_transformer.Encoder(text_transformer.Config(source=folder, pooling="first"))
    first = encoder.tokens(["walking"])[0][0, 0]
    torch.testing.assert_close(other.sentences(["walking"])[0], first / first.norm())


def test_a_folder_without_a_model_is_refused(tmp_path):
    encoder = text_transformer.Encoder(text_transformer.Config(source=str(tmp_path)))
    with pytest.raises(FileFormatError, match="holds no text model"):
        encoder.tokens(["walking"])


def test_an_unreachable_hub_name_is_explained(monkeypatch):
    monkeypatch.setitem(os.environ, "OTOLITH_OFFLINE", "1")
    encoder = text_transformer.Encoder(text_transformer.Config(source="nobody/no-such-model"))
    with pytest.raises(DownloadError, match="text_minilm"):
        encoder.tokens(["walking"])


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        parse(text_minilm.Config, {"cache_size": 0})


def test_texts_read_for_evaluation_can_be_trained_on():
    encoder = text_minilm.Encoder(text_minilm.Config())
    with torch.inference_mode():
        encoder.sentences(["walking"])
    layer = torch.nn.Linear(encoder.width, 1)
    layer(encoder.tokens(["walking"])[0]).sum().backward()
    assert layer.weight.grad.abs().sum() > 0
