"""Every text encoder keeps its promises, on the weights that are installed."""

from dataclasses import replace

import pytest
import torch

from otolith.encoders import ENCODERS, text_minilm

NAMES = [name for name in ENCODERS.names() if name.startswith("text_")]
TEXTS = ["walking", "someone climbing stairs", "walking", ""]


@pytest.fixture(scope="module", params=NAMES)
def encoder(request):
    module = ENCODERS.get(request.param)
    return module.Encoder(replace(module.Config(), source=text_minilm.package_folder()))


def test_tokens_and_sentences(encoder):
    tokens, mask = encoder.tokens(TEXTS)
    assert tokens.shape == (4, mask.shape[1], encoder.width)
    assert mask.any(1).all()
    assert torch.isfinite(tokens).all()
    sentences = encoder.sentences(TEXTS)
    torch.testing.assert_close(sentences.norm(dim=-1), torch.ones(4))
    assert torch.equal(sentences[0], sentences[2])
    assert not torch.allclose(sentences[0], sentences[1])


def test_a_text_does_not_depend_on_its_neighbours(encoder):
    tokens, mask = encoder.tokens(TEXTS)
    for i, text in enumerate(TEXTS):
        assert torch.equal(encoder.tokens([text])[0][0], tokens[i][mask[i]])


def test_it_is_frozen_and_not_saved(encoder):
    assert not encoder.state_dict()
    assert not [p for p in encoder.parameters() if p.requires_grad]
