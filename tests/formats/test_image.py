"""A picture in every form says the same; what is wrong with one becomes a reason, before memory is asked for."""

import base64
import builtins
import io
import json
import zlib
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_agent.config import file as config_file
from edge_agent.errors import ConfigError
from edge_agent.formats.image import pixels
from edge_agent.formats.image.decoder import ImageSettings, pictures
from edge_agent.formats.image.file_header import claim
from edge_agent.formats.image.gauges import gauges
from edge_agent.formats.origin import Origin
from edge_agent.records import Delivery, Frame, Picture, Reject
from edge_agent.service.wiring import message_decoder, missing_libraries

NOW_NS = 1_700_000_000_000_000_000
START_S = 1_600_000_000
ORIGIN = Origin(machine="press", channel="cam1", received_ns=NOW_NS, future_tolerance_ns=60_000_000_000)
X, Y = np.meshgrid(np.linspace(0, 1, 160), np.linspace(0, 1, 120))
SCENE = Image.fromarray((255 * np.stack([X, Y, 0.5 + 0 * X], axis=-1)).astype(np.uint8))


def stored(picture: Image.Image = SCENE, form: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **more)
    return file.getvalue()


def decode(payload: bytes, **settings: Any) -> Frame | Reject:
    return pictures(ImageSettings(**{"size": 128, **settings}))(payload, ORIGIN)


def frame(result: Frame | Reject) -> Frame:
    assert isinstance(result, Frame), result
    return result


def picture(result: Frame | Reject) -> Picture:
    found = frame(result).picture
    assert found is not None
    return found


def mapped(file: bytes, **more: Any) -> bytes:
    return json.dumps({"ts": START_S, "image": base64.b64encode(file).decode()} | more).encode()


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and whose pixels are not there."""
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\r" + head + zlib.crc32(head).to_bytes(4, "big")


FORMS = {
    "png": stored(),
    "jpeg": stored(form="JPEG", quality=95),
    "progressive jpeg": stored(form="JPEG", quality=95, progressive=True),
    "webp": stored(form="WEBP", lossless=True),
    "lossy webp": stored(form="WEBP", quality=95),
    "json": mapped(stored()),
    "json with a browser's head": json.dumps(
        {"image": "data:image/png;base64," + base64.b64encode(stored()).decode()}
    ).encode(),
    "cbor": cbor2.dumps({"ts": START_S, "image": stored()}),
    "alpha": stored(SCENE.convert("RGBA")),
    "cmyk": stored(SCENE.convert("CMYK"), form="JPEG", quality=95),
    "animated": stored(form="WEBP", lossless=True, save_all=True, append_images=[SCENE.rotate(180)]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_picture(form: str) -> None:
    found = picture(decode(FORMS[form]))
    assert (found.camera, found.width, found.height) == ("cam1", 160, 120)
    wanted = np.asarray(SCENE.resize((128, 128), Image.Resampling.BILINEAR), np.float32)
    assert np.abs(found.pixels.astype(np.float32) - wanted).mean() < 3.0


@pytest.mark.parametrize(
    "turned",
    [SCENE.convert("L"), SCENE.convert("P"), SCENE.convert("1"), SCENE.convert("LA")],
    ids=lambda one: one.mode,
)
def test_grey_palette_and_single_bits_are_read(turned: Image.Image) -> None:
    found = picture(decode(stored(turned)))
    assert abs(float(found.pixels.mean()) - float(np.asarray(turned.convert("RGB")).mean())) < 3.0


def test_of_sixteen_bits_the_upper_ones_count() -> None:
    deep = (np.linspace(0, 65535, 64 * 64).reshape(64, 64)).astype(np.uint16)
    found = picture(decode(stored(Image.fromarray(deep))))
    assert found.pixels.max() >= 250
    assert abs(float(found.pixels.mean()) - 127.0) < 2.0


def test_what_the_camera_says_of_its_turning_is_obeyed() -> None:
    tags = Image.Exif()
    tags[0x0112] = 6  # turned by a quarter, clockwise
    turned = picture(decode(stored(form="JPEG", quality=95, exif=tags)))
    plain = picture(decode(stored(SCENE.rotate(-90, expand=True), form="JPEG", quality=95)))
    assert (turned.width, turned.height) == (120, 160) == (plain.width, plain.height)
    assert np.abs(turned.pixels.astype(int) - plain.pixels.astype(int)).mean() < 3.0


def test_a_map_says_its_time_and_its_part_and_a_file_is_timed_by_its_arrival() -> None:
    told = frame(decode(mapped(stored(), part="A-1733")))
    assert told.times_ns == (START_S * 1_000_000_000,)
    assert told.stamped
    assert picture(told).part == "A-1733"
    bare = frame(decode(stored()))
    assert (bare.times_ns, bare.stamped) == ((NOW_NS,), False)


def test_crop_and_ignored_places_are_shares_of_the_whole_picture() -> None:
    half = picture(decode(stored(), crop=(0.5, 0.0, 0.5, 1.0), ignore=((0.5, 0.0, 0.25, 0.5),)))
    assert half.pixels[:, 0, 0].mean() == pytest.approx(128, abs=3)
    assert half.counted is not None
    assert not half.counted[:64, :64].any()
    assert half.counted[64:].all()
    assert half.counted[:, 64:].all()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed"),
        (b"GIF89a", "malformed"),
        (stored()[:200], "malformed"),
        (stored(form="JPEG")[:400], "malformed"),
        (stored(form="WEBP")[:60], "malformed"),
        (stored()[:60] + bytes(200) + stored()[260:], "malformed"),
        (stored(Image.new("RGB", (1, 1))), "unsupported"),
        (png_of(50_000, 50_000), "too_large"),
        (stored(form="JPEG")[:2] + b"\xff\xc0\0\x11\x08\xff\xff\xff\xff" + bytes(20), "too_large"),
        (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\xff\xff\xff\xff" + bytes(9), "too_large"),
        (json.dumps({"image": "%%%"}).encode(), "malformed"),
        (json.dumps({"image": 7}).encode(), "wrong_type"),
        (json.dumps({"image": base64.b64encode(b"no picture").decode()}).encode(), "malformed"),
        (json.dumps({"ts": START_S}).encode(), "no_values"),
        (b"{not json", "not_json"),
        (mapped(stored(), ts="yesterday"), "bad_timestamp"),
        (mapped(stored(), ts=NOW_NS / 1e9 + 1e6), "future_timestamp"),
        (mapped(stored(), part=["A"]), "wrong_type"),
        (cbor2.dumps([1, 2]), "wrong_type"),
    ],
)
def test_bad_payloads_are_turned_away_by_reason(payload: bytes, reason: str) -> None:
    result = decode(payload)
    assert isinstance(result, Reject), result
    assert result.reason == reason


def test_a_bomb_is_refused_by_its_header_before_pillow_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow was asked"))
    result = decode(png_of(50_000, 50_000))
    assert isinstance(result, Reject)
    assert result.detail == "50000 x 50000 pixels, image.max_pixels is 25000000"


def test_a_png_that_is_called_jpeg_is_told_by_its_bytes() -> None:
    assert picture(decode(stored())).kind == "png"


@given(st.binary(max_size=60), st.integers(0, 400), st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_whatever_is_written_over_a_file_a_frame_or_a_reason_comes_of_it(
    junk: bytes, at: int, form: str
) -> None:
    file = stored(form=form)
    assert isinstance(decode(file[:at] + junk + file[at + len(junk) :]), Frame | Reject)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_the_header_tells_the_size_that_pillow_finds(form: str) -> None:
    for wide, high in ((33, 77), (640, 480), (1000, 17)):
        file = stored(Image.new("RGB", (wide, high), (9, 90, 200)), form)
        assert claim(file) == (form.lower(), wide, high)
    lossless = stored(Image.new("RGB", (301, 55)), "WEBP", lossless=True)
    assert claim(lossless) == ("webp", 301, 55)


def test_gauges_tell_dark_dazzled_and_blurred_pictures() -> None:
    grain = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(grain).resize((8, 8)).resize((64, 64)))
    brightness, contrast, sharpness, clipped = gauges(grain)
    assert brightness == pytest.approx(50, abs=2)
    assert gauges(smooth)[2] < sharpness / 4
    assert gauges(np.zeros_like(grain)) == (0.0, 0.0, 0.0, 100.0)
    assert gauges(np.full_like(grain, 255))[::3] == pytest.approx((100.0, 100.0))
    assert contrast > gauges(smooth)[1]
    assert clipped < 5
    counted = np.zeros((64, 64), np.bool_)
    counted[:, 32:] = True
    half = grain.copy()
    half[:, :32] = 0
    assert gauges(half, counted)[0] == pytest.approx(brightness, abs=2)


CONFIG = '[[source]]\ntopic = "cam/{machine}/{channel}"\nformat = "image"\n'


def loaded(folder: Path, text: str) -> config_file.Config:
    (folder / "agent.toml").write_text(text)
    return config_file.load(folder / "agent.toml")


def test_a_source_of_pictures_is_configured_by_its_format_alone(tmp_path: Path) -> None:
    read = message_decoder(loaded(tmp_path, CONFIG), monotonic=lambda: 0.0)
    found = frame(read(Delivery("cam/press-4/cam1", stored(form="JPEG"), NOW_NS)))  # type: ignore[arg-type]
    assert found.machine == "press-4"
    assert found.channels == ("cam1.brightness", "cam1.contrast", "cam1.sharpness", "cam1.clipped")
    assert picture(found).pixels.shape == (256, 256, 3)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("size = 200", "size"),
        ("crop = [0.5, 0.0, 0.6, 1.0]", "crop"),
        ("ignore = [[0.0, 0.0, 0.0, 1.0]]", "ignore"),
        ("every_s = -1.0", "every_s"),
        ("max_pixels = 1_000_000_000", "max_pixels"),
        ("colour = true", "colour"),
    ],
)
def test_settings_that_make_no_sense_are_named_with_their_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        loaded(tmp_path, f"{CONFIG}[source.image]\n{line}\n")


def test_other_formats_take_no_image_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"takes no \[source.image\]"):
        loaded(tmp_path, '[[source]]\ntopic = "a/{machine}"\nformat = "json"\n[source.image]\nsize = 128\n')


def test_what_is_missing_is_said_where_a_camera_is_configured_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "find_spec", lambda _: None)
    assert "edge-agent[camera]" in missing_libraries(loaded(tmp_path, CONFIG))
    assert not missing_libraries(config_file.defaults())


def test_without_pillow_a_picture_is_turned_away_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = builtins.__import__

    def no_pillow(name: str, *rest: Any, **more: Any) -> Any:
        if name == "PIL":
            raise ImportError(name)
        return known(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_pillow)
    result = decode(FORMS["jpeg"])
    assert isinstance(result, Reject)
    assert result.reason == "unsupported"
    assert "edge-agent[camera]" in result.detail


def test_a_payload_above_the_limit_is_turned_away_before_it_is_read(tmp_path: Path) -> None:
    read = message_decoder(
        loaded(tmp_path, f"{CONFIG}\n[limits]\npayload_bytes = 1000\n"), monotonic=lambda: 0.0
    )
    result = read(Delivery("cam/press-4/cam1", stored(form="JPEG") + bytes(1000), NOW_NS))
    assert isinstance(result, Reject)
    assert result.reason == "too_large"
