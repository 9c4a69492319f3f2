"""Judge labelled utterances with a fusion model and score the judgements."""

from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from trisent.data.batching import Examples
from trisent.evaluation.metrics import Scores, scores
from trisent.types import CLASS_NAMES, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a model said of utterances, in their order: `sentiment` [n] on the scale of their labels, and
    `probabilities` of the classes [n, 7].
    """

    sentiment: Floats
    probabilities: Floats


@torch.inference_mode()
def judge(
    model: nn.Module, data: Examples, *, batch_size: int = 1024, accelerator: Accelerator | None = None
) -> Judged:
    """Judge every utterance of `data` on the device the model is on, in float32.

    Long sequences are judged in smaller batches than `batch_size`, so that they fit into memory.

    Args:
        model: left in eval mode.
        data: the utterances.
        batch_size: utterances at a time, at most.
        accelerator: its processes divide the work, and each gets all answers.
    """
    device = next(model.parameters()).device
    model.eval()
    answers = torch.zeros(len(data), 1 + len(CLASS_NAMES), device=device)
    rank, ranks = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    for index in data.passes(batch_size)[rank::ranks]:
        output = model(data.batch(index).to(device))
        probabilities = output.class_logits.float().softmax(dim=1)
        answers[index] = torch.cat([output.sentiment.float().unsqueeze(1), probabilities], dim=1)
    if accelerator:
        answers = accelerator.reduce(answers, "sum")
    said = answers.cpu().numpy()
    return Judged(np.divide(said[:, 0], data.stretch, dtype=np.float32), said[:, 1:])


def evaluate(model: nn.Module, data: Examples, *, batch_size: int = 1024) -> Scores:
    """Judge every utterance of `data` on the device the model is on, and score it."""
    return scores(judge(model, data, batch_size=batch_size).sentiment, data.labels)
