"""pyarrow's compute functions; they are made at run time, so type checkers do not see them."""

from __future__ import annotations

from typing import Any

import pyarrow.compute

compute: Any = pyarrow.compute
