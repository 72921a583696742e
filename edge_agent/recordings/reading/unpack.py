"""What a file is, by its content: text, JSON, a workbook or Parquet; out of gzip, zstd or a zip archive of one table.

Suffixes are not believed. Unpacking is bounded, so that no file swells the memory of a gateway without end.
"""

import io
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_agent.errors import RecordingError
from edge_agent.formats import packing
from edge_agent.records import Reject

Form = Literal["text", "json", "workbook", "parquet"]
UNPACKED_LIMIT_BYTES = 2_000_000_000
_GZIP, _ZSTD, _ZIP, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FEWEST_LETTERS = 6
"""Korean is told from Chinese by their leads; fewer letters tell nothing."""
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_LOOKED_AT = 4096


@dataclass(slots=True)
class Unpacked:
    """A file's bytes, none where they are Parquet as it lies on disk; what form they have, and what was assumed."""

    raw: bytes
    form: Form
    notes: list[str] = field(default_factory=list)


def unpacked(path: Path) -> Unpacked:
    """The table's bytes in a file.

    Raises:
        RecordingError: it cannot be read or unpacked, is empty, or is nothing that holds a table.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_PARQUET)) == _PARQUET:  # is not held whole
                return Unpacked(b"", "parquet")
        raw = path.read_bytes()
    except OSError as error:
        raise RecordingError(path, f"cannot be read: {error.strerror or error}") from error
    notes: list[str] = []
    if raw.startswith((_GZIP, _ZSTD)):
        found = packing.unwrapped(raw, limit_bytes=UNPACKED_LIMIT_BYTES)
        if isinstance(found, Reject):
            raise RecordingError(path, f"cannot be unpacked: {found.detail or found.reason}")
        raw = raw if found is None else found
        notes.append("unpacked")
    if raw.startswith(_ZIP) and not _is_workbook(path, raw):
        raw = _only_member(path, raw)
        notes.append("unpacked")
    if not raw.strip(b"\0 \r\n\t"):
        raise RecordingError(path, "is empty")
    return Unpacked(raw, _form(path, raw), notes)


def _form(path: Path, raw: bytes) -> Form:
    if raw.startswith(_OLD_EXCEL):
        raise RecordingError(path, "is an old workbook (.xls): save it as .xlsx or CSV")
    if raw.startswith(_ZIP):
        return "workbook"
    if raw.startswith(_PARQUET):
        return "parquet"
    if path.suffix == ".parquet":
        raise RecordingError(path, "not a Parquet file: it does not begin as one")
    head = raw[:_LOOKED_AT]
    if b"\0" in head and _encoding(raw) is None:
        raise RecordingError(path, "is no table: neither text nor Parquet nor a workbook (.xlsx)")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return (
        "json"
        if start.startswith((b"[{", b"[[", b"{")) or (start[:1] == b"[" and _is_list(start))
        else "text"
    )


def _is_list(start: bytes) -> bool:
    """Whether what begins with a bracket goes on as a list of JSON."""
    return start[1:].lstrip()[:1] in (b"[", b"{", b"]")


def _encoding(raw: bytes) -> str | None:
    """The encoding that marks or zero bytes tell; None where they tell none."""
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return encoding
    head = raw[:_LOOKED_AT]
    if len(head) >= 4 and head[1::2].count(0) > len(head) // 3 and head[::2].count(0) == 0:
        return "utf-16-le"
    if len(head) >= 4 and head[::2].count(0) > len(head) // 3 and head[1::2].count(0) == 0:
        return "utf-16-be"
    return None


def text_of(raw: bytes, notes: list[str]) -> str:
    """Text in UTF-8, UTF-16 or, where it is neither, in the code page that its bytes fit."""
    if (encoding := _encoding(raw)) is not None:
        return raw.decode(encoding, "replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        encoding, name = _code_page(raw[:_LOOKED_AT])
        notes.append(f"text in {name}")
        return raw.decode(encoding, "replace")


def _code_page(head: bytes) -> tuple[str, str]:
    """(Python's name, the usual name) of the encoding of text in none of Unicode's.

    In Chinese and Korean text bytes above 127 come in pairs, the first of them within the rows of common characters; in
    Western text they mostly stand alone. Japanese text has leads that no Western letter has.
    """
    runs = re.findall(rb"[\x80-\xff]+", head[: head.rfind(b"\n") + 1] or head)
    if runs and all(len(run) % 2 == 0 for run in runs):
        leads = [run[at] for run in runs for at in range(0, len(run), 2)]
        if all(0xA1 <= lead <= 0xA9 or 0xB0 <= lead <= 0xD7 for lead in leads):
            letters = [lead for lead in leads if lead >= 0xB0]
            korean = len(letters) >= _FEWEST_LETTERS and max(letters) <= 0xC8
            return ("cp949", "Korean (CP949)") if korean else ("gb18030", "Chinese (GB 18030)")
    try:
        text = head[: head.rfind(b"\n") + 1].decode("cp932")
    except UnicodeDecodeError:
        return "cp1252", "Windows-1252"
    common = sum(0x81 <= letter.encode("cp932")[0] <= 0x9F for letter in text)
    others = sum(letter > "\x7f" for letter in text) - common
    return ("cp932", "Japanese (Shift JIS)") if common > others else ("cp1252", "Windows-1252")


def _is_workbook(path: Path, raw: bytes) -> bool:
    return any(name.startswith("xl/") for name in _archive(path, raw).namelist())


def _archive(path: Path, raw: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(raw))
    except zipfile.BadZipFile as error:
        raise RecordingError(path, f"cannot be unpacked: {error}") from error


def _only_member(path: Path, raw: bytes) -> bytes:
    with _archive(path, raw) as archive:
        members = [one for one in archive.infolist() if not one.is_dir() and "__MACOSX" not in one.filename]
        if len(members) != 1:
            raise RecordingError(path, f"is an archive of {len(members)} files: unpack it")
        return member_bytes(path, archive, members[0].filename)


def member_bytes(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """One file of an archive.

    Raises:
        RecordingError: it is not there, damaged, or too large.
    """
    try:
        with archive.open(name) as member:
            found = member.read(UNPACKED_LIMIT_BYTES + 1)
    except (KeyError, OSError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile) as error:
        raise RecordingError(path, f"cannot be unpacked: {error}") from error
    except Exception as error:  # zlib.error is no OSError
        raise RecordingError(path, f"cannot be unpacked: {error}") from error
    if len(found) > UNPACKED_LIMIT_BYTES:
        raise RecordingError(path, f"holds more than {UNPACKED_LIMIT_BYTES} bytes unpacked")
    return found
