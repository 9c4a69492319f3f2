"""Search for settings of training and model by the score on valid; what is bad early is given up early.

The study is an SQLite file, so a search that was killed goes on where it was. The sampler is the tree-structured Parzen
estimator (Bergstra, Bardenet, Bengio and Kegl, "Algorithms for hyper-parameter optimization", NIPS 2011), the pruner
stops a trial whose score is worse than the median of earlier ones at the same epoch; both are optuna's.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from trisent.data.cleaning import FINITE, CleaningOptions
from trisent.errors import TrainingError, TrisentError, UsageError, one_line
from trisent.files import check_out, write_whole
from trisent.fusion.registry import build
from trisent.fusion.rehearsal import rehearse
from trisent.i18n import t
from trisent.seeding import seeded
from trisent.training.config import TrainConfig
from trisent.training.history import EpochReport
from trisent.training.loop import fit
from trisent.training.preparing import Prepared, prepare
from trisent.training.search_space import optuna, search_space, settings_of
from trisent.training.tune_report import to_html

_log = logging.getLogger(__name__)

STUDY = "study.db"
_BEFORE_PRUNING = 5  # trials that are finished before one is given up
_EPOCHS_AT_LEAST = 2
_GOOD = 0.25  # optuna's 0.1 would be a single one of ten trials


@dataclass(frozen=True, slots=True)
class Trial:
    """One try: `score` is the best on valid, None where there is none; `pruned` says it was given up early."""

    number: int
    settings: dict[str, Any]  # JSON values, "train.lr" -> 0.001
    score: float | None
    pruned: bool
    epochs: int


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What a search found: every trial in order, the best of them, and how much each setting matters."""

    folder: Path
    trials: tuple[Trial, ...]
    best: Trial
    importance: dict[str, float]


OnTrial = Callable[[Trial], None]


def ignore_trial(trial: Trial) -> None:
    """Do nothing: the default of `on_trial`."""


def tune(
    data_path: Path,
    *,
    out: Path,
    model: str = "concat",
    trials: int = 30,
    minutes: float | None = None,
    storage: Path | None = None,
    config: TrainConfig | None = None,
    cleaning: CleaningOptions = FINITE,
    modalities: Sequence[str] | None = None,
    on_trial: OnTrial = ignore_trial,
) -> TuneResult:
    """Try settings until there are `trials` of them in the study, or the time is over, and write the best.

    Args:
        data_path: a data set with a train and a valid split; no other is looked at.
        out: folder for best.toml, tune.json, importance.html, and the study.
        model: name of the fusion model.
        trials: how many there are in the end, those of earlier calls among them.
        minutes: after which no further trial begins.
        storage: the SQLite file of the study; OUT/study.db unless said otherwise.
        config: what the search leaves alone: epochs, patience, schedule, seed, and so on.
        cleaning: how features are cleaned; fitted on train.
        modalities: to learn from these alone; None: from all there are.
        on_trial: called after each trial.

    Raises:
        UsageError: a number makes no sense, or the study is of other data or settings, or at work elsewhere.
        DataError: the data set cannot be read or used.
        TrisentError: optuna is not installed, or no trial came to an end.
    """
    if trials < 1:
        raise UsageError(t("{name} must be at least {least}, got {value}", name="trials", least=1, value=trials))
    if minutes is not None and not minutes > 0:
        raise UsageError(t("{name} must be above 0, got {value}", name="minutes", value=minutes))
    config = config or TrainConfig()
    check_out(out)
    prepared = prepare(data_path, cleaning=cleaning, modalities=modalities)
    train, valid = prepared.train, prepared.valid
    path = storage or out / STUDY
    path.parent.mkdir(parents=True, exist_ok=True)
    space = search_space(model)
    facts = {
        "data": prepared.facts["sha256"],
        "cleaning": asdict(cleaning),
        "config": asdict(config),
        "space": {name: repr(d) for name, d in space.items()},
        "modalities": prepared.modalities,
    }

    def objective(trial: Any) -> float:
        settings = settings_of({name: trial._suggest(name, d) for name, d in space.items()})

        def on_epoch(report: EpochReport) -> None:
            trial.set_user_attr("epochs", report.epoch)
            trial.report(_score(report, config), report.epoch)
            if trial.should_prune():
                raise optuna().TrialPruned

        with seeded(config.seed):
            network = build(model, {"dims": train.dims, **settings["model"]})
        try:
            history = fit(network, train, valid, replace(config, **settings["train"]), on_epoch=on_epoch)
        except TrainingError as error:  # it diverged: nothing to learn from but that it is bad
            _log.info("%s", error)
            raise optuna().TrialPruned from error
        score = _score(history.best, config)
        if not math.isfinite(score):  # a model that says the same of all has no correlation
            raise optuna().TrialPruned
        return score

    rehearse(model, build(model, {"dims": train.dims}), train.dims)
    try:
        with FileLock(f"{path}.lock", timeout=0):
            study = _study(path, model, config, facts)
            began = time.monotonic()  # opening the study may take long, and must not take the time of the first trial
            while len(_done(study)) < trials and (minutes is None or time.monotonic() - began < 60 * minutes):
                _try(study, objective)
                on_trial(_trial(_done(study)[-1]))
    except Timeout as error:
        message = t("another process is at work on {path}; name another with --storage", path=path)
        raise UsageError(message) from error
    return _result(study, out, model, config, prepared)


def _try(study: Any, objective: Callable[[Any], float]) -> None:
    """Make one trial; one that is interrupted is put back in the queue."""
    try:
        study.optimize(objective, n_trials=1)
    except KeyboardInterrupt:
        study.enqueue_trial(study.get_trials()[-1].params)
        raise


def _score(report: EpochReport, config: TrainConfig) -> float:
    return report.valid.corr if config.select == "corr" else report.valid.mae


def _study(path: Path, model: str, config: TrainConfig, facts: dict[str, Any]) -> Any:
    """Open the study, or begin it; trials that a dead process left half done are put back in the queue."""
    package = optuna()
    seed = config.seed
    try:
        study = package.create_study(
            storage=f"sqlite:///{path.resolve()}",
            study_name=model,
            load_if_exists=True,
            direction="maximize" if config.select == "corr" else "minimize",
            pruner=package.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=_EPOCHS_AT_LEAST),
        )
    except Exception as error:  # SQLite's, SQLAlchemy's and optuna's own, which have no class in common
        message = "{path} cannot be used for a search ({reason}). Name another --storage or --out"
        raise UsageError(t(message, path=path, reason=one_line(error))) from error
    # Each process draws other numbers: with the seed alone, going on would repeat the first trials.
    study.sampler = package.samplers.TPESampler(seed=seed + len(study.trials))
    known, facts = study.user_attrs.get("facts"), json.loads(json.dumps(facts))  # as JSON has them: tuples are lists
    if known is not None and known != facts:
        wrong = ", ".join(name for name in facts if known.get(name) != facts[name])
        message = t(
            "{path} is a search with other {wrong}. Name another --storage or --out, or remove the file.",
            path=path,
            wrong=wrong,
        )
        raise UsageError(message)
    study.set_user_attr("facts", facts)
    states = package.trial.TrialState
    for trial in study.get_trials(states=(states.RUNNING,)):
        study.tell(trial.number, state=states.FAIL)
        study.enqueue_trial(trial.params)
    return study


def _done(study: Any) -> list[Any]:
    states = optuna().trial.TrialState
    found: list[Any] = study.get_trials(states=(states.COMPLETE, states.PRUNED))
    return found


def _trial(frozen: Any) -> Trial:
    complete = frozen.state == optuna().trial.TrialState.COMPLETE
    score = frozen.value if complete else frozen.intermediate_values.get(frozen.last_step)
    if score is not None and not math.isfinite(score):  # the correlation of a model that says the same of all
        score = None
    return Trial(frozen.number, dict(frozen.params), score, not complete, int(frozen.user_attrs.get("epochs", 0)))


def _result(study: Any, out: Path, model: str, config: TrainConfig, prepared: Prepared) -> TuneResult:
    """Take stock of a study, and write what was found."""
    trials = tuple(_trial(frozen) for frozen in _done(study))
    finished = [trial for trial in trials if not trial.pruned]
    if not finished:
        raise TrisentError(t("no trial came to an end; give the search more --trials or --minutes"))
    best = _trial(study.best_trial)
    importance: dict[str, float] = {}
    if len(finished) > 1:
        evaluator = optuna().importance.PedAnovaImportanceEvaluator(target_quantile=_GOOD)
        importance = dict(optuna().importance.get_param_importances(study, evaluator=evaluator))
    result = TuneResult(out, trials, best, importance)
    record = {
        "model": model,
        "select": config.select,
        "best": asdict(best),
        "importance": importance,
        "trials": [asdict(trial) for trial in trials],
    }
    files = {
        "importance.html": to_html(record).encode(),
        "tune.json": (json.dumps(record, indent=2) + "\n").encode(),
        "best.toml": best_toml(best, model, config, prepared).encode(),
    }
    write_whole(out, files)
    return result


def best_toml(best: Trial, model: str, config: TrainConfig, prepared: Prepared) -> str:
    """Write the best settings, with those that were not searched, as a file for `trisent train --config`."""
    found = settings_of(best.settings)
    tables: Mapping[str, Mapping[str, Any]] = {
        "train": asdict(config) | found["train"],
        "model": {"name": model} | found["model"],
        "cleaning": asdict(prepared.cleaning.options),
        **({"data": {"modalities": prepared.modalities}} if prepared.modalities else {}),
    }
    lines = []
    for name, table in tables.items():
        # Text, numbers and truth values are written in TOML as in JSON; what is None is not written in either sense.
        lines += [f"[{name}]", *(f"{key} = {json.dumps(x)}" for key, x in table.items() if x is not None), ""]
    return "\n".join(lines)
