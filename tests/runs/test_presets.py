import pytest

from sase_gan.config import build, load_preset
from sase_gan.networks.channel_tables import IMAGE_SIZES
from sase_gan.runs.presets import choose_preset, recommend_image_size
from sase_gan.training.config import LowShotConfig


@pytest.mark.parametrize("side", [16, 64, 300, 4000])
def test_cpu_gets_the_narrow_network_at_64_px(side):
    choice = choose_preset(100, side, gpu=False)
    assert (choice.preset, choice.image_size) == ("cpu", 64)
    assert "100 pictures" in choice.reason


@pytest.mark.parametrize(
    ("side", "size"),
    [(20, 32), (32, 32), (63, 32), (64, 64), (100, 64), (128, 128), (255, 128), (256, 256), (4000, 256)],
)
def test_gpu_gets_the_largest_size_up_to_256_that_the_pictures_reach(side, size):
    choice = choose_preset(100, side, gpu=True)
    assert (choice.preset, choice.image_size) == ("gpu", size)


@pytest.mark.parametrize("gpu", [True, False])
@pytest.mark.parametrize("wish", IMAGE_SIZES)
def test_a_wish_is_kept(wish, gpu):
    choice = choose_preset(100, 40, gpu=gpu, image_size=wish)
    assert choice.image_size == wish
    assert choice.preset == ("cpu" if not gpu else "gpu" if wish <= 256 else "gpu_large")


@pytest.mark.parametrize("gpu", [True, False])
def test_every_choice_is_a_preset_that_exists_and_takes_the_size(gpu):
    for size in IMAGE_SIZES:
        choice = choose_preset(30, 2000, gpu=gpu, image_size=size)
        values = load_preset(choice.preset, task="low_shot") | {"image_size": choice.image_size}
        assert build(LowShotConfig, values).image_size == size


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([128] * 10, 128),
        ([300] * 10, 256),
        ([20] * 3, 32),
        ([5000], 1024),
        ([64] + [256] * 99, 256),
        ([64] * 6 + [256] * 94, 64),
    ],
)
def test_the_recommended_size_enlarges_at_most_one_in_twenty(sides, expected):
    assert recommend_image_size(sides) == expected
