"""What applications do with Anthropic's and Google's own SDKs."""

import functools

import anthropic
from google import genai
from google.genai import types

SCENARIOS = []
CLAUDE = "claude-sonnet-5-5"
GEMINI = "gemini-2.5-flash"
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def scenario(function):
    SCENARIOS.append((function, False))
    return function


@functools.cache
def claude(site):
    return anthropic.Anthropic(base_url=site.origin, api_key="sk-test", max_retries=0)


def ask(text):
    return {"model": CLAUDE, "max_tokens": 200, "messages": [{"role": "user", "content": text}]}


@scenario
def claude_plain(site):
    return claude(site).messages.create(**ask("Hello"))


@scenario
def claude_tool(site):
    return claude(site).messages.create(**ask("Rain?"), tools=[{"name": "weather", "input_schema": TOOL}])


@scenario
def claude_stream(site):
    return list(claude(site).messages.create(**ask("Stream"), stream=True))


@scenario
def claude_stream_tool(site):
    tools = [{"name": "weather", "input_schema": TOOL}]
    with claude(site).messages.stream(**ask("Stream rain"), tools=tools) as events:
        kinds = [event.type for event in events]
        return {"kinds": kinds, "final": events.get_final_message()}


@scenario
def claude_error_overloaded(site):
    return claude(site).messages.create(**ask("Overloaded"), extra_headers={"x-sim-fault": "status-529"})


@scenario
def claude_error_in_stream(site):
    headers = {"x-sim-fault": "error-mid-stream"}
    return list(claude(site).messages.create(**ask("Error"), stream=True, extra_headers=headers))


@scenario
def claude_error_key(site):
    caller = anthropic.Anthropic(base_url=site.origin, api_key="sk-invalid", max_retries=0)
    return caller.messages.create(**ask("Hello"))


# Kept, since the client closes its connections when collected, even while a part of it is in use.
@functools.cache
def gemini(site, fault=None):
    headers = {"x-sim-fault": fault} if fault else None
    options = types.HttpOptions(base_url=site.origin, headers=headers)
    return genai.Client(api_key="sk-test", http_options=options)


@scenario
def gemini_plain(site):
    return gemini(site).models.generate_content(model=GEMINI, contents="Hello")


@scenario
def gemini_tool(site):
    declaration = types.FunctionDeclaration(name="weather", parameters_json_schema=TOOL)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declaration])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    return gemini(site).models.generate_content(model=GEMINI, contents="Rain?", config=config)


@scenario
def gemini_stream(site):
    return list(gemini(site).models.generate_content_stream(model=GEMINI, contents="Stream"))


@scenario
def gemini_embeddings(site):
    config = types.EmbedContentConfig(output_dimensionality=8, task_type="RETRIEVAL_QUERY")
    embed = gemini(site).models.embed_content
    return embed(model="gemini-embedding-001", contents=["blue", "red"], config=config)


@scenario
def gemini_error_limit(site):
    return gemini(site, "rate-limited").models.generate_content(model=GEMINI, contents="No")
