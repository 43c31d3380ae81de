"""Semantic head: sensor tokens -> one unit vector per session or per patch.

Channels of a patch are pooled by learned queries. In session mode a pre-norm transformer mixes the
patches and learned queries pool them; in per-patch mode every patch is projected on its own.
"""

# B batch, P patches, C channels, D encoder width, F fused width, E output width

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from otolith.core.config import config
from otolith.heads import attention_pooling
from otolith.heads._attention import Attention, check_heads


@config
class Config:
    """Settings.

    Args:
        width: Encoder token width D.
        fused_width: Width F after fusing channels.
        out_width: Width E of the embedding.
        num_layers: Transformer layers over patches (session mode).
        num_heads: Attention heads; divides F.
        feed_forward_width: Hidden width of the transformer layers; 0 = 4 F.
        num_fusion_queries: Queries that read the channels of a patch.
        num_pool_queries: Queries that read the patches of a session (session mode).
        use_fusion_self_attention: Whether the fusion queries attend to each other.
        use_pool_self_attention: Whether the pooling queries attend to each other.
        per_patch: Whether each patch gets its own embedding.
        keep_unused_layers: Whether per-patch mode still holds the layers over patches, frozen.
            The authors' checkpoints carry them; a converted model keeps them so that it can be
            written back.
        dropout: Dropout in attention weights and transformer layers.
    """

    width: int = 384
    fused_width: int = 384
    out_width: int = 384
    num_layers: int = 2
    num_heads: int = 8
    feed_forward_width: int = 0
    num_fusion_queries: int = 4
    num_pool_queries: int = 4
    use_fusion_self_attention: bool = True
    use_pool_self_attention: bool = True
    per_patch: bool = False
    keep_unused_layers: bool = False
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_heads(self.fused_width, self.num_heads)


class Block(nn.Module):
    """Pre-norm transformer layer over patches.

    Args:
        width: Width F.
        num_heads: Attention heads.
        hidden: Hidden width of the feed-forward part.
        dropout: Dropout.
    """

    def __init__(self, width: int, num_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.own = Attention(width, num_heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.reduce = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BPF: Tensor, mask_BP: Tensor | None) -> Tensor:
        """Return the mixed patches [B, P, F]; masked patches are not attended to."""
        x_BPF = x_BPF + self.dropout(self.own(self.norm1(x_BPF), mask_NL=mask_BP))
        hidden = self.dropout(F.gelu(self.expand(self.norm2(x_BPF))))
        return x_BPF + self.dropout(self.reduce(hidden))


class Head(nn.Module):
    """Embed sensor tokens.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.fused_width
        self.input = nn.Linear(config.width, width)
        self.fusion = _pooling(config, config.num_fusion_queries, config.use_fusion_self_attention)
        if config.keep_unused_layers or not config.per_patch:
            hidden = config.feed_forward_width or 4 * width
            self.blocks = nn.ModuleList(
                Block(width, config.num_heads, hidden, config.dropout)
                for _ in range(config.num_layers)
            )
            self.pooling = _pooling(config, config.num_pool_queries, config.use_pool_self_attention)
            if config.per_patch:
                # Frozen, because a parameter that never gets a gradient stops distributed training.
                self.blocks.requires_grad_(False)
                self.pooling.requires_grad_(False)
        self.projection = _projection(width, config.out_width)

    def fuse(self, tokens_BPCD: Tensor, channel_mask_BC: Tensor | None = None) -> Tensor:
        """Pool the channels of every patch [B, P, F]; channel mask: True = real channel."""
        flat, mask = self._by_patch(tokens_BPCD, channel_mask_BC)
        return self.fusion(flat, mask).unflatten(0, tokens_BPCD.shape[:2])

    def channel_weights(self, tokens_BPCD: Tensor, channel_mask_BC: Tensor | None = None) -> Tensor:
        """Return how much each fusion query reads from each channel [B*P, queries, C]."""
        return self.fusion.weights(*self._by_patch(tokens_BPCD, channel_mask_BC))

    def mix(self, fused_BPF: Tensor, patch_mask_BP: Tensor | None = None) -> Tensor:
        """Let patches attend to each other [B, P, F] (session mode)."""
        for block in self.blocks:
            fused_BPF = block(fused_BPF, patch_mask_BP)
        return fused_BPF

    def pool(self, mixed_BPF: Tensor, patch_mask_BP: Tensor | None = None) -> Tensor:
        """Pool the patches of every session [B, F] (session mode)."""
        return self.pooling(mixed_BPF, patch_mask_BP)

    def project(self, fused: Tensor, *, normalize: bool = True) -> Tensor:
        """Project vectors [..., F] to embeddings [..., E] of unit length."""
        vector = self.projection(fused)
        return F.normalize(vector.float(), dim=-1) if normalize else vector

    def forward(
        self,
        tokens_BPCD: Tensor,
        patch_mask_BP: Tensor | None = None,
        channel_mask_BC: Tensor | None = None,
        *,
        normalize: bool = True,
    ) -> Tensor:
        """Embed.

        Args:
            tokens_BPCD: Encoder tokens.
            patch_mask_BP: bool, True = real patch; None = all are real.
            channel_mask_BC: bool, True = real channel; None = all are real.
            normalize: Whether embeddings have unit length.

        Returns:
            [B, E] in session mode, [B, P, E] in per-patch mode (padded patches hold values
            without meaning).
        """
        fused = self.fuse(tokens_BPCD, channel_mask_BC)
        if not self.config.per_patch:
            fused = self.pool(self.mix(fused, patch_mask_BP), patch_mask_BP)
        return self.project(fused, normalize=normalize)

    def _by_patch(self, tokens: Tensor, mask_BC: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Input layer, then patches become rows."""
        flat = self.input(tokens).flatten(0, 1)
        return flat, None if mask_BC is None else mask_BC.repeat_interleave(tokens.shape[1], 0)


def session_mean(patches_BPE: Tensor, patch_mask_BP: Tensor) -> Tensor:
    """Return the mean of the real patch embeddings, of unit length [B, E]."""
    weight = patch_mask_BP[..., None].to(patches_BPE.dtype)
    mean = (patches_BPE * weight).sum(1) / weight.sum(1).clamp(min=1.0)
    return F.normalize(mean, dim=-1)


def _pooling(config: Config, num_queries: int, use_self_attention: bool) -> attention_pooling.Head:
    return attention_pooling.Head(
        attention_pooling.Config(
            width=config.fused_width,
            num_heads=config.num_heads,
            num_queries=num_queries,
            use_self_attention=use_self_attention,
            dropout=config.dropout,
        )
    )


def _projection(width: int, out_width: int) -> nn.Sequential:
    """Three layers with GELU; Xavier weights, zero biases."""
    layers = nn.Sequential(
        nn.Linear(width, 2 * width),
        nn.GELU(),
        nn.Linear(2 * width, 2 * width),
        nn.GELU(),
        nn.Linear(2 * width, out_width),
    )
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return layers
