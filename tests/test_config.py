import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from sase_gan.config import (
    build,
    list_presets,
    load_preset,
    load_yaml,
    merge,
    parse_assignments,
    preset_folder,
    resolve,
    to_yaml,
    without_none,
)
from sase_gan.errors import UsageError
from sase_gan.training.config import LowShotConfig


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rate: float = 0.1
    policy: tuple[str, ...] = ("a",)


class Outer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = "x"
    inner: Inner = Inner()


def test_later_layers_win_and_nested_mappings_are_merged():
    layers = [{"a": 1, "b": {"c": 1, "d": [1, 2]}}, {"b": {"c": 2}}, {"b": {"d": [3]}, "e": None}]
    assert merge(*layers) == {"a": 1, "b": {"c": 2, "d": [3]}, "e": None}
    assert merge({"a": {"b": 1}}, {"a": 2}) == {"a": 2}
    assert merge({"a": 2}, {"a": {"b": 1}}) == {"a": {"b": 1}}
    assert merge() == {}


def test_merging_changes_none_of_its_layers():
    first, second = {"a": {"b": [1]}}, {"a": {"c": [2]}}
    merged = merge(first, second)
    merged["a"]["b"].append(9)
    merged["a"]["c"].append(9)
    assert first == {"a": {"b": [1]}}
    assert second == {"a": {"c": [2]}}


def test_precedence_is_preset_then_file_then_flags_then_set(tmp_path):
    preset = load_preset("cpu", task="low_shot")
    assert preset["generator"]["width"] == 16
    assert preset["image_size"] == 64
    (tmp_path / "mine.yaml").write_text("image_size: 128\nseed: 1\ngenerator: {width: 8}\n")
    config = resolve(
        LowShotConfig,
        preset="cpu",
        file=tmp_path / "mine.yaml",
        flags={"image_size": 32, "seed": None, "optimiser": {"batch_size": None}},
        settings=["generator.width=4"],
        task="low_shot",
    )
    assert config.generator.latent_size == 128  # preset over default
    assert config.seed == 1  # file over preset
    assert config.image_size == config.generator.image_size == config.discriminator.image_size == 32  # flag over file
    assert config.generator.width == 4  # --set over file
    assert config.optimiser.batch_size == 8  # a flag that was not given changes nothing


def test_without_layers_the_defaults_hold():
    assert resolve(LowShotConfig) == LowShotConfig()


def test_flags_that_were_not_given_vanish_with_their_sections():
    assert without_none({"a": None, "b": {"c": None}, "d": {"e": 0, "f": None}, "g": False}) == {
        "d": {"e": 0},
        "g": False,
    }


@pytest.mark.parametrize(
    ("assignments", "values"),
    [
        (["a.b=0.1"], {"a": {"b": 0.1}}),
        (["a.b=1", "a.c=[x, y]", "a.b=2"], {"a": {"b": 2, "c": ["x", "y"]}}),
        (["a=null"], {"a": None}),
        (["a=text=more"], {"a": "text=more"}),
        (["a="], {"a": None}),
        ([" a.b = true"], {"a": {"b": True}}),
    ],
)
def test_assignments_are_read_as_yaml(assignments, values):
    assert parse_assignments(assignments) == values


@pytest.mark.parametrize("text", ["loss.r1", "=3", " =3"])
def test_assignment_without_key_or_value_is_refused(text):
    with pytest.raises(UsageError, match=r"--set got .*; write section.key=value"):
        parse_assignments([text])


def test_assignment_whose_value_is_not_yaml_is_refused():
    with pytest.raises(UsageError, match=r"--set got 'a=\[1', whose value is not YAML"):
        parse_assignments(["a=[1"])


def test_exponents_without_a_point_are_numbers_nevertheless():
    # YAML 1.1 reads 1e-4 as a text; the record makes it the number that everybody means.
    assert build(Outer, parse_assignments(["inner.rate=1e-4"])).inner.rate == 1e-4


def test_unknown_keys_are_named_with_the_known_ones_of_their_section():
    with pytest.raises(UsageError, match=r"^config: inner.rat is not a known key; known there: policy, rate$"):
        build(Outer, {"inner": {"rat": 1}})
    with pytest.raises(UsageError, match=r"^config: nam is not a known key; known there: inner, name$"):
        build(Outer, {"nam": 1})


def test_wrong_values_are_named_with_their_place():
    with pytest.raises(UsageError, match=r"^config: inner.rate is 'fast'; input should be a valid number"):
        build(Outer, {"inner": {"rate": "fast"}})
    with pytest.raises(UsageError, match=r"^config: inner.policy.1 is 7; input should be a valid string"):
        build(Outer, {"inner": {"policy": ["a", 7]}})
    with pytest.raises(UsageError, match=r"^config: inner is 3; input should be"):
        build(Outer, {"inner": 3})
    with pytest.raises(UsageError, match=r"^config: 1 is "):
        build(Outer, {1: 2})


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["generator=3"], "config: generator is 3; input should be"),
        (["image_size=7"], "^config: generator.image_size is 7; choose one of 32, 64, "),
        (["generator.widht=3"], "config: generator.widht is not a known key; known there: .*width"),
        (["generator.width=2"], "config: generator.width is 2; input should be greater than or equal to 4"),
        (["image_size=100"], "image_size is 100; choose one of 32, 64, 128, 256, 512, 1024"),
        (["generator.image_size=64"], "generator.image_size is 64, image_size 256; set image_size only"),
        (["generator.sase_groups=3"], "sase_groups is 3; it must divide the 512 channels of the 8x8 map"),
        (["augment.policy=[colour]"], "config: augment.policy.0 is 'colour'; input should be 'color'"),
        (["optimiser.batch_size=1"], "config: optimiser.batch_size is 1; input should be greater than or equal to 2"),
        (["loss.reconstruction=l2"], "config: loss.reconstruction is 'l2'; input should be 'l1', 'efflite0'"),
        (["schedule.total_images=0"], "config: schedule.total_images is 0"),
        (["data.holdout=0.9"], "config: data.holdout is 0.9"),
    ],
)
def test_mistakes_in_a_low_shot_configuration_end_in_one_sentence(assignments, message):
    with pytest.raises(UsageError, match=message) as caught:
        build(LowShotConfig, parse_assignments(assignments))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_written_yaml_gives_the_record_back():
    config = build(LowShotConfig, load_preset("demo", task="low_shot") | {"seed": 3})
    assert build(LowShotConfig, yaml.safe_load(to_yaml(config))) == config


def test_image_size_is_stated_once_and_reaches_both_networks():
    config = LowShotConfig(image_size=64)
    assert (config.generator.image_size, config.discriminator.image_size) == (64, 64)
    assert LowShotConfig(**config.model_dump()) == config
    assert LowShotConfig(generator=config.generator, discriminator=config.discriminator, image_size=64) == config


def test_presets_are_listed_by_task():
    assert {"low_shot/cpu", "low_shot/gpu", "low_shot/paper_256", "smoke/low_shot"} <= set(list_presets())
    names = list_presets("low_shot")
    assert names == sorted(names)
    assert all(name.startswith("low_shot/") for name in names)
    assert load_preset("smoke/low_shot", task="low_shot")["image_size"] == 32
    assert (preset_folder() / "low_shot" / "cpu.yaml").is_file()


def test_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"preset is 'fast'; choose one of .*low_shot/cpu"):
        load_preset("fast", task="low_shot")


def test_files_that_are_no_configuration_are_refused(tmp_path):
    with pytest.raises(UsageError, match="does not exist; check the path"):
        load_yaml(tmp_path / "none.yaml")
    for content, message in (("a: [1", "is not YAML: "), ("- 1\n- 2\n", "holds a list; it must hold keys and values")):
        (tmp_path / "bad.yaml").write_text(content)
        with pytest.raises(UsageError, match=message):
            load_yaml(tmp_path / "bad.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_yaml(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x\n", "refers to parts of itself"),
        ("a: " + "[" * 20_000, "nests more than 20 brackets"),
        ("# " + "x" * 2**20, "at most 1,048,576 are read"),
    ],
)
def test_a_file_that_costs_beyond_measure_is_refused(text, message, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_yaml(tmp_path / "config.yaml")
