"""What gates do, in shares of pixels: counted by hand, and on gates that do nothing or much."""

import pytest
import torch

from sase_gan.drawing.gate_figures import GateFigures, changed_share, gate_figures, gates_table, middle
from sase_gan.errors import UsageError
from sase_gan.networks.generator import Generator, GeneratorConfig
from tests.awake import awake
from tests.processes import invoke

CONFIG = GeneratorConfig(image_size=64, width=4, latent_size=16, num_components=2)


@pytest.fixture(scope="module")
def network() -> Generator:
    return awake(CONFIG).folded()


def slow_share(before, after, where=None):
    """One pixel after the other."""
    seen = total = 0
    for a, b in zip(before.tolist(), after.tolist(), strict=True):
        for y in range(len(a[0])):
            for x in range(len(a[0][0])):
                if where is None or where[y, x]:
                    total += 1
                    seen += any(abs(a[c][y][x] - b[c][y][x]) >= 8 for c in range(3))
    return seen / total


def test_shares_are_counted_pixel_by_pixel():
    before = torch.randint(0, 256, (2, 3, 6, 5), dtype=torch.uint8)
    after = (before.int() + torch.randint(-10, 11, before.shape)).clamp(0, 255).to(torch.uint8)
    where = torch.rand(6, 5) < 0.5
    assert changed_share(before, after) == pytest.approx(slow_share(before, after))
    assert changed_share(before, after, where) == pytest.approx(slow_share(before, after, where))


def test_the_middle_is_a_quarter():
    region = middle(64, 32)
    assert region.double().mean() == 0.25
    assert region[16:48, 8:24].all()


def test_silent_gates_change_nothing(network):
    silent = Generator(network.config)
    silent.load_state_dict(network.state_dict())
    for gate in silent.sase_gates().values():
        gate.apply_gate = lambda masks, styles, target: target
    assert gate_figures(silent, range(2)).summary() == {"gates_closed": 0.0, "gates_inside": 0.0, "gates_outside": 0.0}


def test_gates_with_strong_styles_change_what_is_in_the_region(network):
    strong = Generator(network.config)
    strong.load_state_dict(network.state_dict())
    for gate in strong.sase_gates().values():
        # Styles that differ much from picture to picture, as those of an untrained gate do not.
        shape = (gate.groups, gate.target_channels)
        gate.styles = lambda source, shape=shape: (5 * (1e4 * source.mean((1, 2, 3))).sin())[:, None, None].expand(
            -1, *shape
        )
    found = gate_figures(strong, range(3))
    assert found.inside > 0.2
    assert found.outside < 0.5 * found.inside
    assert found.summary()["gates_closed"] == max(max(shares) for shares in found.closed.values())
    assert list(found.closed) == list(found.borrowed) == ["gate8to64"]
    assert len(found.closed["gate8to64"]) == 4


def test_figures_are_means_over_pictures(network):
    one, other, both = (gate_figures(network, seeds) for seeds in ([3], [4], [3, 4]))
    assert both.inside == pytest.approx((one.inside + other.inside) / 2)
    assert both.closed["gate8to64"][1] == pytest.approx((one.closed["gate8to64"][1] + other.closed["gate8to64"][1]) / 2)


def test_a_generator_without_gates_is_refused():
    with pytest.raises(UsageError, match="no SASE gates"):
        gate_figures(Generator(CONFIG.model_copy(update={"skip": "sle"})))


def test_the_table_has_a_row_a_gate():
    text = gates_table(GateFigures({"gate8to64": (0.5, 0.25)}, {"gate8to64": 0.125}, 0.1, 0.02))
    assert "| gate8to64 | 50.0% | 25.0% | 12.5% |" in text
    assert "10.0% of the pixels in the middle quarter change, and 2.0% outside it" in text


def test_the_command_writes_the_table(network, tmp_path):
    network.save_pretrained(tmp_path / "snapshot")
    output = invoke("bench", "gates", tmp_path / "snapshot", "--count", "2", "--out", tmp_path / "gates.md")
    assert "| gate8to64 |" in output
    assert (tmp_path / "gates.md").read_text().strip() == output.strip()
