"""Every shipped low-shot preset: read by the real record, and stating deviations only."""

from typing import Any

import pytest
from pydantic import BaseModel

from sase_gan.config import build, list_presets, load_preset, preset_folder
from sase_gan.training.config import LowShotConfig
from sase_gan.training.instant_config import InstantConfig

NAMES = [name for name in list_presets() if name.startswith("low_shot/") or name == "smoke/low_shot"]
every_preset = pytest.mark.parametrize("name", NAMES)

# A preset that reproduces something published states its whole method, so that a changed default cannot alter it.
STATES_ITS_METHOD = {"low_shot/paper_256", "low_shot/paper_1024"}


def leaves(values: dict[str, Any], place: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for key, value in values.items():
        found += leaves(value, (*place, key)) if isinstance(value, dict) else [((*place, key), value)]
    return found


def value_at(record: BaseModel, place: tuple[str, ...]) -> Any:
    for name in place:
        record = getattr(record, name)
    return record


@every_preset
def test_preset_is_a_valid_configuration_that_says_what_it_says(name):
    values = load_preset(name)
    config = build(LowShotConfig, values)
    for place, value in leaves(values):
        found = value_at(config, place)
        assert (list(found) if isinstance(found, tuple) else found) == value, place


@pytest.mark.parametrize("name", [name for name in NAMES if name not in STATES_ITS_METHOD])
def test_preset_repeats_no_default(name):
    repeated = [
        ".".join(place) for place, value in leaves(load_preset(name)) if value == value_at(LowShotConfig(), place)
    ]
    assert not repeated


@every_preset
def test_preset_opens_with_a_comment_that_names_its_command(name):
    text = (preset_folder() / f"{name}.yaml").read_text()
    assert text.startswith("#")
    header = [line for line in text.splitlines() if line.startswith("#")]
    assert any("sase-gan train" in line or "make demo" in line for line in header)


def test_paper_presets_are_the_released_method():
    for name in STATES_ITS_METHOD:
        config = build(LowShotConfig, load_preset(name))
        assert (config.generator.norm, config.generator.skip) == ("batch", "sase")
        assert config.discriminator.downsample == "nearest"
        assert config.augment.policy == ("color", "translation")
        assert not config.augment.shared
        assert config.loss.reconstruction == "lpips-vgg"
        assert (config.loss.reconstruction_weight, config.optimiser.batch_size) == (8, 8)
        assert (config.loss.lecam, config.loss.r1) == (0, 0)
        assert config.optimiser.power_iteration == "forward"
        assert config.optimiser.betas == (0.5, 0.999)
        # 0.999 a step of batch 8
        assert 0.5 ** (8 / config.averaging.half_life) == pytest.approx(0.999, abs=1e-6)
        assert config.averaging.ramp_up == 0
    assert build(LowShotConfig, load_preset("low_shot/paper_256")).schedule.total_images == 70_000 * 8
    assert build(LowShotConfig, load_preset("low_shot/paper_1024")).schedule.total_images == 75_000 * 8
    assert build(LowShotConfig, load_preset("low_shot/paper_1024")).generator.output == "tanh"


@pytest.mark.parametrize("name", ["instant/instant", "smoke/instant"])
def test_presets_without_training_are_valid_and_repeat_no_default(name):
    values = load_preset(name)
    config = build(InstantConfig, values)
    for place, value in leaves(values):
        assert value_at(config, place) == value != value_at(InstantConfig(), place)


def test_smoke_run_is_tiny():
    config = build(LowShotConfig, load_preset("smoke/low_shot"))
    assert config.image_size == 32
    assert config.schedule.total_images <= 100
