import os
import subprocess
import sys
from pathlib import Path

import pytest

from sase_gan.errors import DataError, UsageError
from sase_gan.platforms import memory_and_handles
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.soak import COST, HANDLES, MEMORY, SPEED, Course, course, follow, too_much
from tests.processes import invoke

HERE = pytest.mark.skipif(memory_and_handles(os.getpid()) is None, reason="this system tells nothing of processes")


def write_rows(run: RunFolder, rows: list[tuple[float, float, float, float]]) -> None:
    run.path.mkdir(exist_ok=True)
    lines = ["images_seen,seconds,cpu_seconds,images_per_second", *(",".join(map(str, row)) for row in rows)]
    run.metrics.write_text("\n".join(lines) + "\n")


def write_looks(path: Path, memory: list[float], handles: list[int], begun: float = 0.0) -> None:
    lines = [f'seconds,"{MEMORY}",{HANDLES},run_seconds']
    lines += [
        f"{100 * place},{one},{two},{begun + 100 * place}"
        for place, (one, two) in enumerate(zip(memory, handles, strict=True))
    ]
    path.write_text("\n".join(lines) + "\n")


def test_a_course_leaves_settling_out_and_compares_quarters():
    # 0 to 100 in tens: settled from 10 on, quarters 10..32.5 and 77.5..100.
    seen = [(10.0 * at, value) for at, value in enumerate([1, 100, 100, 100, 150, 100, 100, 100, 101, 102, 103])]
    found = Course.of("x", seen)
    assert (found.first, found.last) == (100, 102)
    assert found.drift == pytest.approx(0.02)
    assert found.spread == pytest.approx(0.5)
    assert found.hours == pytest.approx(90 / 3600)


def test_a_leak_is_named_and_a_steady_process_is_not(tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    write_rows(run, [(1000 * k, 100 * k, 40 * k, 10) for k in range(11)])
    steady, leaking = tmp_path / "steady.csv", tmp_path / "leaking.csv"
    write_looks(steady, [500.0] * 11, [20] * 11)
    write_looks(leaking, [500.0 + 10 * k for k in range(11)], [20] * 6 + [21] * 5)
    assert too_much(course(steady, run)) == []
    assert [text.split(" ")[0] for text in too_much(course(leaking, run))] == ["memory,", "file"]
    # Less memory than in the beginning is no fault.
    write_looks(leaking, [500.0 - 10 * k for k in range(11)], [20] * 11)
    assert too_much(course(leaking, run)) == []


def test_speed_is_that_of_the_rows_written_meanwhile(tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    # Before the soak begins, at 300 s, the run was ten times as slow.
    write_rows(run, [(100 * k if k <= 3 else 1000 * k, 100 * k, 40 * k, 1 if k <= 3 else 10) for k in range(11)])
    write_looks(tmp_path / "soak.csv", [500.0] * 8, [20] * 8, begun=400.0)
    found = {each.name: each for each in course(tmp_path / "soak.csv", run)}
    assert (found[SPEED].first, found[SPEED].last) == (10, 10)
    assert found[COST].first == found[COST].last == pytest.approx(0.04)


@HERE
def test_a_process_is_followed_until_it_ends(tmp_path: Path):
    run = RunFolder(tmp_path)
    program = "import sys; kept = open(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        follow(process.pid, run, tmp_path / "soak.csv", seconds=0.2, every=0.05)
        said = invoke("bench", "soak", tmp_path, "--pid", process.pid, "--hours", 0.2 / 3600, "--every", 0.05)
        assert "+0.0%" in said
        process.communicate("")
    lines = (tmp_path / "soak.csv").read_text().splitlines()
    assert len(lines) >= 3
    # Three streams and the file.
    assert {line.split(",")[2] for line in lines[1:]} == {"4"}
    with pytest.raises(UsageError, match=f"process {process.pid}"):
        follow(process.pid, run, tmp_path / "soak.csv", seconds=1, every=1)


def test_one_look_is_too_few_and_a_run_that_nobody_trains_is_refused(tmp_path: Path):
    write_looks(tmp_path / "soak.csv", [500.0], [20])
    with pytest.raises(DataError, match="1 looks"):
        course(tmp_path / "soak.csv", RunFolder(tmp_path))
    assert "no process trains" in invoke("bench", "soak", tmp_path, code=2)


def test_a_folder_that_is_not_there_is_named_whatever_process_is_given(tmp_path: Path):
    for process in ((), ("--pid", os.getpid())):
        said = invoke("bench", "soak", tmp_path / "nowhere", *process, code=4)
        assert "nowhere does not exist; give the folder of a run" in said
    assert not list(tmp_path.iterdir())
