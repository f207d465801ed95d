"""Budgets of CPU seconds, and what teaches a network beside its pictures: counted, said, and apart from figures."""

from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sase_gan.config import load_preset, merge, resolve
from sase_gan.datasets.images import load_image_set
from sase_gan.hardware import choose_hardware
from sase_gan.networks.load import load_generator
from sase_gan.runs import stopping
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.instant import FIGURES_FROM, MATERIAL_FROM, draw_material
from sase_gan.runs.options import RunOptions
from sase_gan.runs.run import resume_run, start_run
from sase_gan.runs.tasks.low_shot import LowShotTask
from sase_gan.training.config import LowShotConfig, MaterialSection

FACES = Path(__file__).resolve().parents[2] / "data" / "emoji-faces"
TEN = tuple(sorted(FACES.glob("*.png")))[:10]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "ten"
    folder.mkdir()
    for path in TEN:
        (folder / path.name).write_bytes(path.read_bytes())
    return load_image_set(folder, image_size=32)


def configuration(**changes) -> LowShotConfig:
    quiet = {"schedule": {"evaluation_count": 0, "baseline_images": 0}}
    return LowShotConfig(**merge(load_preset("smoke/low_shot"), quiet, changes))


@pytest.fixture
def seconds_pass(monkeypatch):
    """Every look at the process's clock is a second later than the one before: a step costs one."""
    ticks = count()
    monkeypatch.setattr(stopping.time, "process_time", lambda: float(next(ticks)))


def options() -> RunOptions:
    return RunOptions(choose_hardware("cpu", "32-true", 1))


def clock(run: RunFolder) -> dict:
    return torch.load(run.checkpoint, weights_only=True)["clock"]


def test_a_run_ends_after_its_cpu_seconds_which_a_resumed_run_goes_on_counting(images, tmp_path, seconds_pass):
    run = RunFolder(tmp_path / "run")
    start_run(configuration(schedule={"cpu_seconds": 3}), images, run, options())
    assert (clock(run)["images_seen"], clock(run)["cpu_seconds"]) == (12, 3.0)
    resume_run(configuration(schedule={"cpu_seconds": 5}), images, run, options())
    assert (clock(run)["images_seen"], clock(run)["cpu_seconds"]) == (20, 5.0)
    assert run.metrics.read_text().splitlines()[0].startswith("images_seen,seconds,cpu_seconds")


def test_rates_fall_with_the_budget_of_cpu_seconds(images, tmp_path, seconds_pass):
    section = {"decay": 1.0, "generator_rate": 1e-3}
    run = RunFolder(tmp_path / "run")
    start_run(configuration(schedule={"cpu_seconds": 4}, optimiser=section), images, run, options())
    state = torch.load(run.checkpoint, weights_only=True)["optimizer_states"][0]
    assert state["param_groups"][0]["lr"] == pytest.approx(1e-3 / 4)  # the fourth step begins with three seconds gone


@pytest.mark.parametrize(("processes", "share"), [(1, 0.75), (2, 0.0)])
def test_the_share_of_the_minutes_is_counted_where_one_clock_counts(processes, share, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: now[0], process_time=lambda: 0.0))
    strategy = SimpleNamespace(reduce_boolean_decision=lambda stop, all: stop)
    trainer = SimpleNamespace(world_size=processes, should_stop=False, strategy=strategy)
    module = SimpleNamespace(time_share=0.5, images_seen=8, cpu_seconds=0.0)
    watch = stopping.Stopping(1000, 2.0)
    watch.on_train_start(trainer, module)
    for seconds, stops in ((90.0, False), (120.0, True)):
        now[0] = 100 + seconds
        watch.on_train_batch_start(trainer, module, None, 0)
        watch.on_train_batch_end(trainer, module, None, None, 0)
        assert trainer.should_stop is stops
        if not stops:
            assert module.time_share == share


@pytest.mark.parametrize(("share", "images_seen", "factor"), [(0.0, 0, 1), (0.75, 0, 0.5), (0.5, 0, 1), (0.5, 24, 0.5)])
def test_rates_fall_with_the_minutes_or_the_images_whichever_end_first(share, images_seen, factor, images):
    section = {"decay": 0.5, "generator_rate": 1e-3}
    module = LowShotTask().plan(configuration(optimiser=section, schedule={"total_images": 32}), images).build()
    optimisers = [SimpleNamespace(param_groups=[{}]) for _ in range(2)]
    module.optimizers = lambda: optimisers
    module.time_share, module.images_seen = share, images_seen
    module._set_rates()
    assert optimisers[0].param_groups[0]["lr"] == pytest.approx(1e-3 * factor)


def test_a_checkpoint_without_cpu_seconds_counts_from_none(images, tmp_path):
    module = LowShotTask().plan(configuration(), images).build()
    module.on_load_checkpoint({"clock": {"images_seen": 8, "steps": 2}})
    assert (module.images_seen, module.cpu_seconds) == (8, 0.0)


def test_recombinations_are_drawn_from_seeds_of_their_own(images, monkeypatch):
    # Evening out the use of the pictures takes seconds and has tests of its own.
    monkeypatch.setattr("sase_gan.runs.instant.even_prior", lambda engine: torch.zeros(10))
    hardware, section = choose_hardware("cpu", "32-true", 1), MaterialSection(count=3)
    first = draw_material(section, images, hardware, seed=0, mirror=True)
    assert first.shape == (3, 3, 32, 32)
    assert torch.equal(first, draw_material(section, images, hardware, seed=0, mirror=True))
    assert not torch.equal(first, draw_material(section, images, hardware, seed=1, mirror=True))
    assert FIGURES_FROM + 100_000 < MATERIAL_FROM


def test_recombinations_serve_as_real_pictures_and_are_said(images, tmp_path, monkeypatch):
    config = configuration(
        recombinations={"count": 3}, likelihood={"weight": 1.0, "pool": 20}, schedule={"total_images": 8}
    )
    shown = {}

    def drawn(section, images, hardware, *, seed, mirror):
        return torch.full((section.count, 3, 32, 32), 77, dtype=torch.uint8)

    monkeypatch.setattr("sase_gan.runs.tasks.low_shot.draw_material", drawn)
    plan = LowShotTask().plan(config, images)
    module = plan.build()
    shown["all"] = plan.prepare(module, options())
    assert torch.equal(shown["all"][:10], images.images)
    assert (shown["all"][10:] == 77).all()
    pulling = module.likelihood._pictures(torch.arange(len(module.likelihood)))
    assert torch.equal(pulling, torch.cat([shown["all"], shown["all"].flip(-1)]))
    run = RunFolder(tmp_path / "run")
    start_run(config, images, run, options())
    folder = run.snapshot(8)
    provenance = load_generator(folder).provenance
    assert provenance["taught_by"] == {"likelihood term, weight": 1.0, "recombinations": 3}
    assert provenance["extractor_used_in_training"] is True
    assert provenance["data"]["count"] == 10  # the recombinations are no training pictures
    card = (folder / "README.md").read_text()
    assert "| taught by recombinations | 3 |" in card


def test_the_term_can_be_kept_to_the_pictures_alone(images, monkeypatch):
    monkeypatch.setattr("sase_gan.runs.tasks.low_shot.draw_material", lambda *a, **b: images.images[:2])
    config = configuration(
        recombinations={"count": 2, "pull": False}, likelihood={"weight": 1.0}, data={"mirror": False}
    )
    plan = LowShotTask().plan(config, images)
    module = plan.build()
    assert len(plan.prepare(module, options())) == 12
    assert module.likelihood.pictures is images.images


@pytest.mark.parametrize("preset", ["paper_256", "paper_1024"])
def test_presets_of_the_papers_are_taught_by_pictures_alone(preset):
    config = resolve(LowShotConfig, preset=preset, task="low_shot")
    assert config.likelihood.weight == 0
    assert config.recombinations.count == 0
    assert config.schedule.cpu_seconds is None
