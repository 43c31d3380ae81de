"""A model that tasks can use: a system with its name, weights and what it was trained on."""

# B batch, N windows, L texts, D width

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch

from otolith.core.config import parse, select
from otolith.core.errors import CheckpointError, suggest
from otolith.core.home import SHIPPED_MODEL, home, packaged_models
from otolith.core.progress import progress
from otolith.core.registry import Registry
from otolith.recordings.recording import Recording
from otolith.signals.statistics import Frame
from otolith.systems import System
from otolith.tasks._people import EVERYONE
from otolith.windows.batch import Batch
from otolith.windows.dataset import WindowDataset
from otolith.windows.memory import memory_part
from otolith.windows.spec import WindowSpec

if TYPE_CHECKING:
    from otolith.tasks.label import Labelling

_SYSTEMS = Registry("otolith.systems", "system")
_STATISTICS = "statistics"


@dataclass(frozen=True)
class Model:
    """A system ready for use.

    Args:
        name: How it is called in tables.
        system: The module, in evaluation mode.
        provenance: Where the weights come from, as saved with them: recipe, seed, data sets with
            people, and the same of the weights they started from.
        path: Folder it was loaded from; None for a model without weights.
        system_name: Registered name of the system.
    """

    name: str
    system: System
    provenance: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    system_name: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names that the model itself can tell apart; empty if it is no classifier."""
        return tuple(self.system.labels)

    @property
    def has_text(self) -> bool:
        """Whether labels can be given as words alone."""
        return self.system.has_text

    def embed(
        self, recording: Recording, *, window_s: float = 5.0, stride_s: float | None = None
    ) -> np.ndarray:
        """Embed the windows of one recording as float32 [N, D], in order of time.

        Args:
            recording: A recording with a motion stream.
            window_s: Length of a window in s.
            stride_s: Distance of neighbouring windows in s; None = the length.
        """
        spec = WindowSpec(window_s=window_s, stride_s=stride_s, separate=True, label_rule="none")
        return self.embed_windows(WindowDataset([memory_part([recording])], spec))

    def label(self, recording: Recording, labels: Sequence[str] = (), **settings: Any) -> Labelling:
        """Name the activities of a recording; see `otolith.tasks.label.label_recording`.

        Args:
            recording: A recording with a motion stream.
            labels: Words to choose from; a classifier knows its own.
            **settings: Fields of `otolith.tasks.label.Config`.
        """
        from otolith.tasks.label import Config, label_recording

        return label_recording(self, recording, parse(Config, settings), labels=labels)

    def embed_windows(
        self, windows: WindowDataset, *, batch_size: int = 256, show: bool | None = None
    ) -> np.ndarray:
        """Embed every window.

        Args:
            windows: N windows.
            batch_size: Windows per forward pass.
            show: Whether to draw a progress bar; None = only on a terminal.

        Returns:
            Features [N, D], float32, in the order of `windows.table`.
        """
        parts = []
        with progress(len(windows), f"{self.name}: embedding windows", show=show) as bar:
            for start in range(0, len(windows), batch_size):
                ids = np.arange(start, min(start + batch_size, len(windows)))
                parts.append(self.embed_batch(windows.batch(ids, epoch=0)))
                bar.advance(len(ids))
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    def embed_batch(self, batch: Batch) -> np.ndarray:
        """Embed the samples of one batch as float32 [B, D]."""
        self.system.eval()
        with torch.inference_mode():
            return self.system.embed(batch).float().cpu().numpy()

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed label words, comparable with `embed` by cosine.

        Returns:
            float32 [L, D], or [L, P, D] with P prototypes per word.

        Raises:
            CheckpointError: The model was not aligned with text.
        """
        self.require_text()
        self.system.eval()
        with torch.inference_mode():
            return self.system.embed_texts(texts).float().cpu().numpy()

    def score_words(
        self, batch: Batch, words: Sequence[str], *, temperature: float = 0.05
    ) -> np.ndarray:
        """Return log probabilities [B, L] of labels given as words; see `System.score_words`.

        Raises:
            CheckpointError: The model was not aligned with text.
        """
        self.require_text()
        self.system.eval()
        with torch.inference_mode():
            scores = self.system.score_words(batch, words, temperature=temperature)
        return scores.float().cpu().numpy()

    def score_windows(
        self,
        windows: WindowDataset,
        words: Sequence[str],
        *,
        temperature: float = 0.05,
        batch_size: int = 256,
        show: bool | None = None,
    ) -> np.ndarray:
        """Return log probabilities [N, L] of every window; see `score_words`."""
        scores_NL = np.empty((len(windows), len(words)), np.float32)
        with progress(len(windows), f"{self.name}: scoring windows", show=show) as bar:
            for start in range(0, len(windows), batch_size):
                ids = np.arange(start, min(start + batch_size, len(windows)))
                batch = windows.batch(ids, epoch=0)
                scores_NL[ids] = self.score_words(batch, words, temperature=temperature)
                bar.advance(len(ids))
        return scores_NL

    def novelty_scores(self, batch: Batch) -> np.ndarray | None:
        """Return how unlike everything learned samples are [B], 0..1; see `System.novelty_scores`."""
        self.system.eval()
        with torch.inference_mode():
            scores = self.system.novelty_scores(batch)
        return None if scores is None else scores.float().cpu().numpy()

    def require_text(self) -> None:
        """Raise a `CheckpointError` if the model was not aligned with text."""
        if not self.has_text:
            raise CheckpointError(
                f'The model "{self.name}" was not trained with text, so it cannot use labels as words.',
                "Use few_shot or probe, or a text-aligned model.",
            )


def load_model(name_or_path: str | Path = SHIPPED_MODEL) -> Model:
    """Load a model by name or folder.

    Args:
        name_or_path: A run folder (its best checkpoint is taken), a checkpoint or model folder,
            the name of a folder below `$OTOLITH_HOME/models`, of a model that comes with the
            package (a user's folder of the same name wins), or of a system that needs no
            weights: `statistics`, or `statistics:device`, `statistics:gravity` and
            `statistics:both` for the axes it describes, with the three-axis sensors behind a
            second colon where a stream has several of a kind (`statistics:both:arm_acc,leg_acc`).

    Returns:
        The model in evaluation mode.

    Raises:
        CheckpointError: Nothing of that name can be loaded.
    """
    from otolith.training.checkpoints import load_model_folder

    text = str(name_or_path)
    folder = _model_folder(Path(text).expanduser())
    if folder is not None:
        system, card = load_model_folder(folder)
        system_name = str(card["system"]["name"])
        return Model(
            _short_name(Path(text), folder),
            system.eval(),
            _with_official_data(card.get("provenance", {}), system),
            folder,
            system_name,
        )
    name, colon, frame = text.partition(":")
    if name in _SYSTEMS.names() and not (colon and name != _STATISTICS):
        chosen = select(_SYSTEMS, name)
        if not chosen.module.System.trainable:
            return _untrained(name, frame, text)
        raise CheckpointError(
            f'"{name}" is a system that needs training first.',
            f"Run `otolith train` with a recipe of {name} and give its run folder.",
        )
    if Path(text).expanduser().is_dir():
        raise CheckpointError(
            f"{text} holds no model.json, so it is no model.",
            "Give a run folder with checkpoints, or a model folder.",
        )
    raise CheckpointError(f'There is no model "{text}".', suggest(text, model_names()))


def _untrained(name: str, frame: str, text: str) -> Model:
    """A system without weights; `frame` chooses the axes of the statistics."""
    settings: dict[str, Any] = {"name": name}
    frame, _, triads = frame.partition(":")
    if frame:
        if frame not in get_args(Frame):
            raise CheckpointError(
                f'There is no model "{text}".',
                suggest(text, [f"{name}:{frame}" for frame in get_args(Frame)]),
            )
        wanted = {"triads": tuple(triads.split(","))} if triads else {}
        settings["encoder"] = {"name": "imu_statistics", "frame": frame, **wanted}
    chosen = select(_SYSTEMS, settings)
    return Model(text, chosen.module.System(chosen.config).eval(), system_name=name)


def _with_official_data(provenance: dict[str, Any], system: System) -> dict[str, Any]:
    """Add what the authors of converted weights trained on, so that the leak guard sees it."""
    known = system.official_training_data
    if "official" not in provenance or "data" in provenance or not known:
        return provenance
    datasets = {name: {"train_subjects": [EVERYONE]} for name in known}
    return {
        **provenance,
        "is_pretrain": not (system.has_text or system.labels),
        "data": {"datasets": datasets},
    }


def model_names() -> list[str]:
    """Names that `load_model` understands besides paths."""
    stored = (home() / "models", packaged_models())
    names = {p.name for folder in stored if folder.is_dir() for p in folder.iterdir() if p.is_dir()}
    return sorted({*names, _STATISTICS})


def _model_folder(path: Path) -> Path | None:
    """The folder with `model.json` that a path or name stands for."""
    from otolith.training.checkpoints import find_folder

    bases = [path]
    if path.name == str(path):
        bases += [home() / "models" / path.name, packaged_models() / path.name]
    for base in bases:
        for folder in (base, base / "checkpoints" / "best", base / "checkpoints" / "latest"):
            if (folder / "model.json").is_file():
                return folder
            with suppress(CheckpointError):  # a text file stands for a link where there are none
                noted = find_folder(folder)
                if (noted / "model.json").is_file():
                    return noted
    return None


def _short_name(given: Path, folder: Path) -> str:
    """`recipe/time` of a run folder, or the name of the folder that was given."""
    path = given.expanduser().resolve() if given.expanduser().exists() else folder
    if (path / "config.yaml").is_file():
        return "/".join(path.parts[-2:])
    return path.name
