"""Semantic alignment: sensor embeddings against label embeddings (InfoNCE or SigLIP).

InfoNCE works in both directions with a learned temperature, optionally with a queue of earlier
pairs and with soft targets, which give part of a pair's probability to labels of similar meaning.
SigLIP (Zhai et al., ICCV 2023) scores every pair on its own. With K prototypes per label a sample
is pulled to the prototypes it is nearest to.
"""

# N pairs, M columns (pairs and queue), Q queue length, K prototypes, D width

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from otolith.core.config import config
from otolith.objectives import LossOutput


@config
class Config:
    """Settings.

    Args:
        kind: `infonce` or `siglip`.
        temperature: Temperature at the start; the learned scale starts at its inverse.
        min_scale: Smallest scale of the cosine.
        max_scale: Largest scale; None = 50 for InfoNCE, 100 for SigLIP.
        use_soft_targets: Whether similar labels share the target (InfoNCE).
        soft_target_temperature: Temperature of the soft targets; lower is harder.
        soft_target_weight: Share of the soft part in the targets, 0..1.
        similarity_std_floor: Smallest deviation that label similarities are divided by.
        prototype_temperature: Temperature by which a sample is spread over its K prototypes.
        detach_soft_targets: Whether targets made from learned label embeddings pass no gradient.
            Passing it lets the label embeddings lower the loss by collapsing; the authors' code does.
    """

    kind: Literal["infonce", "siglip"] = "infonce"
    temperature: float = 0.07
    min_scale: float = 1.0
    max_scale: float | None = None
    use_soft_targets: bool = True
    soft_target_temperature: float = 0.5
    soft_target_weight: float = 1.0
    similarity_std_floor: float = 0.1
    prototype_temperature: float = 0.1
    detach_soft_targets: bool = True


class Queue(NamedTuple):
    """Earlier pairs that serve as further negatives: sensor and text embeddings [Q, D]."""

    imu_QD: Tensor
    text_QD: Tensor


class Objective(nn.Module):
    """The loss with its learned temperature.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1.0 / config.temperature)))
        if config.kind == "siglip":
            self.logit_bias = nn.Parameter(torch.zeros(()))
        limit = {"infonce": 50.0, "siglip": 100.0}[config.kind]
        self.max_scale = limit if config.max_scale is None else config.max_scale

    @property
    def scale(self) -> Tensor:
        """The factor of the cosine, within its limits."""
        return self.logit_scale.exp().clamp(self.config.min_scale, self.max_scale)

    @torch.no_grad()
    def clamp_scale_(self) -> None:
        """Bring the parameter back into its limits; outside them it would get no gradient."""
        self.logit_scale.clamp_(math.log(self.config.min_scale), math.log(self.max_scale))

    def forward(
        self,
        imu_ND: Tensor,
        text: Tensor,
        *,
        frozen_text_ND: Tensor | None = None,
        queue: Queue | None = None,
        groups_N: Tensor | None = None,
    ) -> LossOutput:
        """Compute the loss of N pairs.

        Args:
            imu_ND: Sensor embeddings of unit length.
            text: Label embeddings of unit length, [N, D] or [N, K, D]; row i belongs to row i.
            frozen_text_ND: Embeddings for the soft targets; None = the learned ones.
            queue: Earlier pairs (InfoNCE).
            groups_N: int64 group of each label; pairs of one group are left out of the logged
                similarity of negatives. None = every pair is a group of its own.

        Returns:
            Loss; `parts` hold the directions and similarities, `per_sample_B` one value per pair.
        """
        best_ND = text if text.ndim == 2 else _best_prototype(imu_ND, text)
        parts = _similarities(imu_ND.detach(), best_ND.detach(), groups_N)
        if self.config.kind == "siglip":
            logits_NN = self.scale * (imu_ND @ best_ND.T) + self.logit_bias
            sign_NN = 2.0 * torch.eye(len(imu_ND), device=imu_ND.device) - 1.0
            loss_N = -F.logsigmoid(sign_NN * logits_NN).mean(1)
            return LossOutput(total=loss_N.mean(), parts=parts, per_sample_B=loss_N.detach())
        if queue is None:
            queue = Queue(imu_ND[:0].detach(), imu_ND[:0].detach())
        targets_NM, label_NM = self._targets(imu_ND, text, frozen_text_ND, queue)
        columns_MD = torch.cat([text.reshape(-1, text.shape[-1]), queue.text_QD])
        to_text_N = _cross_entropy(self.scale * (imu_ND @ columns_MD.T), targets_NM)
        logits_NM = self.scale * (best_ND @ torch.cat([imu_ND, queue.imu_QD]).T)
        if text.ndim == 2:
            to_imu_N = _cross_entropy(logits_NM, targets_NM)
        else:
            own_N = torch.arange(len(imu_ND), device=imu_ND.device)
            to_imu_N = F.cross_entropy(logits_NM, own_N, reduction="none")
        loss_N = (to_text_N + to_imu_N) / 2
        parts["loss_imu_to_text"] = to_text_N.detach().mean()
        parts["loss_text_to_imu"] = to_imu_N.detach().mean()
        if self.config.use_soft_targets:
            parts |= _target_parts(targets_NM.detach(), label_NM.detach(), best_ND.detach())
        return LossOutput(total=loss_N.mean(), parts=parts, per_sample_B=loss_N.detach())

    def _targets(
        self, imu_ND: Tensor, text: Tensor, frozen_ND: Tensor | None, queue: Queue
    ) -> tuple[Tensor, Tensor]:
        """Target probabilities over all columns, and the same summed over prototypes [N, N + Q]."""
        settings = self.config
        num, extra = len(imu_ND), len(queue.text_QD)
        label = torch.eye(num, device=imu_ND.device, dtype=imu_ND.dtype)
        spread = hard = label if text.ndim == 2 else self._own_prototypes(imu_ND, text)
        if not settings.use_soft_targets:
            return F.pad(hard, (0, extra)), F.pad(label, (0, extra))
        soft = self._soft_labels(text, frozen_ND, queue)
        if text.ndim == 3:
            num_prototypes = text.shape[1]
            spread = (soft / num_prototypes).repeat_interleave(num_prototypes, 1)
        else:
            spread = soft
        weight = settings.soft_target_weight
        hard, spread = _same_width(hard, spread, len(hard[0]) + extra)
        label, soft = _same_width(label, soft, num + extra)
        return (1 - weight) * hard + weight * spread, (1 - weight) * label + weight * soft

    def _own_prototypes(self, imu_ND: Tensor, text_NKD: Tensor) -> Tensor:
        """Hard targets [N, N * K]: the own prototypes, by their nearness to the sample."""
        own_NK = torch.einsum("nd,nkd->nk", imu_ND, text_NKD)
        weight_NK = (own_NK / self.config.prototype_temperature).softmax(-1)
        return torch.diag_embed(weight_NK.T).permute(1, 2, 0).flatten(1)

    def _soft_labels(self, text: Tensor, frozen_ND: Tensor | None, queue: Queue) -> Tensor:
        """Soft targets over labels: [N, N], or [N, N + Q] where the queue takes part."""
        with torch.set_grad_enabled(
            torch.is_grad_enabled() and not self.config.detach_soft_targets
        ):
            if frozen_ND is not None:
                similar = frozen_ND @ frozen_ND.T
            elif text.ndim == 2:
                similar = text @ torch.cat([text, queue.text_QD]).T
            else:
                # One winning pair of prototypes: `amax` would share the gradient among ties.
                pairs = torch.einsum("nkd,mld->nmkl", text, text)
                similar = pairs.flatten(2).max(-1).values
            std = similar.std(correction=min(1, similar.numel() - 1))
            floor = self.config.similarity_std_floor
            standard = (similar - similar.mean()) / std.clamp(min=floor)
            return (standard / self.config.soft_target_temperature).softmax(-1)


def _best_prototype(imu_ND: Tensor, text_NKD: Tensor) -> Tensor:
    """The own prototype that is nearest to each sample [N, D]."""
    best_N = torch.einsum("nd,nkd->nk", imu_ND.detach(), text_NKD.detach()).argmax(-1)
    return text_NKD[torch.arange(len(imu_ND), device=imu_ND.device), best_N]


def best_prototypes(imu_ND: Tensor, text: Tensor) -> Tensor:
    """Return the label embedding nearest to each sample [N, D], of [N, D] or [N, K, D]."""
    return text if text.ndim == 2 else _best_prototype(imu_ND, text)


def _same_width(a: Tensor, b: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Pad columns with zeros up to `width`."""
    return F.pad(a, (0, width - a.shape[1])), F.pad(b, (0, width - b.shape[1]))


def _cross_entropy(logits_NM: Tensor, targets_NM: Tensor) -> Tensor:
    return -(targets_NM * logits_NM.log_softmax(-1)).sum(-1)


def _similarities(imu_ND: Tensor, text_ND: Tensor, groups_N: Tensor | None) -> dict[str, Tensor]:
    """Mean cosine of pairs and of samples with labels of other groups."""
    cosine_NN = imu_ND @ text_ND.T
    if groups_N is None:
        groups_N = torch.arange(len(imu_ND), device=imu_ND.device)
    other_NN = (groups_N[:, None] != groups_N[None]).to(cosine_NN.dtype)
    positive = cosine_NN.diagonal().mean()
    negative = (cosine_NN * other_NN).sum() / other_NN.sum().clamp(min=1.0)
    return {
        "positive_similarity": positive,
        "negative_similarity": negative,
        "similarity_gap": positive - negative,
    }


def _target_parts(targets_NM: Tensor, label_NM: Tensor, text_ND: Tensor) -> dict[str, Tensor]:
    """How soft the targets are: entropy, own probability, mean cosine between different rows."""
    num = len(text_ND)
    entropy = -(targets_NM * (targets_NM + 1e-10).log()).sum(-1).mean()
    cosine_NN = text_ND @ text_ND.T
    pairs = max(1, num * (num - 1))
    return {
        "label_semantic_similarity": (cosine_NN.sum() - cosine_NN.diagonal().sum()) / pairs,
        "soft_target_entropy": entropy,
        "soft_target_entropy_ratio": entropy / math.log(max(2, targets_NM.shape[1])),
        "true_positive_target_prob": label_NM.diagonal().mean(),
    }
