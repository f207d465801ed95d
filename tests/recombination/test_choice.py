"""Which form is chosen, on pictures made for it."""

import pytest
import torch
import torch.nn.functional as F

from sase_gan.recombination.choice import ALIGNED_BELOW, FormChoice, aligned_settings, alignment, choose_form


def pictures(count: int, *, aligned: bool) -> torch.Tensor:
    """One motif at the same place in all pictures, or rolled to a random one, with noise of their own."""
    source = torch.Generator().manual_seed(0)
    motif = F.interpolate(torch.rand(1, 3, 6, 6, generator=source), size=64, mode="bicubic").clamp(0, 1)[0]
    made = []
    for _ in range(count):
        down, right = torch.randint(64, (2,), generator=source).tolist()
        placed = motif if aligned else motif.roll((down, right), (1, 2))
        made.append(placed + 0.1 * F.interpolate(torch.randn(1, 3, 8, 8, generator=source), size=64)[0])
    return (255 * torch.stack(made).clamp(0, 1)).round().to(torch.uint8)


def test_pictures_of_one_layout_are_aligned() -> None:
    assert alignment(pictures(8, aligned=True)) < 0.7
    few, many = choose_form(pictures(8, aligned=True)), choose_form(pictures(40, aligned=True))
    assert (few.form, many.form) == ("aligned", "aligned")
    assert "more alike" in few.reason


def test_fewer_pictures_are_shifted_further_and_cut_smaller() -> None:
    assert [aligned_settings(count) for count in (2, 14)] == [(1, 1.3)] * 2
    assert [aligned_settings(count) for count in (15, 29)] == [(1, 1.0)] * 2
    assert [aligned_settings(count) for count in (30, 1000)] == [(0, 1.0)] * 2


def test_pictures_of_moved_things_are_free_while_they_are_few() -> None:
    assert alignment(pictures(8, aligned=False)) > ALIGNED_BELOW
    assert choose_form(pictures(8, aligned=False)).form == "free"
    assert choose_form(pictures(40, aligned=False)).form == "aligned"


def test_one_picture_is_free() -> None:
    assert choose_form(pictures(1, aligned=True)).form == "free"


def test_two_equal_pictures_are_aligned() -> None:
    assert alignment(pictures(1, aligned=True).repeat(2, 1, 1, 1)) < 0.01


@pytest.mark.parametrize(
    ("count", "ratio", "form", "reason"),
    [
        (8, 0.75, "aligned", "at the same place the pictures are 25% more alike than at different ones"),
        (8, 0.97, "free", "at the same place the pictures are hardly more alike than at different ones (3%)"),
        (
            40,
            0.97,
            "aligned",
            "40 pictures are too many to search at every place, although at the same place the pictures are hardly "
            "more alike than at different ones (3%)",
        ),
    ],
)
def test_the_reason_is_said_with_its_number(
    count: int, ratio: float, form: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sase_gan.recombination.choice.alignment", lambda pictures: ratio)
    assert choose_form(torch.zeros(count, 3, 8, 8, dtype=torch.uint8)) == FormChoice(form, reason)
