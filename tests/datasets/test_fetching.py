"""Public sets from a server of this computer's own: whole, broken off and gone on with, damaged, and away."""

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from sase_gan import cli
from sase_gan.datasets.fetching import NOTE, download, unpack
from sase_gan.datasets.public_sets import PUBLIC_SETS, PublicSet, public_set
from sase_gan.errors import DataError, UsageError


def picture(shade: int) -> bytes:
    stored = io.BytesIO()
    Image.effect_noise((40, 40), 90).point(lambda value: (value + shade) % 256).save(stored, format="PNG")
    return stored.getvalue()


def zipped(names: list[str]) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        for index, name in enumerate(names):
            archive.writestr(name, picture(index) if name.endswith(".png") else b"words")
    return stored.getvalue()


PANDAS = zipped(["set/a.png", "set/b.png", "set/more/c.png", "set/read.txt", "__MACOSX/set/._a.png", "set/.hid.png"])


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `content` under every name; `breaks_after` bytes of an answer it falls silent; it notes what was asked."""

    content = PANDAS
    breaks_after: int | None = None
    ranges, tag = True, '"one"'
    asked: list[str | None]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        if self.path == "/gone":
            self.send_error(404)
            return
        same = self.headers.get("If-Range", self.tag) == self.tag
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges and same else 0
        if start >= len(self.content):
            self.send_error(416)
            return
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.tag)
        self.end_headers()
        self.wfile.write(body if self.breaks_after is None else body[: self.breaks_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[type[Handler], str]]:
    handler = type("Own", (Handler,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield handler, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def record(address: str, content: bytes = PANDAS, count: int | None = 3) -> PublicSet:
    return PublicSet("pandas", "pandas", address, count, "", "https://page", hashlib.md5(content).hexdigest())


def test_a_set_is_fetched_checked_and_unpacked(server, tmp_path):
    told: list[tuple[int, int]] = []
    found = record(f"{server[1]}/pandas.zip")
    archive = download(found, tmp_path / "pandas.archive", progress=lambda *done: told.append(done))
    assert told[-1] == (len(PANDAS), len(PANDAS))
    assert unpack(found, archive, tmp_path / "pandas") == 3
    files = {path.relative_to(tmp_path / "pandas").as_posix() for path in (tmp_path / "pandas").rglob("*.*")}
    assert files == {"set/a.png", "set/b.png", "set/more/c.png", NOTE}
    assert "licence: none is stated; ask" in (tmp_path / "pandas" / NOTE).read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pandas", "pandas.archive"]


def test_a_broken_download_goes_on_where_it_was(server, tmp_path):
    handler, address = server
    handler.breaks_after = 1000
    target = tmp_path / "pandas.archive"
    with pytest.raises(DataError, match=r"the connection broke .*; 1,000 bytes are kept: run the same command again"):
        download(record(f"{address}/x"), target)
    assert not target.exists()
    handler.breaks_after = None
    assert download(record(f"{address}/x"), target).read_bytes() == PANDAS
    assert handler.asked == [None, "bytes=1000-"]


@pytest.mark.parametrize("change", [{"ranges": False}, {"tag": '"two"'}])
def test_what_cannot_go_on_begins_again(server, tmp_path, change):
    handler, address = server
    (tmp_path / "x.part").write_bytes(b"another version's first bytes")
    (tmp_path / "x.part.tag").write_text('"one"')
    for name, value in change.items():
        setattr(handler, name, value)
    assert download(record(f"{address}/x"), tmp_path / "x").read_bytes() == PANDAS


def test_a_whole_part_is_not_fetched_again(server, tmp_path):
    (tmp_path / "x.part").write_bytes(PANDAS)
    assert download(record(f"{server[1]}/x"), tmp_path / "x").read_bytes() == PANDAS


def test_what_is_not_the_published_file_is_thrown_away(server, tmp_path):
    with pytest.raises(DataError, match=r"has the MD5 \w+, and \w+ is published: it was damaged on its way"):
        download(record(f"{server[1]}/x", content=b"other"), tmp_path / "x")
    assert not list(tmp_path.iterdir())
    server[0].content = b"<html>Are you a robot?</html>"
    asking = PublicSet("pandas", "", f"{server[1]}/x", 3, "", "https://page")
    with pytest.raises(DataError, match=r"is no archive; a page that asks something may have come instead"):
        download(asking, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_no_network_and_a_moved_set_are_said(server, tmp_path):
    with pytest.raises(DataError, match=r"answers 404 .*; the set may have moved: see https://page, and give"):
        download(record(f"{server[1]}/gone"), tmp_path / "x")
    with pytest.raises(DataError, match=r"there is no way from this computer to http://127.0.0.1:9/x .*--archive FILE"):
        download(record("http://127.0.0.1:9/x"), tmp_path / "x")
    with pytest.raises(DataError, match=r"metfaces is given out to people alone: open https://drive"):
        download(public_set("metfaces"), tmp_path / "x")


def test_archives_that_do_not_fit_are_refused_whole(tmp_path):
    def packed(content: bytes) -> Path:
        (tmp_path / "x").write_bytes(content)
        return tmp_path / "x"

    fewer = zipped(["a.png"])
    with pytest.raises(DataError, match="holds 1 pictures, and 3 are published"):
        unpack(record("", fewer), packed(fewer), tmp_path / "out")
    leading = zipped(["../a.png"])
    with pytest.raises(DataError, match=r"holds '../a.png', which leads out of the folder"):
        unpack(record("", leading), packed(leading), tmp_path / "out")
    cut = PANDAS[:600] + bytes(200) + PANDAS[800:]
    with pytest.raises(DataError, match=r"is damaged .*; fetch it again"):
        unpack(record("", cut), packed(cut), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tar_archives_are_unpacked_too(tmp_path):
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as archive:
        for name in ("jpg/a.png", "jpg/b.png", "jpg/labels.mat"):
            content = picture(3)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("jpg/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert unpack(PublicSet("two", "", "", 2, "", ""), tmp_path / "x.tgz", tmp_path / "out") == 2


def test_the_command_fetches_lists_and_takes_an_archive(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server[0].content = zipped([f"{index}.png" for index in range(100)])
    runner = CliRunner()
    result = runner.invoke(cli.app, ["data", "fetch", "panda", "--address", f"{server[1]}/panda.zip", "--keep"])
    assert result.exit_code == 0, result.output
    assert "100 pictures in sets/panda" in result.output
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == ["panda", "panda.archive"]
    again = runner.invoke(cli.app, ["data", "fetch", "panda"])
    assert isinstance(again.exception, UsageError)
    given = ["data", "fetch", "obama", "--archive", "sets/panda.archive"]
    assert runner.invoke(cli.app, given).exit_code == 0
    listed = runner.invoke(cli.app, ["data", "fetch"]).output
    assert all(name in listed for name in PUBLIC_SETS)


def test_every_set_says_where_it_is_and_is_reached_safely():
    for name, row in PUBLIC_SETS.items():
        assert row.name == name
        assert row.address.startswith("https://")
        assert row.page.startswith("https://")
        assert row.md5 == "" or len(row.md5) == 32
        assert row.by_hand or row.count
    with pytest.raises(UsageError, match="there is no public set 'pandas'; known are panda, grumpy-cat"):
        public_set("pandas")


def test_checksums_are_those_that_torchvision_knows():
    from torchvision.datasets import DTD, Flowers102, OxfordIIITPet

    assert PUBLIC_SETS["flowers"].md5 == Flowers102._file_dict["image"][1]
    assert PUBLIC_SETS["flowers"].address == Flowers102._download_url_prefix + Flowers102._file_dict["image"][0]
    assert (PUBLIC_SETS["pets"].address, PUBLIC_SETS["pets"].md5) in OxfordIIITPet._RESOURCES
    assert (PUBLIC_SETS["textures"].address, PUBLIC_SETS["textures"].md5) == (DTD._URL, DTD._MD5)
