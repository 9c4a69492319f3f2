"""trisent data convert and split: a data set in another format, or with another split."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trisent.cli.data_words import Json, Out, Seed, Source
from trisent.i18n import t

if TYPE_CHECKING:
    from trisent.data.dataset import Dataset

_TO = t("format to write: npz, store, mmsa, csd, labelcsv or tables")
To = Annotated[str, typer.Option("--to", metavar="FORMAT", help=_TO)]


def convert(
    source: Source,
    out: Out,
    to: To,
    clean: Annotated[
        bool,
        typer.Option("--clean", help=t("mask NaN and infinity, drop bad columns, scale and clip, all fitted on train")),
    ] = False,
    pool: Annotated[bool, typer.Option("--pool", help=t("average the steps of each utterance"))] = False,
    as_json: Json = False,
) -> None:
    """Read, clean and average if asked to, write, and say what the format could not keep."""
    from trisent.data.cleaning import cleaning_file, fit_cleaning
    from trisent.data.formats.csd import read as read_csd
    from trisent.data.formats.csd import recognises as csd_here
    from trisent.data.pooling import pool as pooled
    from trisent.data.readers import read, write
    from trisent.files import write_whole

    # The guide's format has a row an utterance, which the SDK's way makes of what lies in the utterance's time.
    dataset = read_csd(source, align="pooled") if to == "npz" and csd_here(source) else read(source)
    cleaning = fit_cleaning(dataset) if clean else None
    if cleaning is not None:
        dataset = cleaning.apply(dataset)
    if pool:
        dataset = pooled(dataset)
    lost = write(dataset, out, format=to)
    if cleaning is not None:  # whoever judges a video with a model of these features has to clean in the same way
        file = cleaning_file(out)
        write_whole(file.parent, {file.name: (json.dumps(cleaning.to_json()) + "\n").encode()})
    _say(dataset, out, to=to, lost=lost, as_json=as_json)


def split(
    source: Source,
    out: Out,
    to: Annotated[str | None, typer.Option("--to", metavar="FORMAT", help=t("format; else that of SRC"))] = None,
    valid: Annotated[float, typer.Option(help=t("share of valid"))] = 0.1,
    test: Annotated[float, typer.Option(help=t("share of test; the rest is train"))] = 0.2,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Draw a split by video, alike in sentiment, and write the data set with it."""
    from trisent.data.readers import read, write
    from trisent.data.resplit import split_by_video

    dataset = read(source)
    parts = {"train": 1 - valid - test, "valid": valid, "test": test}
    parts = {name: share for name, share in parts.items() if share != 0 or name == "train"}
    dataset = replace(dataset, splits=split_by_video(dataset, parts=parts, seed=seed))
    format = to or dataset.format
    lost = write(dataset, out, format=format)
    _say(dataset, out, to=format, lost=lost, as_json=as_json)


def _say(dataset: "Dataset", out: Path, *, to: str, lost: Sequence[str], as_json: bool) -> None:
    import numpy as np

    from trisent.cli.console import output, print_json
    from trisent.data.dataset import SPLITS
    from trisent.data.readers import FORMATS, written_ids
    from trisent.data.resplit import split_digest

    who = replace(dataset, features={}, ids=written_ids(dataset, format=to))
    if FORMATS[to].for_training:
        who = who.take(np.flatnonzero(dataset.usable))
    counts = {s: len(who.index(s)) for s in (*SPLITS, "")}
    digest = split_digest(who)
    if as_json:
        counts = {name: n for name, n in counts.items() if n or name}
        document = {"path": str(out), "format": to, "utterances": counts, "digest": digest}
        print_json({**document, "dims": dataset.dims, "lost": list(lost), "notes": list(dataset.notes)})
        return
    console = output()
    sizes = ", ".join(f"{name or t('no split')} {n}" for name, n in counts.items() if n)
    console.print(t("wrote {path} ({format}): {sizes}", path=out, format=to, sizes=sizes), markup=False, soft_wrap=True)
    console.print(t("digest of the split: {digest}", digest=digest), markup=False)
    for note in dataset.notes:
        console.print(f"- {note}", markup=False)
    for sentence in lost:
        console.print(t("lost: {what}", what=sentence), markup=False)
