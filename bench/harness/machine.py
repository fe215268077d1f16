"""What the kernel knows: CPU time, memory, and the machine itself. All from /proc."""

import datetime
import os
import platform
import subprocess
import time
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def tree(root):
    """The process ids of `root` and all its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(entry)):
            children.setdefault(int(stat[1]), []).append(int(entry))
    found, to_visit = [], [root]
    while to_visit:
        pid = to_visit.pop()
        found.append(pid)
        to_visit += children.get(pid, [])
    return found


def cpu_seconds(pids):
    """User plus system seconds these processes have used.

    The same sum as /proc/PID/stat gives, in nanoseconds instead of ticks of 10 ms: the clock clock_getcpuclockid(3) names.
    """
    return sum(_cpu_clock(pid) for pid in pids)


def _cpu_clock(pid):
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def machine_cpu_seconds():
    """User plus system seconds of everything on the machine (interrupts are not in it), and those its host took away."""
    fields = [int(field) * TICK for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, stolen = fields[0], fields[1], fields[2], fields[7]
    return user + nice + system, stolen


def rss(pids):
    """Resident bytes; pages shared by two processes count twice."""
    return sum(_status_kib(pid, "VmRSS:") for pid in pids) * 1024


def pss(pids):
    """Resident bytes; shared pages are split among their sharers."""
    total = 0
    for pid in pids:
        for line in _lines(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def reset_peak_rss(pids):
    """Lets `peak_rss` count from now on."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_rss(pids):
    """Highest resident bytes of each process since start or reset, added up."""
    return sum(_status_kib(pid, "VmHWM:") for pid in pids) * 1024


def describe():
    """Lines that say on what, when and with which versions the numbers were made."""
    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal:"))
    now = datetime.datetime.now(datetime.timezone.utc)
    return [
        f"Date: {now:%Y-%m-%d %H:%M} UTC, load average at start {os.getloadavg()[0]:.2f}",
        f"Machine: {model}, {os.cpu_count()} CPUs, {memory / 2**20:.0f} GiB; {platform.system()} {platform.release()}",
        f"Versions: {_first_line('nginx', '-v')}; {_first_line('rustc', '--version')}; Python {platform.python_version()}",
    ]


def _first_line(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).strip().split("\n", 1)[0]


def _stat(pid):
    """Fields of /proc/PID/stat from the third on (the second, the name, may hold spaces)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _status_kib(pid, name):
    return next((int(line.split()[1]) for line in _lines(f"/proc/{pid}/status") if line.startswith(name)), 0)


def _lines(path):
    try:
        return Path(path).read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []
