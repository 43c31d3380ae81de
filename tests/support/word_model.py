"""A text model for tests of labelling: knows few words, can be new to things, and is calibrated."""

import torch
from tests.support.tasks_data import ToyConfig, ToySystem

from otolith.tasks._model import Model

NEAREST = {"cycling": "running", "chess": "standing"}


class WordSystem(ToySystem):
    """The toy with words of its own, words far from these, novelty and a calibration."""

    label_stride_s = 2.5

    @property
    def default_words(self):
        return ("standing", "walking", "running")

    def far_words(self, words):
        return {word: NEAREST[word] for word in words if word in NEAREST}

    def conformal_quantile(self, coverage):
        return coverage

    def novelty_scores(self, batch):
        """Everything that moves as fast as running is new."""
        return (self.embed(batch)[:, 2] > 0.5).float()


class WordComponent:
    """A component with this system, registered while a test runs."""

    Config = ToyConfig
    System = WordSystem


def word_model():
    """A model with this system."""
    return Model("words", WordSystem(ToyConfig()).eval(), system_name="toy_words")


class DullSystem(WordSystem):
    """One that takes everything for standing with words alone."""

    def score_words(self, batch, words, *, temperature=0.05):
        logits = torch.tensor([1.0 if word == "standing" else 0.0 for word in words])
        return logits.log_softmax(0).expand(len(batch.ids), -1)


def dull_model():
    """A model with the dull system."""
    return Model("dull", DullSystem(ToyConfig()).eval(), system_name="toy_dull")
