"""Folders of ours where a program looks for its files: `python -m canary.sandbox.places ROOT /certs=FOLDER -- COMMAND`.

Some programs have the paths of their files built in, as if they had a container of their own. The command finds each
folder at such a path, and everything else where it is; nobody else sees a difference, and of the machine's own folders
none is written to. It needs the rights that processes have inside `canary.sandbox.netns`.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from canary.sandbox.netns import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, check, libc, mount

_TOP = Path("/")


def words(root: Path, places: Mapping[str, str]) -> list[str]:
    """What stands before a command that is to find folders at such paths.

    Args:
        root: a folder for its view of the files; is made.
        places: from path to folder.
    """
    if not places:
        return []
    shown = [f"{path}={folder}" for path, folder in places.items()]
    return [sys.executable, "-m", "canary.sandbox.places", str(root), *shown, "--"]


def arrange(root: Path, places: Mapping[Path, Path]) -> None:
    """Have this process, and those that it starts, find folders at such paths: from path to folder.

    Raises:
        OSError: the system does not allow it.
    """
    root.mkdir(parents=True, exist_ok=True)
    check(libc().unshare(CLONE_NEWNS), "own mounts")
    check(mount("none", "/", None, MS_REC | MS_PRIVATE), "private mounts")
    check(mount("tmpfs", str(root), "tmpfs", 0), "own root")
    top = _copied(_TOP, set(places), root)
    for path, folder in places.items():
        folder.mkdir(parents=True, exist_ok=True)
        _bind(folder, top / path.relative_to(_TOP))
    os.chroot(top)


def _copied(folder: Path, wanted: set[Path], root: Path) -> Path:
    """A folder with the same entries as another, which also has the wanted paths under it, as empty folders."""
    copy = Path(tempfile.mkdtemp(dir=root))
    copy.chmod(0o755)
    for entry in folder.iterdir() if folder.is_dir() else ():
        _show(entry, copy / entry.name)
    for name in {path.relative_to(folder).parts[0] for path in wanted}:
        (copy / name).mkdir(exist_ok=True)
        below = {path for path in wanted if path.is_relative_to(folder / name)} - {folder / name}
        if below:
            _bind(_copied(folder / name, below, root), copy / name)
    return copy


def _show(entry: Path, target: Path) -> None:
    """Have an entry of a folder at another path, too."""
    if entry.is_symlink():
        target.symlink_to(entry.readlink())
        return
    if entry.is_dir():
        target.mkdir()
    else:
        target.touch()
    _bind(entry, target)


def _bind(source: Path, target: Path) -> None:
    check(mount(str(source), str(target), None, MS_BIND | MS_REC), f"{source} at {target}")


def main(arguments: Sequence[str]) -> None:
    """Become the command.

    Args:
        arguments: the words behind the module's name.
    """
    end = arguments.index("--")
    (root, *shown), command = arguments[:end], list(arguments[end + 1 :])
    here = Path.cwd()
    pairs = (place.split("=", 1) for place in shown)
    arrange(Path(root), {Path(path): Path(folder) for path, folder in pairs})
    os.chdir(here)
    os.execvp(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
