import torch

from otolith.encoders._evi_decoder import Config, Decoder
from otolith.encoders._mae import select_tokens


def test_wanted_tokens_are_those_of_all():
    torch.manual_seed(0)
    config = Config(width=12, depth=2, num_heads=2)
    decoder = Decoder(config, 10, {"imu": 6, "video": 9}, {"imu": 4, "video": 5}).eval()
    keep = {"imu": torch.tensor([[4, 0], [1, 2]]), "video": torch.tensor([[8, 3], [5, 0]])}
    wanted = {
        "imu": torch.tensor([[5, 1, 2], [0, 3, 4]]),
        "video": torch.tensor([[0, 7], [8, 1]]),
    }
    latent = torch.randn(2, 4, 10)
    whole, some = decoder(latent, keep), decoder(latent, keep, wanted)
    assert whole["imu"].shape == (2, 6, 12)
    for name, numbers in wanted.items():
        torch.testing.assert_close(
            some[name], select_tokens(whole[name], numbers), atol=1e-5, rtol=1e-5
        )
