import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from sase_gan import __version__
from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.errors import DataError
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.load import KINDS, load_generator, load_network
from sase_gan.snapshot import CONFIG_FILE, WEIGHTS_FILE, is_snapshot, read_header, snapshot_digest
from tests.golden import make_golden

CONFIG = GeneratorConfig(image_size=32, width=4, latent_size=4, num_components=2, output="tanh")


@pytest.fixture(scope="module")
def network() -> Generator:
    torch.manual_seed(2)
    network = Generator(CONFIG).folded()
    network.provenance = {"images_seen": 400, "data": {"digest": "ab", "name": "faces"}}
    return network


@pytest.fixture
def folder(network, tmp_path) -> Path:
    network.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder: Path, *, header: dict | None = None, **tensors: torch.Tensor | None) -> None:
    """Save the snapshot's weights again with tensors changed, added or (None) left out, or with another header."""
    state = load_file(folder / WEIGHTS_FILE)
    state = {key: tensor for key, tensor in {**state, **tensors}.items() if tensor is not None}
    description = read_header(folder / WEIGHTS_FILE) if header is None else header
    save_file(state, folder / WEIGHTS_FILE, metadata={"config": json.dumps(description)})


def test_round_trip_gives_the_same_network_record_and_provenance(network, folder):
    loaded = load_generator(folder)
    assert type(loaded) is Generator
    assert loaded.config == network.config
    assert loaded.provenance == network.provenance
    assert not loaded.training
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(tensor, loaded.state_dict()[key]) for key, tensor in network.state_dict().items())
    assert torch.equal(sample_images(loaded, [0, 1]), sample_images(network, [0, 1]))


def test_network_of_a_training_run_survives_too(tmp_path):
    network = Generator(CONFIG).eval()
    network.save_pretrained(tmp_path / "model")
    loaded = load_generator(tmp_path / "model")
    assert loaded.config.spectral_norm
    inputs = draw_inputs(network, [0])
    network.to(memory_format=network.memory_format)  # as it is loaded: equal to the bit
    assert torch.equal(loaded(*inputs).big, network(*inputs).big)


def test_configuration_stands_in_the_header_and_in_the_file(network, folder):
    header = read_header(folder / WEIGHTS_FILE)
    assert header == json.loads((folder / CONFIG_FILE).read_text())
    assert header["kind"] == "low_shot_generator"
    assert header["sase_gan"] == __version__
    assert GeneratorConfig(**header["network"]) == network.config
    assert header["provenance"] == {"images_seen": 400, "data": {"digest": "ab", "name": "faces"}}


def test_header_rules_when_the_file_beside_it_is_lost_or_changed(network, folder):
    (folder / CONFIG_FILE).write_text(json.dumps({"network": {"width": 99}}))
    assert load_generator(folder).config == network.config
    (folder / CONFIG_FILE).unlink()
    assert load_generator(folder).config == network.config
    assert is_snapshot(folder)
    (folder / CONFIG_FILE).write_text("")
    assert Generator.from_pretrained(str(folder)).config == network.config


def test_missing_tensor_is_refused(folder):
    rewrite(folder, **{"to_big.weight": None})
    with pytest.raises(DataError, match=r'its tensors are not those of its configuration.*missing key "to_big.weight"'):
        load_generator(folder)


def test_additional_tensor_is_refused(folder):
    rewrite(folder, surplus=torch.zeros(1))
    with pytest.raises(DataError, match=r'unexpected key "surplus"'):
        load_generator(folder)


def test_tensor_of_another_shape_is_refused(folder):
    rewrite(folder, **{"to_big.weight": torch.zeros(3, 1, 3, 3)})
    with pytest.raises(DataError, match=r"size mismatch for to_big.weight"):
        load_generator(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"wdith": 4},
            "its configuration has wdith = 4 .*; it was written by version 9.9, this is .*: update sase_gan",
        ),
        ({"width": "narrow"}, "its configuration has width = 'narrow'"),
        ({"image_size": 48}, "its configuration has image_size = 48 "),
    ],
)
def test_unknown_or_impossible_configuration_is_refused(folder, change, message):
    header = read_header(folder / WEIGHTS_FILE)
    header["network"] |= change
    header["sase_gan"] = "9.9"
    rewrite(folder, header=header)
    with pytest.raises(DataError, match=message):
        load_generator(folder)


def test_unknown_kind_is_refused(folder):
    rewrite(folder, header=read_header(folder / WEIGHTS_FILE) | {"kind": "painter"})
    with pytest.raises(DataError, match="is a snapshot of kind 'painter'; this version opens 'low_shot_generator'"):
        load_generator(folder)
    with pytest.raises(DataError, match="is a snapshot of kind 'painter'; this class reads 'low_shot_generator'"):
        Generator.from_pretrained(str(folder))


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_pickle_under_the_name_of_the_weights_is_refused_unread(folder, tmp_path):
    torch.save({"weights": Trap(tmp_path / "mark")}, folder / WEIGHTS_FILE)
    with pytest.raises(DataError, match="is not a safetensors file"):
        load_generator(folder)
    (folder / WEIGHTS_FILE).unlink()
    torch.save({"weights": Trap(tmp_path / "mark")}, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"has no model.safetensors"):
        load_generator(folder)
    with pytest.raises(DataError, match=r"has no model.safetensors"):
        Generator.from_pretrained(str(folder))
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("keep", [0, 5, 500, -100])
def test_truncated_file_is_refused(folder, keep):
    content = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(content[:keep])
    with pytest.raises(DataError, match=r"is not a safetensors file .*; it is damaged or of another format"):
        load_generator(folder)


@pytest.mark.parametrize("header", [None, "no json", "[1]", '{"kind": "low_shot_generator"}'])
def test_weights_of_another_program_are_refused(folder, header):
    metadata = {"format": "pt"} | ({} if header is None else {"config": header})
    save_file({"weight": torch.zeros(1)}, folder / WEIGHTS_FILE, metadata=metadata)
    with pytest.raises(DataError, match="it was written by another program"):
        load_generator(folder)


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_folder_without_a_snapshot_is_refused(tmp_path, path):
    with pytest.raises(DataError, match=r"is not a snapshot: it has no model.safetensors; give a folder"):
        load_generator(tmp_path / path)


def test_interrupted_saving_leaves_the_old_snapshot_and_no_traces(network, folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def broken(*unused, **also_unused):
        raise KeyboardInterrupt

    monkeypatch.setattr("sase_gan.snapshot.save_file", broken)
    with pytest.raises(KeyboardInterrupt):
        network.save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(folder.parent.iterdir()) == [folder]
    with pytest.raises(KeyboardInterrupt):
        network.save_pretrained(folder.parent / "new")
    assert list(folder.parent.iterdir()) == [folder]


def test_saving_replaces_the_whole_folder_and_others_may_read_it(network, folder):
    (folder / "leftover.txt").write_text("of an earlier version")
    network.save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} >= {CONFIG_FILE, WEIGHTS_FILE}
    assert not (folder / "leftover.txt").exists()
    mask = os.umask(0)
    os.umask(mask)
    assert all(path.stat().st_mode & 0o777 == 0o666 & ~mask for path in folder.iterdir())


def test_digest_names_the_weights_and_the_configuration(network, folder, tmp_path):
    assert snapshot_digest(folder) == hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    network.save_pretrained(tmp_path / "again")
    assert snapshot_digest(tmp_path / "again") == snapshot_digest(folder)
    rewrite(folder, header=read_header(folder / WEIGHTS_FILE) | {"provenance": {}})
    assert snapshot_digest(tmp_path / "again") != snapshot_digest(folder)


def test_saving_moves_nothing_and_keeps_the_network(network, tmp_path):
    before = {key: (tensor.clone(), tensor.data_ptr()) for key, tensor in network.state_dict().items()}
    network.save_pretrained(tmp_path / "model")
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[key][0])
        assert tensor.data_ptr() == before[key][1]


def test_snapshots_of_two_networks_do_not_share_provenance(network, tmp_path):
    assert Generator(CONFIG).provenance == {}
    assert network.folded().provenance == network.provenance


@pytest.mark.parametrize("name", make_golden.KEPT)
def test_kept_snapshot_opens_and_draws_as_when_it_was_made(name):
    expected = json.loads(make_golden.pixels_file(name).read_text())
    drawn = make_golden.pixels(name)
    assert drawn.keys() == expected.keys()
    for seed, values in drawn.items():
        assert values["mean"] == pytest.approx(expected[seed]["mean"], abs=0.05)
        difference = torch.tensor(values["pixels"]) - torch.tensor(expected[seed]["pixels"])
        assert difference.abs().max() <= 1


@pytest.mark.parametrize("name", make_golden.KEPT)
def test_kept_snapshot_is_small_complete_and_strict(name, tmp_path):
    folder = tmp_path / "elsewhere"
    shutil.copytree(make_golden.FOLDER / name, folder)
    assert is_snapshot(folder)
    assert (folder / WEIGHTS_FILE).stat().st_size < 400_000
    network, config = load_network(folder), make_golden.KEPT[name]().config
    assert type(network) is KINDS[read_header(folder / WEIGHTS_FILE)["kind"]]
    assert network.config == config
    rewrite(folder, **{next(iter(network.state_dict())): None})
    with pytest.raises(DataError, match="its tensors are not those of its configuration"):
        load_network(folder)


def test_the_card_says_where_the_model_comes_from_and_has_the_licence_of_its_pictures(folder, tmp_path):
    text = (folder / "README.md").read_text()
    assert "| images seen | 400 |" in text
    assert "| data name | faces |" in text
    assert "licence that was not stated" in text
    assert "license:" not in text
    licensed = Generator(CONFIG)
    licensed.provenance = {"data": {"licence": "OFL-1.1"}}
    licensed.save_pretrained(tmp_path / "licensed")
    card = ModelCard.load(tmp_path / "licensed" / "README.md")
    assert card.data.to_dict()["license_name"] == "OFL-1.1"
    assert {"gan", "few-shot"} <= set(card.data.tags)
