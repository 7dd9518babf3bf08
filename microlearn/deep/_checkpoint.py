"""Arrays by name in one `.npz` file. Whoever looks while it is written finds the old one or the new one, never half."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np


def write(path, arrays):
    """Write arrays to a file of this very name."""
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


@contextmanager
def replacing(path):
    """Open a file to write bytes to: another one beside `path`, which takes its place once it is whole."""
    path = Path(os.path.realpath(path))  # a link stays a link
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: expected the name of a file")
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    other = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before what was written
        other.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        other.replace(path)
    except BaseException:
        other.unlink(missing_ok=True)
        raise


def read(path):
    """Return the arrays of a file, by name; a ValueError that says what is wrong with it."""
    with Path(path).open("rb") as stored:  # a file that numpy opens stays open where it is cut off
        try:
            file = np.load(stored, allow_pickle=False)
            if isinstance(file, np.lib.npyio.NpzFile):
                return {name: file[name] for name in file.files}
        except Exception as error:  # a damaged byte can raise nearly any
            stored.seek(0)
            if stored.read(2) == b"PK":
                raise ValueError(f"{path}: it begins as a checkpoint but is cut off or damaged ({error})") from None
        raise ValueError(f"{path}: this is not a checkpoint")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
