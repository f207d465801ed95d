"""The options of the synthesis gate that are not in the paper, against slow forms in float64."""

import pytest
import torch

from sase_gan.layers.sase import SynthesisSASE


def gate(**options) -> SynthesisSASE:
    return SynthesisSASE(32, 6, **options).double().eval()


@pytest.fixture
def maps():
    return torch.randn(2, 32, 4, 5, dtype=torch.float64), torch.randn(2, 6, 8, 10, dtype=torch.float64)


def slow(layer: SynthesisSASE, masks, styles, target):
    """One position and channel after the other, from the formulae."""
    result = torch.empty_like(target)
    for n, c, y, x in torch.cartesian_prod(*(torch.arange(size) for size in target.shape)).tolist():
        m = masks[n, :, y // 2, x // 2]
        quotient = m.sum() + 1e-6 if layer.weighting == "share" else 1.0
        result[n, c, y, x] = target[n, c, y, x] * (1 + (m * styles[n, :, c]).sum() / quotient)
    return result


@pytest.mark.parametrize("weighting", ["share", "softmax", "free"])
def test_gates_are_their_formula(weighting, maps):
    layer, (source, target) = gate(weighting=weighting), maps
    masks, styles = layer.masks(source), layer.styles(source)
    torch.testing.assert_close(layer(source, target), slow(layer, masks, styles, target), atol=1e-12, rtol=1e-12)


def test_softmax_masks_sum_to_one_and_free_ones_need_not(maps):
    source, _ = maps
    for layer in (gate(weighting="softmax"), gate(weighting="free")):
        masks = layer.masks(source)
        assert masks.min() > 0
        assert masks.max() < 1
        ones = torch.allclose(masks.sum(1), torch.ones_like(masks[:, 0]))
        assert ones == (layer.weighting == "softmax")


@pytest.mark.parametrize(("weighting", "open_place"), [("share", False), ("softmax", True), ("free", True)])
def test_a_closed_mask_leaves_its_place_ungated_unless_masks_are_shares(weighting, open_place, maps):
    source, target = maps
    layer = gate(weighting=weighting)
    # One mask rules a place nearly alone, and is closed there by hand.
    masks = torch.full((2, 4, 4, 5), 1e-4, dtype=torch.float64)
    masks[:, 0] = 0.0
    drawn = layer.apply_gate(masks, 100 * torch.ones(2, 4, 6, dtype=torch.float64), target)
    assert ((drawn - target).abs().max() < 0.2 * target.abs().max()) == open_place
    # All closed: the layer does nothing, however masks count.
    assert torch.equal(layer.apply_gate(0 * masks, layer.styles(source), target), target)


def test_styles_of_zero_mean_change_no_mean_and_follow_the_learnt_gain(maps):
    source, _ = maps
    plain, centred = gate(), gate(style_gain=2.0)
    centred.load_state_dict({**plain.state_dict(), "style_gain": torch.tensor([2.0, 0.5, 1.0, 0.0]).double()})
    before, after = plain.styles(source), centred.styles(source)
    assert after.mean(2).abs().max() < 1e-12
    for k, gain in enumerate((2.0, 0.5, 1.0, 0.0)):
        expected = gain * (before[:, k] - before[:, k].mean(1, keepdim=True))
        torch.testing.assert_close(after[:, k], expected, atol=1e-12, rtol=1e-12)
    assert centred.style_gain.requires_grad
    assert gate(style_gain=1.5).style_gain.tolist() == [1.5] * 4


def test_the_gain_of_masks_multiplies_each_ones_logits(maps):
    source, _ = maps
    plain, crisp = gate(), gate(mask_gain=3.0)
    gains = torch.tensor([3.0, 0.5, 1.0, 0.0]).double()
    crisp.load_state_dict({**plain.state_dict(), "mask_gain": gains})
    expected = (gains[:, None, None] * plain.masks(source).logit()).sigmoid()
    torch.testing.assert_close(crisp.masks(source), expected, atol=1e-12, rtol=1e-12)
    assert crisp.mask_gain.requires_grad
    assert gate(mask_gain=1.5).mask_gain.tolist() == [1.5] * 4


@pytest.mark.parametrize("channels", [32, 128])
def test_without_gains_spectral_norms_bound_how_much_styles_differ(channels):
    """Why gates hardly change a picture as published: the styles as a whole are bounded, so each channel's is small."""
    source = 3 * torch.randn(256, 32, 4, 4)
    published, gained = (SynthesisSASE(32, channels, **options) for options in ({}, {"style_gain": 3.0}))
    with torch.no_grad():
        for layer in (published, gained):
            for _ in range(20):
                layer(source, torch.zeros(256, channels, 4, 4))
    spread, with_gain = (layer.eval().styles(source).std(0).mean() for layer in (published, gained))
    # Two inner channels of standard deviation 0.58 at most, through a map whose norm is 1.
    assert spread < 0.58 * 2**0.5 / channels**0.5
    assert with_gain > 2 * spread


def test_a_least_width_widens_narrow_branches():
    assert gate().mask_logit.in_channels == gate(min_width=2).mask_logit.in_channels
    assert gate(min_width=8).mask_squeeze.out_channels == 4 * 8


@pytest.mark.parametrize(
    ("options", "match"),
    [({"weighting": "sum"}, "weighting is 'sum'"), ({"min_width": 0}, "min_width is 0")],
)
def test_wrong_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        SynthesisSASE(32, 6, **options)


def test_a_style_of_one_channel_has_no_zero_mean():
    with pytest.raises(ValueError, match="one target channel"):
        SynthesisSASE(32, 1, style_gain=1.0)
    assert SynthesisSASE(32, 2, style_gain=1.0).style_gain.tolist() == [1] * 4
