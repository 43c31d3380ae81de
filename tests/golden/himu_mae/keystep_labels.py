"""Verb and class of every window."""

from otolith.datasets._egoexo4d_windows import Quirks, label_verb, verb_table


def run(case):
    roles = case.settings["file_roles"]
    takes = case.json(roles["annotations"])["annotations"]
    verbs = verb_table(case.json(roles["step_to_verb"]))
    clean = case.json(roles["verb_to_class"])
    class_of = dict(zip(clean["verb_idx"], clean["act_idx"], strict=True))
    found = [
        label_verb(
            w["start_sec"], w["end_sec"], takes.get(w["take_uid"], {}).get("segments", []), verbs,
            Quirks.upstream(),
        )
        for w in case.json(roles["windows"])
    ]  # fmt: skip
    return {
        "verb_idx": found,
        "act_idx_of_kept_windows": [class_of[v] for v in found if v in class_of],
    }
