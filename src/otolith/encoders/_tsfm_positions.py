"""Positions of TSFM tokens: a sinusoid over patches and a text embedding per channel."""

# B batch, P patches, C channels, D width, E width of text embeddings, U distinct texts

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otolith.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ChannelTexts:
    """What the channels of a batch are, in words.

    Args:
        embeddings_UE: Sentence embeddings of the distinct channel descriptions.
        index_BC: int64, row of `embeddings_UE` for every channel; -1 = padded channel.
    """

    embeddings_UE: Tensor
    index_BC: Tensor

    def repeated(self, times: int) -> ChannelTexts:
        """Return the same texts for a batch that is repeated."""
        index_BC = self.index_BC.repeat(times, 1)
        return ChannelTexts(embeddings_UE=self.embeddings_UE, index_BC=index_BC)


def sinusoid(rows: int, width: int) -> Tensor:
    """Return the table of Vaswani et al. 2017: sine in even, cosine in odd columns [rows, width]."""
    position = torch.arange(rows, dtype=torch.float32).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    table = torch.zeros(rows, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate[: width // 2])
    return table


class TimePosition(nn.Module):
    """Scaled sinusoid of the patch number.

    Args:
        max_positions: Rows of the table.
        width: Token width.
    """

    table_PD: Tensor

    def __init__(self, max_positions: int, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.1))
        self.register_buffer("table_PD", sinusoid(max_positions, width), persistent=False)

    def forward(self, patches: int) -> Tensor:
        """Return what to add to the tokens, [P, 1, D]."""
        return self.scale * self.table_PD[:patches, None, :]


class ChannelPosition(nn.Module):
    """Scaled text embedding of the channel, refined by a residual network.

    Args:
        text_width: Width of the sentence embeddings.
        width: Token width; sentence embeddings of another width are projected.
    """

    def __init__(self, text_width: int, width: int) -> None:
        super().__init__()
        self.text_width = text_width
        self.scale = nn.Parameter(torch.tensor(0.1))
        self.padding_D = nn.Parameter(torch.randn(width) / math.sqrt(width))
        self.input = None
        if text_width != width:
            self.input = nn.Linear(text_width, width)
            nn.init.xavier_uniform_(self.input.weight)
            nn.init.zeros_(self.input.bias)
        self.hidden = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def encode(self, embeddings_UE: Tensor) -> Tensor:
        """Return one vector per text and a last one for padded channels, [U + 1, D].

        Raises:
            DataError: The embeddings have another width than the settings say.
        """
        if embeddings_UE.shape[1] != self.text_width:
            raise DataError(
                f"Channel texts have width {embeddings_UE.shape[1]}, "
                f"the encoder expects {self.text_width}.",
                "Choose another text encoder, or set channel_text_width.",
            )
        known = embeddings_UE.to(self.padding_D)
        known = known if self.input is None else self.input(known)
        vectors = torch.cat([known, self.padding_D.to(known.dtype).unsqueeze(0)])
        return vectors + self.output(F.gelu(self.hidden(vectors)))

    def forward(self, texts: ChannelTexts) -> Tensor:
        """Return what to add to the tokens, [B, 1, C, D]."""
        vectors = self.encode(texts.embeddings_UE)
        index_BC = torch.where(texts.index_BC < 0, len(vectors) - 1, texts.index_BC)
        return (self.scale * vectors)[index_BC].unsqueeze(1)
