"""What applications do with an SDK whose answers come from a provider that speaks another API.

The sidecar sends models `gpt-*` to Anthropic and models `claude-*` to an OpenAI server that only chats. Each
scenario checks what it got: the SDKs' own types must hold it.
"""

import json

import anthropic
from openai import OpenAI
from pydantic import BaseModel

SCENARIOS = []
GPT = "gpt-4o-mini"
CLAUDE = "claude-sonnet-5-5"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS, "strict": True}}


class Mood(BaseModel):
    mood: str
    stars: int


def scenario(function):
    SCENARIOS.append((function, False))
    return function


def client(site):
    return OpenAI(base_url=site.base_url, api_key="sk-test", max_retries=0)


def claude(site):
    return anthropic.Anthropic(base_url=site.origin, api_key="sk-test", max_retries=0)


def messages(text):
    return [{"role": "system", "content": "You help a shop."}, {"role": "user", "content": text}]


def message(text, **more):
    return {"model": CLAUDE, "max_tokens": 200, "messages": [{"role": "user", "content": text}], **more}


def strictly(answer):
    """The answer, held by every type of the SDK without a warning."""
    answer.model_dump(warnings="error")
    return answer


@scenario
def chat(site):
    answer = strictly(client(site).chat.completions.create(model=GPT, messages=messages("Hello")))
    assert answer.choices[0].message.content and answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    return answer.object


@scenario
def chat_stream(site):
    with client(site).chat.completions.stream(
        model=GPT, messages=messages("sim:words=40"), stream_options={"include_usage": True}
    ) as events:
        kinds = {event.type for event in events}
        final = strictly(events.get_final_completion())
    assert final.choices[0].message.content and final.usage.completion_tokens > 0
    assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
    return final.object


@scenario
def chat_tools(site):
    asked = messages("Rain in Bergen?")
    answer = client(site).chat.completions.create(model=GPT, messages=asked, tools=[TOOL])
    call = strictly(answer).choices[0].message.tool_calls[0]
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    asked += [answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "12 mm"}]
    answer = client(site).chat.completions.create(model=GPT, messages=asked, tools=[TOOL])
    assert answer.choices[0].message.content
    return call.function.name


@scenario
def chat_stream_tools(site):
    with client(site).chat.completions.stream(model=GPT, messages=messages("Rain?"), tools=[TOOL]) as events:
        final = events.get_final_completion()
    assert isinstance(final.choices[0].message.tool_calls[0].function.parsed_arguments["city"], str)
    return final.choices[0].finish_reason


@scenario
def chat_structured(site):
    answer = client(site).chat.completions.parse(model=GPT, messages=messages("How was it?"), response_format=Mood)
    assert isinstance(answer.choices[0].message.parsed, Mood)
    return answer.choices[0].finish_reason


@scenario
def chat_image_and_file(site):
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    answer = client(site).chat.completions.create(model=GPT, messages=[{"role": "user", "content": content}])
    return answer.choices[0].finish_reason


@scenario
def chat_error_field(site):
    return client(site).chat.completions.create(model=GPT, messages=messages("Hello"), seed=7)


@scenario
def responses(site):
    answer = strictly(client(site).responses.create(model=GPT, input="Hello", store=False))
    assert answer.output_text and answer.status == "completed"
    return answer.object


@scenario
def responses_stream(site):
    with client(site).responses.stream(model=GPT, input="sim:words=40", store=False) as events:
        kinds = [event.type for event in events]
        final = strictly(events.get_final_response())
    assert final.output_text and kinds[0] == "response.created" and kinds[-1] == "response.completed"
    return final.status


@scenario
def responses_tool(site):
    tool = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
    answer = client(site).responses.create(model=GPT, input="Rain?", tools=[tool], store=False)
    call = strictly(answer).output[0]
    assert isinstance(json.loads(call.arguments)["city"], str)
    return call.type


@scenario
def responses_structured(site):
    answer = client(site).responses.parse(model=GPT, input="How was it?", text_format=Mood, store=False)
    assert isinstance(answer.output_parsed, Mood)
    return answer.status


@scenario
def claude_plain(site):
    answer = strictly(claude(site).messages.create(**message("Hello")))
    assert answer.content[0].text and answer.usage.output_tokens > 0
    return answer.stop_reason


@scenario
def claude_stream(site):
    with claude(site).messages.stream(**message("sim:words=40")) as events:
        kinds = [event.type for event in events]
        final = strictly(events.get_final_message())
    assert final.content[0].text and kinds[0] == "message_start" and kinds[-1] == "message_stop"
    return final.stop_reason


@scenario
def claude_tools(site):
    tools = [{"name": "weather", "input_schema": PARAMETERS}]
    with claude(site).messages.stream(**message("Rain?"), tools=tools) as events:
        first = strictly(events.get_final_message())
    call = next(block for block in first.content if block.type == "tool_use")
    assert isinstance(call.input["city"], str)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "12 mm"}
    asked = message("Rain?")
    asked["messages"] += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    answer = claude(site).messages.create(**asked, tools=tools)
    assert answer.content[0].text
    return first.stop_reason


@scenario
def claude_error_field(site):
    return claude(site).messages.create(**message("Hello"), extra_body={"top_k": 5})

