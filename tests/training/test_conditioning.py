"""How a run learns classes: the ramp, which classes are drawn, and pictures that pull latents of their own class."""

import pytest
import torch

from sase_gan.networks.generator import Generator
from sase_gan.seeds import generator as random_generator
from sase_gan.training.conditioning import ClassesSection, Conditions, strength
from sase_gan.training.config import LikelihoodSection, LowShotConfig
from sase_gan.training.likelihood import LikelihoodTerm, choose, choose_of_class
from tests.training.test_low_shot import configuration, make, pictures

CLASSES = {"source": "folders", "names": ["a", "b"], "counts": [6, 2]}


def section(**changes: object) -> ClassesSection:
    return ClassesSection(**{**CLASSES, **changes}).settled()


def test_small_classes_come_in_and_large_ones_are_there_from_the_first_step() -> None:
    assert section().ramp == (0.1, 0.4)
    assert section(counts=[500, 700]).ramp == (0.0, 0.0)
    assert section(counts=[500, 700]).words() == (
        "2 classes, drawn as often as they have pictures, are learnt from the first step"
    )
    assert section(ramp=[0.2, 0.3]).ramp == (0.2, 0.3)
    assert ClassesSection(**CLASSES).settled(known=True).ramp == (0.0, 0.0)
    assert [strength((0.1, 0.4), done) for done in (0.0, 0.25, 0.4, 1.0)] == pytest.approx([0, 0.5, 1, 1])


def test_classes_are_stated_once() -> None:
    config = LowShotConfig(classes=CLASSES)
    assert (config.generator.classes, config.generator.class_counts) == (("a", "b"), (6, 2))
    assert config.discriminator.classes == 2
    assert LowShotConfig(**config.model_dump(mode="json")) == config
    with pytest.raises(ValueError, match="set classes only"):
        LowShotConfig(classes=CLASSES, generator={"classes": ["a", "c"], "class_counts": [6, 2]})
    with pytest.raises(ValueError, match=r"set recombinations.count=0"):
        LowShotConfig(classes=CLASSES, recombinations={"count": 3})
    with pytest.raises(ValueError, match="--classes settles both"):
        LowShotConfig(classes={"source": "folders"})


@pytest.mark.parametrize(("drawing", "shares"), [("natural", [0.75, 0.25]), ("balanced", [0.5, 0.5])])
def test_classes_are_drawn_as_often_as_is_asked_for(drawing: str, shares: list[float]) -> None:
    drawn = Conditions(section(drawing=drawing), 0.3).draw(4000, random_generator(0))
    assert (drawn.bincount() / 4000).tolist() == pytest.approx(shares, abs=0.03)
    assert Conditions(section(), 0.3).rows(torch.tensor([1, 0])).tolist() == [
        pytest.approx([0, 0.3]),
        pytest.approx([0.3, 0]),
    ]


def test_what_is_published_has_its_classes_as_strong_as_they_are_in_training() -> None:
    module = make(classes={**CLASSES, "ramp": [0.25, 0.75]})
    learnt = module.generator.class_embedding.detach().clone()
    for done, factor in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0)):
        module.images_seen = round(done * module.config.schedule.total_images)
        assert torch.equal(module.published_generator().class_embedding, factor * learnt)
        assert module.published_facts() == {"class_strength": factor}
    assert torch.equal(module.average.module.class_embedding, learnt)
    assert make().published_facts() == {}


@pytest.mark.parametrize("reject", [0.0, 0.4])
def test_every_class_is_chosen_for_as_if_it_were_alone(reject: float) -> None:
    reals, candidates = torch.randn(7, 5), torch.randn(20, 5)
    own, labels = torch.tensor([0, 1, 1, 0, 2, 1, 0]), torch.arange(20) % 3
    found = choose_of_class(reals, own, candidates, labels, reject)
    assert torch.equal(labels[found], own)
    for label in range(3):
        mine = choose(reals[own == label], candidates[labels == label], reject)
        assert torch.equal(candidates[found[own == label]], candidates[labels == label][mine])


def test_a_picture_pulls_what_was_drawn_of_its_own_class() -> None:
    """The network draws its class as its brightness, so that a latent of another class would be another picture."""

    class Bright(Generator):
        def forward(self, z, noise=None, truncation=None, shift=None, classes=None):
            drawn = super().forward(z, noise, classes=classes)
            seen.append(classes)
            return drawn._replace(big=drawn.big * 0 + (classes @ torch.tensor([-1.0, 1.0]))[:, None, None, None])

    seen: list[torch.Tensor] = []
    config = configuration().generator.model_copy(update={"classes": ("a", "b"), "class_counts": (6, 2)})
    term = LikelihoodTerm(LikelihoodSection(weight=1, every=8, pool=24), seed=0)
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    term.show(pictures(8), labels=labels)
    draw, conditions = make()._latents, Conditions(section(), 0.5)
    z, _ = draw(4, random_generator(0))
    taken = term.renewed(Bright(config), draw, 0, z.device, conditions)
    placed = term.placed(z, taken, random_generator(0, "place"))
    rows = torch.cat(seen)
    assert set(rows.unique().tolist()) == {0.0, 0.5}
    assert (rows.argmax(1).bincount() / len(rows)).tolist() == pytest.approx([0.75, 0.25])
    # Of the pool, the latents of each class are its pictures' alone.
    pool = draw(24, random_generator(0, "likelihood", 0))[0]
    taken = torch.cdist(term.latents, pool).argmin(1)
    assert torch.equal(labels[taken % 8], labels)
    given = term.labelled(torch.tensor([1, 1, 1, 1]))
    assert torch.equal(given[:2], labels[term._chosen])
    assert given[2:].tolist() == [1, 1]
    assert torch.equal(placed[2:], z[2:])
