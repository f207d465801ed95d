import copy

import pytest
import torch

from sase_gan.errors import UsageError
from sase_gan.features.efficientnet_lite0 import efficientnet_lite0
from sase_gan.features.reconstruction import ReconstructionKind, reconstruction_loss


@pytest.mark.parametrize("kind", ["l1", "efflite0", "lpips-squeeze"])
def test_reconstruction_losses_are_zero_for_equal_and_grow_with_disturbance(
    kind: ReconstructionKind,
) -> None:
    loss = reconstruction_loss(kind, untrained=kind.startswith("lpips"))
    target = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8) * 2 - 1, size=64, mode="bilinear")
    noise = torch.randn_like(target)
    values = [loss((target + s * noise).clamp(-1, 1), target) for s in (0, 0.1, 0.5)]
    assert values[0].shape == (2,)
    torch.testing.assert_close(values[0], torch.zeros(2))
    assert (values[1] > 0).all()
    assert (values[2] > values[1]).all()


def test_perceptual_loss_has_a_useful_gradient_to_the_prediction_only() -> None:
    loss = reconstruction_loss("efflite0")
    target = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4) * 2 - 1, size=32, mode="bilinear")
    pred = (target + 0.3 * torch.randn_like(target)).requires_grad_()
    before = loss(pred, target)
    (gradient,) = torch.autograd.grad(before.sum(), pred)
    with torch.no_grad():
        after = loss(pred - 0.02 * gradient / gradient.abs().mean(), target)
    assert (after < before).all()
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_perceptual_loss_has_the_order_of_lpips(pandas: torch.Tensor) -> None:
    loss = reconstruction_loss("efflite0")
    small = torch.nn.functional.interpolate(pandas[:9] / 127.5 - 1, size=128, mode="bicubic", antialias=True)
    with torch.inference_mode():
        assert 0.5 < loss(small[:8], small[1:9]).mean() < 0.8


def test_losses_of_a_training_module_do_not_move_the_shared_network() -> None:
    loss = reconstruction_loss("efflite0")
    loss.to(torch.float64)
    assert next(efficientnet_lite0().parameters()).dtype == torch.float32
    copy.deepcopy(loss)


def test_settings_without_effect_and_unknown_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="no effect"):
        reconstruction_loss("l1", untrained=True)
    with pytest.raises(UsageError, match="no reconstruction loss"):
        reconstruction_loss("ssim")  # type: ignore[arg-type]
