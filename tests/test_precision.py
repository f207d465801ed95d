import pytest
import torch

from sase_gan.config import build, load_preset
from sase_gan.hardware import Hardware
from sase_gan.precision import cpu_multiplies_bfloat16, settled
from sase_gan.training.config import LowShotConfig

CPU = Hardware("cpu", "CPU", "32-true", 1)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"architecture": "aarch64", "sve_bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({}, False),
    ],
)
def test_a_cpu_takes_bfloat16_by_itself_only_where_it_multiplies_in_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert cpu_multiplies_bfloat16() == expected
    assert settled("auto", CPU) == ("bf16-mixed" if expected else "32-true")
    assert settled("32-true", CPU) == "32-true"
    assert settled("bf16-mixed", CPU) == "bf16-mixed"


def test_a_release_of_torch_that_cannot_tell_means_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert settled("auto", CPU) == "32-true"


def test_a_gpu_keeps_what_it_was_chosen_with():
    assert settled("auto", Hardware("cuda", "a GPU", "bf16-mixed", 1)) == "bf16-mixed"
    assert settled("auto", Hardware("cuda", "an old GPU", "32-true", 1)) == "32-true"


@pytest.mark.parametrize(
    ("preset", "setting"), [("paper_256", "32-true"), ("paper_1024", "32-true"), ("demo", "auto"), ("gpu", "auto")]
)
def test_released_presets_compute_in_float32_everywhere(preset, setting):
    assert build(LowShotConfig, load_preset(preset, task="low_shot")).precision == setting
