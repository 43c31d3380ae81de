"""Which steps LIMU-BERT's pretraining predicts: spans of steps, piece by piece.

Spans start anywhere; their length is drawn from a geometric distribution that ends at `max_span`
(as in Joshi et al., SpanBERT 2020), until exactly the wanted share of a piece is covered. All draws
come from the samples' keys.
"""

# B batch, N steps, P pieces, L steps of a piece, K tries

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from otolith.core import randomness
from otolith.core.config import config

Share = Annotated[float, Field(ge=0, le=1)]
_MAX_SPANS = 40


@config
class Config:
    """How much is hidden.

    Args:
        mask_share: Share of the steps of a piece that is predicted; at least one step.
        max_span: Longest span in steps.
        stop_share: Probability that a span ends after each of its steps.
        hidden_share: Probability that the input of a piece is zero at the predicted steps; else
            the piece is seen as it is.
    """

    mask_share: Share = 0.15
    max_span: Annotated[int, Field(ge=1)] = 10
    stop_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    hidden_share: Share = 0.8


@dataclass(frozen=True, kw_only=True)
class Masks:
    """What is predicted and what is hidden.

    Args:
        predicted_BN: bool, True = the loss counts this step.
        hidden_BN: bool, True = the input is zero there; a subset.
    """

    predicted_BN: Tensor
    hidden_BN: Tensor


def draw_masks(keys_B: np.ndarray, mask_BN: Tensor, piece_steps: int, c: Config) -> Masks:
    """Draw spans in every piece.

    Args:
        keys_B: Keys of the samples.
        mask_BN: bool, True = real step.
        piece_steps: Steps of a piece.
        c: Settings.

    Returns:
        Masks on the device of `mask_BN`; masked steps are in neither.
    """
    batch, num_steps = mask_BN.shape
    behind = -num_steps % piece_steps
    real_BPL = np.pad(mask_BN.cpu().numpy(), ((0, 0), (0, behind)))
    real_BPL = real_BPL.reshape(batch, -1, piece_steps)
    predicted_BPL = spans(keys_B, real_BPL, c)
    draw_BP = randomness.uniform(keys_B, "mask/hidden", real_BPL.shape[1:2])
    hidden_BPL = predicted_BPL & (draw_BP < c.hidden_share)[..., None]

    def joined(pieces: np.ndarray) -> Tensor:
        flat = np.ascontiguousarray(pieces.reshape(batch, -1)[:, :num_steps])
        return torch.from_numpy(flat).to(mask_BN.device)

    return Masks(predicted_BN=joined(predicted_BPL), hidden_BN=joined(hidden_BPL))


def spans(keys_B: np.ndarray, real_BPL: np.ndarray, c: Config) -> np.ndarray:
    """Choose the steps that are predicted, bool [B, P, L].

    At most 40 spans are tried, so very large shares may not be reached.
    """
    count_BP = real_BPL.sum(2)
    goal_BP = np.maximum(np.rint(c.mask_share * count_BP), 1) * (c.mask_share > 0)
    draw = randomness.uniform(keys_B, "mask/spans", (real_BPL.shape[1], _MAX_SPANS, 2))
    chances = c.stop_share * (1 - c.stop_share) ** np.arange(c.max_span)
    length_BPK = 1 + np.searchsorted(np.cumsum(chances / chances.sum()), draw[..., 0], side="right")
    length_BPK = np.minimum(length_BPK, c.max_span)
    start_BPK = np.floor(draw[..., 1] * count_BP[..., None])
    rank_BPL = np.cumsum(real_BPL, axis=2) - 1
    offset_BPKL = rank_BPL[:, :, None] - start_BPK[..., None]
    inside_BPKL = (offset_BPKL >= 0) & (offset_BPKL < length_BPK[..., None])
    inside_BPKL &= real_BPL[:, :, None]
    # Taking steps in the order of the first span that covers them cuts the last span to the goal.
    first_BPL = np.where(inside_BPKL.any(2), inside_BPKL.argmax(2), _MAX_SPANS)
    place_BPL = first_BPL.argsort(2, kind="stable").argsort(2, kind="stable")
    return (first_BPL < _MAX_SPANS) & (place_BPL < goal_BP[..., None])
