"""Jobs that need no ComfyUI: each row says what happens to it."""

import os
import signal
import time
from pathlib import Path

from bulk.hosts import NoServer


class Told:
    """Rows' instructions name what to do; each call leaves a line in a file."""

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        self.log, self.seconds = log, seconds

    def __call__(self, row):
        with self.log.open("a") as file:
            file.write(f"{row['key']} {os.getpid()}\n")
        time.sleep(self.seconds)
        (told,) = row["instructions"]
        if told == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if told == "fail":
            raise ValueError("told to")
        if told == "stop":
            raise NoServer("none of the servers answers: told to")
        return {"seconds": self.seconds}, {"pictures": row["key"].encode()}
