"""Patch layouts, losses, position tables and pooling, without weights."""

import torch

from otolith.encoders._evi_blocks import pair_mean, sinusoid_table
from otolith.encoders._tubelets import from_tubelets, to_tubelets
from otolith.objectives import modality_contrast, scaled_cosine, tubelet_reconstruction


def run(case):
    io, settings = case.io, case.settings
    patch = (1, settings["imu_patch_size"], settings["imu_patch_size"])
    tubelet = (settings["tubelet_size"], *[settings["video_patch_size"]] * 2)
    values = {
        "imu": to_tubelets(io["imu"].permute(0, 3, 2, 1)[:, None], patch),
        "video": to_tubelets(io["video"].permute(0, 2, 3, 4, 1), tubelet),
    }
    grid = (
        1,
        settings["imu_plot_height"] // settings["imu_patch_size"],
        settings["imu_target_length"] // settings["imu_patch_size"],
    )
    assert settings["pool_kernel"] == settings["pool_stride"] == 2
    got = {
        "imu_patches": values["imu"],
        "video_patches": values["video"],
        "imu_unpatchified": from_tubelets(values["imu"], patch, grid)[:, 0].permute(0, 3, 1, 2),
        "pool_out": pair_mean(io["pool_in"]),
    }
    for is_normalised in settings["norm_pix_loss_values"]:
        objective = tubelet_reconstruction.Objective(
            tubelet_reconstruction.Config(
                is_target_normalised=is_normalised, eps=settings["pixel_norm_eps"]
            )
        )
        for name, target in values.items():
            loss = objective(io[f"pred_{name}"], target, io[f"mask_{name}"].bool())
            got[f"mae_loss_{name}_normpix{int(is_normalised)}"] = loss.total
    for both in settings["contrast_bidirectional_values"]:
        objective = modality_contrast.Objective(
            modality_contrast.Config(
                temperature=settings["contrast_temperature"], both_directions=both
            )
        )
        loss = objective(io["contrast_imu"], io["contrast_video"])
        got[f"contrast_loss_bi{int(both)}"] = loss.total
        got[f"contrast_acc_bi{int(both)}"] = loss.parts["contrast_accuracy"]
    for alpha in settings["sce_alphas"]:
        objective = scaled_cosine.Objective(scaled_cosine.Config(alpha=alpha))
        loss = objective(io["contrast_imu"], io["contrast_video"])
        got[f"sce_loss_alpha{alpha}"] = loss.total
    for table in settings["sinusoid_tables"]:
        got[table["output"]] = _table(table, io[table["output"]])
    return got


def _table(entry, like):
    """A whole position table, or the corners of a large one."""
    table = sinusoid_table(entry["positions"], entry["dim"])
    if entry["rows"] == "all":
        return table.view(like.shape)
    rows, columns = like.shape[0] // 2, like.shape[1]
    return torch.cat([table[:rows, :columns], table[-rows:, -columns:]])
