"""Records to Markdown: a table per scenario, and each aim next to what was measured."""

from statistics import median

from .contender import CONTENDERS
from .scenarios import CLOSED_LOOPS, MANY_STREAMS, SLOW_GAP_MS, binary_bytes

MIB, KIB = 2**20, 2**10
# Scenarios whose contenders are routes with targets in every state.
FAILOVER = ("failover", "failover-low")


class Results:
    """All records of a measurement, looked up by scenario and contender."""

    def __init__(self, records):
        self.records = records

    def values(self, scenario, contender, *path):
        """The value at `path` in every run of a contender, in order; empty when it did not run."""
        found = []
        for record in self.records:
            if record["scenario"] == scenario and record["contender"] == contender:
                for step in path:
                    record = record[step]
                found.append(record)
        return found

    def contenders(self, scenario):
        """Who ran in a scenario, in order."""
        return list(dict.fromkeys(record["contender"] for record in self.records if record["scenario"] == scenario))

    def errors(self, scenario, contender):
        """How many errors of each kind."""
        total = {}
        for errors in self.values(scenario, contender, "errors"):
            for kind, count in errors.items():
                total[kind] = total.get(kind, 0) + count
        return total


def table(headings, rows):
    """A Markdown table; all but the first column to the right."""
    lines = ["| " + " | ".join(headings) + " |", "|---|" + "---:|" * (len(headings) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def markdown(results, description, pareto):
    """The whole report."""
    parts = ["# Measured", "\n".join(f"- {line}" for line in description + [_quiet(results)])]
    for name, scenario in CLOSED_LOOPS.items():
        if results.contenders(name):
            parts += [f"## {scenario.title}", _closed_loop(results, name, scenario)]
            if name in FAILOVER and (added := _failover(results, name)):
                parts.append(added)
    for name, (count, _) in MANY_STREAMS.items():
        if results.contenders(name):
            parts += [f"## {count} slow streams at once ({SLOW_GAP_MS} ms between events)", _many_streams(results, name)]
    if results.contenders("size"):
        parts += ["## Size: one request with a 5 MB image; memory when idle; start", _sizes(results)]
    if pareto:
        parts.append(f"pareto's binary: {binary_bytes(pareto) / MIB:.1f} MiB.")
    if aims := _aims(results):
        parts += ["## Aims", aims]
    if errors := _errors(results):
        parts += ["## Errors: these figures are worth nothing", errors]
    return "\n\n".join(parts) + "\n"


def failed(results):
    """Whether any run had an error."""
    return any(record["errors"] for record in results.records)


def _quiet(results):
    runs = [record for record in results.records if "others_busy" in record]
    if not runs:
        return "Other processes' CPU: not taken"
    others, stolen = ([record[key] for record in runs] for key in ("others_busy", "stolen"))
    verdict = "quiet" if median(others) + median(stolen) < 0.05 else "NOT QUIET: repeat on an idle machine"
    return (
        f"Disturbance, of one CPU, median / worst run: other processes {median(others):.0%} / {max(others):.0%}, "
        f"stolen by the host {median(stolen):.0%} / {max(stolen):.0%} ({verdict})"
    )


def _closed_loop(results, name, scenario):
    base = "pareto" if "pareto" in results.contenders(name) else None
    headings = ["contender", "CPU µs/request min", "median"]
    headings += ["pareto ÷ it: min", "median"] if base else []
    headings += ["requests/s best", "median", "p50 µs", "p99 µs"]
    headings += ["first event p50 µs", "p99 µs"] if "first" in scenario.extra_columns else []
    headings += ["reads/answer"] if "reads" in scenario.extra_columns else []
    headings += ["events/answer"] if "events" in scenario.extra_columns else []
    headings += ["RSS MiB", "PSS MiB", "server busy", "load side busy"]
    rows = []
    for who in results.contenders(name):
        def get(*path, who=who):
            return results.values(name, who, *path)
        cpu, rate = get("cpu_us"), get("requests_per_second")
        row = [CONTENDERS[who]]
        row += ["–", "–"] if who == "direct" else [f"{min(cpu):.1f}", f"{median(cpu):.1f}"]
        if base:
            row += ["–", "–"] if who in ("direct", base) else [f"{ratio:.2f}" for ratio in _ratios(results, name, base, who)]
        row += [f"{max(rate):,.0f}", f"{median(rate):,.0f}"]
        row += [f"{median(get('latency_us', at)):.0f}" for at in ("p50", "p99")]
        if "first" in scenario.extra_columns:
            row += [f"{median(get('first_byte_us', at)):.0f}" for at in ("p50", "p99")]
        row += [f"{median(get('reads_per_request')):.1f}"] if "reads" in scenario.extra_columns else []
        row += [f"{median(get('events_per_request')):.0f}"] if "events" in scenario.extra_columns else []
        row += ["–" if who == "direct" else f"{get(memory)[-1] / MIB:.1f}" for memory in ("rss", "pss")]
        row += ["–" if who == "direct" else f"{median(get('server_busy')):.0%}", f"{median(get('load_busy')):.0%}"]
        rows.append(row)
    return table(headings, rows)


def _failover(results, name):
    """What a route, a target that refuses and one whose breaker is open add to a request, turn by turn."""
    def median_of(who, *path):
        values = results.values(name, who, *path)
        return median(values) if values else None

    rows = []
    for text, who, base in (
        ("a route, its first target well (its breaker closed), against no route", "pareto-route", "pareto"),
        ("the first target refuses, against well", "pareto-failover", "pareto-route"),
        ("the first target's breaker is open, against closed", "pareto-open", "pareto-route"),
    ):
        cpu, latency = ([median_of(one, *path) for one in (who, base)] for path in (("cpu_us",), ("latency_us", "p50")))
        if None in cpu + latency:
            continue
        rows.append([
            text, f"{cpu[0] - cpu[1]:+.1f}", f"{cpu[0] / cpu[1]:.2f}",
            f"{latency[0] - latency[1]:+.1f}", f"{latency[0] / latency[1]:.2f}",
        ])
    if (beyond := _beyond_refusal(results, name)) is not None:
        rows.append(["of the refusal, beyond the refused call itself (as long as a direct one)", "–", "–", f"{beyond:+.1f}", "–"])
    return table(["what is added, medians", "CPU µs", "× CPU", "p50 µs", "× p50"], rows) if rows else ""


def _beyond_refusal(results, name):
    """Microseconds that a refusal adds at the median beyond the call that was refused; None where that was not measured."""
    values = [results.values(name, who, "latency_us", "p50") for who in ("pareto-failover", "pareto-route", "direct")]
    if not all(values):
        return None
    refused, well, call = map(median, values)
    return refused - well - call


def _many_streams(results, name):
    rows = []
    for who in results.contenders(name):
        record = next(record for record in results.records if (record["scenario"], record["contender"]) == (name, who))
        rows.append([
            CONTENDERS[who], f"{record['requests']:,}", f"{record['max_open']:,}",
            *(f"{record[key] / MIB:.1f}" for key in ("idle_rss", "peak_rss", "peak_pss", "after_rss")),
            f"{record['per_stream'] / KIB:.1f}", f"{record['cpu_us']:.0f}",
        ])
    return table(["contender", "complete", "open at once", "RSS MiB before", "peak", "peak PSS MiB", "RSS MiB after",
                  "KiB per stream", "CPU µs/stream"], rows)


def _sizes(results):
    rows = []
    for who in results.contenders("size"):
        def get(key, who=who):
            return results.values("size", who, key)
        rows.append([
            CONTENDERS[who], f"{max(get('growth')) / MIB:.1f}", f"{max(get('growth_ratio')):.2f}",
            f"{max(get('idle_rss')) / MIB:.1f}", f"{max(get('idle_pss')) / MIB:.1f}", f"{median(get('ready_ms')):.0f}",
        ])
    return table(["contender", "peak RSS growth MiB (worst)", "× the image", "idle RSS MiB", "idle PSS MiB",
                  "ms from start to ready"], rows)


def _ratios(results, scenario, one, other):
    """Ratio of the minimums and of the medians of CPU per request."""
    ones, others = (results.values(scenario, who, "cpu_us") for who in (one, other))
    return min(ones) / max(min(others), 1e-9), median(ones) / max(median(others), 1e-9)


def _aims(results):
    """What the project wants of pareto; only what was measured is listed."""
    rows = []

    def aim(text, measured, limit, show):
        rows.append([text, " / ".join(map(show, measured)), f"≤ {show(limit)}", "met" if measured[0] <= limit else "MISSED"])

    def cpu(text, scenario, other, limit):
        if {"pareto", other} <= set(results.contenders(scenario)):
            aim(text, _ratios(results, scenario, "pareto", other), limit, lambda value: f"{value:.2f} ×")

    def added(text, scenario, other, path, limit):
        if {"pareto", other} <= set(results.contenders(scenario)):
            values = [results.values(scenario, who, *path) for who in ("pareto", other)]
            aim(text, [median(values[0]) - median(values[1])], limit, lambda value: f"{value:.1f} µs")

    def most(text, scenario, key, limit, unit, name):
        if values := results.values(scenario, "pareto", key):
            aim(text, [max(values) / unit], limit, lambda value: f"{value:.1f} {name}")

    cpu("hit: CPU against nginx proxy_cache, min / median", "hit", "nginx-cache", 0.7)
    cpu("hit: CPU against nginx proxy_cache, tuned, min / median", "hit", "nginx-cache-tuned", 0.7)
    cpu("hit: CPU against bare Pingora's constant, min / median", "hit", "pingora-constant", 1.25)
    cpu("miss: CPU against Pingora's own phases, min / median", "miss", "pingora-proxy", 1.0)
    if {"pareto", "pareto-uncached"} <= set(results.contenders("miss")):
        stored, plain = (results.values("miss", who, "cpu_us") for who in ("pareto", "pareto-uncached"))
        aim("miss: CPU that storing adds, min / median", (min(stored) - min(plain), median(stored) - median(plain)), 10.0,
            lambda value: f"{value:.1f} µs")
    added("miss: p99 added to a direct call, 1 connection", "miss-low", "direct", ("latency_us", "p99"), 300.0)
    if (beyond := _beyond_refusal(results, "failover-low")) is not None:
        aim("failover: p50 a refusal adds beyond the refused call", [beyond], 1000.0, lambda value: f"{value:.1f} µs")
    cpu("stream: CPU against nginx, min / median", "stream", "nginx", 1.2)
    cpu("stream, paced: CPU against nginx, min / median", "stream-paced", "nginx", 1.2)
    cpu("replay: CPU against nginx's cached replay, min / median", "replay", "nginx-cache", 1.2)
    cpu("replay: CPU against nginx's, tuned, min / median", "replay", "nginx-cache-tuned", 1.2)
    added("stream: p50 added to the first event, 1 connection", "stream-low", "direct", ("first_byte_us", "p50"), 200.0)
    added("stream: p99 added to the first event, 1 connection", "stream-low", "direct", ("first_byte_us", "p99"), 200.0)
    most("1,000 slow streams: RSS in all", "streams-1000", "peak_rss", 60.0, MIB, "MiB")
    most("5,000 slow streams: memory of each", "streams-5000", "per_stream", 48.0, KIB, "KiB")
    most("5 MB image: peak growth, times its size", "size", "growth_ratio", 2.5, 1, "×")
    most("idle RSS", "size", "idle_rss", 20.0, MIB, "MiB")
    most("start to ready", "size", "ready_ms", 100.0, 1, "ms")
    return table(["aim", "measured", "wanted", ""], rows) if rows else ""


def _errors(results):
    rows = [
        [scenario, CONTENDERS[who], kind, f"{count:,}"]
        for scenario in dict.fromkeys(record["scenario"] for record in results.records)
        for who in results.contenders(scenario)
        for kind, count in results.errors(scenario, who).items()
    ]
    return table(["scenario", "contender", "error", "count"], rows) if rows else ""
