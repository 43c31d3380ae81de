"""Picture of a masked reconstruction: what a model saw and what it made of it.

One row per channel: the spectrogram, the same without the hidden patches, the reconstruction, and the
signals of the first and the last.
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

_TITLES = ("input", "what the model sees", "reconstruction", "as a signal")
_MAX_CHANNELS = 12
_HIDDEN = "#c9ced6"
_UNITS = {"m/s^2": "m/s²", "uT": "µT"}


def draw_reconstruction(
    found: Reconstruction,
    config: Config,
    path: Path,
    *,
    sample: int = 0,
    channels: tuple[str, ...] = (),
    units: tuple[str, ...] = (),
    title: str = "",
    note: str = "",
) -> Path:
    """Draw one sample of a reconstruction as spectrograms and as signals.

    All maps share one scale of colours, in decibels, from the 2nd to the 99.8th percentile of the input.

    Args:
        found: From `reconstruct` of the system `himu_mae`.
        config: Settings of the spectrogram, `system.encoder.processor.spectrogram`.
        path: PNG file to write.
        sample: Which sample of the batch.
        channels: Names of the channels; empty = numbers.
        units: Units of the channels' signals; empty = none.
        title: What the sample is.
        note: What a reader must know.

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
    image, predicted = (
        denormalise(maps[sample], config)[:shown].cpu().numpy()
        for maps in (found.image_BCHW, found.predicted_BCHW)
    )
    hidden = np.broadcast_to(found.hidden_BHW[sample].cpu().numpy(), image.shape)
    signal = found.signal_BCT[sample]
    again = signal_from_map(found.predicted_BCHW[sample], signal, config).cpu().numpy()
    names = channels or tuple(f"channel {i}" for i in range(shown))
    figure = Figure(figsize=(14, 1.1 + 1.75 * shown), layout="constrained")
    axes = figure.subplots(
        shown, 4, squeeze=False, sharex=True, width_ratios=(1, 1, 1, 1.15)
    )  # fmt: skip
    _maps(figure, axes, (image, np.ma.array(image, mask=hidden), predicted), config, signal)
    for row in range(shown):
        axes[row, 0].set_ylabel(f"{_plain(names[row])}\nfrequency (Hz)", fontsize=9)
        unit = units[row] if row < len(units) else ""
        _signals(axes[row, 3], signal[row].cpu().numpy(), again[row], config.rate_hz, unit)
    for column, name in enumerate(_TITLES):
        axes[0, column].set_title(name, fontsize=10)
        axes[-1, column].set_xlabel("time (s)", fontsize=9)
    _words(figure, axes[0, 3], title, note)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path


def hidden_error_db(found: Reconstruction, config: Config) -> tuple[float, float]:
    """Return the root mean square error of hidden pixels in dB: the model's, and that of a guess.

    The guess is the mean of the visible pixels of the same channel and row, or of the same channel
    where a whole row is hidden.

    Args:
        found: From `reconstruct`.
        config: Settings of the spectrogram.
    """
    image, predicted = (
        np.stack([denormalise(one, config).cpu().numpy() for one in maps])
        for maps in (found.image_BCHW, found.predicted_BCHW)
    )
    hidden_B1HW = found.hidden_BHW[:, None].cpu().numpy()
    seen_BCHW = np.broadcast_to(~hidden_B1HW, image.shape)
    kept, count = np.where(seen_BCHW, image, 0.0), seen_BCHW
    whole = kept.sum((2, 3), keepdims=True) / np.maximum(count.sum((2, 3), keepdims=True), 1)
    rows = kept.sum(3, keepdims=True) / np.maximum(count.sum(3, keepdims=True), 1)
    guess = np.where(count.any(3, keepdims=True), rows, whole)
    errors = [(values - image)[~seen_BCHW] for values in (predicted, guess)]
    mine, plain = (float(np.sqrt(np.mean(np.square(e)))) if e.size else 0.0 for e in errors)
    return mine, plain


def _maps(
    figure: Any, axes: Any, kinds: tuple[np.ndarray, ...], config: Config, signal: Any
) -> None:
    """The three columns of maps [C, H, W] and their scale."""
    low, high = np.percentile(kinds[0], (2, 99.8))
    extent = (0, signal.shape[1] / config.rate_hz, 0, config.rate_hz / 2)
    for column, maps in enumerate(kinds):
        for row, values in enumerate(maps):
            axis = axes[row, column]
            axis.imshow(
                values, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high,
                extent=extent, interpolation="nearest",
            )  # fmt: skip
            axis.set_facecolor(_HIDDEN)
            axis.tick_params(labelsize=8, labelleft=column == 0)
    bar = figure.colorbar(
        axes[0, 0].images[0],
        ax=axes[:, :3],
        location="left",
        pad=0.01,
        fraction=0.03,
        aspect=12 * len(axes),
    )
    bar.set_label("power (dB)", fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _signals(
    axis: Any, signal_T: np.ndarray, again_T: np.ndarray, rate_hz: float, unit: str
) -> None:
    """Input and reconstruction over time."""
    times_s = np.arange(len(signal_T)) / rate_hz
    axis.plot(times_s, signal_T, color=PALETTE[0], linewidth=1.4, label="input")
    axis.plot(times_s, again_T, color=PALETTE[1], linewidth=1.0, label="reconstruction")
    axis.yaxis.tick_right()
    axis.yaxis.set_label_position("right")
    axis.set_ylabel(_UNITS.get(unit, unit), fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25)
    axis.margins(x=0)


def _words(figure: Any, signals: Any, title: str, note: str) -> None:
    """Title on the left, legend on the right, and the note below."""
    from matplotlib.patches import Patch

    handles = [Patch(color=_HIDDEN, label="hidden"), *signals.get_legend_handles_labels()[0]]
    figure.legend(
        handles=handles, loc="outside upper right", ncols=3, fontsize=9, frameon=False
    )  # fmt: skip
    if title:
        figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=11, weight="bold")
    if note:
        figure.supxlabel(_plain(note), x=0.01, ha="left", fontsize=8, color="#5a6470")


def _plain(words: str) -> str:
    """Words that matplotlib does not read as a formula."""
    return words.replace("$", r"\$")
