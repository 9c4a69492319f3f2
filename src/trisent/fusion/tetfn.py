"""Text-enhanced attention: sound and picture look at each other by way of the text.

After TETFN: Wang, Guo, Tian, Liu, He and Luo, "TETFN: A text enhanced transformer fusion network for multimodal
sentiment analysis", Pattern Recognition 136, 2023. What is kept is the text-enhanced transformer and the layout; left
out are the labels it generates for single modalities (those are in `self_mm`), its LSTMs before the convolutions, and
its causal masks. With T_m steps of modality m, width h, and L the text:

    X_m        = Conv1D(x_m) + positions                      [n, T_m, h]
    C          = Transformer(X_v, looking at X_L)             [n, T_v, h]: the picture in terms of the text
    Z_va       = Transformer(X_a, looking at C)               [n, T_a, h]: the sound looks at that; Z_av likewise
    Z_mL, Z_Lm = plain crossmodal transformers with the text, as in `mult`
    Z_m        = Transformer([Z_.m; Z_..m])                   [n, T_m, 2 h]
    y          = head(MLP([last Z_1; last Z_2; last Z_3]))

Without text C is made of the picture alone. If the model was built without text, the first of its modalities leads.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from trisent.fusion.attention import Transformer
from trisent.fusion.inputs import Steps
from trisent.fusion.mult import CrossmodalTransformers
from trisent.types import Modality


class TextEnhancedTransformers(CrossmodalTransformers):
    """Let sound and picture look at each other in terms of the text; the arguments are those of its base."""

    @property
    def leader(self) -> Modality:
        """The modality the others are enhanced by: text where there is any."""
        return next(iter(self.dims))

    def _add_pairs(self, hidden: int, *, heads: int, dropout: float) -> None:
        self.enhance = nn.ModuleDict(
            {
                f"{b}_to_{a}": Transformer(hidden, heads=heads, layers=1, dropout=dropout)
                for a in self.dims
                for b in self.dims
                if a != b and self.leader not in (a, b)
            }
        )

    def _source(self, b: Modality, a: Modality, x: Mapping[Modality, Tensor], steps: Steps) -> Tensor:
        pair = f"{b}_to_{a}"
        if pair not in self.enhance:
            return x[b]
        enhanced: Tensor = self.enhance[pair](x[b], source=x[self.leader], visible=steps.masks[self.leader])
        return enhanced
