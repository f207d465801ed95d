"""`sase_gan.train`: a request in Python's words, and a run that shows itself and is taken by the other functions."""

import io
import shutil
import subprocess
import sys

import pytest
from PIL import Image

import sase_gan
from sase_gan.datasets.sources import bundled_data
from sase_gan.errors import DataError, UsageError
from sase_gan.runs.folder import RunFolder

SHORT = {"preset": "smoke/low_shot", "figures": False, "device": "cpu"}


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory, said):
    out = tmp_path_factory.mktemp("api") / "faces"
    settings = {"schedule.total_images": 8, "augment.policy": ["color"]}
    return sase_gan.train(bundled_data("emoji-faces"), out=str(out), settings=settings, report=said.append, **SHORT)


def test_a_run_of_a_folder(run, said):
    assert run.images_seen == 8
    assert not run.interrupted
    assert run.snapshot == RunFolder(run.folder).chosen_snapshot()
    assert any("writing to" in line for line in said)
    assert "policy:\n  - color\n" in (run.folder / "config.yaml").read_text()


def test_the_run_is_a_model(run):
    images = sase_gan.sample(run, range(2), device="cpu", progress=False)
    assert images.model == run.snapshot.name
    assert isinstance(sase_gan.load(run, device="cpu"), sase_gan.Generator)


def test_the_run_shows_its_last_sheet(run):
    sheets = list((run.folder / "grids").glob("*kimg.png"))
    assert run._repr_png_() in [sheet.read_bytes() for sheet in sheets]
    assert Image.open(io.BytesIO(run._repr_png_())).format == "PNG"
    assert "<img src=" in run._repr_html_()
    assert "complete, 8 images" in run._repr_html_()


def test_it_goes_on(run, tmp_path):
    copy = shutil.copytree(run.folder, tmp_path / "copy")
    more = sase_gan.train(resume=copy, kimg=0.012, report=lambda line: None, device="cpu", figures=False)
    assert (more.folder, more.images_seen) == (copy, 12)


def test_unknown_options_are_refused_with_the_known(tmp_path):
    with pytest.raises(UsageError, match="train got steps=5; its options are out, preset"):
        sase_gan.train(tmp_path, steps=5)


def test_pictures_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="nothing does not exist"):
        sase_gan.train(tmp_path / "nothing", report=lambda line: None)


def test_the_face_loads_nothing_until_a_name_is_used():
    program = (
        "import sys, sase_gan; before = [n for n in sys.modules if n.startswith('sase_gan')];"
        "assert before == ['sase_gan.platforms', 'sase_gan.processors', 'sase_gan'], before;"
        "assert 'torch' not in sys.modules;"
        "assert set(dir(sase_gan)) == {'train', 'load', 'sample', 'evaluate', 'Generator', 'Pyramid', 'layers',"
        " 'film', 'finish', 'invert', 'export', 'list_presets', '__version__'};"
        "assert sase_gan.layers.SynthesisSASE.__name__ == 'SynthesisSASE';"
        "assert 'lightning' not in sys.modules and 'gradio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_presets_are_listed():
    assert {"low_shot/cpu", "one_shot/quick"} <= set(sase_gan.list_presets())


def test_names_that_are_not_there_are_said():
    with pytest.raises(AttributeError, match=r"no attribute 'trian'; it offers Generator, Pyramid"):
        sase_gan.trian  # noqa: B018
