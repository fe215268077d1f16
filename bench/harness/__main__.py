"""Measures pareto against nginx and bare Pingora in one run and prints the tables. README.md says how to read them."""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import machine, report, scenarios
from harness.contender import BENCH, CONTENDERS, Failure, Setting

OUT = BENCH / "out"
FILES_NEEDED = 12_000


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--pareto", type=Path, help="the release binary to measure; built when not given")
    parser.add_argument("--only", type=_names, metavar="NAME,…",
                        help=f"only these contenders, or families as nginx: {', '.join(CONTENDERS)}")
    parser.add_argument("--scenario", type=_names, default=scenarios.ALL, metavar="NAME,…",
                        help=f"only these: {', '.join(scenarios.ALL)}")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each contender (10)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn (1)")
    parser.add_argument("--cpus", type=_names, metavar="SERVER,LOAD,UPSTREAM", help="CPUs to pin to")
    return parser, parser.parse_args()


def _names(text):
    return [name.strip() for name in text.split(",")]


def allow_files():
    """Makes room for both ends of 5,000 streams."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_NEEDED:
        raise Failure(f"5,000 streams need {FILES_NEEDED} open files, the hard limit is {hard}: raise it (ulimit -Hn)")
    if soft < FILES_NEEDED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_NEEDED, hard))


def choose_cpus(wanted):
    """CPUs of server, load driver and upstream; the server's is always its own."""
    if wanted:
        server, load, upstream = map(int, wanted)
        return server, load, upstream
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Failure("two CPUs are needed: one for the server, one for the load")
    return usable[0], usable[1], usable[2] if len(usable) > 2 else usable[1]


def selected(scenario, only):
    """The contenders of a scenario that were asked for; "direct" is the zero line and always runs."""
    names = scenarios.contenders_of(scenario)
    if not only:
        return names
    wanted = [name for name in names if any(name == part or name.startswith(f"{part}-") for part in only)]
    return [name for name in names if name in wanted or name == "direct"] if wanted else []


def roomy_memory_file_system():
    """Where servers keep their files: in memory if there is room, so that no write-back disturbs the next turn."""
    shared = Path("/dev/shm")
    if shared.is_dir() and shutil.disk_usage(shared).free > 2 * 2**30:
        return shared
    print("bench: /dev/shm has under 2 GiB: nginx's cache goes to disk, expect noise", file=sys.stderr)
    return None


def build(directory, what):
    print(f"building {what} …", file=sys.stderr)
    if subprocess.run(["cargo", "build", "--release", "--locked"], cwd=directory, check=False).returncode:
        raise Failure(f"{what} does not build")


def measure(options, plan, setting, records_path):
    """Runs the plan, writing each record as it comes."""
    records = []
    with records_path.open("w") as out:
        for scenario, names in plan.items():
            print(f"{scenario}: {', '.join(names)} …", file=sys.stderr)
            for record in scenarios.measure(scenario, names, setting, options.rounds, options.seconds):
                records.append(record)
                out.write(json.dumps(record) + "\n")
                out.flush()
    return report.Results(records)


def main():
    parser, options = arguments()
    if unknown := [name for name in options.scenario if name not in scenarios.ALL]:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    families = {name.split("-")[0] for name in CONTENDERS}
    if unknown := [name for name in options.only or [] if name not in CONTENDERS and name not in families]:
        parser.error(f"no such contender: {', '.join(unknown)}")
    if options.cpus and not (len(options.cpus) == 3 and all(cpu.isdigit() for cpu in options.cpus)):
        parser.error("--cpus wants three numbers: of server, load driver and upstream")
    allow_files()
    plan = {scenario: names for scenario in options.scenario if (names := selected(scenario, options.only))}
    needs_pareto = any(name.startswith("pareto") for names in plan.values() for name in names)
    build(BENCH, "the load driver, the upstream and bare Pingora")
    if needs_pareto and not options.pareto:
        build(BENCH.parent, "pareto")
    pareto = (options.pareto or BENCH.parent / "target" / "release" / "pareto").resolve() if needs_pareto else None
    if pareto:
        scenarios.binary_bytes(pareto)

    server, load, upstream = choose_cpus(options.cpus)
    os.sched_setaffinity(0, {load})
    description = machine.describe() + [
        f"Server on CPU {server}, load driver on CPU {load}, upstream on CPU {upstream}; one server thread each",
        f"{options.rounds} turns of {options.seconds:g} s per contender, interleaved; "
        "CPU is user + system of the server's processes",
    ]
    OUT.mkdir(exist_ok=True)
    stem = time.strftime("%Y%m%dT%H%M%S")
    with tempfile.TemporaryDirectory(prefix="pareto-bench-", dir=roomy_memory_file_system()) as work:
        setting = Setting(pareto, Path(work), server, load, upstream)
        results = measure(options, plan, setting, OUT / f"{stem}.jsonl")
    text = report.markdown(results, description, pareto)
    (OUT / f"{stem}.md").write_text(text)
    print(text)
    return 1 if report.failed(results) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench: {failure}")
