"""Figures by class: agreement in closed form, distances as those of each class alone, and why there is none."""

import pytest
import torch

from sase_gan.metrics import by_class, fidelity
from sase_gan.metrics.by_class import ClassLabels, measure_classes
from sase_gan.metrics.measuring import Measurement
from sase_gan.metrics.reference import PreparedReference
from sase_gan.metrics.request import Protocol, resolve


def levels(*values: int) -> torch.Tensor:
    """Pictures of 32 px, each of one grey level with a mark of its own."""
    images = torch.stack([torch.full((3, 32, 32), value, dtype=torch.uint8) for value in values])
    for index, image in enumerate(images):
        image[:, index % 32, : 4 + index % 7] = 255 - image[:, 0, :1]
    return images


def test_agreement_is_the_share_whose_nearest_real_picture_has_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_class, "FEWEST_FOR_KID", 4)
    monkeypatch.setattr(by_class, "LEAST_FAKES", 3)
    reals = levels(0, 4, 8, 12, 236, 240, 244, 248)
    fakes = levels(2, 6, 242, 5, 246, 250, 3, 1)
    labels = ClassLabels(("dark", "light"), (0, 0, 0, 1, 1, 1, 0, 0), (0, 0, 0, 0, 1, 1, 1, 1), (0, 1))
    protocol = Protocol(num_fakes=8, bootstrap_draws=20)
    reference = PreparedReference(reals)
    work = Measurement(
        fakes, reference, protocol, resolve(protocol, ("kid_efflite0", "fd_efflite0", "diversity")), None
    )
    work.reference.prepare(work.request.extractors, copying=False)
    work.extract_fakes(keep=False)
    found = measure_classes(work, labels, levels(7, 3))
    dark, light = found.classes
    assert (dark.n_real, dark.n_fake, light.n_real, light.n_fake) == (4, 5, 4, 3)
    assert dark.agreement == pytest.approx(4 / 5)  # 242 is light
    assert light.agreement == pytest.approx(2 / 3)  # 5 is dark
    assert found.agreement == pytest.approx(6 / 8)
    # Both held-out pictures are dark, and the second is said to be light.
    assert (dark.agreement_level, light.agreement_level, found.agreement_level) == (1.0, 0.0, 0.5)
    assert found.level_of == "2 held-out real pictures"
    # The distances are those of a class alone, whatever the order of the pictures.
    layer = work.reference.extractor("efflite0").pooled_layer
    order = torch.tensor(work.fakes.order)
    own = work.fake_rows("efflite0", layer)[(torch.tensor(labels.fakes)[order] == 0)]
    alone = PreparedReference(reals[:4]).features("efflite0", [layer])[layer]
    assert dark.kid == pytest.approx(fidelity.kernel_distance_all(own, alone))
    assert dark.fd == pytest.approx(fidelity.frechet_distance_gram(own, alone), rel=1e-4)
    without = measure_classes(work, ClassLabels(labels.names, labels.fakes, labels.reals))
    assert without.agreement_level == 1.0
    assert without.level_of == "each of 8 real pictures and its nearest other one"
    monkeypatch.setattr(by_class, "FEWEST_FOR_KID", 5)
    assert "4 real pictures of the class; 5 are the fewest" in (measure_classes(work, labels).classes[0].left_out or "")
