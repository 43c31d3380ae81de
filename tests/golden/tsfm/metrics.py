"""Scoring rules, splits and window labels."""

from typing import Any

import numpy as np

from otolith.metrics import protocols_tsfm as tsfm
from otolith.metrics.classification import report_classification
from otolith.metrics.protocols_tsfm_splits import label_windows, split_windows
from tests.golden.harness import Case


def run(case: Case) -> dict[str, Any]:
    """Compute every output of a case."""
    s = case.settings
    fine, simple = _groups(s["label_groups_fine"]), _groups(s["label_groups_simple"])
    io = {name: tensor.numpy() for name, tensor in case.io.items()}
    out = _label_scores(s, io, fine) | _fine_tuned(s, io)
    out |= _embedding_scores(s, io, fine, simple) | _splits(s, io)
    raw = io["winlab.raw"][..., s["window_label"]["label_column"]]
    out["winlab.out"] = label_windows(raw, subtract_minimum=True)
    return out


def _groups(entries: list[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        for label in entry["labels"]:
            found.setdefault(label, entry["group"])
    return found


def _percent(prefix: str, scores: tsfm.GroupScores) -> dict[str, float]:
    return {
        f"{prefix}.accuracy": 100 * scores.accuracy,
        f"{prefix}.f1_macro": 100 * scores.macro_f1,
        f"{prefix}.f1_weighted": 100 * scores.weighted_f1,
        f"{prefix}.n_samples": scores.num_samples,
    }


def _fraction(prefix: str, scores: tsfm.GroupScores) -> dict[str, Any]:
    return {
        f"{prefix}.accuracy": scores.accuracy,
        f"{prefix}.f1_macro": scores.macro_f1,
        f"{prefix}.f1_weighted": scores.weighted_f1,
        f"{prefix}.mrr": scores.mean_reciprocal_rank,
    }


def _label_scores(s: dict[str, Any], io: dict[str, Any], groups: dict[str, str]) -> dict[str, Any]:
    known, activities = s["training_labels"], s["activities"]
    mask = tsfm.mask_closed_set(known, activities, groups)
    truth = [activities[i] for i in io["y"]]
    # The names of these two end with the number of training labels.
    (logits,) = (value for name, value in io.items() if name.startswith("logits"))
    (mask_name,) = (name for name in io if name.startswith("closed_set_mask"))
    out: dict[str, Any] = {mask_name: mask}
    for prefix, allowed in (("open", None), ("closed", mask)):
        predicted = tsfm.predict_labels(logits, allowed)
        out[f"{prefix}.pred"] = predicted
        out |= _percent(prefix, tsfm.score_groups(truth, [known[i] for i in predicted], groups))
    out["aggregated_logits"] = tsfm.aggregate_logits(
        logits, known, activities, groups, no_match=s["no_match_value"]
    )
    mappable = tsfm.find_mappable(known, activities, groups)
    out["coverage"] = len(mappable) / len(activities)
    out["expected/mappable"] = mappable
    out["expected/ambiguity_safe_map"] = tsfm.map_ambiguity_safe(known, activities, groups)
    return out


def _fine_tuned(s: dict[str, Any], io: dict[str, Any]) -> dict[str, Any]:
    report = report_classification(io["y"], io["ft.pred"], s["activities"])
    return {
        "ft.accuracy": 100 * report.accuracy,
        "ft.f1_macro_fixed": 100 * report.macro_f1,
        "ft.f1_macro_observed": 100 * report.macro_f1_observed,
        "ft.f1_weighted": 100 * report.weighted_f1,
    }


def _embedding_scores(
    s: dict[str, Any], io: dict[str, Any], fine: dict[str, str], simple: dict[str, str]
) -> dict[str, Any]:
    labels, truth = s["retrieval"]["unique_labels"], s["retrieval"]["query_labels"]
    queries, bank = io["ret.imu"], io["ret.label_emb"]
    out: dict[str, Any] = {}
    for prefix, groups in (("ret.groups1", fine), ("ret.groups0", {})):
        found = tsfm.recall_labels(queries, bank, truth, labels, groups, ks=s["retrieval"]["k"])
        out |= {f"{prefix}.semantic_recall@{k}": v for k, v in found.items()}
    for prefix, groups in (("group", fine), ("group_simple", simple)):
        out |= _fraction(prefix, tsfm.score_nearest_label(queries, bank, truth, labels, groups))
    vote = tsfm.score_majority_vote(
        io["mv.patch_emb"], io["mv.patch_mask"], bank, truth, labels, fine
    )
    out |= _fraction("mv", vote)
    texts = bank[np.array([labels.index(label) for label in truth])]
    quality = tsfm.measure_embeddings(
        queries, texts, truth, fine if s["retrieval"]["quality_uses_groups"] else {}
    )
    names = {
        "imu_text_alignment": quality.alignment,
        "imu_text_alignment_std": quality.alignment_std,
        "cross_modal_gap": quality.modality_gap,
        "cross_modal_gap_std": quality.modality_gap_std,
        "intra_class_distance": quality.intra_class_distance,
        "inter_class_distance": quality.inter_class_distance,
        "class_separability": quality.class_separability,
    }
    return out | {f"quality.{name}": value for name, value in names.items()}


def _splits(s: dict[str, Any], io: dict[str, Any]) -> dict[str, Any]:
    settings, out = s["split"], {}
    for rate in settings["label_rates"]:
        split = split_windows(
            io["split.labels"],
            label_rate=rate,
            seed=settings["seed"],
            train_share=settings["train_fraction"],
            validation_share=settings["val_fraction"],
            is_balanced=settings["balanced"],
        )
        parts = {"train": split.train, "val": split.validation, "test": split.test}
        for part, indices in parts.items():
            out[settings["name_pattern"].format(label_rate=rate, part=part)] = indices
    return out
