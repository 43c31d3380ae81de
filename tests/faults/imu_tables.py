"""Tables of motion signals with known truth: synthetic ones, and real ones brought to SI."""

from dataclasses import dataclass, field

import numpy as np
from tests.golden.harness import SHARED

G = 9.80665
CHANNELS = ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
IMU = SHARED / "data" / "imu"


@dataclass
class Table:
    """Columns of a table, in order; signals in m/s^2 and rad/s."""

    columns: dict = field(default_factory=dict)

    def copy(self):
        return Table({k: np.array(v) for k, v in self.columns.items()})

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def rows(self, index):
        return Table({k: v[index] for k, v in self.columns.items()})

    def signals(self):
        return np.stack([self.columns[c] for c in CHANNELS], axis=1)

    def text(self, separator=",", decimal=".", digits=6):
        lines = [separator.join(self.columns)]
        texts = []
        for name, values in self.columns.items():
            if values.dtype.kind == "f":
                pattern = "%.9f" if name == "t" else f"%.{digits}f"
                column = [pattern % v if v == v else "" for v in values.tolist()]
                texts.append([c.replace(".", decimal) for c in column])
            else:
                texts.append([str(v) for v in values])
        lines += [separator.join(row) for row in zip(*texts, strict=True)]
        return "\n".join(lines) + "\n"


def synthetic(seconds=120, rate_hz=50.0, seed=0):
    """A person who stands, walks and turns the sensor; gravity follows the angular rate exactly."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate_hz)
    t = np.arange(n) / rate_hz
    smooth = np.exp(-0.5 * (np.arange(-50, 51) / 15.0) ** 2)
    smooth /= np.sqrt((smooth**2).sum())
    omega = np.stack([np.convolve(rng.normal(size=n + 100), smooth, "valid") for _ in range(3)], 1)
    phase = (t // 10).astype(int) % 3
    labels = np.array(["standing", "walking", "reaching"])[phase]
    omega *= np.array([0.01, 0.8, 1.5])[phase][:, None]
    walking = (phase == 1)[:, None]
    step = 2 * np.pi * 1.8 * t
    swing = np.stack([np.sin(step), 1.4 * np.sin(2 * step + 1), 0.7 * np.cos(step)], 1)
    omega += walking * swing[:, ::-1] * 0.6
    gravity = np.empty((n, 3))
    now = np.array([0.2, 0.3, 0.93]) * G / np.linalg.norm([0.2, 0.3, 0.93])
    for i in range(n):
        gravity[i] = now
        angle = np.linalg.norm(omega[i]) / rate_hz
        axis = omega[i] / max(np.linalg.norm(omega[i]), 1e-12)
        turned = now * np.cos(angle) - np.cross(axis, now) * np.sin(angle)
        now = turned + axis * (axis @ now) * (1 - np.cos(angle))
    acc = gravity + walking * swing * 1.5 + rng.normal(scale=0.03, size=(n, 3))
    gyro = omega + rng.normal(scale=0.01, size=(n, 3)) + np.array([0.004, -0.003, 0.006])
    columns = {"t": t, **dict(zip(CHANNELS, np.concatenate([acc, gyro], 1).T, strict=True))}
    return Table({**columns, "label": labels})


def real(name="hapt", seconds=180):
    """The first recording of a real data set in SI units; None if the shared data are absent."""
    path = IMU / name / f"{name}.parquet"
    if not path.exists():
        return None
    import pyarrow.parquet as pq

    group = (
        pq.ParquetFile(path).read_row_group(0).to_pandas().query("recording_id == 'exp01_user01'")
    )
    group = group.iloc[: int(seconds * 50)]
    columns = {"t": np.arange(len(group)) / 50.0}
    for channel in CHANNELS:
        scale = G if channel.startswith("acc") else 1.0
        columns[channel] = group[channel].to_numpy(float) * scale
    return Table({**columns, "label": group["label"].to_numpy(str)})
