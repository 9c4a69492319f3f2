"""Fold batch norms into the convolutions before them: in evaluation mode they only scale and shift."""

import itertools
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: Any) -> None:  # Any: torch types no attributes of modules
    """Fold every batch norm, in place.

    In the networks here a norm is registered right behind the convolution whose output it takes, or behind the
    sequence that ends with it.
    """
    for module in list(network.modules()):
        children: list[tuple[str, Any]] = list(module.named_children())
        for (name, before), (norm_name, norm) in itertools.pairwise(children):
            if not isinstance(norm, nn.BatchNorm2d):
                continue
            if isinstance(before, nn.Sequential):
                conv: Any = before[-1]
                before[-1] = fuse_conv_bn_eval(conv, norm)
            else:
                setattr(module, name, fuse_conv_bn_eval(before, norm))
            setattr(module, norm_name, nn.Identity())
