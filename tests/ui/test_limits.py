"""What the owner of a studio allows its visitors, and what the hosted demo asks of its platform."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sase_gan.errors import UsageError
from sase_gan.ui.limits import LONGEST_MINUTES, Limits
from sase_gan.ui.serve import serve
from sase_gan.ui.trainings import Trainings
from sase_gan.ui.widgets import minutes_field


def limited(folder: Path, limits: Limits) -> Trainings:
    return Trainings(folder, command=(sys.executable, "-c", "pass"), limits=limits)


def never(folder: Path) -> Path:
    raise AssertionError("pictures are put down for a training that is refused")


def test_a_training_beyond_the_owners_minutes_is_refused_before_anything_is_kept(tmp_path):
    trainings = limited(tmp_path / "runs", Limits(minutes=15))
    with pytest.raises(UsageError, match="60 minutes; the owner of this studio allows 15"):
        trainings.start(never, "long", [], minutes=60)
    assert not (tmp_path / "runs").exists()


def test_nothing_is_started_where_the_runs_hold_as_much_as_they_may(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "weights").write_bytes(bytes(1_000_000))
    Limits(gigabytes=0.002).check_room(tmp_path)
    Limits().check_room(tmp_path)
    with pytest.raises(UsageError, match=r"take 0\.0 GB, and its owner allows 0\.001; ask for some"):
        limited(tmp_path, Limits(gigabytes=0.001)).start(never, "full", [], minutes=1)


def test_the_field_for_minutes_begins_within_the_limit():
    assert (minutes_field(20, 15).value, minutes_field(20, 15).maximum) == (15, 15)
    assert minutes_field(20, LONGEST_MINUTES).value == 20


@pytest.fixture
def hosted(tmp_path, repository) -> Path:
    """A folder with app.py beside a stand-in for the package, which notes what it is started with."""
    (tmp_path / "app.py").write_text((repository / "app.py").read_text())
    (tmp_path / "sase_gan").mkdir()
    (tmp_path / "sase_gan" / "__init__.py").touch()
    (tmp_path / "sase_gan" / "cli.py").write_text(
        "import json, os, sys, tempfile\n"
        "def main():\n"
        "    names = ('HOME', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME')\n"
        "    homes = {os.environ[name] for name in names}\n"
        "    print(json.dumps([sys.argv[1:], tempfile.gettempdir(), sorted(homes)]))\n"
    )
    return tmp_path


def start(hosted: Path, *given: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **variables}
    command = [sys.executable, str(hosted / "app.py"), *given]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)


def test_the_hosted_demo_writes_below_its_own_folder_wherever_it_is_started(hosted):
    left = hosted / ".cache" / "temporary" / "of-a-start-that-was-killed"
    left.mkdir(parents=True)
    words, temporary, homes = json.loads(start(hosted, XDG_CACHE_HOME="/elsewhere").stdout)
    assert words[:3] == ["studio", "--runs", str(hosted / "runs")]
    assert temporary == str(hosted / ".cache" / "temporary")
    assert homes == [str(hosted / ".cache")]
    assert not left.exists()


def test_the_hosted_demo_reads_where_to_listen_from_its_platform(hosted):
    told = start(hosted, "--max-minutes", "60", GRADIO_SERVER_NAME="0.0.0.0", SASE_GAN_AUTH="me:secret", PORT="8080")
    words = json.loads(told.stdout)[0]
    assert words[-8:] == ["--host", "0.0.0.0", "--auth", "me:secret", "--port", "8080", "--max-minutes", "60"]
    refused = start(hosted, SASE_GAN_HOST="0.0.0.0")
    assert refused.returncode == 1
    assert "set the secret SASE_GAN_AUTH to NAME:PASSWORD" in refused.stderr


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "localhost"), ("elsewhere", "elsewhere")])
def test_a_machine_that_does_not_know_its_own_name_is_told_so(host, asked, monkeypatch, tmp_path):
    def unknown(name, port):
        assert name == asked
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UsageError) as refused:
        serve([], tmp_path, host=host, auth=("name", "word"))
    assert str(refused.value) == (
        f"this machine does not know the name {asked} (Name or service not known), by which the studio asks whether it "
        "is open; add a line such as 127.0.0.1 localhost to /etc/hosts, or give another --host"
    )
