"""Label bank with one and with several prototypes, and mean pooling."""

from otolith.heads import label_bank
from otolith.systems._tsfm_align_official import bank_names
from tests.golden.tsfm._convert import fill


def run(case):
    s = case.settings
    assert s["similarity_reduction"] == "max"
    tokens, mask = case.io["tokens"], case.io["mask"]
    got = {}
    for name, prototypes in (("single", 1), ("multi", s["num_prototypes"])):
        config = label_bank.Config(
            width=s["d_model"],
            num_heads=s["num_heads"],
            num_queries=s["num_queries"],
            num_prototypes=prototypes,
        )
        weights = case.section(s[f"{name}_weight_prefix"])
        head = fill(label_bank.Head(config), weights, bank_names(prototypes))
        got[name] = head(tokens, mask)
        got[f"{name}_unnorm"] = head(tokens, mask, normalize=False)
        got[f"similarity_{name}"] = label_bank.similarity(case.io["imu"], case.io[name])
    plain = label_bank.Head(label_bank.Config(width=s["d_model"], use_mean_pooling=True))
    got["mean_pool"] = plain(tokens, mask)
    got["mean_pool_unnorm"] = plain(tokens, mask, normalize=False)
    return got
