import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import decode_picture, read_image, read_png_text, to_float, to_uint8, write_png
from sase_gan.sheets import grid

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.fixture
def colours():
    """A smooth picture of 48 x 32 that survives JPEG well."""
    y, x = np.mgrid[0:32, 0:48]
    return Image.fromarray(np.stack([x * 5, y * 7, 255 - x * 5], -1).astype(np.uint8))


def saved(path, image, **options):
    image.save(path, **options)
    return path


def array(image):
    return np.asarray(image).transpose(2, 0, 1)


def test_all_levels_survive_the_way_to_float_and_back():
    levels = torch.arange(256, dtype=torch.uint8)
    floats = to_float(levels)
    assert floats.dtype == torch.float32
    assert floats[0] == -1
    assert floats[255] == 1
    assert torch.equal(to_uint8(floats), levels)


def test_to_uint8_clamps_and_truncates_at_the_written_borders():
    # x * 127.5 + 128 truncated: level k holds for x in [(k - 128) / 127.5, (k - 127) / 127.5).
    borders = (torch.arange(1, 256, dtype=torch.float64) - 128) / 127.5
    assert torch.equal(to_uint8((borders + 1e-5).float()), torch.arange(1, 256, dtype=torch.uint8))
    assert torch.equal(to_uint8((borders - 1e-5).float()), torch.arange(0, 255, dtype=torch.uint8))
    assert to_uint8(torch.tensor([-9.0, 9.0])).tolist() == [0, 255]


def test_half_precision_is_converted_in_float32():
    x = torch.linspace(-1, 1, 999).to(torch.bfloat16)
    assert torch.equal(to_uint8(x), to_uint8(x.float()))


def test_conversions_refuse_the_other_format():
    with pytest.raises(TypeError, match="uint8"):
        to_float(torch.zeros(3))
    with pytest.raises(TypeError, match="floating-point"):
        to_uint8(torch.zeros(3, dtype=torch.uint8))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "gif"])
def test_lossless_formats_return_the_pixels(tmp_path, suffix):
    image = Image.fromarray(RAMP).convert("RGB")
    path = saved(tmp_path / f"x.{suffix}", image, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(read_image(path), array(image))


def test_jpeg_from_an_open_file_is_close_to_the_picture(colours):
    file = io.BytesIO()
    colours.save(file, format="JPEG", quality=95, subsampling=0)
    file.seek(0)
    difference = read_image(file).int() - torch.from_numpy(array(colours).copy()).int()
    assert difference.abs().max() <= 6


def test_16_bit_greyscale_is_scaled_not_clipped(tmp_path):
    values = np.array([[0, 128, 129, 257, 25_700, 65_535]], dtype=np.uint16)
    for suffix in ("png", "tiff"):
        path = saved(tmp_path / f"deep.{suffix}", Image.fromarray(values))
        assert read_image(path)[0].tolist() == [[0, 0, 1, 1, 100, 255]]


def test_16_bit_colour_keeps_its_range(tmp_path):
    # Written by hand: Pillow cannot write 16-bit RGB.
    rows = b"".join(b"\0" + struct.pack(">6H", 0, 32896, 65535, 65535, 257, 0) for _ in range(2))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert read_image(tmp_path / "deep.png")[:, 0].T.tolist() == [[0, 128, 255], [255, 1, 0]]


def test_alpha_is_composed_on_the_background(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = [255, 0, 51]
    path = saved(tmp_path / "a.png", Image.fromarray(rgba))
    # alpha 51 is one fifth: 0.2 * (200, 0, 0) + 0.8 * background.
    assert read_image(path)[:, 0].T.tolist() == [[200, 0, 0], [255, 255, 255], [244, 204, 204]]
    assert read_image(path, background=(0, 100, 0))[:, 0].T.tolist() == [[200, 0, 0], [0, 100, 0], [40, 80, 0]]
    assert decode_picture(path).transparent


def test_opaque_alpha_is_no_transparency(tmp_path):
    path = saved(tmp_path / "a.png", Image.new("RGBA", (4, 4), (1, 2, 3, 255)))
    picture = decode_picture(path)
    assert not picture.transparent
    assert picture.rgb.getpixel((0, 0)) == (1, 2, 3)


def test_transparent_palette_and_grey_alpha_are_composed(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 90, 80, 70])
    palette.putpixel((1, 0), 1)
    path = saved(tmp_path / "p.png", palette, transparency=1)
    assert read_image(path)[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]
    path = saved(tmp_path / "la.png", Image.new("LA", (1, 1), (100, 51)))
    assert read_image(path).flatten().tolist() == [224, 224, 224]


def test_palette_black_and_white_and_cmyk_become_rgb(tmp_path, colours):
    assert read_image(saved(tmp_path / "p.png", colours.quantize(16))).shape == (3, 32, 48)
    bilevel = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert read_image(saved(tmp_path / "1.png", bilevel))[0].tolist() == [[0, 255]]
    cmyk = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    cyan = read_image(saved(tmp_path / "c.jpg", cmyk, quality=95)).float().mean((1, 2))
    assert (cyan - torch.tensor([0.0, 255.0, 255.0])).abs().max() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff", "jpg"])
def test_exif_rotation_shows_the_picture_upright(tmp_path, colours, orientation, suffix):
    # The stored pixels that a viewer turns back into `colours`, by the EXIF standard's table.
    upright = np.asarray(colours)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 98, "subsampling": 0} if suffix == "jpg" else {}
    path = saved(tmp_path / f"x.{suffix}", Image.fromarray(np.ascontiguousarray(stored)), exif=exif, **options)
    picture = decode_picture(path)
    assert (picture.width, picture.height) == colours.size
    assert np.abs(np.asarray(picture.rgb).astype(int) - upright).max() <= (5 if suffix == "jpg" else 0)


def test_a_colour_profile_changes_no_pixel(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = Image.fromarray(RAMP).convert("RGB")
    assert np.array_equal(read_image(saved(tmp_path / "x.png", image, icc_profile=profile)), array(image))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_at_least_reduces_by_whole_factors_and_never_below(tmp_path, suffix):
    y, x = np.mgrid[0:600, 0:900]
    smooth = np.stack([x / 900 * 255, y / 600 * 255, 0 * x], -1).astype(np.uint8)
    options = {"quality": 95, "subsampling": 0} if suffix == "jpg" else {}
    path = saved(tmp_path / f"x.{suffix}", Image.fromarray(smooth), **options)
    picture = decode_picture(path, at_least=140)
    assert picture.rgb.size == (225, 150)
    assert (picture.width, picture.height) == (900, 600)
    # A block average of a ramp is the ramp at the block's middle.
    expected = smooth.reshape(150, 4, 225, 4, 3).mean((1, 3))
    assert np.abs(np.asarray(picture.rgb) - expected).max() < 4
    assert decode_picture(path, at_least=700).rgb.size == (900, 600)


def test_only_the_first_frame_of_a_gif_is_read(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = saved(tmp_path / "x.gif", frames[0], save_all=True, append_images=frames[1:])
    assert read_image(path)[:, 0, 0].tolist() == [255, 0, 0]


def test_a_phone_picture_of_two_frames_is_a_jpeg(tmp_path, colours):
    path = saved(tmp_path / "x.jpg", colours, format="MPO", save_all=True, append_images=[colours.rotate(180)])
    picture = decode_picture(path, at_least=8)
    assert picture.file_format == "JPEG"
    assert picture.rgb.size == (12, 8)


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_a_broken_file_is_named(tmp_path, colours, share):
    path = saved(tmp_path / "cat.png", colours)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"cat\.png cannot be read .*replace or remove"):
        read_image(path)


def test_missing_files_folders_and_other_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no\.png does not exist"):
        read_image(tmp_path / "no.png")
    with pytest.raises(DataError, match="is a folder"):
        read_image(tmp_path)
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(DataError, match="not a picture of a known kind"):
        read_image(tmp_path / "text.png")
    saved(tmp_path / "f.tiff", Image.fromarray(np.zeros((2, 2), np.float32)))
    with pytest.raises(DataError, match="floating-point"):
        read_image(tmp_path / "f.tiff")


@pytest.mark.parametrize(("width", "height"), [(12_000, 10_001), (60_000, 60_000)])
def test_huge_pictures_are_refused_by_their_header(tmp_path, width, height):
    # A BMP header alone: reading any pixel would fail in another way.
    header = (
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *([0] * 6))
    )
    (tmp_path / "huge.bmp").write_bytes(header)
    with pytest.raises(DataError, match=r"huge\.bmp has .* megapixels where 120 are allowed"):
        read_image(tmp_path / "huge.bmp")


@pytest.mark.slow
def test_between_pillows_limit_and_ours_a_picture_is_read_without_a_warning(tmp_path):
    path = saved(tmp_path / "large.png", Image.new("L", (10_000, 9_500)), compress_level=1)
    assert decode_picture(path, at_least=1000).rgb.size == (1112, 1056)


def test_png_text_and_pixels_return_as_written(tmp_path):
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    text = {"seed": "12", "snapshot": "000400kimg", "author": "Łukasz 漢"}
    write_png(tmp_path / "new" / "x.png", image, text)
    assert torch.equal(read_image(tmp_path / "new" / "x.png"), image)
    assert read_png_text(tmp_path / "new" / "x.png") == text
    write_png(tmp_path / "y.png", image)
    assert read_png_text(tmp_path / "y.png") == {}


def test_png_text_of_anything_else_is_refused(tmp_path, colours):
    with pytest.raises(DataError, match="is not a readable PNG"):
        read_png_text(saved(tmp_path / "x.jpg", colours))
    with pytest.raises(DataError, match="does not exist"):
        read_png_text(tmp_path / "no.png")


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    write_png(tmp_path / "x.png", torch.zeros(3, 2, 2, dtype=torch.uint8))
    before = (tmp_path / "x.png").read_bytes()
    with pytest.raises(UsageError, match="required"):
        write_png(tmp_path / "x.png", torch.zeros(2, 2, 2, dtype=torch.uint8))
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.png"]
    assert (tmp_path / "x.png").read_bytes() == before


def test_grid_puts_each_picture_in_its_place():
    images = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 3, 2, 4) + 10
    sheet = grid(images, columns=3, padding=1, background=7)
    assert sheet.shape == (3, 2 * 3 + 1, 3 * 5 + 1)
    for index in range(5):
        top, left = 1 + index // 3 * 3, 1 + index % 3 * 5
        assert (sheet[:, top : top + 2, left : left + 4] == 10 + index).all()
    # 5 pictures of 8 pixels; everything else, the free sixth place too, is background.
    assert (sheet == 7).sum() == 3 * (7 * 16 - 5 * 8)


def test_grid_is_about_square_and_refuses_nothing_to_show():
    assert grid(torch.zeros(10, 3, 8, 8, dtype=torch.uint8), padding=0).shape == (3, 24, 32)
    with pytest.raises(UsageError, match="N >= 1"):
        grid(torch.zeros(0, 3, 8, 8, dtype=torch.uint8))
