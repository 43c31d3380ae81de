"""States of the memory bank after a series of updates."""

from collections import deque

import pytest
import torch

from otolith.core.errors import TrainingError
from otolith.objectives._memory_bank import MemoryBank


def run(case):
    s, io, got = case.settings, case.io, {}
    names = [update["name"] for update in s["updates"]]
    # A case may have stored the live buffer after every update instead of a copy; then all its
    # records show the last state, and only live tensors can be compared with them. The states in
    # between are checked against a plain deque in either case.
    is_live = len(names) > 1 and torch.equal(
        io[f"{names[0]}.imu_queue"], io[f"{names[-1]}.imu_queue"]
    )
    record = (lambda x: x) if is_live else torch.clone
    bank = MemoryBank(s["queue_size"], s["embedding_dim"], min_norm=s["min_norm"])
    plain = deque(maxlen=s["queue_size"])
    for name in names:
        bank.update(io[f"{name}.imu"], io[f"{name}.text"])
        plain.extend(zip(io[f"{name}.imu"].tolist(), io[f"{name}.text"].tolist(), strict=True))
        check_content(bank, plain)
        got |= {
            f"{name}.imu_queue": record(bank.imu_queue),
            f"{name}.text_queue": record(bank.text_queue),
            f"{name}.ptr": bank.position.clone(),
            f"{name}.is_full": bank.is_full.clone(),
            f"{name}.active_imu": record(bank.imu_queue[: len(bank)]),
            f"{name}.len": len(bank),
        }
    bad = torch.zeros(1, s["embedding_dim"])
    for rows in (bad, bad + torch.nan):
        with pytest.raises(TrainingError):
            bank.update(rows, bad + 1)
    return got


def check_content(bank, plain):
    """The bank holds the same pairs as the deque, oldest at the write position."""
    held = bank.active()
    start = int(bank.position) if bool(bank.is_full) else 0
    for ours, theirs in zip(held, zip(*plain, strict=True), strict=True):
        torch.testing.assert_close(ours.roll(-start, 0), torch.tensor(theirs), atol=0, rtol=0)
