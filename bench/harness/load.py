"""One run of the load driver against one server, and what it cost that server."""

import itertools
import json
import os
import resource
import subprocess
import time

from . import machine
from .contender import BINARIES, Failure

# Every request that must be unlike all others gets its number from here.
_numbers = itertools.count(1)
_SPAN = 10**9


class Load:
    """A running load driver. `flags` are its command line, `unique` numbers its requests."""

    def __init__(self, address, cpu, flags, unique):
        command = [BINARIES / "load", "--addr", address]
        for flag, value in flags.items():
            command += [f"--{flag.replace('_', '-')}", value]
        if unique:
            command += ["--first", next(_numbers) * _SPAN]
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        )

    def running(self):
        """Whether it is still at work."""
        return self.process.poll() is None

    def result(self):
        """Waits for its end and returns its report."""
        output, _ = self.process.communicate()
        try:
            return json.loads(output)
        except ValueError:
            raise Failure(f"the load driver ended with {self.process.returncode} and no report") from None


def run(server, upstream, cpu, flags, unique):
    """Loads `server` once. Returns the driver's report and what server, driver and upstream used meanwhile."""
    server.refresh()
    served = upstream.served()
    before = _readings(server, upstream)
    started = time.monotonic()
    report = Load(server.address, cpu, flags, unique).result()
    elapsed = time.monotonic() - started
    spent = {name: after - before[name] for name, after in _readings(server, upstream).items()}
    others = spent["machine"] - spent["server"] - spent["driver"] - spent["upstream"]
    return report | {
        "contender": server.name,
        "cpu_us": spent["server"] / max(1, report["requests"]) * 1e6,
        "server_busy": spent["server"] / elapsed,
        "load_busy": (spent["driver"] + spent["upstream"]) / elapsed,
        "others_busy": max(0.0, others / elapsed),
        "stolen": spent["stolen"] / elapsed,
        "upstream_calls": upstream.served() - served,
        "rss": machine.rss(server.pids),
        "pss": machine.pss(server.pids),
    }


def _readings(server, upstream):
    driver = resource.getrusage(resource.RUSAGE_CHILDREN)
    # "direct" has the upstream itself for a server: its time is then the upstream's.
    own = [] if server.process is upstream.process else server.pids
    everything, stolen = machine.machine_cpu_seconds()
    return {
        "server": machine.cpu_seconds(own),
        "driver": driver.ru_utime + driver.ru_stime,
        "upstream": machine.cpu_seconds(upstream.pids),
        "machine": everything,
        "stolen": stolen,
    }
