"""Scores of the classifiers."""

import numpy as np
import torch
import torch.nn.functional as F

from otolith.metrics.multi_class import average_precision, mean_of_batch_means, report_logits


def run(case):
    s, io = case.settings, case.io
    logits, truth = io["logits"], io["targets"]
    losses = F.cross_entropy(logits, truth, reduction="none")
    report = report_logits(logits.numpy(), truth.numpy())
    rows = torch.tensor(s["absent_class_rows"])
    is_class = truth[rows][:, None].numpy() == np.arange(s["num_classes"])
    return {
        "valid_loss": mean_of_batch_means(losses.numpy(), s["batch_size"]),
        "acc1": 100 * report.top1,
        "acc5": 100 * report.top5,
        "mAP": report.mean_average_precision,
        "mAUC": report.mean_roc_auc,
        "per_class_accuracy": report.class_accuracy_K,
        "average_precision": report.average_precision_K,
        "roc_auc": report.roc_auc_K,
        "average_precision_absent_class": average_precision(logits[rows].numpy(), is_class),
    }
