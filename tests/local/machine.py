"""Says on what machine something is measured, and how busy it is."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine(cpus: Path = Path("/proc/cpuinfo")) -> str:
    """Returns the model of the processor and the number of its cores. A system that does not name the model has only
    the architecture.
    """
    try:
        lines = cpus.read_text().splitlines()
    except OSError:
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or 'a processor without a name'}, {platform.machine()}, {os.cpu_count()} cores"


def load_average() -> float:
    """Returns the processes that ran or waited for a core, on average of the last minute."""
    return os.getloadavg()[0]
