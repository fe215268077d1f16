"""The table of scenarios for the OpenAI SDK (2.x and 3.x), and what they share."""

import functools

from openai import OpenAI

SCENARIOS = []
MODEL = "gpt-4o-mini"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Looks it up",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
    for name in ("weather", "tides")
]
RESPONSE_TOOL = {"type": "function", "strict": False, **TOOLS[0]["function"]}
SCHEMA = {
    "type": "object",
    "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}, "stars": {"type": "integer"}},
    "required": ["mood", "stars"],
    "additionalProperties": False,
}
USAGE = {"include_usage": True}


def scenario(function):
    SCENARIOS.append((function, False))
    return function


def transport(function):
    """A failure of the connection itself: a proxy words it differently, but it must fail."""
    SCENARIOS.append((function, True))
    return function


@functools.cache
def client(site, key="sk-test", retries=0):
    return OpenAI(base_url=site.base_url, api_key=key, max_retries=retries)


def messages(text):
    return [{"role": "system", "content": "You help a shop."}, {"role": "user", "content": text}]


def chat(site, text, retries=0, headers=None, **options):
    create = client(site, retries=retries).chat.completions.create
    return create(model=MODEL, messages=messages(text), extra_headers=headers, **options)


def fault(name, **more):
    return {"x-sim-fault": name, **more}


def stream(site, text, headers=None, **options):
    """All chunks; where the stream breaks, the exception tells which came before."""
    chunks = []
    try:
        for chunk in chat(site, text, headers=headers, stream=True, **options):
            chunks.append(chunk)
    except Exception as error:
        error.partial = text_of(chunks)
        raise
    return chunks


def text_of(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
