"""Arrays by name in one `.npz` file. Whoever looks while it is written finds the old one or the new one, never half."""

import os
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np


def write(path, arrays):
    """Write arrays to a file of this very name: first to another beside it, which then takes its place."""
    path = Path(path)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before what was written
        except BaseException:
            file.close()
            with suppress(OSError):
                Path(file.name).unlink()
            raise
    Path(file.name).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
    Path(file.name).replace(path)


def read(path):
    """Return the arrays of a file, by name; a ValueError that says what is wrong with it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it is a single array")
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
        with Path(path).open("rb") as file:
            is_zip = file.read(2) == b"PK"
        what = "it begins as a checkpoint but is cut off or damaged" if is_zip else "this is not a checkpoint"
        raise ValueError(f"{path}: {what} ({error})") from None


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
