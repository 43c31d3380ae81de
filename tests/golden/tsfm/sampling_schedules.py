"""Balanced sampling weights, channel buckets and learning-rate schedules."""

import numpy as np

from otolith.windows.weights import group_balanced_weights, make_buckets


def run(case):
    from otolith.training.schedules import warmup_cosine, warmup_linear

    settings = case.settings
    group_of = {entry["label"]: entry["group"] for entry in settings["label_groups"]}
    groups = [group_of[s["label"]] for s in settings["sessions"] for _ in range(s["count"])]
    got = {
        w["name"]: group_balanced_weights(
            np.asarray(groups), w["temperature"], w["max_oversample_ratio"]
        )
        for w in settings["weights"]
    }
    bucket = settings["bucket"]
    keys = case.io["channel_counts"].numpy()
    present = set(keys.tolist())
    buckets = make_buckets(
        keys,
        got[bucket["weights"]],
        bucket["default_batch_size"],
        {key: size for key, size in bucket["batch_sizes"] if key in present},
    )
    got |= {
        "bucket_keys": buckets.keys_K,
        "bucket_probs": buckets.probabilities_K,
        "num_batches": buckets.num_batches,
    }
    two, one = settings["stage2_schedule"], settings["stage1_schedule"]
    got["lr_stage2_factor"] = [
        warmup_cosine(epoch, two["warmup_epochs"], two["epochs"], two["floor"])
        for epoch in range(two["epochs"])
    ]
    got["lr_stage1_factor"] = [
        warmup_linear(step, one["warmup_steps"], one["total_steps"])
        for step in range(one["total_steps"] + 1)
    ]
    return got
