"""Decoder of masked autoencoders: visible tokens -> the pixels of all patches.

`plain`: attention over the whole grid with the class token; `window`: attention in windows of the
grid without it. A feature of another modality may be joined to every visible token.
"""

# B batch, N tokens of the grid, K visible tokens (with class token 1 + K), D encoder width,
# E decoder width, V values of a patch, X width of the other modality's feature

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.encoders._mae import Block, init_weights, select_tokens, sine_positions
from otolith.encoders._mae_masks import Masking
from otolith.encoders._mae_window import WindowBlock

Positive = Annotated[int, Field(gt=0)]


@config
class Config:
    """Settings of the decoder.

    Args:
        kind: `window` (attention in windows, no class token) or `plain` (attention over all tokens).
        width: Width E.
        num_heads: Heads.
        num_layers: Blocks.
        feedforward_ratio: Width of the feed-forward part over `width`.
        window: Rows and columns of a window.
        shift: By how many rows and columns the windows of every second block are moved.
        position_dropout: Dropout in the network of the position bias while training.
        norm_eps: Added to the variance of the normalisations.
        has_trainable_positions: Whether the position table learns.
    """

    kind: Literal["window", "plain"] = "window"
    width: Positive = 512
    num_heads: Positive = 16
    num_layers: Positive = 16
    feedforward_ratio: Annotated[float, Field(gt=0)] = 4.0
    window: tuple[Positive, Positive] = (4, 4)
    shift: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = (2, 0)
    position_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    norm_eps: float = 1e-6
    has_trainable_positions: bool = False

    def __post_init__(self) -> None:
        """Check that the sizes fit together."""
        if self.width % self.num_heads or self.width % 4:
            raise ValueError(
                f"width {self.width} must be a multiple of 4 and of num_heads {self.num_heads}"
            )


class Decoder(nn.Module):
    """Decoder.

    Args:
        config: Settings.
        encoder_width: Width D of the visible tokens.
        grid: Rows and columns of the token grid.
        num_values: Values V of a patch.
        context_width: Width X of a feature that is joined to every visible token; 0 = none.
    """

    positions_1ND: Tensor

    def __init__(
        self,
        config: Config,
        encoder_width: int,
        grid: tuple[int, int],
        num_values: int,
        context_width: int = 0,
    ) -> None:
        super().__init__()
        self.config = config
        self.grid = grid
        self.context_width = context_width
        self.mask_token = nn.Parameter(torch.empty(1, 1, config.width))
        table = sine_positions(grid, config.width)[None]
        if config.has_trainable_positions:
            self.positions_1ND = nn.Parameter(table)
        else:
            self.register_buffer("positions_1ND", table)
        self.embedding = nn.Linear(encoder_width + context_width, config.width)
        self.blocks = nn.ModuleList(self._block(i) for i in range(config.num_layers))
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.prediction = nn.Linear(config.width, num_values)
        self.apply(init_weights)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(
        self,
        visible_BKD: Tensor,
        masking: Masking,
        context_BX: Tensor | None = None,
        *,
        only_hidden: bool = False,
        layer_outputs: list[Tensor] | None = None,
    ) -> Tensor:
        """Predict the pixels of patches.

        Args:
            visible_BKD: Encoded class token and visible tokens [B, 1 + K, D].
            masking: Which tokens are visible.
            context_BX: Feature of the other modality; None if the decoder has none.
            only_hidden: Whether to predict the hidden patches alone, in the order of `hide_BM`.
            layer_outputs: A list that receives the embedded tokens and the output of every block.

        Returns:
            Values [B, N, V] in the order of the grid, or [B, M, V].
        """
        x = self.embed(visible_BKD, context_BX)
        outputs = [x]
        x = self._fill(x, masking)
        *blocks, last = self.blocks
        for block in blocks:
            x = block(x)
            if layer_outputs is not None:
                outputs.append(x)
        assert isinstance(last, Block | WindowBlock)  # noqa: S101  # the types of blocks
        x = last.attended(x)
        if layer_outputs is not None:
            layer_outputs += [*outputs, last.fed(x)]
        if self.config.kind == "plain":
            x = x[:, 1:]
        # behind the last attention no token reads another
        x = last.fed(select_tokens(x, masking.hide_BM) if only_hidden else x)
        return self.prediction(self.norm(x))

    def embed(self, visible_BKD: Tensor, context_BX: Tensor | None) -> Tensor:
        """Join the context to every visible token and change the width, [B, 1 + K, E].

        Raises:
            DataError: The context is missing, superfluous or of another width.
        """
        found = 0 if context_BX is None else context_BX.shape[1]
        if found != self.context_width:
            raise DataError(
                f"The decoder needs a context of width {self.context_width}, this one has {found}.",
                "Give the feature that the model was trained with, or set the width it has.",
            )
        if context_BX is None:
            return self.embedding(visible_BKD)
        # The same feature for all tokens of a sample: its product is taken once per sample.
        split = visible_BKD.shape[2]
        weight = self.embedding.weight
        own = nn.functional.linear(visible_BKD, weight[:, :split], self.embedding.bias)
        return (
            own + nn.functional.linear(context_BX.to(visible_BKD.dtype), weight[:, split:])[:, None]
        )

    def freeze(self) -> None:
        """Keep blocks, last normalisation and prediction as they are, in evaluation mode."""
        for part in self.frozen_parts():
            part.requires_grad_(requires_grad=False).eval()

    def frozen_parts(self) -> tuple[nn.Module, ...]:
        """What `freeze` freezes."""
        return (self.blocks, self.norm, self.prediction)

    def _fill(self, x_BKE: Tensor, masking: Masking) -> Tensor:
        """Put visible tokens to their places, mask tokens elsewhere, and add positions."""
        hidden = self.mask_token.to(x_BKE.dtype).expand(len(x_BKE), masking.hide_BM.shape[1], -1)
        tokens = select_tokens(torch.cat([x_BKE[:, 1:], hidden], dim=1), masking.restore)
        if self.config.kind == "plain":
            tokens = torch.cat([x_BKE[:, :1], tokens], dim=1)
            return tokens + self.positions_1ND
        return tokens + self.positions_1ND[:, 1:]

    def _block(self, index: int) -> nn.Module:
        settings = self.config
        hidden = int(settings.width * settings.feedforward_ratio)
        if settings.kind == "plain":
            return Block(settings.width, settings.num_heads, hidden, norm_eps=settings.norm_eps)
        return WindowBlock(
            settings.width, settings.num_heads, hidden, self.grid, settings.window,
            settings.shift if index % 2 else (0, 0), settings.position_dropout,
            settings.norm_eps,
        )  # fmt: skip
