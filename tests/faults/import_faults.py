"""All faults, in the order of what they damage: text and columns, time, values, labels."""

from tests.faults import (
    faults_of_labels,
    faults_of_text_and_columns,
    faults_of_time,
    faults_of_values,
)
from tests.faults.fault_catalogue import FAULTS

PARTS = (faults_of_text_and_columns, faults_of_time, faults_of_values, faults_of_labels)
__all__ = ["FAULTS", "PARTS"]
