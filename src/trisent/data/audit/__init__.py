"""Audit of a data set: what is wrong with it, how much, where, why it matters and what to do."""

from pathlib import Path

import numpy as np

from trisent.data.audit.baselines import Baseline, baselines
from trisent.data.audit.columns import measure
from trisent.data.audit.describe import Description, describe
from trisent.data.audit.features import check_features
from trisent.data.audit.findings import Finding, Repeat, Report, ranked
from trisent.data.audit.labels import check_labels
from trisent.data.audit.leaks import check_columns_against_label, check_order, check_probes
from trisent.data.audit.probe import probe
from trisent.data.audit.rows import check_rows
from trisent.data.audit.splits import check_files, check_ids, check_splits
from trisent.data.audit.texts import check_texts
from trisent.data.audit.timing import check_timing
from trisent.data.dataset import Dataset
from trisent.i18n import t

__all__ = ["Baseline", "Description", "Finding", "Repeat", "Report", "audit", "describe"]


def audit(dataset: Dataset, *, path: Path | None = None) -> Report:
    """Look for everything that is known to go wrong with data sets of this field.

    Args:
        path: the file or folder it was read from, to compare SHA-256 sums with published ones.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # sums of numbers near the end of float32, which are findings
        return _audit(dataset, path)


def _audit(dataset: Dataset, path: Path | None) -> Report:
    findings = [*check_splits(dataset), *check_ids(dataset), *check_labels(dataset), *check_timing(dataset)]
    said, repeats = check_texts(dataset)
    findings += [*said, *check_order(dataset)]
    columns = {modality: measure(s) for modality, s in dataset.features.items()}
    probes = []
    for modality, c in columns.items():
        findings += [*check_features(dataset, modality, c), *check_columns_against_label(dataset, modality, c)]
        same, pairs = check_rows(dataset, modality, c)
        findings, repeats = findings + same, repeats + pairs
        if (probed := probe(dataset, modality, c)) is not None:
            probes.append(probed)
    findings += check_probes(probes)
    if path is not None:
        findings += check_files(path)
    constants = baselines(dataset)
    findings += _baseline_note(constants)
    return Report(describe(dataset), ranked(findings), constants, tuple(repeats), columns)


def _baseline_note(constants: tuple[Baseline, ...]) -> list[Finding]:
    if not constants:
        return []
    last = constants[-1].split
    on_last = [b for b in constants if b.split == last]
    best = {
        "MAE": min(b.mae for b in on_last),
        "Acc-7": max(b.acc7_round for b in on_last),
        "Acc-2 has0": max(b.acc2_has0 for b in on_last),
        "Acc-2 non0": max(b.acc2_non0 for b in on_last),
    }
    figures = ", ".join(f"{name} {value:.4f}" for name, value in best.items() if value == value)
    return [
        Finding(
            "note",
            "baseline.constant",
            t("a constant scores on {split}: {figures}", split=last or t("no split"), figures=figures),
            on_last[0].n,
            t("a model that is not better than that has learned nothing"),
            t("put these figures beside every score; all of them are in the report"),
        )
    ]
