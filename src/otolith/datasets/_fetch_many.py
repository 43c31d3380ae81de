"""Fetch several data sets one after the other; say of each what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from otolith.core.errors import ByHandError, LicenceError, OfflineError, OtolithError
from otolith.core.home import data_folder
from otolith.datasets import DATASETS, Source
from otolith.datasets._fetch import fetch, is_carried
from otolith.recordings.store import is_data_folder


class Status(StrEnum):
    """What became of a data set."""

    DOWNLOADED = "downloaded"
    ALREADY_THERE = "already there"
    NEEDS_LICENCE = "needs licence"
    BY_HAND = "by hand"
    PACKAGE = "carried by a package"
    OFFLINE = "offline"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of one data set.

    Args:
        name: Data set.
        status: In one word.
        detail: The data folder, or why it is not there and what to do about that.
        is_here: Whether the data folder is there now.
    """

    name: str
    status: Status
    detail: str
    is_here: bool


def fetch_each(names: Sequence[str], *, accept_licences: bool = False) -> Iterator[Outcome]:
    """Fetch data sets in turn; one that fails does not stop the others.

    Args:
        names: Registered data sets.
        accept_licences: Whether the user accepts the licences of all of them now.

    Yields:
        One outcome per data set, when it is done.

    Raises:
        UnknownNameError: No data set has such a name; nothing was fetched.
    """
    modules = {name: DATASETS.get(name) for name in dict.fromkeys(names)}
    return (_fetch_one(name, m, accept_licences) for name, m in modules.items())


def _fetch_one(name: str, module: object, accept_licence: bool) -> Outcome:
    source: Source = module.SOURCE  # pyrefly: ignore  # every component has it
    target = data_folder(name)
    if is_data_folder(target):
        return Outcome(name, Status.ALREADY_THERE, str(target), True)
    carried = is_carried(source)
    try:
        folder = fetch(name, module, accept_licence=accept_licence)  # pyrefly: ignore  # a component
    except LicenceError:
        where = f" ({source.licence_url})" if source.licence_url else ""
        return Outcome(name, Status.NEEDS_LICENCE, f"{source.licence}{where}", False)
    except ByHandError:
        return _needs_a_person(name, source)
    except OfflineError as error:
        return Outcome(name, Status.OFFLINE, str(error), False)
    except OtolithError as error:
        return Outcome(name, Status.FAILED, str(error), False)
    except OSError as error:  # such as a full disk; the next data set may be smaller
        return Outcome(name, Status.FAILED, str(error), False)
    return Outcome(name, Status.PACKAGE if carried else Status.DOWNLOADED, str(folder), True)


def _needs_a_person(name: str, source: Source) -> Outcome:
    if source.package and not source.manual:
        how = f"pip install {source.package}, and repeat. {source.homepage}"
        return Outcome(name, Status.PACKAGE, how, False)
    how = f"{source.manual} {source.homepage}" if source.manual else source.homepage
    return Outcome(name, Status.BY_HAND, how, False)
