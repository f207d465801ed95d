import pytest
import torch

from sase_gan.errors import UsageError
from sase_gan.hardware import choose_hardware, is_first_process


@pytest.fixture
def cpu_only(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_cpu_computes_in_float32(cpu_only):
    hardware = choose_hardware()
    assert (hardware.kind, hardware.precision, hardware.device) == ("cpu", "32-true", torch.device("cpu"))
    assert hardware.threads == torch.get_num_threads()
    assert "CPU cores" in hardware.name


@pytest.mark.parametrize(("bfloat16", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_gpu_is_taken_when_there_is_one_with_bfloat16_where_it_exists(monkeypatch, bfloat16, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    hardware = choose_hardware()
    assert (hardware.kind, hardware.precision, hardware.name) == ("cuda", precision, "a GPU")
    assert choose_hardware("cpu").kind == "cpu"
    assert choose_hardware("cuda", "32-true").precision == "32-true"


def test_threads_are_set(cpu_only):
    assert choose_hardware(threads=1).threads == 1
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "cuda"}, "device is 'cuda'; this machine has cpu"),
        ({"device": "tpu"}, "device is 'tpu'; this machine has cpu"),
        ({"threads": 0}, "threads is 0; it must be at least 1"),
        ({"precision": "16"}, "precision is '16'; choose 32-true or bf16-mixed"),
    ],
)
def test_impossible_wishes_are_refused(cpu_only, arguments, message):
    with pytest.raises(UsageError, match=message):
        choose_hardware(**arguments)


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "2"}, False),
        # Started by Lightning or torchrun within one task of a SLURM job.
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1"}, False),
    ],
)
def test_one_process_of_a_run_is_the_first_whoever_started_them(variables, first, monkeypatch):
    for name in ("LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first
