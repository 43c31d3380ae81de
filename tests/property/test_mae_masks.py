"""For all masks: hidden patches change no visible token, and only visible ones are encoded."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otolith.core.randomness import sample_keys
from otolith.encoders import _mae_masks, imu_spectrogram_mae
from otolith.systems import himu_mae

CONFIG = imu_spectrogram_mae.Config(preset="debug")
torch.manual_seed(0)
ENCODER = imu_spectrogram_mae.Encoder(CONFIG).eval()
MASKS = st.builds(
    _mae_masks.Config,
    kind=st.sampled_from(["random", "time", "frequency", "grid"]),
    share=st.floats(0.1, 0.95),
    time_share=st.floats(0.1, 0.8),
    frequency_share=st.floats(0.1, 0.7),
)


@settings(max_examples=25, deadline=None)
@given(MASKS, st.integers(0, 10**6))
def test_hidden_patches_change_no_visible_token(config, seed):
    masking = _mae_masks.draw_masking(sample_keys(seed, 0, np.arange(3)), CONFIG.grid, config)
    patches = torch.randn(3, 32, CONFIG.num_values, generator=torch.Generator().manual_seed(seed))
    changed = torch.where(masking.hidden[..., None], 1e6, patches)
    seen = []
    handle = ENCODER.blocks[0].register_forward_hook(lambda m, i, o: seen.append(i[0].shape[1]))
    first, second = ENCODER.encode(patches, masking), ENCODER.encode(changed, masking)
    handle.remove()
    assert torch.equal(first, second)
    assert seen == [1 + masking.keep_BK.shape[1]] * 2


@settings(max_examples=10, deadline=None)
@given(MASKS, st.integers(0, 10**6))
def test_visible_patches_are_no_part_of_the_target(config, seed):
    system = himu_mae.System(
        himu_mae.Config(encoder=CONFIG, decoder={"width": 16, "num_heads": 2, "num_layers": 1})
    ).eval()
    masking = _mae_masks.draw_masking(sample_keys(seed, 0, np.arange(2)), CONFIG.grid, config)
    patches = torch.randn(2, 32, CONFIG.num_values)
    seen = []
    system.objective.register_forward_hook(lambda m, i, o: seen.append(i[1]))
    system.compare(patches, masking)
    hidden = patches.gather(1, masking.hide_BM[..., None].expand(-1, -1, patches.shape[2]))
    assert torch.equal(seen[0], hidden)
