"""Measures what answers cost below the memory, on disk and in Redis, against redis-benchmark in the same run."""

import argparse
import http.client
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import machine
from .__main__ import build, choose_cpus
from .contender import BENCH, Failure, Server, Setting, Upstream, _accepts, _is_ready, free_address
from .load import Load

# Clients of a throughput turn, and of one for latency.
MANY, ONE = 32, 1
# From here on requests are numbered; every stage takes numbers of its own.
_NEXT = [10**12]


class Redis(Server):
    """An empty redis-server that keeps nothing on disk."""

    def __init__(self, setting):
        self.port = free_address().rsplit(":", 1)[1]
        work = setting.work / f"redis-{self.port}"
        command = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        address = f"127.0.0.1:{self.port}"
        super().__init__("redis", command, setting.upstream_cpu, work, address, lambda: _accepts(address))

    def cli(self, *command):
        return subprocess.run(
            ["redis-cli", "-p", self.port, *command], capture_output=True, text=True, check=True
        ).stdout.strip()

    def calls(self):
        """How often each command was called, scripts' own calls included."""
        stats = re.findall(r"cmdstat_([^:]+):calls=(\d+)", self.cli("INFO", "commandstats"))
        return {name: int(calls) for name, calls in stats}

    def keys(self, pattern="pareto:{*}"):
        return self.cli("KEYS", pattern).split()

    def benchmark(self, size, clients, requests):
        """redis-benchmark's GET of so many bytes: requests/s, p50 in µs, and this server's CPU per GET in µs."""
        common = ["redis-benchmark", "-p", self.port, "-c", str(clients), "-d", str(size), "--csv"]
        subprocess.run([*common, "-n", "100", "-t", "set"], capture_output=True, check=True)
        before = machine.cpu_seconds(self.pids)
        told = subprocess.run(
            [*common, "-n", str(requests), "-t", "get"], capture_output=True, text=True, check=True
        ).stdout
        spent = machine.cpu_seconds(self.pids) - before
        # "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms",…
        fields = told.strip().splitlines()[-1].replace('"', "").split(",")
        return float(fields[1]), float(fields[4]) * 1000, spent / requests * 1e6


class Pareto(Server):
    """A sidecar with one thread. `storage` is the section of its file."""

    def __init__(self, setting, upstream, storage, cpu=None):
        address, self.admin = free_address(), free_address()
        work = setting.work / f"pareto-{time.monotonic_ns()}"
        work.mkdir(parents=True)
        (work / "pareto.yaml").write_text(
            f"listen: {address}\nadmin: {{listen: {self.admin}}}\nthreads: 1\n"
            f"providers: {{up: {{url: http://{upstream.address}/v1}}}}\n"
            f"log: {{exchanges: false}}\nstorage: {{memory: 512MiB{storage}}}\n"
        )
        command = [setting.pareto, "--config", work / "pareto.yaml"]
        cpu = setting.server_cpu if cpu is None else cpu
        super().__init__("pareto", command, cpu, work, address, lambda: _is_ready(self.admin))
        for tier in ["disk", "redis"]:
            self.until(lambda: f"{tier}:" not in storage or self.metric("cache_tier_up", f'tier="{tier}"') == 1)

    def metric(self, name, label=""):
        connection = http.client.HTTPConnection(self.admin, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        lines = [line for line in text.splitlines() if re.match(rf"pareto_{name}[ {{]", line) and label in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def until(self, true, patience=20):
        deadline = time.monotonic() + patience
        while not true():
            if time.monotonic() > deadline:
                raise Failure(f"waited too long for a tier; see {self.log}")
            time.sleep(0.02)


class Bench:
    """What all stages share."""

    def __init__(self, setting, upstream, answers, seconds):
        self.setting, self.upstream, self.answers, self.seconds = setting, upstream, answers, seconds
        self.wrong = []

    def pareto(self, storage="", cpu=None):
        return Pareto(self.setting, self.upstream, storage, cpu)

    def numbers(self):
        _NEXT[0] += 10**9
        return _NEXT[0]

    def drive(self, pareto, first, what, redis=None, clients=MANY, expect_calls=None, **flags):
        """Loads it and says what that cost; `expect_calls` upstream calls, or it is an error."""
        flags = flags or {"requests": self.answers}
        served = self.upstream.served()
        before = [machine.cpu_seconds(server.pids) for server in [pareto, redis] if server]
        counted = redis.calls() if redis else {}
        report = Load(pareto.address, self.setting.load_cpu, {"connections": clients, "first": first, **flags}, False).result()
        spent = [machine.cpu_seconds(server.pids) for server in [pareto, redis] if server]
        report["cpu_us"], report["redis_us"] = (
            [(after - start) / max(1, report["requests"]) * 1e6 for after, start in zip(spent, before)] + [None]
        )[:2]
        if redis:
            report["commands"] = {
                name: calls - counted.get(name, 0)
                for name, calls in redis.calls().items()
                if calls > counted.get(name, 0) and name not in ("info", "config|get")
            }
        calls = self.upstream.served() - served
        if report["errors"]:
            self.wrong.append(f"{what}: {report['errors']}")
        if expect_calls is not None and calls != expect_calls:
            self.wrong.append(f"{what}: {calls} calls to the upstream, not {expect_calls}")
        return report


def table(title, head, rows):
    print(f"\n## {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print("| " + " | ".join(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row) + " |", flush=True)


def in_redis(redis, more=", timeout: 2s, lease: 20s"):
    """The setting; where nothing is to fail, with time for a busy machine."""
    return f", redis: {{url: 'redis://127.0.0.1:{redis.port}'{more}}}"


def hits(bench, redis, disk):
    """Each tier's hit and miss: CPU, latency, and what of it is Redis'."""
    first, latency_first, few = bench.numbers(), bench.numbers(), max(200, bench.answers // 10)
    on_disk = f", disk: {{path: '{disk}', size: 1GiB}}"
    sizes = {}
    with bench.pareto(on_disk + in_redis(redis)) as pareto:
        for start, count in [(first, bench.answers), (latency_first, few)]:
            bench.drive(pareto, start, "fill", expect_calls=count, requests=count)
        pareto.until(lambda: len(redis.keys("pareto:{*}")) >= bench.answers + few)
        pareto.until(lambda: pareto.metric("cache_writes_skipped_total") == 0)
        entries = pareto.metric("cache_entries")
        sizes["memory"] = pareto.metric("cache_bytes", 'tier="memory"') / entries
    rows, memory = [], None
    for name, storage, server in [("memory", "", None), ("disk", on_disk, None), ("Redis", in_redis(redis), redis)]:
        with bench.pareto(storage) as pareto:
            if name == "memory":
                bench.drive(pareto, first, "fill memory", expect_calls=bench.answers)
                bench.drive(pareto, latency_first, "fill memory", expect_calls=few, requests=few)
            many = bench.drive(pareto, first, f"{name} hits", server, expect_calls=0)
            one = bench.drive(pareto, latency_first, f"{name} hits", server, ONE, 0, requests=few)
            again = bench.drive(pareto, first, f"{name} hits, then in memory", server, expect_calls=0)
        memory = memory or one
        commands = sum(many.get("commands", {}).values()) / many["requests"] if server else 0.0
        repeated = sum(again.get("commands", {}).values()) / again["requests"] if server else 0.0
        rows.append([
            f"hit {'on' if name == 'disk' else 'in'} {name}", many["cpu_us"], one["latency_us"]["p50"], one["latency_us"]["p50"] - memory["latency_us"]["p50"],
            many["requests_per_second"], f"{many['redis_us']:.1f}" if server else "", f"{commands:.3f}", f"{repeated:.3f}",
        ])
    size = int(redis.cli("STRLEN", next(key for key in redis.keys() if key.endswith("}"))))
    rate, _, cost = redis.benchmark(size, MANY, bench.answers)
    _, p50, _ = redis.benchmark(size, ONE, few)
    rows.append([f"redis-benchmark GET of {size} bytes", "", p50, p50, rate, f"{cost:.1f}", "1.000", ""])
    added = rows[2][3] / p50
    table(
        "Hits by tier",
        ["", "CPU, µs", "p50 on 1 connection, µs", "more than from memory, µs", "requests/s", "Redis' CPU, µs", "commands at Redis", "the same again"],
        rows,
    )
    print(f"\nA hit in Redis adds {added:.1f} times what redis-benchmark takes for the same GET.")
    return sizes, size


def misses(bench, redis, disk):
    """What storing adds to a miss."""
    rows = []
    for name, storage, server in [
        ("memory alone", "", None),
        ("and disk", f", disk: {{path: '{disk}', size: 1GiB}}", None),
        ("and Redis", in_redis(redis), redis),
    ]:
        with bench.pareto(storage) as pareto:
            bench.drive(pareto, bench.numbers(), "warm up", requests=200)
            told = bench.drive(pareto, bench.numbers(), f"misses, {name}", server, expect_calls=bench.answers)
            skipped = pareto.metric("cache_writes_skipped_total")
        per = {key: calls / told["requests"] for key, calls in told.get("commands", {}).items()}
        shown = ", ".join(f"{key} {calls:.2f}" for key, calls in sorted(per.items()) if calls >= 0.01)
        cost = f"{told['redis_us']:.1f}" if server else ""
        rows.append([name, told["cpu_us"], told["latency_us"]["p50"], told["latency_us"]["p99"], told["requests_per_second"], cost, shown, f"{skipped:.0f}"])
    table(
        "Misses that are stored",
        ["", "CPU, µs", "p50, µs", "p99, µs", "requests/s", "Redis' CPU, µs", "commands a request at Redis (in scripts too)", "not written"],
        rows,
    )


def sidecars(bench, redis, cpus):
    """1, 2 and 3 sidecars, each finding the same answers in one Redis."""
    first, rows, alone = bench.numbers(), [], None
    with bench.pareto(in_redis(redis)) as pareto:
        bench.drive(pareto, first, "fill", expect_calls=bench.answers)
    for count in [1, 2, 3]:
        paretos = [bench.pareto(in_redis(redis), cpus[at % len(cpus)]) for at in range(count)]
        try:
            before = machine.cpu_seconds(redis.pids)
            flags = {"connections": MANY, "first": first, "requests": bench.answers}
            loads = [Load(pareto.address, bench.setting.load_cpu, flags, False) for pareto in paretos]
            told = [load.result() for load in loads]
            cost = (machine.cpu_seconds(redis.pids) - before) / sum(report["requests"] for report in told) * 1e6
        finally:
            for pareto in paretos:
                pareto.stop()
        bench.wrong += [f"{count} sidecars: {report['errors']}" for report in told if report["errors"]]
        rate = sum(report["requests_per_second"] for report in told)
        alone = alone or rate
        rows.append([count, rate, f"{rate / alone:.2f}", cost, f"{1e6 / cost:,.0f}" if cost else "?"])
    table(
        f"Sidecars on one Redis, all answers found there ({len(cpus)} CPU for sidecars)",
        ["sidecars", "requests/s together", "of one", "Redis' CPU a request, µs", "look-ups a second one Redis could carry"],
        rows,
    )


def sizes(bench, memory, entry):
    """Bytes of a stored answer in each tier, from what the growth of the whole says."""
    rows, start = [], bench.numbers()
    with bench.pareto() as pareto:
        bench.drive(pareto, bench.numbers(), "warm up", requests=500)
        before = machine.rss(pareto.pids)
        bench.drive(pareto, start, "fill", expect_calls=bench.answers)
        grown = (machine.rss(pareto.pids) - before) / bench.answers
        rows.append(["memory", memory["memory"], grown])
    with tempfile.TemporaryDirectory(dir=bench.setting.work) as disk:
        with bench.pareto(f", disk: {{path: '{disk}', size: 1GiB}}") as pareto:
            bench.drive(pareto, start, "fill", expect_calls=bench.answers)
            written = -1.0
            while written != (written := pareto.metric("cache_bytes", 'tier="disk"')):
                time.sleep(0.5)
            taken = sum(path.stat().st_blocks * 512 for path in Path(disk).rglob("*") if path.is_file())
            rows.append(["disk", float(entry), taken / bench.answers])
    with Redis(bench.setting) as redis, bench.pareto(in_redis(redis)) as pareto:
        used = lambda: int(re.search(r"used_memory:(\d+)", redis.cli("INFO", "memory")).group(1))
        before = used()
        bench.drive(pareto, start, "fill", expect_calls=bench.answers)
        pareto.until(lambda: len(redis.keys()) >= bench.answers)
        keys = redis.keys()[:100]
        measured = statistics.mean(int(redis.cli("MEMORY", "USAGE", key)) for key in keys)
        rows.append(["Redis", measured, (used() - before) / bench.answers])
    table(
        "Bytes of a stored answer of 1,023 bytes",
        ["tier", "as it is counted (memory: its weight, disk: the entry, Redis: MEMORY USAGE)", "growth of the whole over the answers"],
        rows,
    )


def outages(bench):
    """Latency of misses while Redis stands still or dies under load."""
    rows = []
    for name, harm in [
        ("Redis well", lambda redis: None),
        ("stopped (SIGSTOP) a third of the time", lambda redis: os.kill(redis.process.pid, signal.SIGSTOP)),
        ("killed after a third of the time", lambda redis: redis.process.kill()),
    ]:
        with Redis(bench.setting) as redis, bench.pareto(in_redis(redis, "")) as pareto:
            bench.drive(pareto, bench.numbers(), "warm up", requests=200)
            flags = {"connections": 8, "first": bench.numbers(), "seconds": bench.seconds}
            load = Load(pareto.address, bench.setting.load_cpu, flags, False)
            time.sleep(bench.seconds / 3)
            harm(redis)
            time.sleep(bench.seconds / 3)
            if redis.process.poll() is None:
                os.kill(redis.process.pid, signal.SIGCONT)
            told = load.result()
            latency = told["latency_us"]
            rows.append([name, told["requests"], latency["p50"], latency["p99"], latency["max"] / 1000, sum(told["errors"].values()),
                         f"{pareto.metric('redis_errors_total'):.0f}"])
            if told["errors"]:
                bench.wrong.append(f"{name}: {told['errors']}")
    table(
        "Misses while Redis is away (time-out 50 ms), 8 connections",
        ["", "requests", "p50, µs", "p99, µs", "longest, ms", "errors", "failures of Redis"],
        rows,
    )


def main():
    parser = argparse.ArgumentParser(prog="bench/storage", description=__doc__)
    parser.add_argument("--pareto", type=Path, help="the binary to measure; built for release when not given")
    parser.add_argument("--answers", type=int, default=20_000, help="stored answers of each stage (20000)")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of an outage's turn (6)")
    parser.add_argument("--no-build", action="store_true", help="the load driver and the upstream are built")
    options = parser.parse_args()
    if not options.no_build:
        build(BENCH, "the load driver and the upstream")
    if not options.pareto:
        build(BENCH.parent, "pareto")
    pareto = (options.pareto or BENCH.parent / "target" / "release" / "pareto").resolve()
    server, load, upstream = choose_cpus(None)
    spare = sorted(os.sched_getaffinity(0) - {load, upstream})
    print("# Answers below the memory\n")
    print("\n".join(f"- {line}" for line in machine.describe()))
    version = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    print(f"- {version.strip()}; with the upstream on CPU {upstream}, sidecars on {spare}, the load driver on {load}")
    print(f"- {options.answers} answers of 1,023 bytes a stage, {MANY} connections unless said")
    os.sched_setaffinity(0, {load})
    with tempfile.TemporaryDirectory(prefix="pareto-storage-") as work:
        setting = Setting(pareto, Path(work), server, load, upstream)
        with Upstream(setting) as behind:
            bench = Bench(setting, behind, options.answers, options.seconds)
            with Redis(setting) as redis:
                memory, entry = hits(bench, redis, Path(work) / "disk")
                misses(bench, redis, Path(work) / "disk")
                sidecars(bench, redis, spare)
            sizes(bench, memory, entry)
            outages(bench)
    for line in bench.wrong:
        print(f"\nWRONG: {line}")
    return 1 if bench.wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench: {failure}")
