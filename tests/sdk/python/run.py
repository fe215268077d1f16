"""Runs SDK scenarios against a base URL and prints one JSON object per scenario.

    run.py BASE_URL [--all | --translated | --ruled | --resumed | --frameworks] [--only NAME]

BASE_URL is what an OpenAI client takes (it ends in /v1). With --all the Anthropic and Gemini clients run
too, against the same host. With --translated only those scenarios run that are answered by a provider of
another API, with --ruled those that rules answer, with --resumed streams that go on elsewhere, with --frameworks
those of LangChain and LlamaIndex. Each line is {"scenario", "transport", "outcome", "result"}: everything the application could see, with ids and times masked, so that two runs can be compared for equality.
`transport` marks scenarios whose failure a proxy reports in its own words.
"""

import argparse
import asyncio
import importlib
import inspect
import json
import sys
import uuid

from normalise import failure, plain

# Tables of their own, each a module.
TABLES = ("translated", "ruled", "resumed", "frameworks")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("--all", action="store_true")
    for name in TABLES:
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--only")
    arguments = parser.parse_args()
    site = Site(arguments.base_url)
    for function, transport in scenarios(arguments):
        if arguments.only in (None, function.__name__):
            report(function, transport, site)


def scenarios(arguments):
    for name in TABLES:
        if getattr(arguments, name):
            return importlib.import_module(name).SCENARIOS
    # Each of them fills the table.
    import openai_chat
    import openai_endpoints
    import openai_faults
    from openai_table import SCENARIOS

    table = list(SCENARIOS)
    if arguments.all:
        import other_sdks

        table += other_sdks.SCENARIOS
    return table


class Site:
    """Where the clients go, and a name no other run has (for faults that strike only so often)."""

    def __init__(self, base_url):
        self.base_url = base_url.rstrip("/")
        self.origin = self.base_url.removesuffix("/v1")
        self.run = uuid.uuid4().hex


def report(function, transport, site):
    try:
        result = function(site)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        line = {"outcome": "ok", "result": plain(result)}
    except Exception as error:  # the exception an application would see is the result
        line = {"outcome": "error", "result": failure(error)}
    line = {"scenario": function.__name__, "transport": transport, **line}
    print(json.dumps(line, ensure_ascii=False, sort_keys=True))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
