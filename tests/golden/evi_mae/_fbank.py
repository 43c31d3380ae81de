"""Settings of the filter bank of a case."""

from otolith.signals.fbank import Config


def fbank_config(settings):
    """The filter bank that a case describes."""
    assert settings["window"] == "hann_periodic"
    assert settings["center"]
    assert settings["pad_mode"] == "reflect"
    assert not settings["normalized"]
    assert settings["short_maps"].startswith("zeros")
    return Config(
        num_frames=settings["target_frames"],
        num_bins=settings["keep_bins"],
        fft_size=settings["n_fft"],
        window_samples=settings["win_length"],
        hop_samples=settings["hop_length"],
        subtract_mean=settings["subtract_channel_mean"],
        power=settings["power"],
        db_per_decade=settings["db_multiplier"],
        floor=settings["db_amin"],
        range_db=settings["db_top"],
        padding_db=0.0,
        lowpass_zeros=settings["resample_lowpass_filter_width"],
        rolloff=settings["resample_rolloff"],
        stretch_base=settings["resample_orig_rate"],
    )
