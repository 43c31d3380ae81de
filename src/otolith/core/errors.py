"""Error classes: every message is one sentence of fact and one of remedy.

A mistake of the user (a wrong path, an impossible setting, a broken file) is an
`OtolithError`. The command line prints it without a traceback and exits with code 2.
Mistakes of ours stay ordinary Python exceptions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OtolithError(Exception):
    """Base of all errors that the user can do something about.

    Args:
        fact: One sentence that says what is wrong, naming file and key.
        remedy: One sentence that says what to do about it.
    """

    def __init__(self, fact: str, remedy: str) -> None:
        super().__init__(f"{fact} {remedy}")
        self.fact = fact
        self.remedy = remedy


class ConfigError(OtolithError):
    """A recipe or an option holds one or more wrong values; all are listed at once.

    Args:
        fact: One sentence that says what is wrong.
        remedy: One sentence that says what to do about it.
        problems: One line per wrong value, each beginning with its path.
    """

    def __init__(self, fact: str, remedy: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(fact, remedy)
        self.problems = problems


class UnknownNameError(OtolithError):
    """A name is not registered."""


class DataError(OtolithError):
    """A recording, annotation or data folder cannot be used as it is."""


class FileFormatError(DataError):
    """A file is truncated, corrupt or not of the announced format."""


class IntegrityError(DataError):
    """A file differs from its recorded size or sha256."""


class ArchiveError(DataError):
    """An archive holds something that must not be unpacked."""


class DownloadError(OtolithError):
    """A file could not be fetched."""


class OfflineError(DownloadError):
    """A file is not here, and the network is forbidden or not there."""


class ByHandError(DownloadError):
    """The publishers want something done by hand, or a package carries the data."""


class LicenceError(OtolithError):
    """A licence has to be accepted first."""


class CheckpointError(OtolithError):
    """Weights do not fit the model or the file is not a checkpoint."""


class TrainingError(OtolithError):
    """A run had to stop."""


class LeakageError(OtolithError):
    """An evaluation would see people, recordings or data sets that were trained on."""


class MissingDependencyError(OtolithError):
    """An optional package is needed."""


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that looks most like `name`, or None."""
    matches = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return matches[0] if matches else None


def suggest(name: str, allowed: Iterable[str], *, limit: int = 12) -> str:
    """Return a remedy sentence: the nearest allowed name and the list of allowed names."""
    names = sorted(set(allowed))
    close = nearest(name, names)
    shown = ", ".join(names[:limit]) + (
        f" and {len(names) - limit} more" if len(names) > limit else ""
    )
    hint = f'Did you mean "{close}"? ' if close else ""
    return f"{hint}Allowed: {shown}." if names else f"{hint}Nothing is registered here."
