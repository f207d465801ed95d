"""Classes in the networks against their formulae, and unconditional networks as the case without them."""

import pytest
import torch

from sase_gan.class_names import check_known, checked_name, parse_mixture, written
from sase_gan.drawing.sampling import draw_inputs, sample_images, truncated
from sase_gan.errors import DataError, UsageError
from sase_gan.networks.conditioning import ClassProjection, class_rows, own_class
from sase_gan.networks.discriminator import Discriminator, DiscriminatorConfig
from sase_gan.networks.generator import Generator, GeneratorConfig, Pictures

SMALL = {"image_size": 32, "width": 4, "latent_size": 8, "num_components": 2}
CLASSES = {"classes": ("a", "b", "c"), "class_counts": (6, 2, 2)}


def conditional() -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(**SMALL, **CLASSES)).eval()


def test_a_class_moves_the_latent_by_its_embedding_and_weights_mix() -> None:
    network, z, rows = conditional(), torch.randn(4, 8), torch.rand(4, 3)
    torch.manual_seed(0)
    plain = Generator(GeneratorConfig(**SMALL)).eval()  # begins with the same weights
    assert set(network.state_dict()) - set(plain.state_dict()) == {"class_embedding"}
    moved = z + sum(rows[:, label, None] * network.class_embedding[label] for label in range(3))
    torch.testing.assert_close(network(z, classes=rows).big, plain(moved).big)
    torch.testing.assert_close(network(z, classes=torch.zeros(4, 3)).big, plain(z).big)


def test_a_generator_says_what_it_lacks() -> None:
    with pytest.raises(UsageError, match="has 3 classes, and none were given"):
        conditional()(torch.randn(2, 8))
    with pytest.raises(UsageError, match="without classes; leave them out"):
        Generator(GeneratorConfig(**SMALL)).eval()(torch.randn(2, 8), classes=torch.ones(2, 2))


def test_truncation_draws_towards_the_mean_of_the_class() -> None:
    network = conditional()
    inputs = truncated(network, draw_inputs(network, range(3))._replace(classes=torch.eye(3)), 0)
    firsts = network.first_map(inputs.z, inputs.truncation, classes=inputs.classes)
    for label in range(3):
        seeds = draw_inputs(network, range(1000), noise="off").z
        rows = torch.eye(3)[label].expand(1000, 3)
        torch.testing.assert_close(firsts[label], network.first_map(seeds, classes=rows).mean(0), atol=1e-5, rtol=1e-4)


def test_seeds_have_classes_as_frequent_as_their_pictures() -> None:
    found = torch.tensor([own_class((6, 2, 2), seed) for seed in range(2000)]).bincount() / 2000
    assert found.tolist() == pytest.approx([0.6, 0.2, 0.2], abs=0.03)
    network = conditional()
    drawn = draw_inputs(network, [3, 4]).classes
    assert drawn.argmax(1).tolist() == [own_class((6, 2, 2), seed) for seed in (3, 4)]
    assert torch.equal(sample_images(network, [3, 4])[1:], sample_images(network, [4]))


def test_the_projection_is_the_mean_over_each_window_of_the_product_with_the_class() -> None:
    projection, features, rows = ClassProjection(3, 5).eval(), torch.randn(2, 5, 8, 6), torch.rand(2, 3)
    weight = projection.weight.detach().double()
    assert torch.linalg.matrix_norm(weight, 2) == pytest.approx(1, abs=0.05)
    expected = torch.stack(
        [
            torch.stack(
                [
                    4 * ((rows[n].double() @ weight) @ features[n, :, i : i + 4, j : j + 4].double().mean((1, 2)))
                    for i in range(5)
                    for j in range(3)
                ]
            )
            for n in range(2)
        ]
    )
    torch.testing.assert_close(projection(features, rows).double(), expected, atol=1e-5, rtol=1e-4)


def test_a_discriminator_judges_as_an_unconditional_one_at_strength_0_and_both_batches_at_once() -> None:
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorConfig(image_size=32, width=4, decoder_width=4, classes=3)).eval()
    torch.manual_seed(0)
    plain = Discriminator(DiscriminatorConfig(image_size=32, width=4, decoder_width=4)).eval()
    plain.load_state_dict({name: value for name, value in network.state_dict().items() if name in plain.state_dict()})
    real, fake = (Pictures(torch.randn(4, 3, 32, 32), torch.randn(4, 3, 16, 16)) for _ in range(2))
    none, rows = torch.zeros(4, 3), (torch.eye(3)[[0, 1, 2, 0]], torch.eye(3)[[2, 2, 1, 0]])
    torch.testing.assert_close(network(real, classes=none).logits, plain(real).logits)
    judged, others = network.judge_both(real, fake, 1, rows)
    torch.testing.assert_close(judged.logits, network(real, classes=rows[0]).logits, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(others, network(fake, classes=rows[1]).logits, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="knows 3 classes"):
        network(real)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classes": ("a",), "class_counts": (2,)}, "two or more of different names"),
        ({"classes": ("a", "a"), "class_counts": (2, 2)}, "two or more of different names"),
        ({"classes": ("a", "b"), "class_counts": (2,)}, "1 numbers for 2 classes"),
        ({"classes": ("a", "b/c"), "class_counts": (2, 2)}, "cannot be the name of a class"),
    ],
)
def test_a_record_of_impossible_classes_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        GeneratorConfig(**SMALL, **changes)


def test_a_snapshot_keeps_its_classes_and_is_read_strictly(tmp_path) -> None:
    network = conditional()
    network.save_pretrained(tmp_path / "snapshot")
    again = Generator.from_pretrained(tmp_path / "snapshot")
    assert again.config.classes == ("a", "b", "c")
    assert torch.equal(again.class_embedding, network.class_embedding)
    changed = Generator(GeneratorConfig(**SMALL)).eval()
    changed.config = network.config  # a header that says more than the file holds
    changed.save_pretrained(tmp_path / "changed")
    with pytest.raises(DataError, match='missing key "class_embedding"'):
        Generator.from_pretrained(tmp_path / "changed")


def test_mixtures_are_read_as_they_are_written() -> None:
    for text in ("=faces", "=001.Black footed", "=faces.30=fruits.70"):
        assert written(parse_mixture(text)) == text
    assert class_rows(("faces", "fruits"), parse_mixture("=faces.30=fruits.70")).tolist() == pytest.approx([0.3, 0.7])
    for wrong in ("=faces.30=fruits.60", "=faces=fruits", "=faces.50=faces.50"):
        with pytest.raises(UsageError, match="names no mixture"):
            parse_mixture(wrong)
    with pytest.raises(UsageError, match=r"no class 'dogs' in this model; its classes are faces, fruits"):
        check_known(("faces", "fruits"), parse_mixture("=dogs"))
    with pytest.raises(UsageError, match="this model has no classes"):
        check_known((), parse_mixture("=dogs"))
    for name in ("", " a", "a=b", "v1.30", "a" * 101):
        with pytest.raises(ValueError, match="cannot be the name of a class"):
            checked_name(name)
