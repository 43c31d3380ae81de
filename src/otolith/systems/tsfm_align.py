"""TSFM Stage 2: motion windows and activity names in one space (semantic alignment).

Sensor tokens are conditioned on the texts of their channels, fused over channels and, in session
mode, over time; label texts go through a frozen text encoder and a learned label bank. Both meet
in a contrastive loss with soft targets and a queue of earlier pairs. In per-patch mode every patch
is a sample of its own, and a window is the mean of its patches.

Differences from the authors' code: each different text is read once per batch, also by the
dropout of channel-text fusion; layers that per-patch mode never runs are not built; soft targets
made from learned embeddings pass no gradient (`objective.detach_soft_targets`); the temperature is
brought back into its limits after a step instead of losing its gradient outside them.
"""

# B batch, P patches, C channels, N pairs, L texts, K prototypes, D embedding width

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from otolith.core.errors import CheckpointError, ConfigError, DataError
from otolith.datasets import DATASETS
from otolith.encoders._imu_patches import Patches
from otolith.encoders.imu_tsfm import Encoder
from otolith.heads import channel_text_fusion, label_bank, semantic_head
from otolith.objectives import LossOutput, semantic_alignment
from otolith.objectives._gather import gather_rows
from otolith.objectives._memory_bank import MemoryBank
from otolith.systems import KeyReport
from otolith.systems import System as BaseSystem
from otolith.systems import _tsfm_align_official as official
from otolith.systems._tsfm_align_settings import PRESETS, Config
from otolith.systems._tsfm_official import TRAINING_DATA
from otolith.windows.batch import Batch
from otolith.windows.channel_texts import describe_channels
from otolith.windows.label_texts import augment_labels

__all__ = ["PRESETS", "Config", "System"]

_NO_DECAY = ("queries", "mask_token", "pad_token")


class Pairs(NamedTuple):
    """Sensor and text embeddings that belong together.

    Args:
        imu_ND: Sensor embeddings of unit length, float32.
        text: Label embeddings [N, D] or [N, K, D].
        frozen_ND: Label embeddings of the frozen text encoder.
        groups_N: int64, equal for equal class names.
        sample_N: int64, the sample of the batch that each row is from.
    """

    imu_ND: Tensor
    text: Tensor
    frozen_ND: Tensor
    groups_N: Tensor
    sample_N: Tensor


class System(BaseSystem):
    """Stage 2 of TSFM.

    Args:
        config: Settings.
    """

    has_text: ClassVar[bool] = True
    official_has_sections = True
    official_key_prefix = "semantic_head."
    official_training_data = TRAINING_DATA
    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.channel_fusion = (
            channel_text_fusion.Head(config.channel_fusion) if config.has_channel_text else None
        )
        self.head = semantic_head.Head(config.head)
        self.label_bank = label_bank.Head(config.label_bank)
        self.objective = semantic_alignment.Objective(config.objective)
        width = config.label_bank.width
        self.queue = MemoryBank(config.queue_size, width) if config.queue_size else None
        self.text = config.text.module.Encoder(config.text.config)
        self._pending: list[tuple[Tensor, Tensor]] = []
        self.register_load_state_dict_pre_hook(_refuse_other_tokenizer)

    def loss(self, batch: Batch) -> LossOutput:
        """Return the contrastive loss of a batch with class names.

        Samples without a name take no part. Under several processes the pairs of all of them are
        negatives of each other.

        Raises:
            DataError: The batch carries no class names, or nothing in it can be used.
        """
        pairs = self.pairs(batch)
        imu_ND, start = gather_rows(pairs.imu_ND)
        text, frozen_ND, groups_N = (
            gather_rows(x)[0] for x in (pairs.text, pairs.frozen_ND, pairs.groups_N)
        )
        if len(imu_ND) == 0:
            raise DataError(
                "No sample of the batch has a class name.", "Leave unlabelled windows out."
            )
        self._fill_queue()
        with torch.autocast(imu_ND.device.type, enabled=False):
            out = self.objective(
                imu_ND,
                text,
                frozen_text_ND=frozen_ND if self.config.soft_targets_from == "frozen" else None,
                queue=self.queue.active() if self.queue else None,
                groups_N=groups_N,
            )
        if self.queue is not None and self.training:
            best_ND = semantic_alignment.best_prototypes(imu_ND, text)
            self._pending.append((imu_ND.detach(), best_ND.detach()))
        return LossOutput(
            total=out.total,
            parts=out.parts,
            per_sample_B=_per_sample(out.per_sample_B, start, pairs.sample_N, len(batch)),
            is_global=True,
        )

    def pairs(self, batch: Batch) -> Pairs:
        """Return the pairs of this process's batch: per window, or per patch of it.

        Raises:
            DataError: The batch carries no class names.
        """
        labels, known_B = self._labels(batch)
        words = labels
        if self.training:
            words = augment_labels(
                labels, batch.datasets, batch.keys_B, rate=self.config.label_augmentation_rate
            )
        embeddings, patches = self._embed(batch)
        known_B = known_B.to(embeddings.device)
        if self.config.head.per_patch:
            sample_N, patch_N = (patches.mask_BP & known_B[:, None]).nonzero(as_tuple=True)
            imu_ND = embeddings[sample_N, patch_N]
        else:
            sample_N = known_B.nonzero().squeeze(1)
            imu_ND = embeddings[sample_N]
        texts = list(dict.fromkeys(words))
        number = {text: i for i, text in enumerate(texts)}
        index_B = torch.tensor([number[word] for word in words], device=imu_ND.device)
        tokens_LTD, mask_LT = self._tokens(texts)
        codes_B = torch.tensor([_code(label) for label in labels], device=imu_ND.device)
        return Pairs(
            imu_ND=imu_ND.float(),
            text=self.label_bank(tokens_LTD, mask_LT).float()[index_B[sample_N]],
            frozen_ND=label_bank.mean_pool(tokens_LTD, mask_LT)[index_B[sample_N]],
            groups_N=codes_B[sample_N],
            sample_N=sample_N,
        )

    def embed(self, batch: Batch) -> Tensor:
        """Return one unit vector per window [B, D]."""
        embeddings, patches = self._embed(batch)
        if self.config.head.per_patch:
            return semantic_head.session_mean(embeddings.float(), patches.mask_BP)
        return embeddings.float()

    def embed_patches(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return unit vectors per patch [B, P, D] and the mask of real patches [B, P].

        Raises:
            ConfigError: The system embeds whole windows.
        """
        if not self.config.head.per_patch:
            raise ConfigError(
                "This model embeds whole windows, not patches.", "Use `embed` instead."
            )
        embeddings, patches = self._embed(batch)
        return embeddings.float(), patches.mask_BP

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Return one unit vector per label text [L, D].

        With several prototypes per label it is their mean direction; `prototypes` and
        `similarity` compare exactly.
        """
        labels = self.prototypes(texts)
        return labels if labels.ndim == 2 else F.normalize(labels.mean(1), dim=-1)

    def prototypes(self, texts: Sequence[str]) -> Tensor:
        """Return the unit vectors of label texts: [L, D], or [L, K, D] with K > 1 prototypes."""
        return self.label_bank(*self._tokens(texts)).float()

    def similarity(self, features_BD: Tensor, labels: Tensor) -> Tensor:
        """Return cosines [B, L] of `embed` and `prototypes`, the best prototype of each label."""
        return label_bank.similarity(features_BD, labels)

    def embed_patched(
        self, patches: Patches, texts: tuple[Tensor, Tensor, Tensor] | None = None
    ) -> Tensor:
        """Embed ready patches.

        Args:
            patches: Patches of the batch.
            texts: Channel texts: token features of the different texts [L, T, D], bool mask [L, T]
                and int64 number of each channel's text [B, C]; None = without (and so it is
                where the settings say `has_channel_text: false`).

        Returns:
            Unit vectors [B, D], per patch [B, P, D].
        """
        tokens_BPCD = self.encoder.encode(patches)
        if self.channel_fusion is not None and texts is not None:
            tokens_BPCD = self.channel_fusion(tokens_BPCD, *texts)
        return self.head(tokens_BPCD, patches.mask_BP, patches.channel_mask_BC)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return groups: with decay, without (vectors, queries, special tokens), temperature.

        The temperature is clipped by itself, so that a large gradient of it starves no other.
        """
        scale = list(self.objective.parameters())
        taken = {id(p) for p in scale}
        decay, rest = [], []
        for name, parameter in self.named_parameters():
            if parameter.requires_grad and id(parameter) not in taken:
                plain = parameter.ndim < 2 or name.rpartition(".")[2] in _NO_DECAY
                (rest if plain else decay).append(parameter)
        return [
            {"name": "weights", "params": decay},
            {"name": "no_decay", "params": rest, "weight_decay": 0.0},
            {"name": "temperature", "params": scale, "weight_decay": 0.0, "clip": "temperature"},
        ]

    def after_step(self, batch: Batch) -> None:
        """Move the step's pairs into the queue and bring the temperature into its limits."""
        self._fill_queue()
        self.objective.clamp_scale_()

    def skip_step(self) -> None:
        """Forget the pairs of the step, which may be no numbers."""
        self._pending.clear()

    @torch.no_grad()
    def warm_up(self, batches: Iterable[Batch]) -> None:
        """Fill the queue before training, in evaluation mode, until it is full."""
        was_training = self.training
        self.eval()
        for batch in batches:
            if self.queue is None or bool(self.queue.is_full):
                break
            pairs = self.pairs(batch)
            imu_ND, text = gather_rows(pairs.imu_ND)[0], gather_rows(pairs.text)[0]
            self.queue.update(imu_ND, semantic_alignment.best_prototypes(imu_ND, text))
        self.train(was_training)

    @classmethod
    def from_official(
        cls, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> tuple[System, KeyReport]:
        """Build the system from a Stage-2 checkpoint of the authors.

        Args:
            state: Flat state dict; keys carry the section (`model_state_dict.` and so on).
            settings: `hyperparameters.json`, in its old or new form.

        Raises:
            CheckpointError: The weights are no Stage 2, contradict the settings or are incomplete.
        """
        new, origin = official.current_layout(state)
        system = cls(official.system_config(new, settings))
        return system, official.load(system, system.config, new, origin)

    def to_official(self) -> dict[str, Tensor]:
        """Return the weights under the authors' names, with sections, in today's layout."""
        return official.to_official(self.state_dict(), self.config)

    def _embed(self, batch: Batch) -> tuple[Tensor, Patches]:
        """Embeddings [B, D] or [B, P, D] and the patches they are of."""
        patches = self.encoder.prepare(batch)
        patches.require_real(batch.names)
        return self.embed_patched(patches, self._channel_texts(batch, patches)), patches

    def _channel_texts(
        self, batch: Batch, patches: Patches
    ) -> tuple[Tensor, Tensor, Tensor] | None:
        """The channel texts of a batch as `embed_patched` takes them."""
        if self.channel_fusion is None:
            return None
        described = describe_channels(
            batch.streams[self.config.encoder.stream],
            patches.patch_s_B.tolist(),
            about=[self._about(name) for name in batch.datasets],
            add_rate=self.config.adds_rate_text,
        )
        return (*self._tokens(described.texts), described.index_BC)

    def _tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token features of texts; refuses a text encoder of another width."""
        tokens_LTD, mask_LT = self.text.tokens(texts)
        if tokens_LTD.shape[-1] != self.config.label_bank.width:
            raise ConfigError(
                f"The text encoder {self.config.text.name} has width {tokens_LTD.shape[-1]}, the "
                f"model expects {self.config.label_bank.width}.",
                "Choose the text encoder that the model was made for.",
            )
        return tokens_LTD, mask_LT

    def _labels(self, batch: Batch) -> tuple[list[str], Tensor]:
        """Class names ("" if unknown), several joined by a space, and bool [B], True = known."""
        name = self.config.label_text
        if name not in batch.texts:
            raise DataError(
                f'The batch carries no text "{name}" with class names.',
                'Add "label" to the targets of the windows and give the data set labels.',
            )
        labels = [" ".join(texts) for texts in batch.texts[name]]
        return labels, torch.tensor([bool(label) for label in labels], dtype=torch.bool)

    def _about(self, dataset: str) -> str:
        """What channel texts say about a data set."""
        given = self.config.dataset_texts.get(dataset)
        if given is not None:
            return given
        return DATASETS.get(dataset).CARD.description if dataset in DATASETS.names() else ""

    def _fill_queue(self) -> None:
        """Move waiting pairs into the queue: before the next micro-batch, or after the step."""
        if self.queue is not None and self.training:
            for imu_ND, text_ND in self._pending:
                self.queue.update(imu_ND, text_ND)
            self._pending.clear()


def _refuse_other_tokenizer(
    module: nn.Module, state: Mapping[str, Any], prefix: str, *_: Any
) -> None:
    """Weights of an encoder with another tokenizer fit in part; that must not pass silently."""
    given = {k.removeprefix(prefix) for k in state if k.startswith(f"{prefix}encoder.")}
    own = {f"encoder.{k}" for k in module.get_submodule("encoder").state_dict()}
    own = {k for k in own if k.startswith("encoder.tokenizer.")}
    theirs = {k for k in given if k.startswith("encoder.tokenizer.")}
    if given and own != theirs:
        raise CheckpointError(
            "The weights hold an encoder with another tokenizer than the model's.",
            "Set encoder.tokenizer (or the preset) to that of the weights.",
        )


def _code(label: str) -> int:
    """A number for a class name that is the same in every process."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "little", signed=True)


def _per_sample(
    loss_N: Tensor | None, start: int, sample_N: Tensor, num_samples: int
) -> Tensor | None:
    """Mean loss of each sample's own rows [B]; None if a sample has none."""
    if loss_N is None:
        return None
    count_B = torch.bincount(sample_N, minlength=num_samples)
    if not bool((count_B > 0).all()):
        return None
    own_N = loss_N[start : start + len(sample_N)]
    return torch.zeros_like(count_B, dtype=own_N.dtype).index_add(0, sample_N, own_N) / count_B
