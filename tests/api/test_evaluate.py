"""`sase_gan.evaluate`: the command's figures and page, as an object."""

import json

import pytest

import sase_gan
from sase_gan.api.train import Run
from sase_gan.datasets.images import load_image_set
from sase_gan.datasets.sources import bundled_data
from sase_gan.errors import DataError, UsageError
from sase_gan.evaluation.options import EvaluationOptions
from sase_gan.evaluation.run import run_evaluation
from sase_gan.pixels import write_png

# Patches need no feature network: quick.
OPTIONS = {"metrics": ["patches"], "device": "cpu", "no_cache": True}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    faces = load_image_set(bundled_data("emoji-faces"), image_size=32, max_images=16)
    generated, real = tmp_path_factory.mktemp("generated"), tmp_path_factory.mktemp("real")
    for index, image in enumerate(faces.images):
        write_png((generated if index % 2 else real) / f"{index:02d}.png", image)
    return generated, real


@pytest.fixture(scope="module")
def report(folders, tmp_path_factory):
    generated, real = folders
    return sase_gan.evaluate(generated, real, out=tmp_path_factory.mktemp("report"), progress=False, **OPTIONS)


def test_the_record_is_that_of_the_command(report, folders, tmp_path):
    generated, real = folders
    options = {**OPTIONS, "metrics": tuple(OPTIONS["metrics"])}
    expected = run_evaluation(EvaluationOptions(generated, real, tmp_path, **options)).record
    assert report.record.value("patch_swd") == expected.value("patch_swd")
    assert report.record.value("patch_swd") > 0


def test_the_report_lies_in_its_folder_and_shows_itself(report):
    assert report.page == report.folder / "report.html"
    assert json.loads((report.folder / "metrics.json").read_text())["metrics"].keys() == report.record.metrics.keys()
    assert report._repr_html_().startswith("<iframe sandbox")
    assert "&lt;html" in report._repr_html_()
    assert "copying grey" in repr(report)


def test_progress_is_told_by_name(folders, tmp_path):
    told = []
    sase_gan.evaluate(*folders, out=tmp_path, progress=lambda *step: told.append(step), **OPTIONS)
    assert ("reading real pictures", 8, 8) in told


def test_a_run_stands_for_its_folder(tmp_path):
    run = Run(tmp_path / "gone", 0, interrupted=False, seconds=0.0)
    with pytest.raises(DataError, match="gone does not exist"):
        sase_gan.evaluate(run, progress=False)


def test_unknown_options_are_refused_with_the_known(folders):
    with pytest.raises(UsageError, match="evaluate got counts=5; its options are out, protocol, count"):
        sase_gan.evaluate(*folders, counts=5)


def test_what_was_learned_from_must_be_said(folders):
    with pytest.raises(UsageError, match="name them with --real"):
        sase_gan.evaluate(folders[0], progress=False, **OPTIONS)
