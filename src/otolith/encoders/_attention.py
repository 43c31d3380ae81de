"""Attention over short sequences, by the way that is quickest where it runs.

torch's fused attention loses to plain products in bfloat16 on a CPU: it multiplies in small tiles, and
its gradient costs two to six times that of products over whole sequences. In float32, and on
accelerators, it wins.
"""

# B batch, H heads, N tokens that ask, M tokens that answer, E width of a head

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_LONGEST_WRITTEN_OUT = 1024  # from here on the scores no longer fit the cache


def attend(query_BHNE: Tensor, key_BHME: Tensor, value_BHME: Tensor) -> Tensor:
    """Return softmax(query key^T / sqrt(E)) value, [B, H, N, E]."""
    batch, heads, length, width = query_BHNE.shape
    is_written_out = (
        query_BHNE.dtype == torch.bfloat16
        and query_BHNE.device.type == "cpu"
        and key_BHME.shape[2] <= _LONGEST_WRITTEN_OUT
    )
    if not is_written_out:
        return F.scaled_dot_product_attention(query_BHNE, key_BHME, value_BHME)
    query, key, value = (x.flatten(0, 1) for x in (query_BHNE, key_BHME, value_BHME))
    # the scale is part of the product; beta = 0 means that the first argument is not read
    unread = query.new_empty(())
    scores = torch.baddbmm(unread, query, key.transpose(1, 2), beta=0, alpha=width**-0.5)
    # softmax adds up in float32 and rounds its result
    return torch.bmm(scores.softmax(-1), value).view(batch, heads, length, width)
