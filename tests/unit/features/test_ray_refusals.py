"""What the Ray engine refuses before any cluster is there."""

import sys
from dataclasses import replace

import pytest

from trisent.errors import TrisentError
from trisent.features.cluster import connected
from trisent.features.index import Track
from trisent.features.on_ray import check_same
from trisent.types import Provenance


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(TrisentError, match=r'pip install -c constraints\.txt "trisent\[ray\]"'), connected(None):
        pass


def test_a_machine_that_would_compute_otherwise_is_refused() -> None:
    provenance = Provenance("bert", "bert-base-uncased", "ab" * 32, (-1,), "as published")
    track = Track("1" * 64, provenance, 768, "fp16", {"precision": "bf16", "backend": "torch"}, ())
    check_same({"text": track}, {"text": track})
    other = replace(track, key="2" * 64, settings={"precision": "fp32", "backend": "torch"})
    with pytest.raises(TrisentError, match=r"compute text features otherwise \(fp32, torch, .*begun \(bf16, torch"):
        check_same({"text": other}, {"text": track})
