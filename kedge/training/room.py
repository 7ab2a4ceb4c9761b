"""The training process's own folder: its task, the encrypted files it reads, and where it may write.

It never needs a path of the lake: each file it reads has a second name in here. What it may write lies in folders
apart from these names, since a file's second name is the file.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import kedge
from kedge import durable, faults
from kedge.errors import Terminal

faults.register("training.room", "training.file", steps=("before", "after"))

_READABLE_BY_ALL = 0o004


@dataclass(frozen=True)
class Room:
    """Places of one training.

    Attributes:
        folder: everything else lies in it; to be read only.
        user: id of the user that the process becomes; None: this one.
    """

    folder: Path
    user: int | None = None

    @property
    def pipe(self) -> Path:
        """Over it the task comes."""
        return self.folder / "order"

    @property
    def files(self) -> Path:
        """What it reads."""
        return self.folder / "files"

    @property
    def code(self) -> Path:
        """Leads to kedge's own package, without the project around it."""
        return self.folder / "code"

    @property
    def out(self) -> Path:
        """Where it leaves the model."""
        return self.folder / "out"

    @property
    def temporary(self) -> Path:
        """Its temporary files, caches and home."""
        return self.folder / "temporary"

    @property
    def own(self) -> tuple[Path, Path]:
        """What it may write."""
        return self.out, self.temporary

    def furnish(self) -> None:
        """Make the folders."""
        with durable.storage("the folder of the training process"):
            faults.reach("training.room.before")
            for folder in (self.files, self.code, *self.own):
                folder.mkdir(mode=0o700)
            (self.code / "kedge").symlink_to(Path(kedge.__file__).parent.resolve(), target_is_directory=True)
            if self.user is not None:
                for folder in (self.folder, self.files, self.code):
                    os.chown(folder, -1, self.user)
                    folder.chmod(0o750)
                for folder in self.own:
                    os.chown(folder, self.user, self.user)
            faults.reach("training.room.after")

    def take_in(self, path: Path) -> Path:
        """Give a file of the lake a second name in here; answers with that name.

        On another file system it is copied, as it is: encrypted. So it is for another user who could not read it, since
        a file's mode is the same under each of its names.
        """
        name = self.files / f"{sum(1 for _ in self.files.iterdir())}{path.suffix}"
        with durable.storage("the folder of the training process"):
            faults.reach("training.file.before")
            if not self._linked(path, name):
                shutil.copyfile(path, name)
                if self.user is not None:
                    os.chown(name, -1, self.user)
                    name.chmod(0o640)
            faults.reach("training.file.after")
        return name

    def _linked(self, path: Path, name: Path) -> bool:
        if self.user is not None and not path.stat().st_mode & _READABLE_BY_ALL:
            return False
        try:
            name.hardlink_to(path)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without second names
            return False
        return True


@contextmanager
def room(user: int | None = None) -> Iterator[Room]:
    """A furnished room, removed in the end; what killed processes left is removed first."""
    with durable.scratch(_parent(user)) as folder:
        made = Room(folder, user)
        made.furnish()
        yield made


def _parent(user: int | None) -> Path:
    """Where rooms are: for another user in a folder that can be passed through, though not listed."""
    if user is None:
        return durable.own_temporary() / "training"
    folder = Path(tempfile.gettempdir()) / f"kedge-{os.getuid()}-training"
    with durable.storage(str(folder)):
        faults.reach("training.room.before")
        durable.make_folder(folder, mode=0o711)
        found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o066:
        need, got = "a folder of yours with mode 0711", "another owner, another mode or a link"
        raise Terminal(str(folder), need=need, got=got, remedy="Remove it, or set TMPDIR to a folder of yours.")
    folder.chmod(0o711)  # whatever the umask took away
    return folder
