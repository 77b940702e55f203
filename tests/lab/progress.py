"""One line a step, with the seconds since the command began."""

import os
import time

# In the environment, as a command goes on in a second Python.
_began = float(os.environ.setdefault("LAB_BEGAN", str(time.monotonic())))


def step(text: str) -> None:
    print(f"{time.monotonic() - _began:6.1f} s  {text}", flush=True)
