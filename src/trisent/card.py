"""The model card of a bundle, as Markdown, from what bundle.json says."""

import json
from collections.abc import Mapping
from typing import Any

from trisent.evaluation.metrics import Scores


def model_card(bundle: Mapping[str, Any]) -> str:
    """Tell people what this model is, what it was trained on, how good it is and what it is not for.

    Args:
        bundle: `Bundle.to_json()`.
    """
    parts = [f"# {bundle['model_name']} fusion model for sentiment from video"]
    if bundle["synthetic"]:
        parts.append(
            "> **TRAINED ON SYNTHETIC DATA. 用合成数据训练。** The numbers were made up to try the commands.\n"
            "> This model knows nothing about sentiment: do not use its judgements, do not report its scores.\n"
            "> 其判断和分数没有任何意义。"
        )
    parts += [_facts(bundle), _scores(bundle["scores"]), _extractors(bundle), _use(bundle)]
    return "\n\n".join(parts) + "\n"


def _facts(bundle: Mapping[str, Any]) -> str:
    rows = {
        "fusion model": f"`{bundle['model_name']}` `{json.dumps(bundle['model_config'], ensure_ascii=False)}`",
        "data": "; ".join(f"{key}: {_plain(value)}" for key, value in bundle["data"].items()) or "unknown",
        "synthetic data": "YES" if bundle["synthetic"] else "no",
        "licence": bundle["licence"],
        "seed": bundle["seed"],
        "made with": f"trisent {bundle['trisent_version']}",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _plain(value: object) -> str:
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, Mapping) else str(value)


def _scores(by_split: Mapping[str, Any]) -> str:
    if not by_split:
        return "## Scores\n\nNone were taken."
    read = {split: Scores.from_json(values) for split, values in by_split.items()}
    lines = ["## Scores", "", f"| | {' | '.join(read)} |", f"|---|{'---|' * len(read)}"]
    for group in zip(*(s.rows() for s in read.values()), strict=True):
        cells = [f"{value:.4f} (n={n})" if value == value else f"not defined (n={n})" for _, value, n in group]
        lines.append(f"| {group[0][0]} | {' | '.join(cells)} |")
    if {"valid", "test"} <= set(read):
        lines += ["", "Weights were chosen on valid; test was judged once, afterwards. One seed."]
    return "\n".join(lines)


def _extractors(bundle: Mapping[str, Any]) -> str:
    lines = ["## Features", "", f"Preset: {bundle['preset'] or 'not named'}."]
    for modality, p in (bundle["extractors"] or {}).items():
        lines.append(
            f"- {modality}: {p['extractor']} `{p['weights']}` (sha256 {p['digest'][:16]}), {p['preprocessing']}"
        )
    if not bundle["extractors"]:
        lines.append("The data set does not say which weights made its features, so their digests are not known.")
    return "\n".join(lines)


def _use(bundle: Mapping[str, Any]) -> str:
    return (
        "## Use\n\n"
        "    trisent predict --bundle THIS_FOLDER VIDEO\n\n"
        "Sentiment is a number from -3 (strongly negative) to 3 (strongly positive): what a viewer would say\n"
        "the speaker expresses, not what the speaker feels. Not for decisions about people."
        + ("" if bundle["preset"] else " It needs --preset at training to judge a video.")
    )
