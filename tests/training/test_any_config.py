"""Any configuration at all is refused with a sentence, or trains two steps and publishes what it trained.

Values are drawn around the bounds of every field, and some are of a wrong kind. Sizes stay tiny. The drawing is the
same on every machine; the long form, with many more examples, is `slow`.
"""

import math
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import torch
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from torch.utils.data import DataLoader

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed; pip install -e '.[dev]'")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from sase_gan.config import build, load_preset, merge  # noqa: E402
from sase_gan.datasets.low_shot import EndlessBatches  # noqa: E402
from sase_gan.drawing.sampling import sample_images  # noqa: E402
from sase_gan.errors import SaseGanError  # noqa: E402
from sase_gan.runs.trainer import make_trainer  # noqa: E402
from sase_gan.training.config import LowShotConfig, OneShotConfig, sized_for  # noqa: E402
from sase_gan.training.low_shot import LowShotModule  # noqa: E402
from sase_gan.training.one_shot import OneShotModule  # noqa: E402
from sase_gan.training.quiet import quiet_lightning  # noqa: E402
from tests.training.test_low_shot import StopAt, pictures  # noqa: E402
from tests.training.test_one_shot import CPU, picture  # noqa: E402

LARGEST = 16
"""Numbers without an upper bound are drawn up to here; a memory of gigabytes is not what is tested."""
WRONG = ("", "none", -1, 0, 0.5, [], {}, [[1, 2]], True, None, "1e9", math.inf, math.nan)
APART = {"data.path", "precision", "task", "generator.image_size", "discriminator.image_size", "image_size"}
"""What is no matter of a step, or is tested by itself."""


def leaves(record: type[BaseModel], where: str = "") -> dict[str, FieldInfo]:
    """Every field that is no section, by its dotted name."""
    found: dict[str, FieldInfo] = {}
    for name, field in record.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= leaves(field.annotation, f"{where}{name}.")
        elif where + name not in APART:
            found[where + name] = field
    return found


def values(kind: Any, bounds: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of an annotated kind: inside its bounds and on them, and just outside."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return values(inner[0], (*bounds, *inner[1:]))
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, UnionType):
        return st.one_of(*(values(one, bounds) for one in inner))
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(values(inner[0]), max_size=2)
        return st.tuples(*map(values, inner)).map(list)
    if kind in (NoneType, None):
        return st.none()
    if kind is bool:
        return st.booleans()
    if kind in (int, float):
        least = next((getattr(one, name) for one in bounds for name in ("ge", "gt") if hasattr(one, name)), 0)
        most = min(
            next((getattr(one, name) for one in bounds for name in ("le", "lt") if hasattr(one, name)), LARGEST),
            LARGEST,
        )
        if kind is int:
            return st.integers(math.floor(least) - 1, math.ceil(most) + (1 if most < LARGEST else 0))
        return st.sampled_from([least - 0.1, least, (least + most) / 2, least + 1e-6, most, 1e-3, 1.0])
    return st.sampled_from(["white", "#102030", "no such word"])


def changes(record: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """A few fields of a record with their new values; now and then one of a wrong kind."""
    fields = leaves(record)

    def valued(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        drawn = {name: values(fields[name].annotation, tuple(fields[name].metadata)) for name in names}
        return st.fixed_dictionaries(
            {name: st.one_of(one, one, one, one, one, st.sampled_from(WRONG)) for name, one in drawn.items()}
        )

    return st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=4, unique=True).flatmap(valued)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in flat.items():
        for part in reversed(name.split(".")):
            value = {part: value}
        result = merge(result, value)
    return result


def check_sentence(error: SaseGanError) -> None:
    assert str(error)
    assert "\n" not in str(error)


def two_steps(module: Any, images: torch.Tensor, batch_size: int) -> None:
    trainer = make_trainer([StopAt(2)], CPU)
    batches = EndlessBatches(images, batch_size=batch_size, seed=0)
    with quiet_lightning():
        trainer.fit(module, DataLoader(batches, batch_size=None))
    assert module.steps == 2
    drawn = sample_images(module.published_generator(), range(1))
    assert drawn.dtype == torch.uint8
    assert drawn.shape[1] == 3


def train_a_set(flat: dict[str, Any]) -> None:
    try:
        config = build(LowShotConfig, merge(load_preset("smoke/low_shot"), nested(flat)))
        module = LowShotModule(config.model_dump(mode="json"))
    except SaseGanError as error:
        check_sentence(error)
        return
    module.show(pictures(4))
    two_steps(module, pictures(4), config.optimiser.batch_size)


def train_a_picture(flat: dict[str, Any]) -> None:
    try:
        config = sized_for(build(OneShotConfig, merge(load_preset("smoke/one_shot"), nested(flat))), (20, 28))
    except SaseGanError as error:
        check_sentence(error)
        return
    height, width = config.generator.sizes[-1]
    module = OneShotModule(config.model_dump(mode="json"))
    shown = picture(height, width)
    module.show(shown)
    if config.total_images >= 2:
        two_steps(module, shown[None], 1)


def drawing(examples: int) -> Any:
    """The same examples on every machine, however long one takes."""
    return settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )


@drawing(10)
@given(changes(LowShotConfig))
def test_a_set_is_refused_or_trains(flat: dict[str, Any]) -> None:
    train_a_set(flat)


@drawing(10)
@given(changes(OneShotConfig))
def test_a_picture_is_refused_or_trains(flat: dict[str, Any]) -> None:
    train_a_picture(flat)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@drawing(400)
@given(changes(LowShotConfig))
def test_four_hundred_sets_are_refused_or_train(flat: dict[str, Any]) -> None:
    train_a_set(flat)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@drawing(400)
@given(changes(OneShotConfig))
def test_four_hundred_pictures_are_refused_or_train(flat: dict[str, Any]) -> None:
    train_a_picture(flat)
