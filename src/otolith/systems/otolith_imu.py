"""The model that ships with Otolith: concepts of everyday motion from any worn sensor, in words.

Several small networks read statistics that no mounting changes, a convolutional one reads signals in
the frame of gravity; their votes are joined. Each learns to name *one of* the concepts that a class
name allows for, so that data sets with coarse classes ("stairs") teach what they know and no more.
Labels are words: `score_words` says what they mean through the table of concepts and, for words
that it does not list, through a sentence encoder.
"""

# B batch, S statistics, C concepts, M members, H hidden units, F inputs, L labels, D width

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import field
from itertools import islice
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import component, config, select
from otolith.core.errors import ConfigError
from otolith.core.randomness import uniform
from otolith.encoders import ENCODERS
from otolith.encoders._motion_inputs import MotionInputs, hide_orientation
from otolith.objectives import LossOutput
from otolith.objectives._gather import (
    gather_rows,
    global_mean,
    num_processes,
    sum_over_processes,
)
from otolith.signals.motion_statistics import STATISTICS
from otolith.systems import System as BaseSystem
from otolith.systems._concepts import concepts, label_matrix, nearest_concepts, word_matrix
from otolith.systems._members import Members
from otolith.systems._novelty import Novelty
from otolith.windows.batch import Batch
from otolith.windows.needed import needed_target

_LEVEL = STATISTICS.index("vertical/log_std")
_SCALING_BATCHES = 200
_TINY = 1e-6  # keeps logarithms finite
Share = Annotated[float, Field(ge=0, lt=1)]


@config
class Config:
    """Settings.

    Args:
        labels: Class names of the training data; a target is an index into them.
        encoder: Views and statistics of motion, with a convolutional network.
        members: Networks that read the statistics.
        hidden_width: Hidden units of each.
        input_dropout: Share of the statistics that a member does not see in a training step.
        dropout: Dropout of hidden units and of the convolutional features.
        orientation_dropout: Share of training windows whose orientation is hidden, so that sensors of
            unknown mounting are understood too.
        conv_share: Weight of the convolutional network among the votes.
        label_smoothing: Share of the target that is spread over all concepts.
        min_moving_g: Standard deviation of the vertical acceleration in g below which a window of
            a moving concept teaches nothing (people pause).
        text: Sentence encoder for words that the table of concepts does not list.
        word_temperature: Sharpness of word similarities (cosine / temperature).
        min_word_similarity: Smallest cosine at which a word stands for a concept.
        target: Name of the class target in the batch.
        coverages: Coverages of the stored conformal quantiles, rising; `otolith checkpoint
            calibrate` sets them.
    """

    labels: tuple[str, ...] = ()
    encoder: component(ENCODERS) = field(  # pyrefly: ignore  # the field type is made at run time
        default_factory=lambda: select(ENCODERS, "imu_motion")
    )
    members: Annotated[int, Field(gt=0)] = 4
    hidden_width: Annotated[int, Field(gt=0)] = 64
    input_dropout: Share = 0.3
    dropout: Share = 0.3
    orientation_dropout: Share = 0.15
    conv_share: Share = 0.2
    label_smoothing: Share = 0.0
    min_moving_g: Annotated[float, Field(ge=0)] = 0.06
    text: component(ENCODERS) = field(  # pyrefly: ignore  # the field type is made at run time
        default_factory=lambda: select(ENCODERS, "text_minilm")
    )
    word_temperature: Annotated[float, Field(gt=0)] = 0.05
    min_word_similarity: Share = 0.6
    target: str = "label"
    coverages: tuple[Share, ...] = ()

    def __post_init__(self) -> None:
        """Check that coverages rise."""
        if list(self.coverages) != sorted(set(self.coverages)):
            raise ValueError("coverages must rise")


class System(BaseSystem):
    """Encoder, voting members, temperature, novelty and table of concepts.

    Args:
        config: See `Config`.

    Attributes:
        temperature: What logits are divided by; fitted by `otolith checkpoint calibrate`.
        trusts_mounting: Whether the sensor's axes say how it is worn, as a phone's do in a pocket; set
            it to False for sensors that may be turned in any way.
        prior_C: Logarithm of how much a concept is favoured; 0 unless set.
        conformal_Q: Quantiles of 1 - p(true label), one per `Config.coverages`; only then there.
    """

    has_text: ClassVar[bool] = True
    label_stride_s = 2.5

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = config.encoder.module.Encoder(config.encoder.config)
        if getattr(self.encoder, "conv", None) is None:
            raise ConfigError(
                "The encoder has no convolutional network.",
                "Take the encoder imu_motion with has_conv: true.",
            )
        number = len(concepts())
        conv_width = 4 * config.encoder.config.conv_width
        self.num_plain = self.encoder.width - conv_width
        self.members = Members(
            config.members, self.num_plain, config.hidden_width, number,
            config.input_dropout, config.dropout,
        )  # fmt: skip
        self.dropout = nn.Dropout(config.dropout)
        self.conv_head = nn.Linear(conv_width, number)
        self.novelty = Novelty(len(STATISTICS), number)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("prior_C", torch.zeros(number))
        if config.coverages:
            self.register_buffer("conformal_Q", torch.ones(len(config.coverages)))
        allowed = torch.from_numpy(label_matrix(config.labels))
        moves = torch.tensor([concept.moves for concept in concepts()])
        self.register_buffer("allowed_LC", allowed, persistent=False)
        self.register_buffer("moves_L", (allowed & ~moves).sum(1) == 0, persistent=False)
        self._text: Any = None
        self.trusts_mounting = True
        self._last_words: tuple[tuple[str, ...] | None, Tensor] = None, torch.zeros(0)

    # -- training ---------------------------------------------------------------------------------

    @torch.no_grad()
    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Set the scale of the statistics from the first batches of the training data."""
        views = [self.encoder.views(batch) for batch in islice(batches, _SCALING_BATCHES)]
        is_real_N = torch.cat([v.mask_BT.any(1) for v in views])
        statistics_NS = torch.cat([v.statistics_BS for v in views])[is_real_N]
        has_gyro_N = torch.cat([v.has_gyro_B for v in views])[is_real_N]
        # All processes scale alike, whichever windows they see.
        statistics_NS, _ = gather_rows(statistics_NS)
        has_gyro_N, _ = gather_rows(has_gyro_N.to(torch.uint8))
        self.encoder.fit_scaling(statistics_NS, has_gyro_N.bool())

    def loss(self, batch: Batch) -> LossOutput:
        """Return the loss of naming one of the allowed concepts: members' mean plus convolution.

        Raises:
            ConfigError: The settings name no class of the training data.
        """
        if not self.config.labels:
            raise ConfigError(
                "otolith_imu does not know the classes that it is trained on.",
                "Set system.labels to class names of the data sets.",
            )
        inputs = self.encoder.views(batch)
        allowed_BC, teaches_B = self._targets(batch, inputs)
        if self.training and len(batch.keys_B):
            draws_B = uniform(batch.keys_B, "otolith_imu/orientation")
            is_hidden_B = torch.from_numpy(draws_B < self.config.orientation_dropout)
            inputs = hide_orientation(inputs, is_hidden_B.to(teaches_B.device))
        statistics_MBC, conv_BC = self._logits(inputs)
        votes = torch.cat([statistics_MBC, conv_BC[None]])
        per_vote = torch.stack([self._one_of(logits, allowed_BC) for logits in votes])
        per_sample_B = (per_vote[:-1].mean(0) + per_vote[-1]) * teaches_B
        total = sum_over_processes(teaches_B.sum()).clamp(min=1)
        chosen = self._join(statistics_MBC, conv_BC).argmax(1)
        right = allowed_BC.gather(1, chosen[:, None])[:, 0] & teaches_B
        return LossOutput(
            total=per_sample_B.sum() * num_processes() / total,
            parts={"accuracy": global_mean(right.float().sum(), teaches_B.sum())},
            is_global=True,
        )

    def _targets(self, batch: Batch, inputs: MotionInputs) -> tuple[Tensor, Tensor]:
        """Allowed concepts [B, C], and which samples teach something [B]."""
        target_B = needed_target(batch, self.config.target)
        index_B = target_B.clamp(min=0)
        allowed_BC = self.allowed_LC[index_B]
        is_pause_B = self.moves_L[index_B] & ~self.is_moving(inputs)
        is_there_B = inputs.mask_BT.any(1)
        return allowed_BC, (target_B >= 0) & allowed_BC.any(1) & ~is_pause_B & is_there_B

    def is_moving(self, inputs: MotionInputs) -> Tensor:
        """Return whether the wearer moves enough for a moving concept, bool [B]."""
        return inputs.statistics_BS[:, _LEVEL].exp() >= self.config.min_moving_g

    def _one_of(self, logits_BC: Tensor, allowed_BC: Tensor) -> Tensor:
        """Negative logarithm of the probability of any of the allowed concepts, [B]."""
        log_BC = logits_BC.log_softmax(1)
        inside = log_BC.masked_fill(~allowed_BC, -1e4).logsumexp(1)
        smoothing = self.config.label_smoothing
        return -(1 - smoothing) * inside - smoothing * log_BC.mean(1)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return what decays (weights, and the biases of the members) and what does not."""
        named = [(n, p) for n, p in self.named_parameters() if p.requires_grad]
        plain = [p for n, p in named if p.ndim > 1 and not n.endswith("bias")]
        other = [p for n, p in named if not (p.ndim > 1 and not n.endswith("bias"))]
        return [
            {"name": "weights", "params": plain},
            {"name": "no-decay", "params": other, "weight_decay": 0.0},
        ]

    # -- use --------------------------------------------------------------------------------------

    def inputs(self, batch: Batch) -> MotionInputs:
        """Return what the networks read of a batch; without orientation if that is not trusted."""
        inputs = self.encoder.views(batch)
        if self.trusts_mounting:
            return inputs
        return hide_orientation(inputs, torch.ones_like(inputs.has_orientation_B))

    @property
    def default_words(self) -> tuple[str, ...]:
        """The names of all concepts."""
        return tuple(concept.name.replace("_", " ") for concept in concepts())

    def far_words(self, words: Sequence[str]) -> dict[str, str]:
        """Return the words that no concept comes near, with the nearest concept."""
        is_far_L = (self._word_matrix(words).sum(1) < 1e-6).tolist()
        far = [word for word, is_far in zip(words, is_far_L, strict=True) if is_far]
        nearest = nearest_concepts(far, lambda texts: self._sentences(texts).cpu().numpy())
        return {word: name.replace("_", " ") for word, name in zip(far, nearest, strict=True)}

    def _logits(self, inputs: MotionInputs) -> tuple[Tensor, Tensor]:
        """Logits of the members [M, B, C] and of the convolutional network [B, C]."""
        pooled_BD = self.encoder.encode(inputs).pooled_BD
        plain, conv = pooled_BD[:, : self.num_plain], pooled_BD[:, self.num_plain :]
        return self.members(plain), self.conv_head(self.dropout(conv))

    def _join(self, statistics_MBC: Tensor, conv_BC: Tensor) -> Tensor:
        """Weighted mean of the logarithms of all votes, [B, C]."""
        share = self.config.conv_share
        members = statistics_MBC.log_softmax(2).mean(0)
        return (1 - share) * members + share * conv_BC.log_softmax(1)

    def concept_scores(self, inputs: MotionInputs) -> Tensor:
        """Return calibrated logarithms of the probabilities of the concepts [B, C]."""
        joined_BC = self._join(*self._logits(inputs))
        return (joined_BC / self.temperature + self.prior_C).log_softmax(1)

    def uncalibrated_scores(self, inputs: MotionInputs) -> Tensor:
        """Return what calibration starts from: joined votes [B, C]."""
        return self._join(*self._logits(inputs))

    def score_words(
        self, batch: Batch, words: Sequence[str], *, temperature: float = 1.0
    ) -> Tensor:
        """Return the logarithm of the probability of each label, [B, L].

        The labels are taken as all there is: probabilities sum to 1. A label that stands for
        several concepts has the sum of theirs; one that no concept comes near shares what the
        model has never seen.

        Args:
            batch: Windows of motion.
            words: Labels.
            temperature: Not used: the probabilities are the model's own.
        """
        inputs = self.inputs(batch)
        return self.name_concepts(self.concept_scores(inputs), words, self._is_new(inputs))

    def name_concepts(
        self, scores_BC: Tensor, words: Sequence[str], new_B: Tensor | None = None
    ) -> Tensor:
        """Return log probabilities of labels [B, L] from those of concepts.

        Args:
            scores_BC: Logarithms of the probabilities of the concepts.
            words: Labels.
            new_B: Probability that a window shows something unknown; None = never.
        """
        matrix_LC = self._word_matrix(words).to(scores_BC)
        is_far_L = matrix_LC.sum(1) <= 0
        if bool(is_far_L.all()):
            return scores_BC.new_full((len(scores_BC), len(words)), -math.log(max(len(words), 1)))
        joined_BL = (scores_BC[:, None] + matrix_LC.log()).logsumexp(2)
        named_BL = joined_BL.log_softmax(1)
        if not bool(is_far_L.any()):
            return named_BL
        share_B = torch.zeros_like(scores_BC[:, 0]) if new_B is None else new_B.to(scores_BC)
        share_B = share_B.clamp(_TINY, 1 - _TINY)
        far_B1 = (share_B.log() - is_far_L.sum().log())[:, None]
        return torch.where(is_far_L, far_B1, named_BL + (-share_B).log1p()[:, None])

    def _is_new(self, inputs: MotionInputs) -> Tensor:
        return self.novelty.probability(self.encoder.standardised(inputs))

    def novelty_scores(self, batch: Batch) -> Tensor | None:
        """Return the share of known windows that lie nearer to a concept [B]; None before `fit`."""
        if not self.novelty.is_fitted:
            return None
        return self.novelty.share_nearer(self.encoder.standardised(self.inputs(batch)))

    def conformal_quantile(self, coverage: float) -> float | None:
        """Return the quantile of the next stored coverage, which covers at least as much.

        Above the largest stored coverage it is 1: every label is in the set.
        """
        stored = self.config.coverages
        if not stored:
            return None
        place = bisect_left(stored, coverage - 1e-9)
        return float(self.conformal_Q[place]) if place < len(stored) else 1.0

    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Return the words of every concept."""
        return {concept.name: concept.words for concept in concepts()}

    def _word_matrix(self, words: Sequence[str]) -> Tensor:
        key = tuple(words)
        if self._last_words[0] != key:  # a recording asks for the same words batch after batch
            settings = self.config
            matrix = word_matrix(
                words,
                lambda texts: self._sentences(texts).cpu().numpy(),
                temperature=settings.word_temperature,
                min_similarity=settings.min_word_similarity,
            )
            self._last_words = key, torch.from_numpy(matrix)
        return self._last_words[1]

    def _sentences(self, texts: Sequence[str]) -> Tensor:
        """Sentence embeddings; the encoder is loaded when a word is first not listed."""
        if self._text is None:
            self._text = self.config.text.module.Encoder(self.config.text.config)
        return self._text.sentences(texts).float()

    def embed(self, batch: Batch) -> Tensor:
        """Return features and the roots of the concepts' probabilities side by side, [B, D].

        The roots make the cosine with `embed_texts` rank labels as `score_words` does.
        """
        inputs = self.inputs(batch)
        features = self.encoder.encode(inputs).pooled_BD / math.sqrt(self.encoder.width)
        return torch.cat([features, self.concept_scores(inputs).exp().sqrt()], dim=1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return one vector per label [L, D]: nothing about features, the roots of its concepts."""
        matrix_LC = self._word_matrix(texts).to(self.temperature)
        roots = F.normalize(matrix_LC.sqrt(), dim=1)
        return torch.cat([roots.new_zeros(len(texts), self.encoder.width), roots], dim=1)
