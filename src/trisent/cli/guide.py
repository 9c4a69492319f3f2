"""What the guide's entry scripts run. They speak Chinese, as the guide does, and fail in one line.

Each function returns the exit code: 0, that of the error, or 130 after Ctrl-C.
"""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

from trisent.cli.guard import guarded
from trisent.i18n import set_language, t
from trisent.types import Modality

_DATA_DIR = Path("data/mosei/processed_cleaned_correct")  # the guide's


def bert() -> int:
    """Run `python src/features/bert_extractor.py`: fetch BERT if need be, and try it."""
    return _in_chinese(lambda: _extractor("text"))


def wav2vec() -> int:
    """Run `python src/features/wav2vec_extractor.py`: fetch wav2vec 2.0 if need be, and try it."""
    return _in_chinese(lambda: _extractor("audio"))


def resnet() -> int:
    """Run `python src/features/resnet_extractor.py`: fetch ResNet-50 if need be, and try it."""
    return _in_chinese(lambda: _extractor("video"))


def fusion() -> int:
    """Run `python src/models/fusion_module_v2.py`: test the fusion module."""

    def work() -> None:
        import torch

        from trisent.fusion.check import check_fusion

        # A few rows at a time: on a busy machine, threads that wait for each other cost 40 times what they bring.
        torch.set_num_threads(1)
        check_fusion(print)

    return _in_chinese(work)


def train() -> int:
    """Run `python scripts/train_pretrained.py`: train on a folder of the guide and write a bundle."""
    return _in_chinese(_train)


def _in_chinese(work: Callable[[], None]) -> int:
    set_language("zh")
    return guarded(work)


def _extractor(modality: Modality) -> None:
    from trisent.cli.console import progress
    from trisent.extractors.check import check_extractor

    # Every failed try of every source is a warning, as are weights that are not the catalog's; the check sums it up.
    for name in ("trisent.weights.sources", "trisent.weights.placed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with progress(of_bytes=True) as on_progress:
        check_extractor(modality, print, on_progress=on_progress)


def _train() -> None:
    from trisent.cli.train import run

    arguments = vars(_parser().parse_args())
    run(arguments.pop("data_dir"), **arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=t("Train a fusion model on features extracted before."))
    add = parser.add_argument
    add("--data-dir", type=Path, default=_DATA_DIR, help=t("folder with train.npz, val.npz and test.npz"))
    add("--epochs", type=int, default=50, help=t("passes over the training split, at most"))
    add("--batch-size", type=int, default=32, help=t("utterances a step"))
    add("--lr", type=float, default=1e-4, help=t("learning rate of AdamW"))
    add("--device", default="auto", help=t("auto, cpu, cuda or cuda:N"))
    add("--model", default="concat", help=t("name of the fusion model"))
    add("--out", type=Path, help=t("folder of the bundle; runs/MODEL unless said otherwise"))
    add("--seed", type=int, default=0, help=t("seed of everything random"))
    add("--preset", help=t("whose extractors made the features, such as pretrained; needed to judge a video"))
    return parser
