"""What is measured: closed-loop scenarios whose contenders take turns, many streams at once, and sizes."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from . import contender, load, machine
from .contender import Failure, Upstream

# As in ../src/payload.rs.
ANSWER_BYTES, EVENTS = 1023, 50
IMAGE_BYTES = 5_000_000
JSON = {"ask": "json", "expect_bytes": ANSWER_BYTES}
STREAM = {"ask": "stream", "expect_events": EVENTS}
SLOW_GAP_MS = 200


@dataclass
class ClosedLoop:
    """Clients that send their next request once they have their answer."""

    title: str
    contenders: list
    flags: dict
    # Every request unlike all others; otherwise all alike and, after the warm-up, none may reach the upstream.
    unique: bool
    connections: int = 32
    streaming: bool = False
    # Milliseconds between the upstream's events.
    pace: dict = field(default_factory=dict)
    extra_columns: list = field(default_factory=list)


CLOSED_LOOPS = {
    "hit": ClosedLoop(
        "Hit: 1.2 KB chat request, 1 KB answer from memory, 32 connections",
        ["pareto", "pareto-log", "pingora-constant", "nginx-cache", "nginx-cache-tuned"], JSON, unique=False,
    ),
    "miss": ClosedLoop(
        "Miss: the same, no request twice, upstream answers at once, 32 connections",
        ["pareto", "pareto-log", "pareto-uncached", "pingora-proxy", "nginx", "nginx-cache"], JSON, unique=True,
    ),
    "miss-low": ClosedLoop(
        "Miss at low load: 1 connection",
        ["direct", "pareto", "pareto-uncached", "pingora-proxy", "nginx"], JSON, unique=True, connections=1,
    ),
    # What a route costs, a refusal before the answer, and an open breaker against a closed one.
    "failover": ClosedLoop(
        "Failover: no request twice, 32 connections",
        ["pareto", "pareto-route", "pareto-failover", "pareto-open"], JSON, unique=True,
    ),
    "failover-low": ClosedLoop(
        "Failover at low load: 1 connection; what a refusal adds to the latency",
        ["direct", "pareto", "pareto-route", "pareto-failover", "pareto-open"], JSON, unique=True, connections=1,
    ),
    "stream": ClosedLoop(
        f"Stream: {EVENTS} events, each its own write, no request twice, 32 connections",
        ["pareto", "pareto-uncached", "pingora-proxy", "nginx"], STREAM, unique=True, streaming=True,
        extra_columns=["reads"],
    ),
    # Events far enough apart that no contender finds two in one read.
    "stream-paced": ClosedLoop(
        f"Stream, paced: {EVENTS} events 2 ms apart, no request twice, 32 connections",
        ["pareto", "pareto-uncached", "pingora-proxy", "nginx"], STREAM, unique=True, streaming=True,
        pace={"gap-ms": 2}, extra_columns=["reads"],
    ),
    # After the first event the upstream waits, or it would be busy writing where the driver wants to read.
    "stream-low": ClosedLoop(
        "Stream at low load: 1 connection; time to the first event",
        ["direct", "pareto", "pareto-uncached", "pingora-proxy", "nginx"], STREAM, unique=True, connections=1,
        streaming=True, pace={"pause-ms": 2}, extra_columns=["first"],
    ),
    # A cache may join events when it replays them, so their number is shown, not demanded.
    "replay": ClosedLoop(
        "Replay: the same stream from the cache, 32 connections",
        ["pareto", "nginx-cache", "nginx-cache-tuned"], {"ask": "stream"}, unique=False, streaming=True, extra_columns=["reads", "events"],
    ),
}
MANY_STREAMS = {
    "streams-1000": (1000, ["pareto", "pareto-uncached", "pingora-proxy", "nginx"]),
    "streams-5000": (5000, ["pareto", "pareto-uncached", "pingora-proxy", "nginx"]),
}
SIZE = ["pareto", "pareto-uncached", "pingora-proxy", "nginx"]
SIZE_STARTS = 3
ALL = [*CLOSED_LOOPS, *MANY_STREAMS, "size"]


def contenders_of(name):
    """Who takes part in the scenario `name`."""
    if name in CLOSED_LOOPS:
        return CLOSED_LOOPS[name].contenders
    return MANY_STREAMS[name][1] if name in MANY_STREAMS else SIZE


def measure(name, names, setting, rounds, seconds):
    """Runs one scenario with the contenders `names`; yields one record per run."""
    if name in CLOSED_LOOPS:
        records = closed_loop(CLOSED_LOOPS[name], names, setting, rounds, seconds)
    elif name in MANY_STREAMS:
        records = many_streams(MANY_STREAMS[name][0], names, setting)
    else:
        records = sizes(names, setting)
    for record in records:
        yield {"scenario": name} | record


def closed_loop(scenario, names, setting, rounds, seconds):
    """A B C A B C …: whatever else the machine does meets all contenders alike."""
    flags = scenario.flags | {"connections": scenario.connections}
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(setting, scenario.pace))
        servers = [
            upstream if name == "direct" else
            stack.enter_context(contender.start(name, setting, upstream, scenario.streaming))
            for name in names
        ]
        for server in servers:
            # The first request alone fills a cache, the rest warms connections, allocators and branches.
            load.Load(server.address, setting.load_cpu, scenario.flags | {"connections": 1, "requests": 1}, scenario.unique).result()
            load.Load(server.address, setting.load_cpu, flags | {"seconds": min(0.5, seconds)}, scenario.unique).result()
        for turn in range(rounds):
            for name, server in zip(names, servers):
                record = load.run(server, upstream, setting.load_cpu, flags | {"seconds": seconds}, scenario.unique)
                wanted = record["requests"] if scenario.unique else 0
                if name != "pingora-constant" and (more := record["upstream_calls"] - wanted):
                    record["errors"]["upstream calls too many" if more > 0 else "upstream calls too few"] = abs(more)
                yield record | {"contender": name, "round": turn}


def many_streams(count, names, setting):
    """`count` slow streams at once through each contender, started afresh: memory while all are open."""
    with Upstream(setting, {"gap-ms": SLOW_GAP_MS}) as upstream:
        for name in names:
            with contender.start(name, setting, upstream, streaming=True) as server:
                small = STREAM | {"connections": 1, "requests": 1}
                load.Load(server.address, setting.load_cpu, small, unique=True).result()
                server.refresh()
                machine.reset_peak_rss(server.pids)
                idle_rss, peak_pss = machine.rss(server.pids), 0
                cpu = machine.cpu_seconds(server.pids)
                driver = load.Load(
                    server.address, setting.load_cpu, STREAM | {"connections": count, "requests": count}, unique=True)
                while driver.running():
                    time.sleep(0.25)
                    peak_pss = max(peak_pss, machine.pss(server.pids))
                report = driver.result()
                if report["max_open"] < count:
                    report["errors"][f"only {report['max_open']} streams were open at once"] = 1
                peak_rss = machine.peak_rss(server.pids)
                yield report | {
                    "contender": name,
                    "cpu_us": (machine.cpu_seconds(server.pids) - cpu) / max(1, report["requests"]) * 1e6,
                    "idle_rss": idle_rss, "peak_rss": peak_rss, "peak_pss": peak_pss,
                    "per_stream": (peak_rss - idle_rss) / count,
                    "after_rss": machine.rss(server.pids),
                }


def sizes(names, setting):
    """Start time, idle memory, and how far one request with an image raises the peak; each start afresh."""
    with Upstream(setting) as upstream:
        for turn in range(SIZE_STARTS):
            for name in names:
                with contender.start(name, setting, upstream) as server:
                    time.sleep(0.5)
                    server.refresh()
                    idle = {"idle_rss": machine.rss(server.pids), "idle_pss": machine.pss(server.pids)}
                    small = JSON | {"connections": 1, "requests": 20}
                    load.Load(server.address, setting.load_cpu, small, unique=True).result()
                    machine.reset_peak_rss(server.pids)
                    before = machine.rss(server.pids)
                    image = JSON | {"ask": "image", "image_bytes": IMAGE_BYTES, "connections": 1, "requests": 1}
                    report = load.Load(server.address, setting.load_cpu, image, unique=True).result()
                    growth = machine.peak_rss(server.pids) - before
                    yield report | idle | {
                        "contender": name, "round": turn, "ready_ms": server.ready_seconds * 1000,
                        "growth": growth, "growth_ratio": growth / IMAGE_BYTES,
                    }


def binary_bytes(path):
    """Size of the program file."""
    if not path.is_file():
        raise Failure(f"{path} is not there")
    return path.stat().st_size
