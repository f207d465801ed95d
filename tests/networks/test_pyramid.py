"""The one-shot pyramid and its critic: published sizes, any output size, tiles, growth, snapshots."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sase_gan.config import build
from sase_gan.errors import DataError, UsageError
from sase_gan.layers.sase import SynthesisSASE
from sase_gan.networks.load import load_pyramid
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.networks.pyramid_sizes import dense_sizes, released_sizes
from sase_gan.networks.pyramid_stages import PatchDiscriminator
from sase_gan.snapshot import WEIGHTS_FILE, read_header
from sase_gan.training.config import OneShotConfig

SMALL = ((12, 16), (15, 20), (18, 24))


def small(**settings: object) -> Pyramid:
    torch.manual_seed(0)
    pyramid = Pyramid(PyramidConfig(sizes=SMALL, width=8, num_components=3, **settings)).eval()
    pyramid.amplitudes.copy_(torch.tensor([1.0, 0.5, 0.5]))
    pyramid.fixed0.normal_()
    return pyramid


def inputs(pyramid: Pyramid, count: int = 1, size: tuple[int, int] | None = None) -> tuple[Tensor, list[Tensor]]:
    z = torch.randn(count, *pyramid.latent_shape(size))
    return z, [torch.randn(count, *shape) for shape in pyramid.noise_shapes(size)]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# -- published integers -----------------------------------------------------------------------------------------------

RELEASED = {"growth": "released", "norm": "batch", "statistics": "running"}


def test_released_generators_have_the_released_parameters() -> None:
    pyramid = Pyramid(PyramidConfig(sizes=released_sizes(750, 1000), **RELEASED))
    counts = [parameters(stage) for stage in pyramid.stages]
    assert counts == [29_763] + [36_391] * 3 + [140_359] * 4 + [551_047]
    assert parameters(pyramid) == 1_251_419
    assert parameters(Pyramid(PyramidConfig(sizes=released_sizes(188, 250), **RELEASED))) == 1_802_466
    assert parameters(Pyramid(PyramidConfig(sizes=released_sizes(750, 1000), gate="none", **RELEASED))) == 1_029_147


def test_released_gates_have_the_released_parameters() -> None:
    pyramid = Pyramid(PyramidConfig(sizes=released_sizes(750, 1000), **RELEASED))
    assert pyramid.stages[0].gate is None
    assert [parameters(pyramid.stages[i].gate) for i in (1, 4, 8)] == [6_628, 25_540, 100_228]
    assert [pyramid.stages[i].gate.mask_dilated[0].dilation[0] for i in (1, 3, 4, 8)] == [5, 5, 8, 8]


def test_critics_have_the_published_parameters() -> None:
    assert [parameters(PatchDiscriminator(c, norm="batch")) for c in (32, 64, 128)] == [29_185, 113_665, 448_513]
    assert [parameters(PatchDiscriminator(c)) for c in (32, 64)] == [28_929, 113_153]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"norm": "none", "gate": "none"}, 177_042),
        ({"norm": "none"}, 210_182),
        ({}, 233_462),
    ],
)
def test_dense_pyramids_have_the_expected_parameters(settings: dict[str, object], expected: int) -> None:
    assert parameters(Pyramid(PyramidConfig(sizes=dense_sizes(188, 250), **settings))) == expected


# -- the function -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["attentive", "batch", "none"])
def test_samples_do_not_depend_on_their_batch(norm: str) -> None:
    pyramid = small(norm=norm)
    z, noise = inputs(pyramid, 3)
    with torch.no_grad():
        together = pyramid(z, noise).big
        alone = pyramid(z[1:2], [part[1:2] for part in noise]).big
        pyramid.train()
        in_training = pyramid(z, noise).big
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together, in_training, atol=1e-5, rtol=0)


def test_the_stage_equals_the_plain_form() -> None:
    """Head, body, gate and tail by hand, with the gate's masks resized to the target and mixed there."""
    pyramid = small(norm="batch", statistics="running").double()
    stage = pyramid.stages[1]
    carried, noise = torch.rand(1, 3, 15, 20, dtype=torch.float64), torch.randn(1, 3, 15, 20, dtype=torch.float64)
    early = stage.head(torch.nn.functional.pad(carried + noise, (5, 5, 5, 5)))
    late = stage.body(early)
    assert early.shape[2:] == (23, 28)
    assert late.shape[2:] == (17, 22)
    gate: SynthesisSASE = stage.gate
    masks = torch.nn.functional.interpolate(gate.masks(early), size=(17, 22), mode="nearest")
    styles = gate.styles(early)
    mixed = torch.einsum("bkhw,bkc->bchw", masks, styles) / (masks.sum(1, keepdim=True) + 1e-6)
    expected = stage.tail(late * (1 + mixed)).tanh()
    torch.testing.assert_close(stage(carried, noise, "zero"), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [(9, 12), (27, 24), (19, 31), (18, 96)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    pyramid = small()
    with torch.no_grad():
        drawn = pyramid(*inputs(pyramid, 2, size))
    assert drawn.big.shape == (2, 3, *size)
    assert drawn.big.isfinite().all()


def test_stage_sizes_follow_each_side() -> None:
    pyramid = small()
    assert pyramid.stage_sizes() == SMALL
    assert pyramid.stage_sizes((18, 24)) == SMALL
    assert pyramid.stage_sizes((36, 24)) == ((24, 16), (30, 20), (36, 24))
    with pytest.raises(UsageError, match="0x5"):
        pyramid.stage_sizes((5, 0))


def test_gradients_reach_coarse_stages_through_bicubic_resizing_only() -> None:
    for method, expected in (("bicubic", True), ("bytes", False)):
        pyramid = small(resize=method)
        pyramid(*inputs(pyramid)).big.square().mean().backward()
        reached = pyramid.stages[0].tail.weight.grad is not None
        assert reached is expected, method
        assert all(parameter.grad is not None for parameter in pyramid.stages[2].parameters())


def test_passing_through_bytes_truncates_as_released() -> None:
    pyramid = small(resize="bytes")
    values = torch.tensor([-2.0, -1.0, -0.9999, 0.0, 0.999, 1.0, 3.0]).reshape(1, 1, 1, 7).expand(1, 3, 1, 7)
    levels = (pyramid.enlarge(values, (1, 7), "zero") + 1) * 127.5
    torch.testing.assert_close(levels[0, 0, 0], torch.tensor([0.0, 0, 0, 127, 254, 255, 255]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("gate", ["sase", "none"])
def test_circular_padding_commutes_with_rolling(gate: str) -> None:
    """A tile has no place where it begins: rolled inputs give the rolled picture. Norms with fixed statistics, so that
    the means over a map that repeats its rim do not enter."""
    pyramid = small(norm="batch", statistics="running", gate=gate).double()
    for module in pyramid.modules():  # under fixed statistics the small start would let the signal vanish
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    sizes = [(18, 24)] * 3
    noise = [torch.randn(1, channels, 18, 24, dtype=torch.float64) for channels in (1, 3, 3)]
    rolled = [part.roll((5, 7), (2, 3)) for part in noise]
    with torch.no_grad():
        drawn = pyramid.climb(noise, sizes=sizes, padding="circular").big
        shifted = pyramid.climb(rolled, sizes=sizes, padding="circular").big
        zero = pyramid.climb(rolled, sizes=sizes).big
    torch.testing.assert_close(drawn.roll((5, 7), (2, 3)), shifted, atol=1e-12, rtol=0)
    assert (zero - shifted).abs().max() > 1e-3


def test_reconstruction_uses_the_fixed_latent_and_no_noise() -> None:
    pyramid = small()
    with torch.no_grad():
        drawn = pyramid.reconstruct()
        torch.testing.assert_close(drawn.big, pyramid(pyramid.fixed0).big)
        torch.testing.assert_close(pyramid.reconstruct(2).big, drawn.stages[1])


def test_the_latent_of_the_reconstruction_follows_from_the_seed() -> None:
    pyramid = small()
    pyramid.draw_fixed_noise(7)
    first = pyramid.fixed0.clone()
    pyramid.draw_fixed_noise(8)
    assert not torch.equal(pyramid.fixed0, first)
    pyramid.draw_fixed_noise(7)
    assert torch.equal(pyramid.fixed0, first)
    assert [part if part is None else part.shape for part in pyramid.fixed_noise()] == [(1, 1, 12, 16), None, None]


def test_training_styles_reproduce_the_reconstruction() -> None:
    pyramid = small()
    styles = pyramid.training_styles()
    assert {stage: tuple(style.shape) for stage, style in styles.items()} == {1: (1, 4, 8), 2: (1, 4, 8)}
    with torch.no_grad():
        given = pyramid.climb(pyramid.fixed_noise(), styles=styles).big
        torch.testing.assert_close(given, pyramid.reconstruct().big, atol=1e-6, rtol=0)
        z, noise = inputs(pyramid, 2)
        live = pyramid(z, noise).big
        changed = pyramid.climb([z, *noise], styles={k: 3 * v for k, v in styles.items()}).big
    assert (live - changed).abs().max() > 1e-3


# -- growing and publishing -------------------------------------------------------------------------------------------


def test_a_new_stage_copies_the_one_before() -> None:
    pyramid = small()
    fresh_gate = pyramid.stages[1].gate.mask_squeeze.weight.clone()
    assert not pyramid.begin_stage(0)
    assert pyramid.begin_stage(1)
    torch.testing.assert_close(pyramid.stages[1].tail.weight, pyramid.stages[0].tail.weight)
    torch.testing.assert_close(pyramid.stages[1].gate.mask_squeeze.weight, fresh_gate)
    assert pyramid.begin_stage(2)
    torch.testing.assert_close(pyramid.stages[2].gate.mask_squeeze.weight, fresh_gate)
    wider = Pyramid(PyramidConfig(sizes=((12, 12),) * 5, width=8, growth="released"))
    assert wider.begin_stage(3)
    assert not wider.begin_stage(4)


def test_the_first_stages_are_a_model_of_their_own(tmp_path: Path) -> None:
    pyramid = small()
    picture = torch.randint(0, 256, (3, 15, 20), dtype=torch.uint8)
    part = pyramid.first_stages(2, picture)
    assert part.size == (15, 20)
    assert torch.equal(part.picture, picture)
    # What is unfinished shows what its stages have learnt, and is not drawn again out of patches.
    whole = pyramid.first_stages(3, torch.zeros(3, 18, 24, dtype=torch.uint8))
    assert (pyramid.finished_stages, part.finished_stages, whole.finished_stages) == (2, 0, 2)
    with torch.no_grad():
        torch.testing.assert_close(part.reconstruct().big, pyramid.reconstruct(2).big)
    part.save_pretrained(tmp_path / "model")
    loaded = Pyramid.from_pretrained(str(tmp_path / "model"))
    assert loaded.config == part.config
    z, noise = inputs(part)
    with torch.no_grad():
        assert torch.equal(loaded(z, noise).big, part(z, noise).big)
    assert torch.equal(loaded.picture, picture)


def test_a_pyramid_without_sizes_is_refused() -> None:
    with pytest.raises(UsageError, match="needs sizes"):
        Pyramid(PyramidConfig())


OLD_KEYS = {"handover": "image", "output": "direct", "reconstruction": "latent"}


def rewritten(folder: Path, **keys: str) -> Path:
    """A snapshot with these keys in its configuration, as an older version wrote them."""
    small().save_pretrained(folder)
    header = read_header(folder / WEIGHTS_FILE)
    header["network"] |= keys
    save_file(load_file(folder / WEIGHTS_FILE), folder / WEIGHTS_FILE, metadata={"config": json.dumps(header)})
    return folder


def test_a_snapshot_of_an_older_version_draws_the_same_pictures(tmp_path: Path) -> None:
    pyramid = small()
    loaded = load_pyramid(rewritten(tmp_path / "old", **OLD_KEYS))
    assert loaded.config == pyramid.config
    z, noise = inputs(pyramid)
    with torch.no_grad():
        assert torch.equal(loaded(z, noise).big, pyramid(z, noise).big)


@pytest.mark.parametrize(
    ("key", "value"), [("handover", "feature"), ("output", "residual"), ("reconstruction", "image")]
)
def test_modes_that_are_gone_are_refused_in_a_sentence(key: str, value: str, tmp_path: Path) -> None:
    sentence = f"{key} is '{value}', which this version no longer builds, only '{OLD_KEYS[key]}'; .* train anew"
    with pytest.raises(DataError, match=f"old: its configuration cannot be built: {sentence}"):
        load_pyramid(rewritten(tmp_path / "old", **{key: value}))
    with pytest.raises(UsageError, match=f"^config: generator: {sentence}"):
        build(OneShotConfig, {"generator": {key: value}})


def test_the_critic_sees_patches_of_eleven_pixels() -> None:
    critic = PatchDiscriminator(8).double()
    image = torch.randn(1, 3, 21, 25, dtype=torch.float64, requires_grad=True)
    scores = critic(image)
    assert scores.shape == (1, 1, 11, 15)
    (gradient,) = torch.autograd.grad(scores[0, 0, 5, 7], image)
    rows, columns = gradient.abs().sum((0, 1)).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 15, 7, 17)
