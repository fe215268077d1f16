"""The servers under measurement and the upstream behind them: how each is configured, started and stopped."""

import http.client
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import machine

BENCH = Path(__file__).resolve().parent.parent
BINARIES = BENCH / "target" / "release"

# name -> what it is, in the order they take their turns
CONTENDERS = {
    "pareto": "pareto",
    "pareto-log": "pareto, one log line per exchange",
    "pareto-uncached": "pareto, cache and coalescing off",
    "pareto-route": "pareto, a route of two targets, both well",
    "pareto-failover": "pareto, a route whose first target refuses every request",
    "pareto-open": "pareto, a route whose first target is dead: its breaker is open",
    "pingora-constant": "bare Pingora, constant answer",
    "pingora-proxy": "bare Pingora, its own proxy phases",
    "nginx": "nginx proxy_pass",
    "nginx-cache": "nginx proxy_cache on POST",
    "nginx-cache-tuned": "nginx proxy_cache, tuned",
    "direct": "no proxy at all",
}

# What distributions ship, and what was found cheapest for small answers: no sendfile, cached files kept open.
NGINX_CACHE_TUNING = {
    "nginx-cache": "sendfile on; tcp_nopush on;",
    "nginx-cache-tuned": "sendfile off; open_file_cache max=10000;",
}


class Failure(Exception):
    """The measurement cannot go on; the text says why."""


@dataclass
class Setting:
    """Where contenders run and what they are."""

    pareto: Path | None
    work: Path
    server_cpu: int
    load_cpu: int
    upstream_cpu: int


class Server:
    """A running process with everything it started."""

    def __init__(self, name, command, cpu, work, address, ready=None):
        self.name, self.address = name, address
        work.mkdir(parents=True, exist_ok=True)
        self.log = work / "output.log"
        started = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=work,
                preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
            )
        self._await(ready or (lambda: _accepts(address)))
        self.ready_seconds = time.monotonic() - started
        self.pids = machine.tree(self.process.pid)

    def _await(self, ready, patience=15):
        deadline = time.monotonic() + patience
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = self.log.read_text(errors="replace")[-2000:]
                raise Failure(f"{self.name} did not become ready (exit code {self.process.returncode}):\n{tail}")
            time.sleep(0.001)

    def refresh(self):
        """Looks again for child processes (nginx starts some late and ends some early)."""
        self.pids = machine.tree(self.process.pid)
        return self

    def stop(self):
        """Ends the process by SIGTERM, by SIGKILL if it has not gone in five seconds."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Upstream(Server):
    """The constant upstream. `pace`: its streams' pauses, in milliseconds, as flags of src/bin/upstream.rs."""

    def __init__(self, setting, pace=None):
        address = free_address()
        command = [BINARIES / "upstream", "--listen", address]
        for flag, milliseconds in (pace or {}).items():
            command += [f"--{flag}", milliseconds]
        super().__init__("upstream", command, setting.upstream_cpu, setting.work / "upstream", address)

    def served(self):
        """How many chat requests it has answered so far."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request("GET", "/served")
        count = int(connection.getresponse().read())
        connection.close()
        return count


def start(name, setting, upstream, streaming=False):
    """Starts the contender `name` in front of `upstream`; `streaming`: answers must not be held back."""
    work = setting.work / f"{name}-{time.monotonic_ns()}"
    address = free_address()
    if name.startswith("pareto"):
        return _pareto(name, setting, upstream, work, address)
    if name.startswith("nginx"):
        return _nginx(name, setting, upstream, work, address, streaming)
    mode = name.removeprefix("pingora-")
    command = [BINARIES / "yardstick", "--listen", address, "--mode", mode, "--upstream", upstream.address]
    return Server(name, command, setting.server_cpu, work, address)


def _pareto(name, setting, upstream, work, address):
    admin = free_address()
    sim = f"sim: {{url: http://{upstream.address}/v1}}"
    # A refusal that no breaker counts, so that every request meets it; and a port where nobody listens.
    first = {
        "pareto-route": f"http://{upstream.address}/v1",
        "pareto-failover": f"http://{upstream.address}/away",
        "pareto-open": f"http://{free_address()}/v1",
    }.get(name)
    lines = [
        f"listen: {address}",
        f"admin: {{listen: {admin}}}",
        "threads: 1",
        f"providers: {{{sim}, first: {{url: {first}}}}}" if first else f"providers: {{{sim}}}",
        f"log: {{exchanges: {'true' if name == 'pareto-log' else 'false'}}}",
    ]
    if name == "pareto-uncached":
        lines.append("features: {cache: off, coalesce: off}")
    if first:
        lines.append('routes: [{models: ["*"], targets: [{provider: first}], fallbacks: [{provider: sim}]}]')
    work.mkdir(parents=True)
    config = work / "pareto.yaml"
    config.write_text("\n".join(lines) + "\n")
    command = [setting.pareto, "--config", config]
    return Server(name, command, setting.server_cpu, work, address, lambda: _is_ready(admin))


def _nginx(name, setting, upstream, work, address, streaming):
    work.mkdir(parents=True)
    template = "cache.conf" if name in NGINX_CACHE_TUNING else "proxy.conf"
    text = (BENCH / "nginx" / template).read_text()
    for mark, value in {
        "@USER@": "user root;" if os.geteuid() == 0 else "",
        "@DIR@": str(work),
        "@LISTEN@": address,
        "@UPSTREAM@": upstream.address,
        "@TUNING@": NGINX_CACHE_TUNING.get(name, ""),
        "@BUFFERING@": "off" if streaming else "on",
    }.items():
        text = text.replace(mark, value)
    config = work / "nginx.conf"
    config.write_text(text)
    return Server(name, ["nginx", "-p", work, "-c", config, "-e", work / "error.log"], setting.server_cpu, work, address)


def free_address():
    """A loopback address nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _accepts(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 1).close()
        return True
    except OSError:
        return False


def _is_ready(admin):
    connection = http.client.HTTPConnection(admin, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
