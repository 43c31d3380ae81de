"""Few-shot on top of words."""

import pytest
from tests.support.tasks_data import make_part, statistics
from tests.support.word_model import dull_model

from otolith import api
from otolith.core.errors import CheckpointError

WINDOWS = {"window_s": 4.0}


def test_examples_correct_words_and_are_named_in_the_protocol(tmp_path):
    part = make_part(tmp_path, 4)
    settings = {"head": "prior", "shots": 2, "folds": 2, "windows": WINDOWS, "seeds": [0]}
    found = api.evaluate("few_shot", dull_model(), part, settings)
    assert "prior" in found.protocol
    assert found.accuracy > 0.95


def test_a_model_without_words_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="not trained with text"):
        api.evaluate("few_shot", statistics(), make_part(tmp_path, 4), {"head": "prior"})
