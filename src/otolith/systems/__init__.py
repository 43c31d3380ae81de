"""Systems: one file per published system; joins encoders, heads and objectives.

A component file holds a `Config` and a `System` that is built as `System(config)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.errors import CheckpointError
from otolith.core.registry import Registry
from otolith.objectives import LossOutput
from otolith.windows.batch import Batch

SYSTEMS = Registry("otolith.systems", "system")


@dataclass(frozen=True, kw_only=True)
class KeyReport:
    """What happened to the keys of a foreign state dict.

    Args:
        loaded: Official key -> our key, for keys that kept their value.
        renamed: Subset of `loaded` whose name or layout changed.
        missing: Our keys that the file does not give.
        unexpected: Official keys that nothing of ours takes.
        ignored: Official keys that are known not to matter, with the reason.
    """

    loaded: dict[str, str]
    renamed: dict[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    ignored: dict[str, str]


class System(nn.Module, ABC):
    """A trainable model.

    Attributes:
        config: The settings it was built from; saved with the weights.
        has_text: Whether `embed_texts` works, that is, whether labels can be given as words.
        trainable: Whether it has a loss; a fixed feature extractor has none.
        label_stride_s: Usual distance of windows in s when a recording is labelled.
        official_has_sections: Whether official keys carry the section of the checkpoint file
            (`model_state_dict.`, ...), because weights of several sections belong together.
        official_key_prefix: Beginning of a key that only checkpoints of its authors have.
        official_training_data: Data sets that its authors' published weights were trained on.
    """

    has_text: ClassVar[bool] = False
    trainable: ClassVar[bool] = True
    label_stride_s: ClassVar[float] = 1.0
    official_has_sections: ClassVar[bool] = False
    official_key_prefix: ClassVar[str] = ""
    official_training_data: ClassVar[tuple[str, ...]] = ()
    config: Any

    @abstractmethod
    def embed(self, batch: Batch) -> Tensor:
        """Return one vector per sample [B, D], float32, in evaluation mode."""

    @abstractmethod
    def loss(self, batch: Batch) -> LossOutput:
        """Return the training loss of a batch. Random draws come from `batch.keys_B` alone."""

    @property
    def default_words(self) -> tuple[str, ...]:
        """Labels to choose from where the user names none; empty if it has no words of its own."""
        return ()

    def far_words(self, words: Sequence[str]) -> dict[str, str]:
        """Return the words that lie far from all it has learned, with the nearest it knows."""
        return {}

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return one vector per text [L, D], comparable with `embed` by cosine.

        Raises:
            CheckpointError: The system knows no text.
        """
        raise CheckpointError(
            f"{_name(self)} knows no text and embeds none of the {len(texts)} given.",
            "Use a text-aligned system.",
        )

    def score_words(
        self, batch: Batch, words: Sequence[str], *, temperature: float = 0.05
    ) -> Tensor:
        """Return log probabilities of labels given as words [B, L]; the labels are all there is.

        Args:
            batch: Samples.
            words: Labels.
            temperature: Sharpness of cosines where these are all that a system has
                (cosine / temperature); systems with probabilities of their own do not use it.

        Raises:
            CheckpointError: The system knows no text.
        """
        texts = F.normalize(self.embed_texts(words).float(), dim=-1)
        features_BD = F.normalize(self.embed(batch).float(), dim=-1)
        if texts.ndim == 2:
            cosine_BL = features_BD @ texts.T
        else:  # several prototypes per label: the nearest counts
            cosine_BL = torch.einsum("bd,lpd->blp", features_BD, texts).amax(2)
        return (cosine_BL / temperature).log_softmax(1)

    def conformal_quantile(self, coverage: float) -> float | None:
        """Return the largest 1 - p at which a label still belongs to a set that covers the truth.

        Args:
            coverage: Wanted share of windows whose set holds the true label, 0..1.

        Returns:
            The quantile, 0..1, or None for a model that was not calibrated.
        """
        return None

    def novelty_scores(self, batch: Batch) -> Tensor | None:
        """Return how unlike everything that was learned the samples are.

        Returns:
            Share of known windows that are less unusual [B], 0..1, or None for a model that was
            not calibrated.
        """
        return None

    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Return the concepts that it tells apart with their words; empty if it has no such table."""
        return {}

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of `classify`'s columns; empty if the system is no classifier."""
        return ()

    def classify(self, batch: Batch) -> Tensor:
        """Return logits [B, K], one column per entry of `labels`.

        Raises:
            CheckpointError: The system is no classifier.
        """
        raise CheckpointError(
            f"{_name(self)} has no classes of its own for the {len(batch)} samples.",
            "Use a classifier, or give examples to learn from.",
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimizer groups: dicts with `params`, `name`, optional `weight_decay`, `lr_scale`, `clip`.

        Groups with the same `clip` (a name, default "") are clipped together to the norm of the
        run's settings, apart from the others.
        """
        return [{"name": "all", "params": [p for p in self.parameters() if p.requires_grad]}]

    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Prepare state before the first step of a new run, such as filling a queue.

        Args:
            batches: The batches of epoch 0, read only as far as they are taken.
        """

    def after_step(self, batch: Batch) -> None:
        """Update state that follows an optimizer step (queues, momentum copies).

        Called without gradient, once per optimizer step, with the last batch of the step. The
        state lies in buffers or parameters, so that it is saved; when several processes train it
        may change only by what all of them share (gather the rows first).
        """

    def skip_step(self) -> None:
        """Forget what `loss` noted for `after_step`, because the step changes no weights."""

    def adapt_weights(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Bring weights of a related model into this one's shapes before a run starts from them.

        Args:
            weights: Weights of the model to start from, by our keys.

        Returns:
            The weights to load; keys and shapes that still do not fit are refused as usual.

        Raises:
            CheckpointError: They cannot be brought into these shapes.
        """
        return weights

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> tuple[System, KeyReport]:
        """Build the system from weights with the authors' key names.

        Args:
            state: Weights by official key.
            settings: Settings of the authors.

        Raises:
            CheckpointError: The weights do not fit, or the system has no official form.
        """
        raise CheckpointError(
            f"{_name(cls)} has no official form for these {len(state)} weights "
            f"and {len(settings)} settings.",
            "Give the system that the checkpoint belongs to.",
        )

    def to_official(self) -> dict[str, Tensor]:
        """Return the weights under the authors' key names.

        Raises:
            CheckpointError: The system has no official form.
        """
        raise CheckpointError(
            f"{_name(self)} has no official form.", "Use the model folder itself."
        )

    def official_settings(self) -> dict[str, Any]:
        """Return the authors' settings that the weights of `to_official` do not show.

        `from_official` reads them. They are written beside exported weights as JSON.
        """
        return {}


def _name(system: System | type[System]) -> str:
    """Registered name of a system: that of its module."""
    return system.__module__.rpartition(".")[2]
