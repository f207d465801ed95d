"""The tables of costs: loops compute what layers compute, and counters count folded batches."""

import pytest
import torch
from typer.testing import CliRunner

from sase_gan import cli
from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.layers.efficient_multi_scale_attention import EfficientMultiScaleAttention
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.layers.sase_recognition import SASEConv2d
from sase_gan.layers.spectral_norm import frozen_power_iteration
from sase_gan.recognition.backbones import cost as bench
from sase_gan.reference.plain import loop_attentive_norm, loop_aw, loop_gate, loop_multi_scale, loop_sase


@pytest.mark.parametrize("training", [True, False])
def test_loops_equal_the_layers(training):
    x = torch.randn(3, 16, 6, 5, dtype=torch.float64)
    pairs = [
        (AttentiveNorm(16, dtype=torch.float64), loop_attentive_norm),
        (SASEConv2d(16, stride=2, dtype=torch.float64), loop_sase),
        (AWConv2d(16, 16, 3, padding=1, dtype=torch.float64), loop_aw),
        (EfficientMultiScaleAttention(16, groups=4, dtype=torch.float64), loop_multi_scale),
    ]
    for layer, loop in pairs:
        layer.train(training)
        assert torch.allclose(layer(x), loop(layer, x), atol=1e-12), type(layer).__name__


@pytest.mark.parametrize("training", [True, False])
def test_loop_over_groups_equals_the_gate_and_its_gradients(training):
    layer = SynthesisSASE(32, 6).double().train(training)
    inputs = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 32, 4, 3), (3, 6, 12, 15))]
    weights = torch.randn(3, 6, 12, 15, dtype=torch.float64)
    found = []
    for form in (layer, lambda *maps: loop_gate(layer, *maps)):
        with frozen_power_iteration(layer):
            result = form(*inputs)
        found.append([result, *torch.autograd.grad(result, [*inputs, *layer.parameters()], weights)])
    for layers, loops in zip(*found, strict=True):
        assert torch.allclose(layers, loops, atol=1e-12)


def test_multiply_adds_count_folded_groups_in_full():
    layer = torch.nn.Sequential(EfficientMultiScaleAttention(32, groups=8, device="meta"))
    c, area = 4, 14 * 14
    counted = bench.count_multiply_adds(layer, 14, in_channels=32)
    # Per group: the 3x3 and the two products of c with the map; and the 1x1 on 28 positions.
    assert counted == 8 * (9 * c * c * area + 2 * c * area + c * c * 28)


def test_tables_tell_ours_from_published():
    costs = bench.bench_models(["resnet50", "densenet121"], layers=["bn", "an", "sase"])
    offered = {(c.backbone, c.layers) for c in costs}
    assert offered == {("resnet50", n) for n in ("bn", "an", "sase")} | {("densenet121", n) for n in ("bn", "an")}
    by_name = {(c.backbone, c.layers): c for c in costs}
    assert by_name["resnet50", "sase"].parameters == 18656040
    assert by_name["resnet50", "sase"].multiply_adds / 1e6 == pytest.approx(3323.45, rel=1e-4)
    table = bench.models_table(costs)
    assert "25,755,420" in table
    assert table.count("not measured") == len(costs)
    sase = next(line for line in table.splitlines() if "| sase |" in line)
    assert "none known" in sase


def test_layers_are_timed_against_their_loops():
    costs = bench.bench_layers(channels=16, size=6, batch_size=2, repeats=1)
    assert len(costs) == 6
    assert all(cost.ratio > 0 for cost in costs)
    assert len(bench.layers_table(costs).splitlines()) == 8


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match="layers ema are unknown; choose among bn, an"):
        bench.bench_models(["resnet18"], layers=["bn", "ema"])
    with pytest.raises(UsageError, match="backbone is 'resnet99'"):
        bench.bench_models(["resnet99"], layers=["bn"])


def test_commands_print_the_tables_and_write_them(tmp_path):
    result = CliRunner().invoke(
        cli.app, ["bench", "models", "resnet50", "--layers", "an,sase", "--out", str(tmp_path / "models.md")]
    )
    assert result.exit_code == 0
    assert "| resnet50 | an | 224 | 25,755,420 | 4,089.39 | not measured | 78.41 (ImageNet-1k) |" in result.output
    assert (tmp_path / "models.md").read_text() in result.output
    result = CliRunner().invoke(
        cli.app, ["bench", "layers", "--channels", "16", "--side", "4", "--batch-size", "2", "--repeats", "1"]
    )
    assert result.exit_code == 0
    assert result.output.count("| 2x16x4x4 |") == 6
    assert "ratio: how many times faster than the loop" in result.output


def test_a_published_gain_is_not_shown_as_an_accuracy():
    table = bench.models_table(bench.bench_models(["resnet101"], layers=["aw"]))
    assert "+1.00 over its plain network (ImageNet-1k)" in table
