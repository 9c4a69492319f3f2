"""Evaluate a bundle on a split: everything that can be said of it, and the files that say it."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trisent import __version__
from trisent.checkpoint import Bundle, load_bundle
from trisent.compute import check_device_name, choose_device
from trisent.data.dataset import Dataset
from trisent.errors import BundleError, UsageError
from trisent.evaluation.bootstrap import Resampling, refuse_negative_seed
from trisent.evaluation.predictions import Numbers, Predictions
from trisent.evaluation.reliability import Bin, reliability
from trisent.evaluation.sheet import ScoreSheet, score_sheet
from trisent.evaluation.writing import predictions_csv
from trisent.files import json_bytes, write_whole
from trisent.i18n import t
from trisent.runs.exam import Exam, column_stds, presence
from trisent.runs.modalities import Modalities, judge_subsets, name_of
from trisent.runs.openings import record_opening
from trisent.runs.robustness import Robustness, measure_robustness
from trisent.runs.source import Source, fitted_to, length_column, relation, with_own_text
from trisent.runs.text_ridge import TextRidge, text_ridge
from trisent.training.record import predictions_on
from trisent.types import OnProgress, no_progress

EVALUATED = ("valid", "test")
_WORST = 12


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to evaluate.

    Attributes:
        split: "valid", or "test": each look at it is written into the bundle's test log.
        resamples: of whole videos, for 95 % intervals; 0 for none.
        seed: of all that is drawn.
        robustness: also judge the split spoiled in many ways.
        device: "auto", "cpu", "cuda" or "cuda:N".
    """

    split: str = "valid"
    resamples: int = 1000
    seed: int = 0
    robustness: bool = True
    device: str = "auto"

    def __post_init__(self) -> None:
        check_device_name(self.device)
        if self.split not in EVALUATED:
            message = "{name} must be one of {names}, got {value!r}"
            raise UsageError(t(message, name="split", names=", ".join(EVALUATED), value=self.split))
        refuse_negative_seed(self.seed)
        if self.resamples:
            Resampling(self.resamples, self.seed)  # refuses too few

    @property
    def resampling(self) -> Resampling | None:
        """How to draw intervals; None for none."""
        return Resampling(self.resamples, self.seed) if self.resamples else None


@dataclass(frozen=True, slots=True)
class Mistake:
    """An utterance that was judged badly; `shares` says what each modality added."""

    id: str
    video: str
    text: str
    label: float
    prediction: float
    shares: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "id": self.id,
            "video": self.video,
            "text": self.text,
            "label": self.label,
            "prediction": self.prediction,
            "shapley": self.shares,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that is known of one bundle on one split.

    Attributes:
        name: of the bundle.
        model_sha256: of its weights.
        data: the data set: name, digests, split, scale of its sentiment, and its `relation` to the training.
        opened: how often the test split was opened with these weights; None for another split.
        history: what history.json holds, when there is one.
    """

    name: str
    bundle: Bundle
    model_sha256: str
    data: dict[str, Any]
    sheet: ScoreSheet
    reliability: tuple[Bin, ...]
    ridge: TextRidge | None
    modalities: Modalities
    robustness: Robustness | None
    worst: tuple[Mistake, ...]
    opened: int | None
    history: dict[str, Any] | None

    @property
    def split(self) -> str:
        """The split that was judged."""
        return str(self.data["split"])

    def statements(self) -> list[str]:
        """Say what a reader must know beside the numbers."""
        said = []
        if self.opened is not None:
            said.append(t("test opened {n} times with this model", n=self.opened))
        match self.data["relation"]:
            case "other data":
                message = "{name} is not the data set that the model was trained on: this measures generalisation"
                said.append(t(message, name=self.data["name"]))
            case "other split":
                message = "{name} is split otherwise than in training: what is judged may have been learnt"
                said.append(t(message, name=self.data["name"]))
            case "unknown":
                said.append(t("the bundle does not say which data it was trained on"))
        if self.bundle.synthetic:
            said.append(t("THE DATA ARE SYNTHETIC: these scores mean nothing, this model judges nothing."))
        return said

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; what is not defined is None."""
        return {
            "trisent": __version__,
            "bundle": {"name": self.name, "model": self.bundle.model_name, "model_sha256": self.model_sha256},
            "data": self.data,
            "test_opened": self.opened,
            "statements": self.statements(),
            **self.sheet.to_json(),
            "reliability": [b.to_json() for b in self.reliability],
            "text_ridge": self.ridge and self.ridge.to_json(),
            "modalities": self.modalities.to_json(),
            "robustness": self.robustness and self.robustness.to_json(),
            "worst": [mistake.to_json() for mistake in self.worst],
        }


def evaluate_bundle(
    folder: Path,
    source: Source,
    *,
    options: EvaluateOptions,
    log_folder: Path | None = None,
    on_progress: OnProgress = no_progress,
) -> Evaluation:
    """Judge a split with a bundle and measure everything; writes nothing but, for test, a line of the test log.

    Args:
        folder: of the bundle.
        source: the data set.
        options: which split, and what to measure.
        log_folder: where the test log is; the bundle's folder unless said otherwise.
        on_progress: told of passes over the utterances and of resamples.

    Raises:
        BundleError: the bundle is broken.
        DataError: the split is not there, or its features are not those the bundle takes.
    """
    bundle, model = load_bundle(folder)
    whole = with_own_text(folder, bundle, source.dataset, split=options.split, device=options.device)
    dataset = fitted_to(bundle, whole, split=options.split)
    index = dataset.index(options.split)
    exam = Exam(model.to(choose_device(options.device)), dataset, index, bundle.cleaning)
    judged = exam.judge()
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    opened = None
    if options.split == "test":
        said = hashlib.sha256(json.dumps([dataset.ids[i] for i in index]).encode())
        said.update(judged.sentiment.tobytes() + judged.probabilities.tobytes())
        log = log_folder or folder
        opened = record_opening(log, model=weights, data=source.digest, predictions=said.hexdigest())
    predictions = predictions_on(dataset, index, judged)
    sheet = _sheet(exam, predictions, options=options, on_progress=on_progress)
    modalities = judge_subsets(exam, on_progress=on_progress)
    robustness = None
    if options.robustness:
        robustness = measure_robustness(
            exam,
            untouched=exam.measure(predictions.predicted),
            stds=_units_of_noise(exam),
            seed=options.seed,
            on_progress=on_progress,
        )
    data = {
        "name": dataset.name,
        "split": options.split,
        "sha256": source.digest,
        "split_sha256": source.split_digest,
        "scale": list(dataset.scale),
        "relation": relation(source, bundle),
        "predictions_sha256": hashlib.sha256(predictions_csv(predictions)).hexdigest(),
    }
    return Evaluation(
        name=folder.resolve().name,
        bundle=bundle,
        model_sha256=weights,
        data=data,
        sheet=sheet,
        reliability=reliability(predictions),
        ridge=text_ridge(whole, index, predictions, cleaning=bundle.cleaning, resampling=options.resampling),
        modalities=modalities,
        robustness=robustness,
        worst=_worst(dataset.take(index), predictions, modalities),
        opened=opened,
        history=_history(folder),
    )


def results_folder(folder: Path, evaluation: Evaluation) -> Path:
    """Choose where results go: the run's folder, or on-NAME in it when the data are not those of its training."""
    elsewhere = evaluation.data["relation"] in ("other data", "other split")
    return folder / f"on-{Path(evaluation.data['name']).name}" if elsewhere else folder


def write_files(folder: Path, evaluation: Evaluation, *, page: str, table: str) -> tuple[Path, ...]:
    """Write predictions, figures, report and table into `folder`, whole or not at all; return their paths."""
    split = evaluation.split
    files = {
        f"predictions-{split}.csv": predictions_csv(evaluation.sheet.predictions),
        f"table-{split}.tex": table.encode(),
        f"report-{split}.html": page.encode(),
        f"evaluation-{split}.json": json_bytes(evaluation.to_json(), indent=2) + b"\n",
    }
    write_whole(folder, files)
    return tuple(folder / name for name in files)


def _sheet(exam: Exam, predictions: Predictions, *, options: EvaluateOptions, on_progress: OnProgress) -> ScoreSheet:
    """Score, broken down by video, length, and which modalities an utterance has."""
    dataset, examples = exam.dataset.take(exam.index), exam.examples()
    there = presence(examples)
    has = tuple(name_of(frozenset(m for m in there if there[m][i])) for i in range(len(exam)))
    lengths = length_column(dataset, examples.lengths)
    by = [*(["video"] if predictions.videos else []), *(["length"] if lengths else []), "modalities"]
    described = replace(predictions, columns={**lengths, "modalities": has})
    sheet = score_sheet(described, resampling=options.resampling, by=by, on_progress=on_progress)
    return replace(sheet, predictions=predictions)


def _units_of_noise(exam: Exam) -> Any:
    """Give the columns' standard deviations on the labelled train split; on the judged utterances without one."""
    train = exam.dataset.index("train")
    train = train[np.isfinite(exam.dataset.sentiment[train])]
    return column_stds(replace(exam, index=train if len(train) else exam.index).examples())


def _worst(dataset: Dataset, predictions: Predictions, modalities: Modalities) -> tuple[Mistake, ...]:
    errors: Numbers = np.abs(predictions.predicted - predictions.truth)
    videos = predictions.videos or ("",) * len(dataset)
    return tuple(
        Mistake(
            dataset.ids[i],
            videos[i],
            dataset.texts[i],
            float(predictions.truth[i]),
            float(predictions.predicted[i]),
            {m: float(values[i]) for m, values in modalities.shares.items()},
        )
        for i in np.argsort(-errors, kind="stable")[:_WORST].tolist()
    )


def _history(folder: Path) -> dict[str, Any] | None:
    path = folder / "history.json"
    if not path.is_file():
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return read if isinstance(read, dict) and isinstance(read.get("epochs"), list) else None
    except ValueError as error:
        message = "{path} cannot be read ({reason}). Remove it, or train again into its folder."
        raise BundleError(t(message, path=path, reason=error)) from error
