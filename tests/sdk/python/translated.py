"""What applications do with an SDK whose answers come from a provider that speaks another API.

The sidecar sends models `gpt-*` to Anthropic, `o4-*` to Gemini and all others to an OpenAI server that only chats.
Each scenario checks what it got: the SDKs' own types must hold it.
"""

import json

from clients import claude, client, google, strictly
from google.genai import types
from pydantic import BaseModel

SCENARIOS = []
ANSWERED = {"": "gpt-4o-mini", "gemini_": "o4-mini"}
GEMINI = "gemini-2.5-flash"
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


def everywhere(function):
    """A scenario of an OpenAI client, once for each provider that answers it."""
    for name, model in ANSWERED.items():

        def run(site, model=model):
            return function(site, model)

        run.__name__ = name + function.__name__
        scenario(run)
    return function


def messages(text):
    return [{"role": "system", "content": "You help a shop."}, {"role": "user", "content": text}]


def message(text, **more):
    return {"model": CLAUDE, "max_tokens": 200, "messages": [{"role": "user", "content": text}], **more}


@everywhere
def chat(site, model):
    answer = strictly(client(site).chat.completions.create(model=model, messages=messages("Hello")))
    assert answer.choices[0].message.content and answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    return answer.object


@everywhere
def chat_stream(site, model):
    with client(site).chat.completions.stream(
        model=model, messages=messages("sim:words=40"), stream_options={"include_usage": True}
    ) as events:
        kinds = {event.type for event in events}
        final = strictly(events.get_final_completion())
    assert final.choices[0].message.content and final.usage.completion_tokens > 0
    assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
    return final.object


@everywhere
def chat_tools(site, model):
    asked = messages("Rain in Bergen?")
    answer = client(site).chat.completions.create(model=model, messages=asked, tools=[TOOL])
    call = strictly(answer).choices[0].message.tool_calls[0]
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    asked += [answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "12 mm"}]
    answer = client(site).chat.completions.create(model=model, messages=asked, tools=[TOOL])
    assert answer.choices[0].message.content
    return call.function.name


@everywhere
def chat_stream_tools(site, model):
    with client(site).chat.completions.stream(model=model, messages=messages("Rain?"), tools=[TOOL]) as events:
        final = events.get_final_completion()
    assert isinstance(final.choices[0].message.tool_calls[0].function.parsed_arguments["city"], str)
    return final.choices[0].finish_reason


@everywhere
def chat_structured(site, model):
    answer = client(site).chat.completions.parse(model=model, messages=messages("How was it?"), response_format=Mood)
    assert isinstance(answer.choices[0].message.parsed, Mood)
    return answer.choices[0].finish_reason


@everywhere
def chat_image_and_file(site, model):
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    answer = client(site).chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    return answer.choices[0].finish_reason


@everywhere
def chat_error_field(site, model):
    return client(site).chat.completions.create(model=model, messages=messages("Hello"), verbosity="low")


@everywhere
def responses(site, model):
    answer = strictly(client(site).responses.create(model=model, input="Hello", store=False))
    assert answer.output_text and answer.status == "completed"
    return answer.object


@everywhere
def responses_stream(site, model):
    with client(site).responses.stream(model=model, input="sim:words=40", store=False) as events:
        kinds = [event.type for event in events]
        final = strictly(events.get_final_response())
    assert final.output_text and kinds[0] == "response.created" and kinds[-1] == "response.completed"
    return final.status


@everywhere
def responses_tool(site, model):
    tool = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
    answer = client(site).responses.create(model=model, input="Rain?", tools=[tool], store=False)
    call = strictly(answer).output[0]
    assert isinstance(json.loads(call.arguments)["city"], str)
    return call.type


@everywhere
def responses_structured(site, model):
    answer = client(site).responses.parse(model=model, input="How was it?", text_format=Mood, store=False)
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



def declared():
    weather = types.FunctionDeclaration(name="weather", parameters_json_schema=PARAMETERS)
    off = types.AutomaticFunctionCallingConfig(disable=True)
    tools = [types.Tool(function_declarations=[weather])]
    return types.GenerateContentConfig(tools=tools, automatic_function_calling=off)


@scenario
def google_plain(site):
    caller = google(site)
    answer = strictly(caller.models.generate_content(model=GEMINI, contents="Hello"))
    assert answer.text and answer.usage_metadata.total_token_count > 0
    return answer.candidates[0].finish_reason


@scenario
def google_stream(site):
    caller = google(site)
    chunks = list(caller.models.generate_content_stream(model=GEMINI, contents="sim:words=40"))
    assert len(chunks) > 8 and all(strictly(chunk).candidates for chunk in chunks)
    assert chunks[-1].usage_metadata.total_token_count > 0
    return chunks[-1].candidates[0].finish_reason


@scenario
def google_tools(site):
    caller = google(site)
    contents = [types.UserContent("Rain?")]
    answer = strictly(caller.models.generate_content(model=GEMINI, contents=contents, config=declared()))
    call = answer.function_calls[0]
    assert isinstance(call.args["city"], str)
    result = types.Part.from_function_response(name=call.name, response={"output": "12 mm"})
    contents += [answer.candidates[0].content, types.UserContent([result])]
    answer = caller.models.generate_content(model=GEMINI, contents=contents, config=declared())
    assert answer.text
    return call.name


@scenario
def google_structured(site):
    caller = google(site)
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Mood)
    answer = caller.models.generate_content(model=GEMINI, contents="How was it?", config=config)
    assert isinstance(answer.parsed, Mood)
    return answer.candidates[0].finish_reason


@scenario
def google_error_field(site):
    caller = google(site)
    return caller.models.generate_content(model=GEMINI, contents="No", config={"top_k": 5})
