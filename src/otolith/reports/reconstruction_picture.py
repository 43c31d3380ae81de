"""Picture of a masked reconstruction: what a model saw and what it made of it.

One row per channel: the spectrogram, the same with the hidden patches missing, the reconstruction,
and the signals of the first and the last.
"""

# C channels, T samples, H rows and W columns of a map

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.errors import DataError
from otolith.core.files import atomic_path
from otolith.reports.drawing import PALETTE
from otolith.signals.spectrogram import Config, denormalise
from otolith.signals.spectrogram_inverse import signal_from_map
from otolith.systems.himu_mae import Reconstruction

_TITLES = ("input (dB)", "masked", "reconstructed")
_MAX_CHANNELS = 12


def draw_reconstruction(
    found: Reconstruction,
    config: Config,
    path: Path,
    *,
    sample: int = 0,
    channels: tuple[str, ...] = (),
) -> Path:
    """Draw one sample of a reconstruction as spectrograms and as signals.

    Args:
        found: From `reconstruct` of the system `himu_mae`.
        config: Settings of the spectrogram, `system.encoder.config.processor.spectrogram`.
        path: PNG file to write.
        sample: Which sample of the batch.
        channels: Names of the channels; empty = numbers.

    Returns:
        `path`.

    Raises:
        DataError: There is no such sample.
    """
    num_samples, num_channels = found.image_BCHW.shape[:2]
    if not 0 <= sample < num_samples:
        raise DataError(
            f"There is no sample {sample} among {num_samples}.", "Choose one from 0 on."
        )
    from matplotlib.figure import Figure

    shown = min(num_channels, _MAX_CHANNELS)
    image = denormalise(found.image_BCHW[sample], config)[:shown].cpu().numpy()
    predicted = denormalise(found.predicted_BCHW[sample], config)[:shown].cpu().numpy()
    hidden = found.hidden_BHW[sample].cpu().numpy()
    signal = found.signal_BCT[sample]
    again = signal_from_map(found.predicted_BCHW[sample], signal, config).cpu().numpy()
    names = channels or tuple(f"channel {i}" for i in range(shown))
    figure = Figure(figsize=(15, 0.6 + 1.9 * shown), layout="constrained")
    axes = figure.subplots(shown, 4, squeeze=False, sharex=True)
    duration_s = signal.shape[1] / config.rate_hz
    for row in range(shown):
        masked = np.ma.array(image[row], mask=hidden)
        low, high = np.percentile(image[row], (2, 99.8))
        for column, values in enumerate((image[row], masked, predicted[row])):
            drawn = axes[row, column].imshow(
                values, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high,
                extent=(0, duration_s, 0, config.rate_hz / 2), interpolation="nearest",
            )  # fmt: skip
            axes[row, column].set_facecolor("#c9ced6")
        figure.colorbar(drawn, ax=axes[row, 2], pad=0.01)
        _signals(axes[row, 3], signal[row].cpu().numpy(), again[row], config.rate_hz)
        axes[row, 0].set_ylabel(f"{names[row]}\nHz")
    for column, title in enumerate((*_TITLES, "signal")):
        axes[0, column].set_title(title)
        axes[-1, column].set_xlabel("s")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path


def _signals(axis: Any, signal_T: np.ndarray, again_T: np.ndarray, rate_hz: float) -> None:
    """Input and reconstruction over time."""
    times_s = np.arange(len(signal_T)) / rate_hz
    axis.plot(times_s, signal_T, color=PALETTE[0], linewidth=1.1, label="input")
    axis.plot(times_s, again_T, color=PALETTE[1], linewidth=1.0, label="reconstructed")
    axis.legend(loc="upper right", fontsize=7, frameon=False)
    axis.margins(x=0)
