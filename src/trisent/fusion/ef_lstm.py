"""Early fusion: modalities are put side by side step by step, and one LSTM reads them.

EF-LSTM: Williams, Kleinegesse, Comanescu and Radu, "Recognizing emotions in video using multimodal DNN feature fusion",
Challenge-HML at ACL 2018, aclanthology W18-3302. The modalities must have common steps; here they are resampled to
them (`trisent.fusion.encoders.align`). With n utterances, S common steps and widths d_m:

    x_t = [x_1t; v_1t; x_2t; v_2t; ...]   [n, S, sum_m (d_m + 1)], v_mt = 1 where m is visible at t, else all of it is 0
    h   = LSTM(x)_S                       [n, hidden], at the utterance's own last step
    y   = head(MLP(h))

What differs: the v_mt, which say what could be seen; the usual code has zeros for what could not.
"""

from collections.abc import Mapping

import torch
from torch import nn

from trisent.fusion.batch import Batch, Output
from trisent.fusion.encoders import align, last, states
from trisent.fusion.headed import HeadedFusion
from trisent.fusion.inputs import Inputs, check_counts, check_shares
from trisent.fusion.outputs import make_head
from trisent.types import Modality


class EarlyFusionLSTM(HeadedFusion):
    """Read all modalities with one LSTM.

    Args:
        dims: width of each modality's features.
        hidden: width of the LSTM.
        fused: width of the layer after it.
        steps: how many common steps an utterance has at most.
        layers: of the LSTM.
        dropout: share of units dropped while training.
        modality_dropout: chance that a modality is hidden while training.
        head: name of the head, see `trisent.fusion.outputs`.
    """

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        hidden: int = 128,
        fused: int = 128,
        steps: int = 20,
        layers: int = 1,
        dropout: float = 0.3,
        modality_dropout: float = 0.2,
        head: str = "regression",
    ) -> None:
        super().__init__(locals())
        check_counts(hidden=hidden, fused=fused, steps=steps, layers=layers)
        check_shares(dropout=dropout)
        self.inputs = Inputs(dims, modality_dropout=modality_dropout)
        self.steps = steps
        width = sum(self.dims.values()) + len(self.dims)
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.fuse = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, fused), nn.ReLU(), nn.Dropout(dropout))
        self.head = make_head(head, fused)

    def forward(self, batch: Batch) -> Output:
        aligned = align(self.inputs(batch), self.steps)
        visible = {m: mask.unsqueeze(2).to(aligned.values[m].dtype) for m, mask in aligned.masks.items()}
        x = torch.cat([part for m in self.dims for part in (aligned.values[m], visible[m])], dim=2)
        # Padding comes after the last step, and an LSTM does not look ahead.
        output: Output = self.head(self.fuse(last(states(self.lstm, x), aligned.steps)))
        return output
