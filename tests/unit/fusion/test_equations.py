"""Fusion models against small implementations written from the papers' equations, one utterance at a time."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trisent.fusion.attention import Attention, Block, Transformer, positions
from trisent.fusion.batch import Batch, Output
from trisent.fusion.gated import GatedFusion, LayerMix, TimePooling
from trisent.fusion.lmf import LowRankFusion
from trisent.fusion.mag import Gate
from trisent.fusion.mfn import MemoryFusion
from trisent.fusion.misa import MisaOutput, SharedPrivateFusion, discrepancy, overlap
from trisent.fusion.mult import CrossmodalTransformers
from trisent.fusion.self_mm import SelfMMOutput, SelfSupervisedFusion
from trisent.fusion.tfn import TensorFusion
from trisent.seeding import seeded

DIMS = {"text": 6, "audio": 4, "video": 5}


def batch(n: int = 4, steps: int = 1) -> Batch:
    draw = torch.Generator().manual_seed(0)
    values = {m: torch.randn(n, steps, dim, generator=draw) for m, dim in DIMS.items()}
    return Batch(values, {m: torch.ones(n, steps, dtype=torch.bool) for m in DIMS}, torch.linspace(-3, 3, n))


def weights(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: x.detach().double().numpy() for name, x in module.state_dict().items()}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def unimodal(w: dict[str, np.ndarray], given: Batch, i: int) -> list[np.ndarray]:
    """[z_m; 1] for each modality of utterance i."""
    return [
        np.append(
            relu(w[f"encoder.encoders.{m}.weight"] @ given.values[m][i, 0].numpy() + w[f"encoder.encoders.{m}.bias"]), 1
        )
        for m in DIMS
    ]


def judged(w: dict[str, np.ndarray], fused: np.ndarray) -> float:
    return float(np.clip(w["head.score.weight"][0] @ fused + w["head.score.bias"][0], -3, 3))


def test_tensor_fusion_judges_the_outer_product():
    with seeded(0):
        fusion = TensorFusion(DIMS, hidden=3, fused=8).eval()
    given, w = batch(), weights(fusion)
    assert count(fusion) == (6 + 4 + 5 + 3) * 3 + (4**3 * 8 + 8) + (8 * 8 + 8) + (8 + 1) + 1
    for i, said in enumerate(fusion(given).sentiment.detach()):
        a, b, c = unimodal(w, given, i)
        product = np.array([x * y * z for x in a for y in b for z in c])
        first = relu(w["fuse.1.weight"] @ product + w["fuse.1.bias"])
        second = relu(w["fuse.4.weight"] @ first + w["fuse.4.bias"])
        assert float(said) == pytest.approx(judged(w, second), abs=1e-5)


def test_low_rank_fusion_is_tensor_fusion_with_weights_of_low_rank():
    with seeded(0):
        fusion = LowRankFusion(DIMS, hidden=3, fused=5, rank=2).eval()
        nn.init.normal_(fusion.bias)
    given, w = batch(), weights(fusion)
    assert count(fusion) == (6 + 4 + 5 + 3) * 3 + 3 * (2 * 4 * 5) + 5 + (5 + 1) + 1
    whole = np.zeros((4, 4, 4, 5))  # the weights that LMF never writes out, one for each product
    for r in range(2):
        factors = [w[f"factors.{m}"][r] for m in DIMS]
        whole += np.einsum("id,jd,kd->ijkd", *factors)
    for i, said in enumerate(fusion(given).sentiment.detach()):
        fused = np.einsum("ijkd,i,j,k->d", whole, *unimodal(w, given, i)) + w["bias"]
        assert float(said) == pytest.approx(judged(w, fused), abs=1e-5)


def crossmodal(w: dict[str, np.ndarray], target: np.ndarray, source: np.ndarray, *, heads: int) -> np.ndarray:
    """Attention by the paper's formula, with nothing but what is visible in the source."""
    q = target @ w["query.weight"].T + w["query.bias"]
    k = source @ w["key.weight"].T + w["key.bias"]
    v = source @ w["value.weight"].T + w["value.bias"]
    width = q.shape[1] // heads
    parts = []
    for head in range(heads):
        s = slice(head * width, (head + 1) * width)
        parts.append(np.array([softmax(k[:, s] @ row / math.sqrt(width)) @ v[:, s] for row in q[:, s]]))
    return np.hstack(parts) @ w["out.weight"].T + w["out.bias"]


def test_crossmodal_attention_follows_its_formula_on_what_is_visible():
    draw = torch.Generator().manual_seed(0)
    with seeded(0):
        attention = Attention(8, heads=2, dropout=0.5).eval()
    assert count(attention) == 4 * (8 * 8 + 8)
    target, source = torch.randn(3, 5, 8, generator=draw), torch.randn(3, 6, 8, generator=draw)
    visible = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0]], dtype=torch.bool)
    got = attention(target, source, visible=visible).detach().numpy()
    for i in range(2):
        seen = source[i, visible[i]].double().numpy()
        assert got[i] == pytest.approx(crossmodal(weights(attention), target[i].numpy(), seen, heads=2), abs=1e-5)
    assert (got[2] == 0).all()


def test_attention_agrees_with_torchs_own():
    draw = torch.Generator().manual_seed(0)
    with seeded(0):
        ours, theirs = Attention(8, heads=4, dropout=0.0), nn.MultiheadAttention(8, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    target, source = torch.randn(2, 5, 8, generator=draw), torch.randn(2, 6, 8, generator=draw)
    visible = torch.tensor([[1, 1, 0, 1, 1, 1], [1, 0, 1, 0, 0, 1]], dtype=torch.bool)
    expected = theirs(target, source, source, key_padding_mask=~visible)[0]
    assert torch.allclose(ours(target, source, visible=visible), expected, atol=1e-6)


def test_a_crossmodal_layer_is_attention_and_feed_forward_each_with_a_residual():
    draw = torch.Generator().manual_seed(0)
    with seeded(0):
        block = Block(8, heads=2, dropout=0.5).eval()
    w = weights(block)
    inner = {name.removeprefix("attention."): x for name, x in w.items()}
    x, source = (torch.randn(1, steps, 8, generator=draw) for steps in (5, 6))
    z, s = x[0].double().numpy(), source[0].double().numpy()
    norm = w["norm.weight"], w["norm.bias"]
    z = z + crossmodal(inner, layer_norm(z, *norm), layer_norm(s, *norm), heads=2)
    hidden = relu(layer_norm(z, w["feed.0.weight"], w["feed.0.bias"]) @ w["feed.1.weight"].T + w["feed.1.bias"])
    z = z + hidden @ w["feed.4.weight"].T + w["feed.4.bias"]
    got = block(x, source, visible=torch.ones(1, 6, dtype=torch.bool))[0].detach().numpy()
    assert got == pytest.approx(z, abs=1e-5)


def test_mult_has_a_crossmodal_transformer_a_pair_and_a_transformer_a_modality():
    fusion = CrossmodalTransformers(DIMS, hidden=8, heads=2, layers=3, kernel=3, fused=10)

    def transformer(width: int) -> int:
        layer = 2 * width + 4 * (width * width + width) + 2 * width + (4 * width + 1) * width + (width * 4 + 4) * width
        return 3 * layer + 2 * width

    expected = 3 * 8 * (6 + 4 + 5) + 6 * transformer(8) + 3 * transformer(16) + (3 * 16 + 1) * 10 + (10 + 1) + 1
    assert count(fusion) == expected


def test_positions_are_the_sines_and_cosines_of_vaswani():
    got = positions(torch.zeros(1, 7, 6))
    for p in range(7):
        for i in range(3):
            angle = p / 10_000 ** (2 * i / 6)
            assert got[p, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert got[p, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    assert positions(torch.zeros(1, 2, 5)).shape == (2, 5)


def test_a_transformer_without_places_treats_its_steps_as_a_set():
    with seeded(0):
        blind = Transformer(8, heads=2, layers=1, dropout=0.0, places=False)
        seeing = Transformer(8, heads=2, layers=1, dropout=0.0)
    x = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0))
    visible, order = torch.ones(1, 4, dtype=torch.bool), torch.tensor([2, 0, 3, 1])
    assert torch.allclose(blind(x[:, order], visible=visible), blind(x, visible=visible)[:, order], atol=1e-5)
    assert not torch.allclose(seeing(x[:, order], visible=visible), seeing(x, visible=visible)[:, order], atol=1e-2)


@pytest.mark.parametrize("beta", [0.1, 1.0, 100.0])
def test_the_adaptation_gate_moves_a_vector_by_no_more_than_beta_times_its_length(beta: float):
    draw = torch.Generator().manual_seed(0)
    with seeded(0):
        gate = Gate(6, others={"audio": 4, "video": 5}, beta=beta, dropout=0.5).eval()
        nn.init.normal_(gate.bias)
    assert count(gate) == ((6 + 4) * 6 + 6) + ((6 + 5) * 6 + 6) + 4 * 6 + 5 * 6 + 6 + 2 * 6
    z = torch.randn(2, 3, 6, generator=draw)
    others = {m: torch.randn(2, 3, DIMS[m], generator=draw) for m in ("audio", "video")}
    got, w = gate(z, others), weights(gate)
    for i in range(2):
        for step in range(3):
            word = z[i, step].double().numpy()
            h = w["bias"].copy()
            for m in ("audio", "video"):
                x = others[m][i, step].double().numpy()
                g = relu(w[f"gates.{m}.weight"] @ np.concatenate([word, x]) + w[f"gates.{m}.bias"])
                h += g * (w[f"shifts.{m}.weight"] @ x)
            alpha = min(np.linalg.norm(word) / np.linalg.norm(h) * beta, 1)
            expected = layer_norm(word + alpha * h, w["norm.weight"], w["norm.bias"])
            assert got[i, step].detach().numpy() == pytest.approx(expected, abs=1e-5)


def test_memory_fusion_follows_its_recurrence_step_by_step():
    with seeded(0):
        fusion = MemoryFusion(DIMS, hidden=3, memory=2, fused=7, steps=10).eval()
    given, w = batch(n=2, steps=4), weights(fusion)

    def two_layers(name: str, x: np.ndarray) -> np.ndarray:
        hidden = relu(w[f"{name}.0.weight"] @ x + w[f"{name}.0.bias"])
        return w[f"{name}.3.weight"] @ hidden + w[f"{name}.3.bias"]

    for n, said in enumerate(fusion(given).sentiment.detach()):
        h, c, u = {m: np.zeros(3) for m in DIMS}, {m: np.zeros(3) for m in DIMS}, np.zeros(2)
        for step in range(4):
            before = np.concatenate(list(c.values()))
            for m in DIMS:
                x = given.values[m][n, step].double().numpy()
                at = f"cells.{m}."
                gates = w[at + "weight_ih"] @ x + w[at + "bias_ih"] + w[at + "weight_hh"] @ h[m] + w[at + "bias_hh"]
                i, f, g, o = np.split(gates, 4)
                c[m] = sigmoid(f) * c[m] + sigmoid(i) * np.tanh(g)
                h[m] = sigmoid(o) * np.tanh(c[m])
            both = np.concatenate([before, *c.values()])
            a = softmax(two_layers("attend", both)) * both
            proposed = np.tanh(two_layers("propose", a))
            u = sigmoid(two_layers("retain", a)) * u + sigmoid(two_layers("update", a)) * proposed
        fused = relu(w["fuse.1.weight"] @ np.concatenate([*h.values(), u]) + w["fuse.1.bias"])
        assert float(said) == pytest.approx(judged(w, fused), abs=1e-5)


def test_the_central_moment_discrepancy_counts_present_rows_only():
    draw = np.random.default_rng(0)
    a, b = draw.random((20, 4)), draw.random((20, 4)) ** 2
    rows = draw.random(20) < 0.7, draw.random(20) < 0.6
    x, y = a[rows[0]], b[rows[1]]
    expected = np.linalg.norm(x.mean(0) - y.mean(0))
    for k in range(2, 6):
        moments = [((s - s.mean(0)) ** k).mean(0) for s in (x, y)]
        expected += np.linalg.norm(moments[0] - moments[1])
    there = torch.from_numpy(rows[0]), torch.from_numpy(rows[1])
    assert discrepancy(torch.from_numpy(a), torch.from_numpy(b), rows=there).item() == pytest.approx(expected)
    nobody = torch.zeros(20, dtype=torch.bool)
    assert discrepancy(torch.from_numpy(a), torch.from_numpy(b), rows=(there[0], nobody)).item() == 0


def test_the_overlap_of_orthogonal_representations_is_nothing_and_of_equal_ones_is_much():
    draw = np.random.default_rng(0)
    a, b = draw.standard_normal((20, 4)), draw.standard_normal((20, 3))
    rows = draw.random(20) < 0.7
    q, r = (x[rows] - x[rows].mean(0) for x in (a, b))
    q, r = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, r))
    got = overlap(torch.from_numpy(a), torch.from_numpy(b), rows=torch.from_numpy(rows))
    assert got.item() == pytest.approx((np.linalg.norm(q.T @ r) ** 2) / 12, rel=1e-5)
    one, other = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]), torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    assert overlap(one, other, rows=torch.ones(4, dtype=torch.bool)).item() == pytest.approx(0, abs=1e-12)
    assert overlap(one, one, rows=torch.ones(4, dtype=torch.bool)).item() == pytest.approx(16, rel=1e-4)


def test_the_losses_of_misa_are_added_to_that_of_its_head_and_do_not_count_the_absent():
    with seeded(0):
        fusion = SharedPrivateFusion(
            DIMS, hidden=8, fused=8, similarity=0.5, difference=0.2, reconstruction=0.7, dropout=0.0
        ).eval()
    given = batch(12)
    given.masks["video"][:5] = False
    said = fusion(given)
    assert isinstance(said, MisaOutput)
    there = [given.masks[m][:, 0] for m in DIMS]
    c, p = ([x[:, i] for i in range(3)] for x in (said.shared, said.private))
    pairs = [(0, 1), (0, 2), (1, 2)]
    similarity = sum(discrepancy(c[i], c[j], rows=(there[i], there[j])) for i, j in pairs) / 3
    difference = sum(overlap(c[i], p[i], rows=there[i]) for i in range(3))
    difference += sum(overlap(p[i], p[j], rows=there[i] & there[j]) for i, j in pairs)
    wrong = [((said.wanted - said.rebuilt)[there[i], i] ** 2).mean() for i in range(3)]
    head = fusion.head.loss(Output(said.sentiment, said.class_logits), given)
    expected = head + 0.5 * similarity + 0.2 * difference + 0.7 * sum(wrong) / 3
    assert fusion.loss(said, given).item() == pytest.approx(expected.item(), rel=1e-5)


def made_label(vectors: Tensor, centres: Tensor, *, s: int, label: float) -> float:
    """One label of Self-MM by the paper's equations; vectors [M + 1, h], centres [2, M + 1, h], the fused one last."""

    def side(k: int) -> float:
        near, far = (((vectors[k] - centre[k]) ** 2).sum().item() / math.sqrt(vectors.shape[1]) for centre in centres)
        return (far - near) / (near + 1e-6)

    made = label + (side(s) - side(-1)) / 2 * (label + side(-1)) / side(-1)
    return min(3.0, max(-3.0, made))


def test_self_mm_makes_labels_by_the_distances_to_both_centres():
    draw = torch.Generator().manual_seed(0)
    with seeded(0):
        fusion = SelfSupervisedFusion(DIMS, hidden=8, warmup=1)
    fusion.centre_sums.copy_(torch.randn(2, 4, 8, generator=draw) * 10)
    fusion.centre_counts.fill_(10)
    vectors, labels = torch.randn(6, 4, 8, generator=draw), torch.linspace(-3, 3, 6)
    assert torch.equal(fusion.make_labels(vectors, labels), labels.unsqueeze(1).expand(6, 3))  # still warming up
    fusion.steps_seen.fill_(1)
    got = fusion.make_labels(vectors, labels)
    for i in range(6):
        for s in range(3):
            expected = made_label(vectors[i], fusion.centre_sums / 10, s=s, label=labels[i].item())
            assert got[i, s].item() == pytest.approx(expected, rel=1e-4)


def test_self_mm_learns_from_the_labels_it_made_and_moves_its_centres_in_training_only():
    with seeded(0):
        fusion = SelfSupervisedFusion(DIMS, hidden=8, warmup=1, dropout=0.0, modality_dropout=0.0)
    given = batch(8)
    given.masks["video"][4:] = False
    fusion.train()
    said = fusion(given)
    assert isinstance(said, SelfMMOutput)
    head = fusion.head.loss(said, given)
    assert fusion.loss(said, given).item() == pytest.approx(head.item())  # the first step teaches the whole only
    positive, negative = given.labels > 0, given.labels < 0
    there = given.masks["video"][:, 0]
    assert torch.allclose(fusion.centre_sums[0, 3], said.vectors[positive, 3].sum(dim=0))
    assert torch.allclose(fusion.centre_sums[1, 2], said.vectors[negative & there, 2].sum(dim=0))
    assert fusion.centre_counts.tolist() == [[4, 4, 0, 4], [4, 4, 4, 4]]
    fusion.centre_counts[0, 2] = 1  # a positive video seen earlier, its vector 0
    before = {name: x.clone() for name, x in fusion.state_dict().items()}
    made = fusion.make_labels(said.vectors, given.labels)
    expected = head.item()
    for s, m in enumerate(DIMS):
        rows = given.masks[m][:, 0]
        weight = (made[:, s] - given.labels).abs().tanh()
        expected += (weight * (said.alone[:, s] - made[:, s]).abs())[rows].mean().item()
    assert expected > head.item()
    assert fusion.eval().loss(said, given).item() == pytest.approx(expected, rel=1e-5)
    assert all(torch.equal(x, before[name]) for name, x in fusion.state_dict().items())
    fusion.train().loss(said, given)
    assert torch.allclose(fusion.centre_counts[:, 3], torch.tensor([4 * 0.99 + 4, 4 * 0.99 + 4]))


def test_self_mm_makes_labels_for_what_is_recorded_though_one_modality_never_is():
    with seeded(0):
        fusion = SelfSupervisedFusion(DIMS, hidden=8, warmup=1, modality_dropout=0.0)
    given = batch(8).only(("text", "audio"))
    fusion.train()
    for _ in range(2):
        fusion.loss(said := fusion(given), given)
    unlike = (fusion.make_labels(said.vectors, given.labels) != given.labels.unsqueeze(1)).any(dim=0)
    assert unlike.tolist() == [True, True, False]


def test_self_mm_measures_distances_without_the_noise_of_dropout():
    with seeded(0):
        fusion = SelfSupervisedFusion(DIMS, hidden=64, dropout=0.9, modality_dropout=0.0).train()
    assert torch.equal(fusion(batch()).vectors[:, :3], fusion.eval()(batch()).vectors[:, :3])


def test_layers_and_steps_are_averaged_before_anything_is_learned():
    x = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(LayerMix(3)(x), (x[..., :4] + x[..., 4:8] + x[..., 8:]) / 3, atol=1e-6)
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
    pooled = TimePooling(12)(x, mask)
    assert torch.allclose(pooled[0], x[0, mask[0]].mean(dim=0), atol=1e-6)
    assert (pooled[1] == 0).all()


def test_time_pooling_weighs_the_visible_steps_by_a_softmax():
    draw = torch.Generator().manual_seed(0)
    with seeded(0):
        pool = TimePooling(6)
        nn.init.normal_(pool.weigh.weight)
    x, mask, w = torch.randn(1, 4, 6, generator=draw), torch.tensor([[True, False, True, True]]), weights(pool)
    seen = x[0, mask[0]].double().numpy()
    scores = [float(w["weigh.weight"][0] @ np.tanh(w["look.weight"] @ s + w["look.bias"])) for s in seen]
    assert pool(x, mask)[0].detach().numpy() == pytest.approx(softmax(np.array(scores)) @ seen, abs=1e-5)


def test_the_layer_that_tells_the_sentiment_gets_the_weight():
    draw = torch.Generator().manual_seed(0)
    labels = torch.empty(256).uniform_(-3, 3, generator=draw)
    layers = torch.randn(256, 1, 4, 3, generator=draw)
    layers[:, 0, 2, 0] = labels
    given = Batch({"text": layers.flatten(2)}, {"text": torch.ones(256, 1, dtype=torch.bool)}, labels)
    with seeded(0):
        fusion = GatedFusion({"text": 12}, layers={"text": 4}, hidden=16, fused=16, dropout=0.0)
        optimizer = torch.optim.Adam(fusion.parameters(), lr=1e-2)
        for _ in range(150):
            loss = fusion.loss(fusion(given), given)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = fusion.layer_weights()["text"]
    assert sum(found) == pytest.approx(1)
    assert max(range(4), key=found.__getitem__) == 2
    assert found[2] > 0.5
