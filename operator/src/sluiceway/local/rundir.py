"""The folder by which running local modes are found, and what they say there.

    <runtime folder>/sluiceway-<user>/<pid>-<random>/
        lock         held (flock) while local mode runs: no stale file can lie
        story.json   what `sluiceway explain` reads; replaced as a whole
        logs/        what the workers write, a file each
        server/      the embedded server's data
        agent/       sluiceway_worker for another interpreter

The runtime folder is $XDG_RUNTIME_DIR where that exists, or the system's folder for
temporary files. A run's folder goes when its local mode ends; whatever a crash of the
whole machine left is removed by the next start.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from sluiceway.report.story import Story


class NoRunFolderError(Exception):
    """Local mode has no place to be found at; the message says what to do."""


def runtime_folder() -> Path:
    """Where this user's runs are.

    Raises:
        NoRunFolderError: it cannot be made, or another user has made a folder of that name.
    """
    wanted = os.environ.get("XDG_RUNTIME_DIR", "")
    # Whoever became another user has often kept the variable of the one before.
    base = wanted if wanted and Path(wanted).is_dir() else tempfile.gettempdir()
    folder = Path(base) / f"sluiceway-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as exc:
        raise NoRunFolderError(
            f"the folder {folder} cannot be made: {exc.strerror}; set XDG_RUNTIME_DIR to a folder "
            "that can be written to"
        ) from exc
    if status.st_uid != os.getuid() or folder.is_symlink():
        raise NoRunFolderError(
            f"the folder {folder} belongs to another user; set XDG_RUNTIME_DIR to one of your own"
        )
    return folder


class RunFolder:
    """The folder of one running local mode."""

    def __init__(self, path: Path, lock: IO[bytes]) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, parent: Path | None = None) -> RunFolder:
        """Make this process' folder and hold its lock; remove those of runs that are over.

        Raises:
            NoRunFolderError: there is no place for it.
        """
        parent = runtime_folder() if parent is None else parent
        with (parent / "starting").open("wb") as one_at_a_time:
            # Another start must not take our folder for a leftover before it is locked.
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            for folder in _folders(parent):
                if not _held(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            path = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
            lock = (path / "lock").open("wb")
            fcntl.flock(lock, fcntl.LOCK_EX)
        return cls(path, lock)

    def write_story(self, story: Story) -> None:
        """Replace it as a whole, so that a reader never sees half of one."""
        fresh = self.path / "story.json.new"
        fresh.write_bytes(story.to_json())
        fresh.replace(self.path / "story.json")

    def close(self) -> None:
        """Let go of the lock: this run is over."""
        self._lock.close()


def running_stories(parent: Path | None = None) -> list[Story]:
    """What all local modes of this user tell that run at the moment."""
    stories: list[Story] = []
    try:
        parent = runtime_folder() if parent is None else parent
    except NoRunFolderError:
        return stories  # nor could any of them have one
    for folder in _folders(parent):
        with suppress(OSError, ValueError):  # it is just starting, or just ending
            if _held(folder):
                stories.append(Story.from_json((folder / "story.json").read_bytes()))
    return stories


def _folders(parent: Path) -> list[Path]:
    return sorted(entry for entry in parent.iterdir() if (entry / "lock").exists())


def _held(folder: Path) -> bool:
    """Whether a living process holds the lock of this folder."""
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
