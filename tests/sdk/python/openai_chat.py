"""Chat completions: whole and streamed."""

import asyncio
import json

from openai import AsyncOpenAI

from openai_table import MODEL, SCHEMA, TOOLS, USAGE, chat, client, messages, scenario, stream, text_of


@scenario
def chat_plain(site):
    return chat(site, "What does shipping cost?")


@scenario
def chat_arabic(site):
    return chat(site, "كم سعر الشحن؟ 🙂", temperature=0)


@scenario
def chat_limit(site):
    return chat(site, "Tell me all. sim:words=80", max_completion_tokens=5)


@scenario
def chat_choices(site):
    return chat(site, "Three names, please", n=3)


@scenario
def chat_logprobs(site):
    return chat(site, "How sure are you?", logprobs=True, top_logprobs=2)


@scenario
def chat_refusal(site):
    return chat(site, "sim:refuse")


@scenario
def chat_reasoning(site):
    return chat(site, "sim:think=64", reasoning_effort="high")


@scenario
def chat_tool(site):
    return chat(site, "Rain in Oslo?", tools=TOOLS[:1], tool_choice="required")


@scenario
def chat_parallel_tools(site):
    return chat(site, "Rain and tides in Oslo?", tools=TOOLS)


@scenario
def chat_tool_result(site):
    first = chat(site, "Rain in Bergen?", tools=TOOLS[:1]).choices[0].message
    result = {"role": "tool", "tool_call_id": "call_1", "content": "12 mm"}
    call = {"id": "call_1", "type": "function", "function": first.tool_calls[0].function.to_dict()}
    turns = messages("Rain in Bergen?") + [{"role": "assistant", "tool_calls": [call]}, result]
    return client(site).chat.completions.create(model=MODEL, messages=turns, tools=TOOLS[:1])


@scenario
def chat_structured(site):
    form = {"type": "json_schema", "json_schema": {"name": "mood", "schema": SCHEMA, "strict": True}}
    answer = chat(site, "How was it?", response_format=form)
    return {"answer": answer, "value": json.loads(answer.choices[0].message.content)}


@scenario
def chat_image(site):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
    content = [{"type": "text", "text": "What is it?"}, image]
    return client(site).chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])


@scenario
def chat_extra_body(site):
    return chat(site, "With extras", extra_body={"top_k": 3}, user="u-1", metadata={"a": "b"}, seed=7)


@scenario
def chat_large(site):
    return chat(site, "Read this: " + "word سطر " * 80_000)


@scenario
def chat_raw(site):
    raw = client(site).chat.completions.with_raw_response.create(model=MODEL, messages=messages("Raw"))
    names = ("content-type", "openai-version", "openai-organization")
    headers = {name: raw.headers.get(name) for name in names}
    identified = (raw.request_id or "").startswith("req_") or bool(raw.request_id)
    return {"status": raw.status_code, "headers": headers, "identified": identified, "parsed": None, "answer": raw.parse()}


@scenario
def chat_parallel_clients(site):
    return run_async(site, ["one", "two", "three", "four", "one"])


async def run_async(site, texts):
    async with AsyncOpenAI(base_url=site.base_url, api_key="sk-test", max_retries=0) as caller:
        calls = [caller.chat.completions.create(model=MODEL, messages=messages(text)) for text in texts]
        return [answer.choices[0] for answer in await asyncio.gather(*calls)]


# Streams


@scenario
def stream_plain(site):
    return stream(site, "Stream it")


@scenario
def stream_usage(site):
    return stream(site, "Stream it with usage", stream_options=USAGE)


@scenario
def stream_unpadded(site):
    return stream(site, "No padding", stream_options={"include_obfuscation": False})


@scenario
def stream_arabic(site):
    return stream(site, "متى يفتح المتجر؟ 🙂")


@scenario
def stream_choices(site):
    return stream(site, "Stream three", n=3, stream_options=USAGE)


@scenario
def stream_tools(site):
    return stream(site, "Stream rain and tides", tools=TOOLS)


@scenario
def stream_logprobs(site):
    return stream(site, "Stream how sure", logprobs=True, top_logprobs=1)


@scenario
def stream_refusal(site):
    return stream(site, "Stream sim:refuse")


@scenario
def stream_long(site):
    return text_of(stream(site, "sim:words=2000"))


@scenario
def stream_helper(site):
    with client(site).chat.completions.stream(model=MODEL, messages=messages("Help me stream")) as events:
        kinds = [event.type for event in events]
        return {"kinds": kinds, "final": events.get_final_completion()}


@scenario
def stream_left_early(site):
    caller = client(site)
    answer = caller.chat.completions.create(model=MODEL, messages=messages("sim:words=500"), stream=True)
    first = [next(iter(answer)) for _ in range(2)]
    answer.close()
    return {"first": first, "then": caller.chat.completions.create(model=MODEL, messages=messages("And then?"))}


@scenario
def json_then_stream(site):
    whole = chat(site, "Both ways").choices[0].message.content
    return {"whole": whole, "streamed": text_of(stream(site, "Both ways"))}


@scenario
def stream_then_json(site):
    streamed = text_of(stream(site, "The other way round"))
    answer = chat(site, "The other way round")
    return {"streamed": streamed, "whole": answer.choices[0], "usage": answer.usage}


@scenario
async def async_stream(site):
    caller = AsyncOpenAI(base_url=site.base_url, api_key="sk-test", max_retries=0)
    answer = await caller.chat.completions.create(model=MODEL, messages=messages("Async"), stream=True)
    return [chunk async for chunk in answer]
