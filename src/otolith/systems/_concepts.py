"""What words mean in terms of the concepts that a model of everyday motion knows.

A label is looked up among the words of each concept; words that nobody listed are compared by their
sentence embeddings. A label that lies far from every concept stays without one, and the model then
says so instead of guessing.
"""

# L labels, C concepts, W words, D width of a sentence embedding

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import yaml

EmbedWords = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Concept:
    """One concept.

    Args:
        name: Its name.
        words: What it is called; in lower case.
        moves: Whether somebody who does it moves all the time.
    """

    name: str
    words: tuple[str, ...]
    moves: bool = False


@functools.cache
def concepts() -> tuple[Concept, ...]:
    """Return all concepts, in the order of the columns of a model."""
    return tuple(
        Concept(name, tuple(entry["words"]), bool(entry.get("moves", False)))
        for name, entry in _tables()["concepts"].items()
    )


@functools.cache
def _tables() -> dict[str, Any]:
    file = resources.files("otolith.systems").joinpath("_concepts.yaml")
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def tidy(label: str) -> str:
    """Return a label in lower case with single blanks for underscores and hyphens."""
    return re.sub(r"[\s_\-]+", " ", label).strip().lower()


def listed(label: str) -> tuple[str, ...]:
    """Return the concepts that a word stands for; empty if no concept lists it."""
    text = tidy(label)
    if text in _tables()["several"]:
        return tuple(_tables()["several"][text])
    return tuple(c.name for c in concepts() if text == tidy(c.name) or text in c.words)


def taught_by(label: str) -> tuple[str, ...]:
    """Return the concepts that windows of a class may show, which can be more than its word says."""
    return tuple(_tables()["loose"].get(tidy(label), ())) or listed(label)


def label_matrix(labels: Sequence[str]) -> np.ndarray:
    """Return which concepts the class names of a data set allow for.

    Args:
        labels: Class names.

    Returns:
        bool [L, C]; a row without a concept is a class that nothing is learned from.
    """
    return _as_rows([taught_by(label) for label in labels])


def _as_rows(names: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Bool [L, C] of concepts given by name."""
    columns = [c.name for c in concepts()]
    rows = [[column in own for column in columns] for own in names]
    return np.array(rows, bool).reshape(len(names), len(columns))


def word_matrix(
    words: Sequence[str], embed: EmbedWords, *, temperature: float, min_similarity: float
) -> np.ndarray:
    """Return how far each label stands for each concept.

    Args:
        words: Labels as the user wrote them.
        embed: Sentence embeddings of unit length [W, D]; called only if a label is not listed.
        temperature: Sharpness of similarities (cosine / temperature).
        min_similarity: Smallest cosine to the nearest word of a concept that counts.

    Returns:
        float32 [L, C]; rows of listed labels are 0 or 1, others sum to 1, and a row of zeros is a label that no concept comes near.
    """
    matrix = _as_rows([listed(word) for word in words]).astype(np.float32)
    unlisted = np.flatnonzero(matrix.sum(1) == 0)
    if not len(unlisted):
        return matrix
    known = [(i, word) for i, concept in enumerate(concepts()) for word in concept.words]
    owner_W = np.array([i for i, _ in known])
    vectors = embed([tidy(words[i]) for i in unlisted.tolist()] + [word for _, word in known])
    similarity_LW = vectors[: len(unlisted)] @ vectors[len(unlisted) :].T
    nearest_LC = np.stack(
        [similarity_LW[:, owner_W == c].max(1) for c in range(matrix.shape[1])], axis=1
    )
    weight_LC = np.exp((nearest_LC - nearest_LC.max(1, keepdims=True)) / temperature)
    weight_LC /= weight_LC.sum(1, keepdims=True)
    weight_LC[nearest_LC.max(1) < min_similarity] = 0.0
    matrix[unlisted] = weight_LC
    return matrix


def nearest_concepts(words: Sequence[str], embed: EmbedWords) -> list[str]:
    """Return for each word the concept that one of its words is most similar to.

    Args:
        words: Labels as the user wrote them.
        embed: Sentence embeddings of unit length; not called without words.
    """
    if not words:
        return []
    known = [(concept.name, word) for concept in concepts() for word in concept.words]
    vectors = embed([tidy(word) for word in words] + [word for _, word in known])
    similarity_LW = vectors[: len(words)] @ vectors[len(words) :].T
    return [known[i][0] for i in similarity_LW.argmax(1).tolist()]
