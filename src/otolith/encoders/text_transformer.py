"""Frozen sentence encoder from a folder or the Hugging Face hub: token features and sentences.

The language model is no part of the weights of a system that uses it: it is loaded at first use,
never trained, and not in state dicts. A text is encoded without its neighbours by default, so that
its features do not depend on what else is in a batch, not even in the last bit.
"""

# L texts, T tokens, D width

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from otolith.core.config import config
from otolith.core.errors import DownloadError, FileFormatError
from otolith.core.home import is_offline
from otolith.encoders import Grid, Tokens


@config
class Config:
    """Settings.

    Args:
        source: Folder of a Hugging Face model, or a name on the hub such as
            `sentence-transformers/all-mpnet-base-v2`.
        max_tokens: Tokens of a text that are read, special tokens included.
        pooling: How tokens become a sentence: their mean, or the first token.
        cache_size: Texts whose features are kept; the one unused for longest goes first.
        batch_size: Texts of equal length that go through the model together. More than one is
            faster for many texts, but the last bits then depend on the neighbours.
    """

    source: str = "sentence-transformers/all-MiniLM-L6-v2"
    max_tokens: int = 64
    pooling: Literal["mean", "first"] = "mean"
    cache_size: int = 4096
    batch_size: int = 1

    def __post_init__(self) -> None:
        if min(self.max_tokens, self.cache_size, self.batch_size) < 1:
            raise ValueError("max_tokens, cache_size and batch_size must be at least 1")


class Encoder(nn.Module):
    """Encode texts with a frozen language model.

    Args:
        config: Settings.
    """

    _anchor: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        # Follows `.to(device)`, while the model itself stays out of the module tree.
        self.register_buffer("_anchor", torch.zeros(()), persistent=False)
        self._loaded: list[Any] = []
        self._cache: OrderedDict[str, Tensor] = OrderedDict()

    @property
    def width(self) -> int:
        """Feature width D."""
        return int(self._model_and_tokenizer()[0].config.hidden_size)

    def forward(self, texts: Sequence[str]) -> Tokens:
        """Encode texts; `features_BND` has one row per text, `pooled_BD` is the sentence."""
        tokens_LTD, mask_LT = self.tokens(texts)
        return Tokens(
            features_BND=tokens_LTD,
            mask_BN=mask_LT,
            grid=Grid(axes=("token",), sizes=(tokens_LTD.shape[1],)),
            pooled_BD=self._pool(tokens_LTD, mask_LT),
        )

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the features of the last layer for every token, special tokens included.

        Args:
            texts: Texts; equal ones are encoded once.

        Returns:
            Features [L, T, D], zero behind a text's end, and bool mask [L, T], True = real token.
        """
        self._encode_missing(texts)
        rows = [self._cache[text] for text in texts]
        lengths_L = torch.tensor([len(row) for row in rows], device=self._anchor.device)
        padded_LTD = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        steps_T = torch.arange(padded_LTD.shape[1], device=self._anchor.device)
        self._shrink()
        return padded_LTD, steps_T < lengths_L[:, None]

    def sentences(self, texts: Sequence[str]) -> Tensor:
        """Return one unit vector per text [L, D]."""
        return self._pool(*self.tokens(texts))

    def _pool(self, tokens_LTD: Tensor, mask_LT: Tensor) -> Tensor:
        if self.config.pooling == "first":
            return F.normalize(tokens_LTD[:, 0], dim=-1)
        weight = mask_LT[..., None].to(tokens_LTD.dtype)
        return F.normalize((tokens_LTD * weight).sum(1) / weight.sum(1), dim=-1)

    # What is kept must also serve a later training step, so it is no tensor of inference mode.
    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def _encode_missing(self, texts: Sequence[str]) -> None:
        """Put the features [T, D] of all texts into the cache, at its fresh end."""
        device = self._anchor.device
        if self._cache and next(iter(self._cache.values())).device != device:
            self._cache.clear()
        missing = [text for text in dict.fromkeys(texts) if text not in self._cache]
        if missing:
            model, tokenizer = self._model_and_tokenizer()
            model.to(device)
            by_length: dict[int, list[tuple[str, list[int]]]] = {}
            for text in missing:
                ids = tokenizer(text, truncation=True, max_length=self.config.max_tokens)
                by_length.setdefault(len(ids["input_ids"]), []).append((text, ids["input_ids"]))
            size = self.config.batch_size
            for group in by_length.values():
                for start in range(0, len(group), size):
                    part = group[start : start + size]
                    self._encode([t for t, _ in part], [i for _, i in part], model)
        for text in texts:
            self._cache.move_to_end(text)

    def _encode(self, texts: list[str], ids: list[list[int]], model: Any) -> None:
        """Run texts of equal length through the model; float32 also under autocast."""
        input_ids = torch.tensor(ids, device=self._anchor.device)
        with torch.autocast(self._anchor.device.type, enabled=False):
            hidden = model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids))
        for text, features_TD in zip(texts, hidden.last_hidden_state.float(), strict=True):
            self._cache[text] = features_TD.clone()

    def _shrink(self) -> None:
        while len(self._cache) > self.config.cache_size:
            self._cache.popitem(last=False)

    def _folder(self) -> str:
        """Folder or hub name of the model."""
        return self.config.source

    def _model_and_tokenizer(self) -> tuple[Any, Any]:
        """Load the model at first use.

        Raises:
            FileFormatError: The folder holds no usable model.
            DownloadError: The hub does not give the model.
        """
        if not self._loaded:
            source = self._folder()
            is_folder = Path(source).is_dir()
            try:
                self._loaded = list(_load(source, local=is_folder or is_offline()))
            except (OSError, ValueError) as error:
                reason = " ".join(str(error).split())[:300]
                if is_folder:
                    raise FileFormatError(
                        f"The folder {source} holds no text model: {reason}.",
                        "It needs config.json, the tokenizer's files and model.safetensors.",
                    ) from None
                raise DownloadError(
                    f'The text model "{source}" is neither a folder nor could it be fetched: '
                    f"{reason}.",
                    "Connect to the network, give a folder that holds it, or use the text encoder "
                    "text_minilm, which needs no network.",
                ) from None
            self._loaded[0].requires_grad_(False).eval()
        return self._loaded[0], self._loaded[1]


def _load(source: str, *, local: bool) -> tuple[Any, Any]:
    """Model and tokenizer; weights only from safetensors, no code from the repository."""
    from transformers import AutoModel, AutoTokenizer

    with _silent():
        model = AutoModel.from_pretrained(
            source, local_files_only=local, use_safetensors=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(
            source, local_files_only=local, trust_remote_code=False
        )
    return model.float(), tokenizer


@contextmanager
def _silent() -> Iterator[None]:
    """Keep progress bars and load reports of transformers off the terminal."""
    from transformers.utils import logging

    level, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bar:
            logging.enable_progress_bar()
