"""Work in a process apart: its result comes back, and whatever becomes of it is a sentence."""

import os
import time

import pytest

from sase_gan.runs.apart import Apart, GivenUp
from tests.processes import PATIENCE

settings: list[str] = []


def begin(text: str) -> None:
    settings.append(text)


def told() -> tuple[int, list[str]]:
    return os.getpid(), settings


def hang() -> None:
    time.sleep(10 * PATIENCE)


def die(code: int) -> None:
    os._exit(code)


def fail(text: str) -> None:
    raise ValueError(text)


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


def exhaust() -> None:
    raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def test_one_process_does_call_after_call_as_it_was_begun():
    with Apart(begin, "begun") as apart:
        first, second = (apart.call(told, seconds=PATIENCE) for _ in range(2))
    assert first == second
    assert first[0] != os.getpid()
    assert first[1] == ["begun"]
    assert settings == []


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ((hang,), "It was not done after 0 s and was given up."),
        ((die, 7), "Its process died with exit code 7."),
        ((fail, "no kernel.\nsecond line"), "It failed: ValueError: no kernel."),
        ((exhaust,), "The memory does not suffice."),
    ],
)
def test_what_becomes_of_work_is_a_sentence_and_the_next_call_has_a_new_process(work, said):
    with Apart() as apart:
        before, _ = apart.call(told, seconds=PATIENCE)
        with pytest.raises(GivenUp) as why:
            apart.call(*work, seconds=0.2 if work == (hang,) else PATIENCE)
        assert str(why.value) == said
        after, _ = apart.call(told, seconds=PATIENCE)
    assert before != after
    for pid in (before, after):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
