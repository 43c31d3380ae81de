"""Parts of masked autoencoders on images: patches, positions, token selection, ViT blocks.

Patches are vectors of their pixels in the order row, column, channel, which is also the target of
the reconstruction, so the embedding of a patch is one matrix product and hidden patches are never
embedded (He et al., CVPR 2022).
"""

# B batch, C channels, H rows and W columns of pixels, R rows and L columns of patches
# N patches (R * L), K selected tokens, V values of a patch, D width, S tokens

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.errors import DataError
from otolith.encoders._attention import attend


def patchify(image_BCHW: Tensor, patch_px: int) -> Tensor:
    """Cut images into square patches.

    Args:
        image_BCHW: Images [B, C, H, W]; H and W are multiples of `patch_px`.
        patch_px: Side of a patch in pixels.

    Returns:
        Patches [B, N, V], row by row; values in the order row, column, channel.

    Raises:
        DataError: A side is no multiple.
    """
    batch, channels, height, width = image_BCHW.shape
    if height % patch_px or width % patch_px:
        raise DataError(
            f"An image of {height} x {width} cannot be cut into patches of {patch_px}.",
            "Choose sides that are multiples of the patch.",
        )
    x = image_BCHW.view(batch, channels, height // patch_px, patch_px, width // patch_px, patch_px)
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def unpatchify(patches_BNV: Tensor, grid: tuple[int, int], patch_px: int) -> Tensor:
    """Undo `patchify`: [B, N, V] -> [B, C, H, W]."""
    rows, columns = grid
    x = patches_BNV.unflatten(1, (rows, columns)).unflatten(3, (patch_px, patch_px, -1))
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


def sine_positions(grid: tuple[int, int], width: int, *, has_cls: bool = True) -> Tensor:
    """Return fixed two-dimensional positions.

    The first half of the width says the column, the second half the row; each half is sines, then
    cosines, of the index times 10000^(-k / (width / 4)).

    Args:
        grid: Rows and columns.
        width: Width D, a multiple of 4.
        has_cls: Whether a row of zeros for the class token stands first.

    Returns:
        float32 [N (+ 1), D].
    """
    quarter = width // 4
    rate = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    rows, columns = (torch.arange(size, dtype=torch.float64)[:, None] * rate for size in grid)
    by_column = torch.cat([columns.sin(), columns.cos()], 1).expand(grid[0], -1, -1)
    by_row = torch.cat([rows.sin(), rows.cos()], 1)[:, None].expand(-1, grid[1], -1)
    table = torch.cat([by_column, by_row], dim=2).flatten(0, 1).float()
    return F.pad(table, (0, 0, 1, 0)) if has_cls else table


def select_tokens(tokens_BND: Tensor, index_BK: Tensor) -> Tensor:
    """Return the tokens [B, K, D] with these indices; a table [N, D] serves all samples."""
    if tokens_BND.ndim == 2:
        return tokens_BND[index_BK]
    batch, num, _ = tokens_BND.shape
    starts_B1 = num * torch.arange(batch, device=index_BK.device)[:, None]
    # whole rows are copied, and added up in the backward pass; `gather` would look up every value
    return F.embedding(index_BK + starts_B1, tokens_BND.flatten(0, 1))


class PatchEmbedding(nn.Module):
    """Linear map of the pixels of a patch, with the weights of a convolution.

    Args:
        num_channels: Channels of the image.
        patch_px: Side of a patch.
        width: Width D.
    """

    def __init__(self, num_channels: int, patch_px: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, num_channels, patch_px, patch_px))
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.xavier_uniform_(self.weight.view(width, -1))

    def forward(self, patches_BNV: Tensor) -> Tensor:
        """Embed patches [B, N, V] as [B, N, D]."""
        return F.linear(patches_BNV, self.weight.permute(0, 2, 3, 1).flatten(1), self.bias)


class Attention(nn.Module):
    """Multi-head self-attention over all tokens.

    Args:
        width: Width D.
        num_heads: Heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_BSD: Tensor) -> Tensor:
        """Attend."""
        qkv = self.qkv(x_BSD).unflatten(2, (3, self.num_heads, -1))
        attended = attend(*(part.transpose(1, 2) for part in qkv.unbind(2)))
        return self.out(attended.transpose(1, 2).flatten(2))


class Feedforward(nn.Module):
    """Two linear layers with GELU between.

    Args:
        width: Width D.
        hidden_width: Width between.
    """

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden_width)
        self.contract = nn.Linear(hidden_width, width)

    def forward(self, x_BSD: Tensor) -> Tensor:
        """Map every token."""
        return self.contract(F.gelu(self.expand(x_BSD)))


class Block(nn.Module):
    """Transformer block that normalises before every part (Dosovitskiy et al., ICLR 2021).

    Args:
        width: Width D.
        num_heads: Heads.
        hidden_width: Width of the feed-forward part.
        norm_eps: Added to the variance of the normalisation.
        drop_path: Probability of leaving out a part of the block for a sample while training.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        hidden_width: int,
        *,
        norm_eps: float = 1e-6,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=norm_eps)
        self.attention = Attention(width, num_heads)
        self.feedforward_norm = nn.LayerNorm(width, eps=norm_eps)
        self.feedforward = Feedforward(width, hidden_width)
        self.drop_path = drop_path

    def forward(self, x_BSD: Tensor) -> Tensor:
        """Transform tokens."""
        return self.fed(self.attended(x_BSD))

    def attended(self, x_BSD: Tensor) -> Tensor:
        """Return the tokens behind the attention."""
        return x_BSD + self._drop(self.attention(self.attention_norm(x_BSD)))

    def fed(self, x_BKD: Tensor) -> Tensor:
        """Return any tokens behind the feed-forward part, which reads each alone."""
        return x_BKD + self._drop(self.feedforward(self.feedforward_norm(x_BKD)))

    def _drop(self, x_BSD: Tensor) -> Tensor:
        """Zero the part for a random share of the samples and scale the others."""
        if not self.training or self.drop_path == 0.0:
            return x_BSD
        kept = 1.0 - self.drop_path
        draws = torch.rand((len(x_BSD), 1, 1), device=x_BSD.device) < kept
        return x_BSD * draws.to(x_BSD.dtype).div_(kept)


def make_blocks(
    num_layers: int,
    width: int,
    num_heads: int,
    hidden_width: int,
    *,
    norm_eps: float,
    drop_path: float,
) -> nn.ModuleList:
    """Return blocks whose `drop_path` rises linearly from 0 to the given value."""
    return nn.ModuleList(
        Block(
            width, num_heads, hidden_width, norm_eps=norm_eps,
            drop_path=drop_path * i / max(1, num_layers - 1),
        )
        for i in range(num_layers)
    )  # fmt: skip


def init_weights(module: nn.Module) -> None:
    """Initialise linear layers as Xavier uniform with zero bias; for `module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
