"""Every shipped preset of one picture: read by the real record, stating deviations only; `paper` stating its method."""

from typing import Any

import pytest

from sase_gan.config import build, list_presets, load_preset, merge
from sase_gan.hardware import Hardware
from sase_gan.runs.presets import choose_one_shot_preset
from sase_gan.runs.tasks.one_shot import OneShotTask
from sase_gan.training.config import OneShotConfig, sized_for
from tests.training.test_one_shot import fit, module_of

NAMES = [*list_presets("one_shot"), "smoke/one_shot"]


@pytest.mark.parametrize("name", NAMES)
def test_preset_says_what_it_does_and_repeats_no_default(name: str) -> None:
    values = load_preset(name)
    config, default = (build(OneShotConfig, v).model_dump(mode="json") for v in (values, {}))
    repeated = []
    for section, settings in values.items():
        if not isinstance(settings, dict):
            assert config[section] == settings != default[section]
            continue
        for key, value in settings.items():
            assert config[section][key] == value, (section, key)
            if default[section][key] == value:
                repeated.append(f"{section}.{key}")
    assert not repeated or name == "one_shot/paper"


def test_paper_states_its_method_so_that_no_default_can_change_it() -> None:
    values: dict[str, Any] = load_preset("one_shot/paper")
    default = build(OneShotConfig, {}).model_dump(mode="json")
    # From the picture or the command line, or without effect: the release has no attentive norm, and trains no stage
    # with a finer one.
    irrelevant = {
        "generator": {"sizes", "num_components", "factor", "colours"},
        "optimiser": {"rate_scale", "recorded"},
        "pyramid": {"stages"},
    }
    for section in ("generator", "loss", "optimiser", "pyramid", "discriminator", "averaging"):
        missing = set(default[section]) - set(values[section]) - irrelevant.get(section, set())
        assert not missing, section


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_trains_in_bfloat16_too(name: str) -> None:
    """What the networks draw under autocast is narrower than the picture, wherever the two meet."""
    tiny = {"generator": {"width": 4}, "schedule": {"iterations": 2}, "pyramid": {"smallest_side": 16, "max_size": 28}}
    config = sized_for(build(OneShotConfig, merge(load_preset(name), tiny)), (20, 28))
    module = module_of(config)
    fit(module, config.total_images, precision="bf16-mixed")
    assert all(value.isfinite().all() for value in module.generator.state_dict().values())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_float32_is_taken_on_every_device_unless_another_is_asked_for(precision: str) -> None:
    hardware = Hardware("cuda", "a GPU", "bf16-mixed", 1)
    assert OneShotTask().precision(OneShotConfig(), hardware) == "32-true"
    assert OneShotTask().precision(OneShotConfig(precision=precision), hardware) == precision


@pytest.mark.parametrize("gpu", [True, False])
def test_every_choice_is_a_preset_that_exists(gpu: bool) -> None:
    name, reason = choose_one_shot_preset(gpu=gpu)
    assert f"one_shot/{name}" in NAMES
    assert ("GPU" in reason) == gpu
    config = sized_for(build(OneShotConfig, load_preset(name, task="one_shot")), (750, 1000))
    assert max(config.generator.sizes[-1]) == (250 if gpu else 128)
