"""The disk under the state directory fills up, turns read-only or rots: the watch goes on and heals by itself."""

import itertools
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.harness.fault_ledger import record, size
from benchmarks.harness.patience import wait_until
from tests.faults.parts import floor
from tests.faults.parts.hall import Hall
from tests.faults.parts.verdict import Verdict

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
SEED = 24
ROWS_PER_S = 40
Enter = Callable[..., Hall]


def command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def mounts() -> Iterator[ExitStack]:
    """Whatever is mounted during a test is unmounted after it."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    with ExitStack() as leaving:
        yield leaving


def mounted(mounts: ExitStack, folder: Path, *words: str) -> Path:
    folder.mkdir(exist_ok=True)
    try:
        command("mount", *words, str(folder))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no mounting here: {error.stderr}")
    mounts.callback(subprocess.run, ["umount", "-l", str(folder)], check=False)
    return folder


def degraded(hall: Hall) -> bool:
    status, body = hall.agent.page("/readyz")
    return status == 503 and "state" in body


def finish(
    hall: Hall, key: str, told: str, *, count: int, verdicts: list[Verdict], **figures: object
) -> None:
    """The agent is killed and started once more: what it knows is on disk again."""
    hall.agent.kill()
    hall.agent.start().ready()
    verdicts.append(hall.some_faults(8, seed=SEED))
    whole = Verdict(
        faults=sum(verdict.faults for verdict in verdicts),
        lost=[fault for verdict in verdicts for fault in verdict.lost],
        doubles={fault: ids for verdict in verdicts for fault, ids in verdict.doubles.items()},
        strays=[name for verdict in verdicts for name in verdict.strays],
        unclosed=[name for verdict in verdicts for name in verdict.unclosed],
        first_revisions=sum(verdict.first_revisions for verdict in verdicts),
    )
    record(key, fault=told, count=count, verdict=whole, test=f"tests/faults/test_disk.py -k {key}", **figures)
    assert whole.clean, whole
    assert hall.agent.crashes() == []
    assert hall.agent.starts == 2 + figures.get("restarts", 0), "it ended by itself"


def test_disk_full(open_hall: Enter, tmp_path: Path, mounts: ExitStack) -> None:
    disk = mounted(mounts, tmp_path / "disk", "-t", "tmpfs", "-o", "size=24m", "tmpfs")
    hall = open_hall(state=disk / "state")
    verdicts, told = [], []
    for _ in range(size(short=2, long=20)):
        said = len(hall.agent.log("state_not_saved"))
        fill(disk / "ballast")
        verdicts.append(hall.some_faults(16, seed=SEED))
        # Not asked of the page: between two failures a transaction may still fit into the log's freed pages.
        told.append(len(hall.agent.log("state_not_saved")) - said)
        (disk / "ballast").unlink()
        some = floor.rows(hall.row, hall.row + 400)
        hall.row += 400
        hall.publisher.send(some, per_s=300)
        wait_until(lambda: hall.agent.page("/readyz")[0] == 200, what="the agent to recover", patience_s=90)
    finish(
        hall,
        "disk_full",
        "no space left under the state directory, then space again",
        count=len(told),
        verdicts=verdicts,
        said_degraded=told,
    )
    assert all(told), "it must say that it works from memory"


def test_disk_without_inodes(open_hall: Enter, tmp_path: Path, mounts: ExitStack) -> None:
    disk = mounted(mounts, tmp_path / "disk", "-t", "tmpfs", "-o", "size=64m,nr_inodes=200", "tmpfs")
    hall = open_hall(state=disk / "state")
    crumbs = take_inodes(disk)
    verdicts = [hall.some_faults(16, seed=SEED)]
    hall.agent.kill()  # no file can be made anew while it starts
    hall.agent.start()
    verdicts.append(hall.some_faults(16, seed=SEED))
    for crumb in crumbs:
        crumb.unlink()
    wait_until(lambda: hall.agent.page("/readyz")[0] == 200, what="the agent to recover", patience_s=90)
    finish(
        hall,
        "without_inodes",
        "no inode left under the state directory, the agent killed and started, then inodes again",
        count=1,
        verdicts=verdicts,
        restarts=1,
    )


def take_inodes(disk: Path) -> list[Path]:
    """Empty files until no more can be made."""
    made: list[Path] = []
    for number in itertools.count():
        crumb = disk / f"crumb-{number}"
        try:
            crumb.touch()
        except OSError:
            return made
        made.append(crumb)
    return made


def fill(ballast: Path) -> None:
    """Take the last byte."""
    with ballast.open("wb", buffering=0) as file:
        for chunk in (b"x" * 65_536, b"x" * 512, b"x"):
            try:
                while file.write(chunk) == len(chunk):
                    pass
            except OSError:
                continue


def test_disk_read_only(open_hall: Enter, tmp_path: Path, mounts: ExitStack) -> None:
    image = disk_image(tmp_path / "disk.img")
    disk = mounted(mounts, tmp_path / "disk", "-o", "loop,errors=remount-ro", str(image))
    hall = open_hall(state=disk / "state")
    device = Path(command("findmnt", "-no", "SOURCE", str(disk))).name
    os.sync()  # the state that was put there by hand; the agent syncs its own
    Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("injected")
    verdicts = [hall.some_faults(16, seed=SEED)]
    told = degraded(hall)
    # The technician's way: the disk is checked and mounted again, the agent is not touched.
    mended = tmp_path / "mended.img"
    shutil.copy(image, mended)
    subprocess.run(["e2fsck", "-fy", str(mended)], capture_output=True, check=False)
    command("umount", "-l", str(disk))
    command("mount", "-o", "loop", str(mended), str(disk))
    hall.publisher.send(floor.rows(hall.row, hall.row + 400), per_s=300)
    hall.row += 400
    wait_until(lambda: hall.agent.page("/readyz")[0] == 200, what="the agent to recover", patience_s=90)
    finish(
        hall,
        "disk_read_only",
        "the file system under the state directory turned read-only by an error, later mended",
        count=1,
        verdicts=verdicts,
        said_degraded=told,
    )
    assert told, "it must say that it works from memory"


def disk_image(path: Path) -> Path:
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is missing: apt install e2fsprogs")
    with path.open("wb") as file:
        file.truncate(48 << 20)
    command("mkfs.ext4", "-q", str(path))
    return path


def databases(hall: Hall) -> list[Path]:
    return [
        path
        for path in hall.agent.state.rglob("*")
        if path.is_file() and path.suffix in (".db", ".sqlite", ".json") and ".aside" not in path.name
    ]


def spoil(path: Path, *, chance: random.Random, how: int) -> None:
    """Rot: flipped bytes, a page of zeros, a file cut short, or no database at all."""
    raw = bytearray(path.read_bytes())
    match how % 4:
        case 0:
            for at in chance.sample(range(len(raw)), k=max(1, len(raw) // 200)):
                raw[at] ^= 1 << chance.randrange(8)
        case 1:
            at = chance.randrange(len(raw))
            raw[at : at + 4096] = bytes(len(raw[at : at + 4096]))
        case 2:
            del raw[len(raw) // 2 :]
        case _:
            raw[:] = chance.randbytes(len(raw))
    with path.open("r+b") as file:  # the same file, as a disk would do it
        file.write(raw)
        file.truncate()


def test_corrupt_database_at_start(open_hall: Enter) -> None:
    """After a kill and a rotten disk the agent starts, and watches the machines it had learnt."""
    hall = open_hall()
    chance = random.Random(SEED)
    verdicts, spoilt = [hall.some_faults(8, seed=SEED)], 0
    for how in range(size(short=4, long=40)):
        hall.agent.kill()
        for path in databases(hall):
            spoil(path, chance=chance, how=how)
            spoilt += 1
        hall.agent.start().ready()
        verdicts.append(hall.some_faults(8, seed=SEED))
    finish(
        hall,
        "corrupt_database_at_start",
        "database damaged (flipped bits, zeroed page, cut short, rubbish) while the agent was down",
        count=spoilt,
        verdicts=verdicts,
        restarts=size(short=4, long=40),
    )
    assert spoilt, "there was nothing to spoil"


def test_corrupt_database_while_running(open_hall: Enter) -> None:
    hall = open_hall()
    chance = random.Random(SEED)
    verdicts, spoilt = [hall.some_faults(8, seed=SEED)], 0
    for how in range(size(short=3, long=20)):
        for path in databases(hall):
            spoil(path, chance=chance, how=how)
            spoilt += 1
        verdicts.append(hall.some_faults(8, seed=SEED))
    finish(
        hall,
        "corrupt_database_while_running",
        "database damaged under the running agent",
        count=spoilt,
        verdicts=verdicts,
    )
    assert spoilt, "there was nothing to spoil"
