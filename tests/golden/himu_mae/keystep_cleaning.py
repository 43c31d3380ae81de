"""Which verbs are kept, and how the classes are numbered."""

from otolith.datasets._egoexo4d_windows import common_verbs


def run(case):
    parts = {name: case.json(f"{name}.json") for name in ("train", "valid")}
    labels = {name: [w["label"] for w in windows] for name, windows in parts.items()}
    order = case.json("verbs.json")["verb_idx"]
    kept, train, valid = common_verbs(order, labels["train"], labels["valid"])
    got = {
        "verb_idx_of_class": kept,
        "act_idx": list(range(len(kept))),
        "train_counts": {str(k): v for k, v in train.items()},
        "valid_counts": {str(k): v for k, v in valid.items()},
    }
    for name, windows in parts.items():
        got[f"{name}_kept"] = [w["id"] for w in windows if w["label"] in kept]
    return got
