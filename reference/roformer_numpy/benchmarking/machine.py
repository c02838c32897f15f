"""Where and when something was measured."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any


def description(threads: int) -> dict[str, Any]:
    """Processor, cores, instruction set, system, versions, date and load: what a figure means nothing without."""
    from ..kernels.engine.machine import INSTRUCTION_SET

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "instruction_set": INSTRUCTION_SET.name if INSTRUCTION_SET else "none",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "threads": threads,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    """The processor's name, as the system has it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def in_words(machine: dict[str, Any]) -> str:
    """One line of it."""
    return (
        f"{machine['processor']}, {machine['cores']} cores ({machine['instruction_set']}), {machine['system']}, "
        f"Python {machine['python']}, {machine['threads']} threads, {machine['date']}, load before {machine['load']}"
    )
