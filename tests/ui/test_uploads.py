"""What visitors upload, and what they must not get at."""

import io
import types
import zipfile
from pathlib import Path

import gradio as gr
import pytest
import torch
from gradio.blocks import Block
from PIL import Image

from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import read_image
from sase_gan.ui import uploads
from sase_gan.ui.uploads import (
    gather,
    guard_components,
    harmless,
    next_set,
    read_upload,
    refuse_large,
    survey_set,
    uploaded_set,
    within_temporary,
)


def bomb(width: int, height: int) -> bytes:
    """A picture of a few bytes whose header promises a huge area."""
    content = io.BytesIO()
    Image.new("1", (width, height)).save(content, format="PNG", optimize=False)
    return content.getvalue()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "file:///etc/passwd", "http://localhost/", "", None]
)
def test_other_places_are_not_read(temporary, path):
    with pytest.raises(UsageError, match=r"uploaded in this page|Upload a picture first"):
        read_upload(path)


def test_a_link_out_of_the_folder_is_not_followed(temporary):
    (temporary / "link.png").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="uploaded in this page"):
        within_temporary(temporary / "link.png")


def test_a_picture_is_read_as_everywhere(temporary, few_pictures):
    target = temporary / "a.png"
    target.write_bytes(few_pictures[0].read_bytes())
    assert torch.equal(read_upload(str(target)), read_image(few_pictures[0]))
    target.unlink()
    with pytest.raises(UsageError, match="The uploaded file is gone"):
        read_upload(str(target))


def test_bombs_and_other_files_are_refused_by_their_header(temporary, monkeypatch):
    bad = temporary / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    with pytest.raises(DataError, match=r"^bad.png is no picture that can be read"):
        read_upload(str(bad))
    bad.write_bytes(bomb(8000, 6000))
    with pytest.raises(DataError, match=r"^bad.png has 48 megapixels where 40 are allowed"):
        read_upload(str(bad))
    bad.write_bytes(bomb(20000, 10000))
    with pytest.raises(DataError, match="megapixels where 40 are allowed"):
        read_upload(str(bad))
    with pytest.raises(DataError, match="megapixels where 4 are allowed"):
        refuse_large(io.BytesIO(bomb(3000, 3000)), "it", uploads.PAINTING_PIXELS)


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_sets_are_pictures_or_one_zip(temporary, few_pictures, monkeypatch):
    copies = [temporary / path.name for path in few_pictures]
    for source, copy in zip(few_pictures, copies, strict=True):
        copy.write_bytes(source.read_bytes())
    assert uploaded_set([str(path) for path in copies]) == copies
    packed = zipped(temporary / "set.zip", {path.name: path.read_bytes() for path in few_pictures})
    assert uploaded_set([str(packed)]) == [packed]
    (temporary / "note.txt").write_text("hello")
    for files, message in (
        (None, "Upload pictures or a zip of pictures first"),
        ([], "Upload pictures or a zip of pictures first"),
        ([str(packed), str(copies[0])], "either one zip or pictures"),
        ([str(temporary / "note.txt")], "note.txt is no picture by its name"),
    ):
        with pytest.raises((UsageError, DataError), match=message):
            uploaded_set(files)
    monkeypatch.setattr(uploads, "MOST_PICTURES", 4)
    with pytest.raises(DataError, match="8 pictures were uploaded; 4 are allowed here"):
        uploaded_set([str(path) for path in copies])
    with pytest.raises(DataError, match=r"set.zip has 8 members; 4 are allowed here"):
        uploaded_set([str(packed)])


def test_zip_bombs_and_broken_zips_are_refused_before_anything_is_unpacked(temporary, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_UNPACKED", 2**20)
    packed = zipped(temporary / "bomb.zip", {f"{i}.png": bytes(2**19) for i in range(3)})
    assert packed.stat().st_size < 10_000
    with pytest.raises(DataError, match=r"bomb.zip unpacks to 0.0 GiB"):
        uploaded_set([str(packed)])
    (temporary / "broken.zip").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(DataError, match=r"broken.zip is not a readable zip"):
        uploaded_set([str(temporary / "broken.zip")])


def test_gathered_names_are_harmless_and_kept_apart(temporary, few_pictures, tmp_path):
    for folder in ("a", "b"):
        (temporary / folder).mkdir()
        (temporary / folder / "x.PNG").write_bytes(few_pictures[0].read_bytes())
    kept = gather([temporary / "a" / "x.PNG", temporary / "b" / "x.PNG"], tmp_path / "set-001")
    assert sorted(path.name for path in kept.iterdir()) == ["0002 x.png", "x.png"]
    assert [harmless(n) for n in ("../../a.png", ".hidden.png", "<b>.JPG", "….png", "a b-c(1).png")] == [
        "a.png", "hidden.png", "_b_.jpg", "_.png", "a b-c(1).png"
    ]  # fmt: skip
    assert next_set(tmp_path, "set") == tmp_path / "set-002"
    (tmp_path / "set-002.zip").write_bytes(b"")
    assert next_set(tmp_path, "set") == tmp_path / "set-003"


def test_a_survey_tells_broken_pictures_and_huge_ones(temporary, few_pictures, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for path in few_pictures:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "zz.png").write_bytes(b"nothing")
    found = survey_set(folder, 32, "crop")
    assert len(found.images) == 8
    assert len(found.broken) == 1
    (folder / "zz.png").write_bytes(bomb(8000, 6000))
    found = survey_set(folder, 32, "crop")
    assert len(found.images) == 8
    assert found.broken[0].startswith("zz.png has 48 megapixels")
    assert not (folder / "zz.png").exists()
    for path in few_pictures:
        (folder / path.name).unlink()
    (folder / "zz.png").write_bytes(bomb(8000, 6000))
    with pytest.raises(DataError, match=r"zz.png has 48 megapixels"):
        survey_set(folder, 32, "crop")


def test_a_zip_with_a_path_out_of_it_is_refused(tmp_path):
    with pytest.raises(DataError, match="names must be relative"):
        survey_set(zipped(tmp_path / "set.zip", {"../../x.png": b""}), 32, "crop")


def blob(index, content=b"x", number="7"):
    return types.SimpleNamespace(data={"type": "layer", "index": index, "id": number}, files=[("file", content)])


@pytest.fixture
def guard(monkeypatch):
    """The guards, for a test: they are the process's own otherwise."""
    for owner, name in (
        (Block, "async_move_resource_to_block_cache"),
        (gr.Image, "preprocess"),
        (gr.ImageEditor, "preprocess"),
        (gr.ImageEditor, "accept_blobs"),
        (gr.Dropdown, "preprocess"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(gr.ImageEditor, "_is_guarded", False, raising=False)
    guard_components()


def test_a_painting_cannot_fill_the_memory(guard):
    editor = gr.ImageEditor(type="numpy")
    editor.accept_blobs(blob("0"))
    assert editor.blob_storage["7"].layers == [b"x"]
    assert editor.accept_blobs._is_server_fn
    for data in (blob("1000000000"), blob("-1"), blob("0", bytes(uploads.PAINTING_BYTES + 1))):
        with pytest.raises(gr.Error, match="not a painting of this page"):
            editor.accept_blobs(data)
    for number in range(100):
        editor.accept_blobs(blob("0", number=str(number)))
    assert len(editor.blob_storage) == uploads.MOST_PAINTINGS
    editor.accept_blobs(blob("0", bomb(3000, 3000)))
    payload = types.SimpleNamespace(id="7", background=None, layers=[], composite=None)
    with pytest.raises(gr.Error, match="has 9 megapixels where 4 are allowed"):
        editor.preprocess(payload)


def test_a_component_that_gradio_makes_anew_is_guarded_too(guard):
    editor = gr.ImageEditor(type="numpy")
    again = editor.__class__(**editor.constructor_args)
    with pytest.raises(gr.Error, match="not a painting of this page"):
        again.accept_blobs(blob("1000000000"))


@pytest.mark.parametrize("address", ["http://127.0.0.1/x.png", "https://example.org/x.png", "ftp://a/b"])
def test_addresses_are_not_asked_for(guard, address):
    with pytest.raises(gr.Error, match="Addresses are not read"):
        gr.Image(type="filepath").async_move_resource_to_block_cache(address).send(None)
    with pytest.raises(gr.Error, match="Addresses are not read"):
        gr.File().async_move_resource_to_block_cache(address).send(None)


def test_a_picture_is_handed_on_undecoded(guard):
    payload = types.SimpleNamespace(path="/anything", url=None, orig_name="a.png")
    assert gr.Image(type="filepath").preprocess(payload) == "/anything"
    assert gr.Image(type="filepath").preprocess(None) is None
