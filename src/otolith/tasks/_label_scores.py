"""What turns a batch into probabilities of labels: words, a classifier, examples, or both."""

# B batch, N windows, K labels, D width

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from otolith.core.errors import CheckpointError, DataError, suggest
from otolith.systems import System
from otolith.tasks._classifiers import fit_logistic, softmax
from otolith.tasks._model import Model
from otolith.tasks._prior_examples import DEFAULT_SHRINKAGE, choose_shrinkage, fit_with_prior
from otolith.tasks._windows import Labelled
from otolith.windows.batch import Batch
from otolith.windows.dataset import WindowDataset

_BATCH = 256
_MIN_CALIBRATION = 4  # held-out examples from which a label set can be told
_NO_LABELS = (
    'The model "{model}" knows no labels and none were given.',
    'Give --labels "walking,sitting,..." to a text-aligned model, --learn-from DATA or --examples '
    "FOLDER to any model, or a classifier that fine_tune kept.",
)


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """A model that is ready to choose among labels.

    Args:
        score: Batch -> probabilities [B, K], float64.
        labels: The K labels.
        how: Where the label knowledge comes from, in words.
        notes: Sentences that the user must read.
        misses_N: 1 - p(truth) of examples that were held out; None without examples.
        new_K: Share of a label's examples that the model itself finds new; None without.
    """

    score: Callable[[Batch], np.ndarray]
    labels: tuple[str, ...]
    how: str
    notes: tuple[str, ...] = ()
    misses_N: np.ndarray | None = None
    new_K: np.ndarray | None = None

    def quantile(self, model: Model, coverage: float) -> float:
        """Return the largest 1 - p of a label that belongs to a set with this coverage.

        Held-out examples decide where there are some, else what the model was calibrated with.

        Raises:
            CheckpointError: The model was not calibrated.
        """
        if self.misses_N is not None and len(self.misses_N) >= _MIN_CALIBRATION:
            rank = math.ceil((len(self.misses_N) + 1) * coverage)
            return float(np.sort(self.misses_N)[rank - 1]) if rank <= len(self.misses_N) else 1.0
        found = model.system.conformal_quantile(coverage)
        if found is None:
            raise CheckpointError(
                f'The model "{model.name}" was not calibrated, so nobody knows how large a set of '
                f"labels must be for {100 * coverage:g} %.",
                "Leave --coverage out, or give labelled recordings with --examples.",
            )
        return found


def make_scorer(
    model: Model,
    labels: Sequence[str],
    examples: Labelled | None,
    *,
    temperature: float,
    max_novelty: float,
) -> Scorer:
    """Get a model ready.

    Args:
        model: Any model.
        labels: Labels to choose from; empty = all that are known.
        examples: Labelled windows to learn from.
        temperature: Sharpness of word similarities.
        max_novelty: Highest novelty of a window that counts as known.

    Raises:
        DataError: Labels are missing or not known.
        CheckpointError: Words alone were given to a model without text.
    """
    if examples is not None:
        if model.has_text:
            return _from_both(model, examples, labels, temperature, max_novelty)
        return _from_examples(model, examples, labels)
    if model.system.labels:
        return _from_classifier(model.system, labels)
    return _from_words(model, tuple(labels) or model.system.default_words, temperature)


def _from_words(model: Model, names: tuple[str, ...], temperature: float) -> Scorer:
    """Probabilities of words alone."""
    if not names:
        fact, remedy = _NO_LABELS
        raise DataError(fact.format(model=model.name), remedy)
    model.require_text()
    far = model.system.far_words(names)
    if len(far) == len(names):
        raise DataError(
            f'The model "{model.name}" knows none of the labels; {_nearest(far)}.',
            "Choose other words, or show it recordings of them with --examples.",
        )
    notes = ()
    if far:
        notes = (
            f'The model "{model.name}" has not learned {_quoted(far)}: chosen only where a window is '
            f"unlike all it knows; {_nearest(far)}. Show it recordings of them with --examples.",
        )

    def score(batch: Batch) -> np.ndarray:
        return np.exp(model.score_words(batch, names, temperature=temperature).astype(np.float64))

    return Scorer(score=score, labels=names, how="words alone", notes=notes)


def _from_classifier(system: System, labels: Sequence[str]) -> Scorer:
    """Probabilities of a classifier, over all its labels or some of them."""
    names, columns = _choose(labels, system.labels, "The classifier")

    def score(batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            logits = system.classify(batch).double().cpu().numpy()
        return softmax(logits[:, columns])

    system.eval()
    return Scorer(score=score, labels=names, how="a classifier that knows its labels")


def _from_examples(model: Model, examples: Labelled, labels: Sequence[str]) -> Scorer:
    """Probabilities of a logistic regression on example windows."""
    names, columns = _choose(labels, examples.labels, "The data to learn from")
    position = np.full(len(examples.labels), -1)
    position[columns] = np.arange(len(names))
    target_N = position[examples.label_N]
    rows = np.flatnonzero(target_N >= 0)
    known = model.embed_windows(examples.windows.select(rows))
    classify = fit_logistic(known, target_N[rows], num_classes=len(names))
    return Scorer(
        score=lambda batch: classify(model.embed_batch(batch)),
        labels=names,
        how=_described(examples, rows),
    )


def _from_both(
    model: Model,
    examples: Labelled,
    labels: Sequence[str],
    temperature: float,
    max_novelty: float,
) -> Scorer:
    """Posterior of words and examples; a label needs no examples if the model knows its word."""
    names = tuple(labels) or examples.labels
    column = {_plain(name): k for k, name in enumerate(names)}
    position = np.array([column.get(_plain(name), -1) for name in examples.labels])
    target_N = position[examples.label_N]
    rows = np.flatnonzero(target_N >= 0)
    _check_examples(model, names, examples, target_N[rows])
    prior = word_prior(model, names, temperature)
    features_ND, prior_NK, new_N = _read(model, examples.windows.select(rows), prior, max_novelty)
    target_N, groups = target_N[rows], _groups(examples, rows)
    if len(rows) < 2:
        shrinkage, misses_N = DEFAULT_SHRINKAGE, None
    else:
        choice = choose_shrinkage(features_ND, prior_NK, target_N, groups=groups)
        shrinkage = choice.shrinkage
        right_N = target_N[choice.rows]
        misses_N = 1.0 - choice.held_out_NK[np.arange(len(right_N)), right_N]
    classify = fit_with_prior(features_ND, prior_NK, target_N, shrinkage=shrinkage)
    new_K = None
    if new_N is not None:
        count_K = np.bincount(target_N, minlength=len(names))
        new_K = np.bincount(target_N, new_N, len(names)) / np.maximum(count_K, 1)
    return Scorer(
        score=lambda batch: classify(model.embed_batch(batch), prior(batch)),
        labels=names,
        how=f"words and {_described(examples, rows)}",
        notes=_about_unused(examples, position),
        misses_N=misses_N,
        new_K=new_K,
    )


def word_prior(
    model: Model, names: Sequence[str], temperature: float = 0.05
) -> Callable[[Batch], np.ndarray]:
    """Return a function: batch -> log probabilities [B, K] of words; flat for those it never learned.

    Args:
        model: A model with text.
        names: Labels as words.
        temperature: Sharpness of word similarities.
    """
    far = model.system.far_words(names)
    known = [k for k, name in enumerate(names) if name not in far]
    share = len(known) / len(names)

    def prior(batch: Batch) -> np.ndarray:
        log_BK = np.full((len(batch.ids), len(names)), -math.log(len(names)))
        if len(known) > 1:
            words = [names[k] for k in known]
            log_BK[:, known] = math.log(share) + model.score_words(
                batch, words, temperature=temperature
            )
        return log_BK

    return prior


def _read(
    model: Model,
    windows: WindowDataset,
    prior: Callable[[Batch], np.ndarray],
    max_novelty: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Features, log prior, and which windows are new to the model."""
    features, priors, news = [], [], []
    for start in range(0, len(windows), _BATCH):
        batch = windows.batch(np.arange(start, min(start + _BATCH, len(windows))), epoch=0)
        features.append(model.embed_batch(batch))
        priors.append(prior(batch))
        novelty_B = model.novelty_scores(batch)
        if novelty_B is not None:
            news.append((novelty_B > max_novelty).astype(np.float64))
    new_N = np.concatenate(news) if news else None
    return np.concatenate(features), np.concatenate(priors), new_N


def _check_examples(
    model: Model, names: tuple[str, ...], examples: Labelled, target_N: np.ndarray
) -> None:
    """Refuse labels that neither the examples nor the words explain."""
    if len(names) < 2:
        raise DataError(
            f'All examples are labelled "{names[0]}".',
            'Add examples of another activity, or name others with --labels "walking,...".',
        )
    if not len(target_N):
        raise DataError(
            f"No example shows one of the labels {', '.join(names)}.",
            suggest(names[0], examples.labels, limit=30),
        )
    far = model.system.far_words(names)
    taught = {names[k] for k in np.unique(target_N).tolist()}
    if lost := {word: near for word, near in far.items() if word not in taught}:
        raise DataError(
            f'The model "{model.name}" has not learned {_quoted(lost)}, and no example shows it; '
            f"{_nearest(lost)}.",
            "Add examples of it, or choose another word.",
        )


def _about_unused(examples: Labelled, position: np.ndarray) -> tuple[str, ...]:
    """A sentence about examples of labels that may not be chosen."""
    unused = [name for name, k in zip(examples.labels, position.tolist(), strict=True) if k < 0]
    if not unused:
        return ()
    return (f"Examples of {_quoted(unused)} are not used, because --labels does not name them.",)


def _groups(examples: Labelled, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """People and recordings of the chosen windows."""
    return examples.subject_N[rows], examples.windows.table.recording[rows]


def _described(examples: Labelled, rows: np.ndarray) -> str:
    people = len(np.unique(examples.subject_N[rows]))
    return f"{len(rows)} example windows of {people} {'person' if people == 1 else 'people'}"


def _choose(
    labels: Sequence[str], known: tuple[str, ...], who: str
) -> tuple[tuple[str, ...], list[int]]:
    """The wanted labels (all if none is named) and their columns."""
    if unknown := [name for name in labels if name not in known]:
        raise DataError(f'{who} has no label "{unknown[0]}".', suggest(unknown[0], known, limit=30))
    names = tuple(labels) or known
    return names, [known.index(name) for name in names]


def _plain(label: str) -> str:
    """A label without the marks that folder names have instead of blanks."""
    return " ".join(label.replace("_", " ").replace("-", " ").split()).lower()


def _quoted(words: Sequence[str] | dict[str, str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _nearest(far: dict[str, str]) -> str:
    return "; ".join(f'nearest to "{word}" is "{near}"' for word, near in far.items())
