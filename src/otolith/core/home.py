"""Where Otolith keeps data: `$OTOLITH_HOME`, else the user's data folder."""

from __future__ import annotations

import os
import sys
from importlib import resources
from pathlib import Path

SHIPPED_MODEL = "otolith-imu"
"""Name of the model that comes with the package and is used where none is named."""


def home() -> Path:
    """Return the folder for data, downloads and accepted licences (not created here)."""
    if chosen := os.environ.get("OTOLITH_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return base / "otolith"


def data_folder(name: str) -> Path:
    """Return the folder of the data set called `name` below the home folder."""
    return home() / "data" / name


def packaged_models() -> Path:
    """Return the folder of the models that come with the package; it may not exist."""
    return Path(str(resources.files("otolith"))) / "models"


def is_offline() -> bool:
    """Return whether `$OTOLITH_OFFLINE` forbids network use."""
    return os.environ.get("OTOLITH_OFFLINE", "").lower() in {"1", "true", "yes"}
