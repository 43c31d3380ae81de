"""GRU head: step features -> class probabilities, piece by piece (as on top of LIMU-BERT).

Step features are cut into pieces; each is read by two layers of GRU and one more, whose last output
a linear layer turns into classes. The probabilities of the pieces of a window are averaged, weighed
by how many steps of a piece are real, so that whole pieces count the same.
"""

# B batch, N steps, D width, M pieces, L steps of a piece, K classes

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config

Positive = Annotated[int, Field(gt=0)]


@config
class Config:
    """Settings.

    Args:
        width: Width D of the step features.
        num_classes: Classes K.
        piece_steps: Steps of a piece.
        reader_width: Width of the first two GRU layers.
        summary_width: Width of the last GRU layer.
    """

    width: Positive = 72
    num_classes: Positive = 6
    piece_steps: Positive = 20
    reader_width: Positive = 20
    summary_width: Positive = 10


class Head(nn.Module):
    """Classify windows from the features of their steps.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.reader = nn.GRU(config.width, config.reader_width, num_layers=2, batch_first=True)
        self.summary = nn.GRU(config.reader_width, config.summary_width, batch_first=True)
        self.output = nn.Linear(config.summary_width, config.num_classes)

    def forward(self, features_BND: Tensor, mask_BN: Tensor) -> Tensor:
        """Return the logarithm of the mean class probabilities [B, K].

        A window without a real step gets the same probability for all classes.

        Args:
            features_BND: Step features.
            mask_BN: bool, True = real step.
        """
        logits, weight_BP = self.pieces(features_BND, mask_BN)
        log_weight_BP = torch.log(weight_BP / weight_BP.sum(1, keepdim=True).clamp(min=1.0))
        log_BPK = F.log_softmax(logits.float(), dim=-1) + log_weight_BP.unsqueeze(-1)
        has_any_B1 = weight_BP.any(1, keepdim=True)
        log_BPK = torch.where(has_any_B1.unsqueeze(-1), log_BPK, 0.0)
        return F.log_softmax(torch.logsumexp(log_BPK, dim=1), dim=-1)

    def pieces(self, features_BND: Tensor, mask_BN: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of every piece [B, P, K] and how many of its steps are real [B, P].

        Missing steps within a piece are left out, as if their neighbours followed each other.
        """
        length = self.config.piece_steps
        behind = -mask_BN.shape[1] % length
        features = F.pad(features_BND, (0, 0, 0, behind)).unflatten(1, (-1, length))
        mask_BPL = F.pad(mask_BN, (0, behind)).unflatten(1, (-1, length))
        features, mask_ML = features.flatten(0, 1), mask_BPL.flatten(0, 1)
        order_ML = (~mask_ML).to(torch.int8).argsort(dim=1, stable=True)
        features = features.gather(1, order_ML.unsqueeze(-1).expand_as(features))
        summary_MLS, _ = self.summary(self.reader(features)[0])
        count_M = mask_ML.sum(1)
        last_M = (count_M - 1).clamp(min=0)
        rows_M = torch.arange(len(last_M), device=last_M.device)
        logits = self.output(summary_MLS[rows_M, last_M])
        batch = len(mask_BN)
        return logits.view(batch, -1, logits.shape[-1]), count_M.view(batch, -1).float()
