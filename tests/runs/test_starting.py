"""Starting from another model: what is taken over, at its own size and at others, what is refused, and what is told."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from sase_gan.api.train import train as train_from_python
from sase_gan.config import load_preset, merge
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, UsageError
from sase_gan.hardware import choose_hardware
from sase_gan.metrics.records import parse_record
from sase_gan.networks.discriminator import Discriminator, DiscriminatorConfig
from sase_gan.networks.discriminator_file import DISCRIMINATOR_FILE, load_discriminator, save_discriminator
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.load import load_generator
from sase_gan.networks.taking_over import renamed_for, take_over
from sase_gan.report.view import _setup_sections
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.starting import Start, begin_from, open_start, settled_start
from sase_gan.runs.tasks.low_shot import LowShotTask
from sase_gan.runs.train import train
from sase_gan.training.config import LowShotConfig
from tests.processes import invoke

DATA = Path(__file__).resolve().parents[2] / "data"
SHIPPED = DATA / "snapshots" / "emoji-faces"
QUIET = ("schedule.baseline_images=0", "schedule.log_images=4", "schedule.checkpoint_images=4")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "fruits"
    folder.mkdir()
    for path in sorted((DATA / "fruits-and-flowers").glob("*.png"))[:6]:
        shutil.copy(path, folder)
    return folder


def request(pictures: Path, out: Path | None = None, settings: tuple[str, ...] = (), **more: Any) -> TrainRequest:
    short = (*QUIET, "schedule.total_images=8", "schedule.snapshot_images=8", *settings)
    return TrainRequest(
        pictures, out, preset="smoke/low_shot", settings=short, device="cpu", threads=1, figures=False, **more
    )


@pytest.fixture(scope="module")
def origin(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with the discriminator beside its snapshot."""
    out = tmp_path_factory.mktemp("origin") / "fruits"
    return train(request(pictures, out, ("data.licence=CC0",), publish_discriminator=True)).run


def settle(wanted: TrainRequest) -> LowShotConfig:
    return LowShotTask().resolve(wanted, choose_hardware("cpu", "32-true", 1), lambda line: None)


def begun(config: LowShotConfig) -> tuple[Any, list[str]]:
    """A training module before its first step, and what was told of its start."""
    from sase_gan.training.low_shot import LowShotModule

    module, lines = LowShotModule(config.model_dump(mode="json")), list[str]()
    begin_from(config, module, lines.append)
    return module, lines


def test_the_shipped_snapshot_becomes_the_generator_and_its_average(pictures: Path) -> None:
    config = settle(request(pictures, start=SHIPPED))
    snapshot = load_generator(SHIPPED).unfinished()
    # The preset says 32 px and a width of 4.
    assert (config.image_size, config.generator.width, config.discriminator.width) == (64, 16, 4)
    assert (config.start.path, config.start.discriminator) == (str(SHIPPED), False)
    assert config.start.digest is not None
    module, lines = begun(config)
    assert lines == [
        f"starting from emoji-faces ({config.start.digest[:12]}): generator whole; the discriminator begins anew, as "
        "none was published with it"
    ]
    for network in (module.generator, module.average.module):
        plain = network.folded()
        for name, value in snapshot.state_dict().items():
            # Training divided by an estimate of the norm, which is a little off the norm that is found anew; most of
            # to_small, whose singular values lie close together, and which no published picture shows.
            bound = 0.05 if name == "to_small.weight" else 5e-3
            change = (plain.state_dict()[name] - value).double()
            assert change.norm() <= bound * value.double().norm(), name
        gap = sample_images(plain, range(4)).float() - sample_images(snapshot, range(4)).float()
        assert gap.abs().mean() < 0.05  # of 255 levels


def test_a_run_gives_both_networks_and_the_average_as_its_checkpoint_holds_them(
    pictures: Path, origin: RunFolder
) -> None:
    module, lines = begun(settle(request(pictures, start=origin.path)))
    state = torch.load(origin.checkpoint, weights_only=True)["state_dict"]
    found = module.state_dict()
    kept = [name for name in state if name.startswith(("generator.", "discriminator.", "average.module."))]
    assert len(kept) > 100
    assert all(torch.equal(found[name], state[name]) for name in kept)
    assert lines[0].startswith("starting from fruits (")
    assert lines[0].endswith("): generator whole; discriminator whole")


def test_a_snapshot_gives_the_discriminator_beside_it(pictures: Path, origin: RunFolder) -> None:
    snapshot = origin.snapshot(8)
    for source in (snapshot, snapshot / "model.safetensors"):
        config = settle(request(pictures, start=source))
        assert config.start.discriminator is True
    module, lines = begun(config)
    state = torch.load(origin.checkpoint, weights_only=True)["state_dict"]
    assert all(
        torch.equal(value, state[f"discriminator.{key}"]) for key, value in module.discriminator.state_dict().items()
    )
    assert lines[0].startswith("starting from fruits/000000.008kimg (")


def test_proportions_and_colours_are_the_models_unless_asked_for_otherwise() -> None:
    own = GeneratorConfig(image_size=32, first_map=(4, 6), width=4, latent_size=16, num_components=2, colours="rgba")
    judge = DiscriminatorConfig(image_size=32, first_map=(4, 6), width=4, decoder_width=4, colours="rgba")
    start = Start(Path("model"), "abc", None, own, judge, {})
    assert start.image_size == "48x32"

    def settled(**asked: Any) -> LowShotConfig:
        return settled_start(LowShotConfig(**merge(load_preset("smoke/low_shot"), start.sections(), asked)), start)

    config = settled()
    assert (config.generator, config.discriminator) == (own, judge)
    assert settled(image_size="32x32").picture_size == (32, 32)
    with pytest.raises(UsageError, match=r"generator.colours is 'grey' here and 'rgba' in model"):
        settled(colours="grey")


@pytest.mark.parametrize(("before", "after"), [(32, 64), (64, 32)])
def test_another_size_keeps_the_blocks_that_both_have(before: int, after: int) -> None:
    old, new = (
        Generator(GeneratorConfig(image_size=size, width=8, latent_size=8, num_components=2))
        for size in (before, after)
    )
    taken = take_over(new, old.state_dict())
    ours, theirs = new.state_dict(), old.state_dict()
    for block in ("b4", "b8", "b16", "b32"):
        names = [name for name in theirs if name.startswith(f"{block}.")]
        assert names
        assert all(torch.equal(ours[name], theirs[name]) for name in names)
    only = {32: ("gate4to16", "gate8to32"), 64: ("b64", "gate4to32", "gate8to64")}
    assert set(only[after]) <= set(taken.new)
    assert set(only[before]) <= set(taken.left_out)
    assert taken.words().startswith(f"{taken.count / taken.total:.0%} of its weights; new: {taken.new[0]}")


def test_the_branch_for_the_small_picture_is_joined_at_its_coarse_end() -> None:
    small, large = (
        Discriminator(DiscriminatorConfig(image_size=size, width=16, decoder_width=4)) for size in (64, 128)
    )
    take_over(large, renamed_for(small.state_dict(), before=64, after=128))
    # At 64 px the branch halves from 32 to 8, at 128 px from 64 to 8: the last two halvings give one function.
    x = torch.randn(2, small.small_branch[0].out_channels, 16, 16)
    assert torch.equal(large.eval().small_branch[5:](x), small.eval().small_branch[2:](x))
    assert large.small_branch[0].weight.shape != small.small_branch[0].weight.shape
    back = renamed_for(renamed_for(small.state_dict(), before=64, after=128), before=128, after=64)
    assert set(small.state_dict()) - set(back) == {
        name for name in small.state_dict() if name.startswith("small_branch.0.")
    }


def test_a_run_of_another_size_begins_with_more_blocks(pictures: Path, origin: RunFolder, tmp_path: Path) -> None:
    lines: list[str] = []
    run = train(request(pictures, tmp_path / "larger", start=origin.path, image_size=64), lines.append).run
    told = next(line for line in lines if line.startswith("starting from"))
    assert "new: b64, gate4to32, gate8to64" in told
    assert load_generator(run.snapshot(8)).config.image_size == 64


def test_frozen_layers_stand_still_and_the_rates_are_lower(pictures: Path, origin: RunFolder, tmp_path: Path) -> None:
    """Through the command line."""
    words = ["--preset", "smoke/low_shot", "--no-figures", "--threads", 1, "--device", "cpu", "--kimg", 0.008]
    settings = [word for setting in QUIET for word in ("--set", setting)]
    start = ["--from", origin.path, "--freeze", 2, "--rate-factor", 0.25, "--publish-discriminator"]
    said = invoke("train", pictures, *start, "--out", tmp_path / "run", *words, *settings)
    assert "starting from fruits (" in said
    run = RunFolder(tmp_path / "run")
    before, after = (torch.load(r.checkpoint, weights_only=True) for r in (origin, run))
    network = load_discriminator(run.snapshot(8))
    assert network is not None
    network.freeze(2)
    frozen = {name for name, value in network.named_parameters() if not value.requires_grad}
    # At 32 px: the stem and the block to 16x16; of the small picture's branch its only halving, 16 to 8.
    assert {name.partition(".")[0] for name in frozen} == {"stem", "b16", "small_branch"}
    for name, value in network.named_parameters():
        assert torch.equal(value, after["state_dict"][f"discriminator.{name}"]), name
        assert torch.equal(value, before["state_dict"][f"discriminator.{name}"]) == (name in frozen), name
    assert [state["param_groups"][0]["lr"] for state in after["optimizer_states"]] == pytest.approx([5e-5, 5e-5])


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        (
            {"settings": ("generator.width=8",)},
            UsageError,
            "generator.width is 8 here and 4 in .*fruits, whose weights",
        ),
        ({"settings": ("discriminator.width=8",)}, UsageError, "discriminator.width is 8 here and 4 in"),
        ({"freeze": 4}, UsageError, "4 layers of the discriminator are to be frozen, which has 3 at 32 px"),
        ({"start": SHIPPED, "freeze": 1}, UsageError, r"emoji-faces comes without one \(discriminator.safetensors\)"),
        ({"start": DATA}, DataError, "is neither a snapshot nor a run folder"),
    ],
    ids=["width", "width of the discriminator", "too many", "none to freeze", "no model"],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    pictures: Path, origin: RunFolder, tmp_path: Path, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    wanted = request(pictures, tmp_path / "run", **{"start": origin.path, **more})
    with pytest.raises(error, match=words):
        train(wanted)
    assert not (tmp_path / "run").exists()


def test_other_kinds_of_runs_and_a_start_without_a_model_are_refused(pictures: Path, origin: RunFolder) -> None:
    with pytest.raises(UsageError, match="--freeze was given without a model to start from; name it: --from MODEL"):
        train(request(pictures, freeze=1))
    one = TrainRequest(DATA / "single" / "coffee.png", start=origin.path)
    with pytest.raises(UsageError, match=r"--from is .*, which is for a set of pictures; leave it out"):
        train(one)
    with pytest.raises(UsageError, match=r"--from is .*, which is for a training; leave it out"):
        train(TrainRequest(pictures, preset="instant", start=origin.path))
    with pytest.raises(UsageError, match="--from cannot be changed on --resume"):
        train(TrainRequest(resume=origin.path, start=SHIPPED))


def test_a_resumed_run_is_the_uninterrupted_one(pictures: Path, origin: RunFolder, tmp_path: Path) -> None:
    """With the model gone in the meantime: a checkpoint holds everything."""
    copied = tmp_path / "origin"
    shutil.copytree(origin.path, copied)
    whole = train(request(pictures, tmp_path / "whole", start=copied, freeze=1)).run
    shorter = ("schedule.total_images=4", "schedule.snapshot_images=4")
    parted = train(request(pictures, tmp_path / "parted", shorter, start=copied, freeze=1)).run
    shutil.rmtree(copied)
    train(TrainRequest(resume=parted.path, kimg=0.008, device="cpu", threads=1, figures=False))
    states = [torch.load(run.checkpoint, weights_only=True) for run in (whole, parted)]
    assert states[0]["state_dict"].keys() == states[1]["state_dict"].keys()
    for name, value in states[0]["state_dict"].items():
        assert torch.equal(value, states[1]["state_dict"][name]), name
    moments = [[entry["state"] for entry in state["optimizer_states"]] for state in states]
    assert [list(one) for one in moments[0]] == [list(one) for one in moments[1]]


def test_a_start_that_changed_is_refused_where_it_is_needed_again(
    pictures: Path, origin: RunFolder, tmp_path: Path
) -> None:
    copied = tmp_path / "snapshot"
    shutil.copytree(origin.snapshot(8), copied)
    config = settle(request(pictures, start=copied))
    network = load_generator(copied)
    network.provenance = {"changed": True}
    network.save_pretrained(copied)
    with pytest.raises(DataError, match="is not what it was when this run was settled"):
        begin_from(config, None, print)


def test_the_record_the_card_and_the_report_say_where_a_model_comes_from(
    pictures: Path, origin: RunFolder, tmp_path: Path
) -> None:
    result = train_from_python(
        pictures,
        start=origin.path,
        out=tmp_path / "run",
        preset="smoke/low_shot",
        settings=(*QUIET, "schedule.total_images=4", "schedule.snapshot_images=4", "schedule.evaluation_count=4"),
        device="cpu",
        threads=1,
        report=lambda line: None,
    )
    run = RunFolder(result.folder)
    told = load_generator(run.snapshot(4)).provenance["started_from"]
    assert told == {
        "name": "fruits",
        "digest": open_start(origin.path).digest,
        "licence": "CC0",
        "discriminator": True,
        "frozen_layers": 0,
        "rate_factor": 0.5,
    }
    assert run.records()[-1]["model"]["started_from"] == told
    card = (run.snapshot(4) / "README.md").read_text()
    assert "It started from the weights of fruits, which learned from pictures licensed as: CC0" in card
    assert f"| started from digest | {told['digest']} |" in card
    # Whoever starts from that again inherits both.
    assert open_start(run.snapshot(4)).licence == "CC0"
    sections = dict(_setup_sections(parse_record(run.records()[-1], "results.jsonl")))
    assert dict(sections["Model"])["Started from"].startswith("name: fruits, digest: ")


def test_a_discriminators_file_is_read_as_strictly_as_a_snapshot(tmp_path: Path) -> None:
    network = Discriminator(DiscriminatorConfig(image_size=32, width=4, decoder_width=4))
    assert load_discriminator(tmp_path) is None
    save_discriminator(network, tmp_path, {"images_seen": 8})
    again = load_discriminator(tmp_path)
    assert again is not None
    assert again.config == network.config
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())
    path = tmp_path / DISCRIMINATOR_FILE
    content = path.read_bytes()
    path.write_bytes(content.replace(b'\\"width\\": 4', b'\\"width\\": 8'))
    with pytest.raises(DataError, match="its tensors are not those of its configuration"):
        load_discriminator(tmp_path)
    shutil.copy(SHIPPED / "model.safetensors", path)
    with pytest.raises(DataError, match="is of kind 'finished_generator'"):
        load_discriminator(tmp_path)
    path.write_bytes(content[:1000])
    with pytest.raises(DataError, match="is not a safetensors file"):
        load_discriminator(tmp_path)
