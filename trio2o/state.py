"""The folder of the appliance's state: one appliance uses it at a time."""

import fcntl
import os
from pathlib import Path
from typing import TextIO

from trio2o.settings import Settings


def lock_state(settings: Settings) -> TextIO:
    """The lock on the state folder, which is made if need be; it holds while the file is open, in
    this process or in one that inherited it. Raises `OSError` if another has it."""
    folder = Path(settings.service.state)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.umask(0o077)
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise OSError(f"another process uses {folder}") from None
    return file
