"""What is idle of a shared machine; no test here looks at what this machine is doing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sase_gan import hardware
from sase_gan.hardware import choose_hardware, follow_idle
from sase_gan.processors import (
    PATIENCE,
    Neighbours,
    Reading,
    busy_between,
    processor_quota,
    read_clocks,
    sleep_while_waiting,
    threads_for,
    usable_processors,
)
from sase_gan.runs.follow import FollowIdle


def test_waiting_threads_sleep_unless_the_user_says_otherwise():
    environment: dict[str, str] = {"PATH": "/bin"}
    sleep_while_waiting(environment)
    assert environment == {"PATH": "/bin", **PATIENCE}
    for name, value in (("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "7"), ("KMP_BLOCKTIME", "200")):
        environment = {name: value}
        sleep_while_waiting(environment)
        assert environment == {name: value}


def test_importing_the_package_comes_before_torch_reads_the_environment():
    # The command line imports sase_gan first, as does every process that the studio starts.
    code = (
        "import sys, sase_gan.cli, os; assert 'torch' not in sys.modules; "
        f"print(all(os.environ[name] == value for name, value in {PATIENCE!r}.items()))"
    )
    without = {name: value for name, value in os.environ.items() if name not in (*PATIENCE, "OMP_WAIT_POLICY")}
    found = subprocess.run([sys.executable, "-c", code], env=without, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"


@pytest.mark.parametrize(
    ("files", "membership", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"cpu.max": "max 100000\n"}, "0::/\n", None),
        # The tightest of all levels counts, whichever it is.
        ({"a/cpu.max": "400000 100000\n", "a/b/cpu.max": "max 100000\n"}, "0::/a/b\n", 4.0),
        ({"a/cpu.max": "400000 100000\n", "a/b/cpu.max": "50000 100000\n"}, "0::/a/b\n", 0.5),
        # A container that sees its own group as the root.
        ({"cpu.max": "200000 100000\n"}, "0::/far/away\n", 2.0),
        # The first version: a folder for each controller.
        ({"cpu/x/cpu.cfs_quota_us": "300000", "cpu/x/cpu.cfs_period_us": "100000"}, "3:memory:/y\n1:cpu:/x\n", 3.0),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "1000"}, "2:cpu,cpuacct:/\n", None),
        ({"cpu.max": "no number"}, "0::/\n", None),
        ({}, "", None),
    ],
)
def test_quota_of_control_groups(tmp_path: Path, files: dict[str, str], membership: str, expected: float | None):
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "membership").write_text(membership)
    assert processor_quota(tmp_path / "groups", tmp_path / "membership") == expected
    assert processor_quota(tmp_path, tmp_path / "there is no such file") is None


def test_a_quota_is_rounded_up_and_never_adds_processors(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    for quota, expected in ((None, 6), (1.5, 2), (2.0, 2), (0.1, 1), (64.0, 6)):
        monkeypatch.setattr("sase_gan.processors.processor_quota", lambda quota=quota: quota)
        assert usable_processors() == expected


def test_busy_seconds_are_those_of_the_processors_that_this_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    statistics = tmp_path / "stat"
    # user nice system idle iowait irq softirq steal guest guest_nice, in ticks
    statistics.write_text(
        "cpu  999 0 0 0 0 0 0 0 0 0\ncpu0 100 50 20 7777 8888 3 4 5 60 70\ncpu1 40 30 0 0 0 0 0 0 0 0\n"
        "cpu12 5000 0 0 0 0 0 0 0 0 0\nintr 5 5 5\nctxt 12\n"
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr("sase_gan.processors.ticks_per_second", lambda: 100)
    for niceness, ticks in ((0, 100 + 20 + 3 + 4 + 5 + 40), (5, 100 + 50 + 20 + 3 + 4 + 5 + 40 + 30)):
        monkeypatch.setattr(os, "nice", lambda _, niceness=niceness: niceness)
        assert read_clocks(statistics).busy == pytest.approx(ticks / 100)
    assert read_clocks(tmp_path / "no such file").busy is None


def test_busy_is_what_others_did():
    # Two processors for 10 seconds, 14 seconds of work, of which 5 are our own.
    assert busy_between(Reading(100, 50, 2), Reading(110, 64, 7)) == pytest.approx(0.9)
    # The clocks tick apart: less than nothing is nothing.
    assert busy_between(Reading(100, 50, 2), Reading(110, 54.9, 7)) == 0


def test_threads_are_what_is_idle_shared_among_our_processes():
    assert [threads_for(2, busy) for busy in (0, 0.4, 0.6, 1, 2, 5)] == [2, 2, 1, 1, 1, 1]
    assert [threads_for(8, busy, 2) for busy in (0, 1.0, 3, 8)] == [4, 3, 2, 1]


class Machine:
    """A machine that is told what others do; its clock goes on when somebody waits."""

    def __init__(self) -> None:
        self.moment, self.busy, self.waited = 0.0, 0.0, 0.0

    def goes_on(self, seconds: float, others: float) -> None:
        self.moment, self.busy = self.moment + seconds, self.busy + seconds * others

    def read(self) -> Reading:
        return Reading(self.moment, self.busy, 0.0)

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        self.goes_on(seconds, 3.0)


def test_neighbours_are_asked_of_the_recent_past():
    machine = Machine()
    neighbours = Neighbours(machine.read, machine.wait)
    machine.goes_on(2, others=1.5)
    assert neighbours.busy() == pytest.approx(1.5)
    # An answer is good for a while ...
    machine.goes_on(1, others=0)
    assert neighbours.busy() == pytest.approx(1.5)
    # ... then there is a new one ...
    machine.goes_on(9, others=1)
    assert neighbours.busy() == pytest.approx(0.9)
    assert machine.waited == 0
    # ... and after a long time only a fresh look says anything.
    machine.goes_on(3600, others=0)
    assert neighbours.busy() == pytest.approx(3.0)
    assert machine.waited == 0.25


def test_a_reading_that_is_too_young_waits_a_moment():
    machine = Machine()
    assert Neighbours(machine.read, machine.wait).busy() == pytest.approx(3.0)
    assert machine.waited == 0.25


def test_where_the_clocks_cannot_be_read_nobody_is_busy(monkeypatch: pytest.MonkeyPatch):
    neighbours = Neighbours(lambda: Reading(0, None, 0))
    monkeypatch.setattr(sys, "platform", "win32")
    assert neighbours.busy() == 0
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "getloadavg", lambda: (1.25, 9, 9))
    assert neighbours.busy() == 1.25


@pytest.fixture
def four_processors(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A machine of four processors whose threads are left to us; `others` are busy on so many."""
    state = {"others": 0.0}
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(4)
    monkeypatch.setattr(hardware._Threads, "most", 4)
    monkeypatch.setattr(hardware._Threads, "ours", 4)
    monkeypatch.setattr(hardware, "usable_processors", lambda: 4)
    monkeypatch.setattr(hardware.neighbours, "busy", lambda: state["others"])
    return state


def test_threads_follow_what_is_idle(four_processors):
    for others, expected in ((0, 4), (1, 3), (5, 1), (0, 4)):
        four_processors["others"] = others
        chosen = choose_hardware("cpu")
        assert (chosen.threads, chosen.follows, torch.get_num_threads()) == (expected, True, expected)
    assert choose_hardware("cpu", processes=2).threads == 2


def test_second_halves_of_cores_are_not_used(four_processors, monkeypatch):
    monkeypatch.setattr(hardware, "usable_processors", lambda: 8)
    for others, expected in ((0, 4), (3, 4), (6, 2)):
        four_processors["others"] = others
        assert follow_idle() == expected


def test_a_number_that_somebody_asked_for_stays(four_processors):
    four_processors["others"] = 2
    assert choose_hardware("cpu", threads=4).follows is False
    # What is called later, a model's loading for example, does not undo it.
    assert choose_hardware("cpu").threads == 4
    assert follow_idle() == 4


def test_a_number_that_torch_was_given_stays(four_processors):
    torch.set_num_threads(3)
    four_processors["others"] = 3
    chosen = choose_hardware("cpu")
    assert (chosen.threads, chosen.follows) == (3, False)


def test_openmp_variable_of_the_user_stays():
    # The tests themselves run with it.
    assert os.environ["OMP_NUM_THREADS"]
    assert choose_hardware("cpu").follows is False


def test_a_training_looks_again_now_and_then():
    clock, looks = [0.0], []
    callback = FollowIdle(15, follow=lambda: looks.append(clock[0]) or 1, clock=lambda: clock[0])
    callback.on_train_start(None, None)
    for moment in (1.0, 14.9, 15.0, 16.0, 29.0, 31.0, 45.0):
        clock[0] = moment
        callback.on_train_batch_end(None, None)
    assert looks == [15.0, 31.0]
