"""What applications see of answers that rules give, by SDK: its own types must hold them."""

from clients import claude, client, google, strictly

SCENARIOS = []
SAID = "أهلا! How can I help?"


def scenario(function):
    SCENARIOS.append((function, False))
    return function


def asked(text="Hello!"):
    return [{"role": "user", "content": text}]


@scenario
def chat(site):
    answer = strictly(client(site).chat.completions.create(model="gpt-4o-mini", messages=asked()))
    assert answer.choices[0].message.content == SAID, answer
    return [answer.object, answer.choices[0].finish_reason]


@scenario
def chat_stream(site):
    create = client(site).chat.completions.create
    chunks = list(create(model="gpt-4o-mini", messages=asked(), stream=True, stream_options={"include_usage": True}))
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == SAID
    assert chunks[-1].usage is not None and len({chunk.id for chunk in chunks}) == 1
    return [strictly(chunk).object for chunk in chunks][0]


@scenario
def chat_stream_helper(site):
    with client(site).chat.completions.stream(model="gpt-4o-mini", messages=asked()) as events:
        kinds = {event.type for event in events}
        final = strictly(events.get_final_completion())
    assert final.choices[0].message.content == SAID and {"chunk", "content.delta", "content.done"} <= kinds
    return final.choices[0].finish_reason


@scenario
def responses(site):
    answer = strictly(client(site).responses.create(model="gpt-4o-mini", input="Hello!", store=False))
    assert answer.output_text == SAID, answer
    return answer.status


@scenario
def responses_stream(site):
    with client(site).responses.stream(model="gpt-4o-mini", input="Hello!", store=False) as events:
        kinds = [event.type for event in events]
        final = strictly(events.get_final_response())
    assert final.output_text == SAID and kinds[0] == "response.created" and kinds[-1] == "response.completed"
    return kinds


@scenario
def messages(site):
    answer = strictly(claude(site).messages.create(model="claude-sonnet-5-5", max_tokens=9, messages=asked()))
    assert answer.content[0].text == SAID, answer
    return [answer.type, answer.role, answer.stop_reason]


@scenario
def messages_stream(site):
    with claude(site).messages.stream(model="claude-sonnet-5-5", max_tokens=9, messages=asked()) as events:
        kinds = [event.type for event in events]
        final = strictly(events.get_final_message())
    assert final.content[0].text == SAID and kinds[0] == "message_start" and kinds[-1] == "message_stop"
    return final.stop_reason


@scenario
def generate(site):
    caller = google(site)
    answer = strictly(caller.models.generate_content(model="gemini-2.5-flash", contents="Hello!"))
    assert answer.text == SAID, answer
    return answer.candidates[0].finish_reason


@scenario
def generate_stream(site):
    caller = google(site)
    chunks = list(caller.models.generate_content_stream(model="gemini-2.5-flash", contents="Hello!"))
    assert "".join(strictly(chunk).text or "" for chunk in chunks) == SAID
    return chunks[-1].candidates[0].finish_reason


@scenario
def search(site):
    found = client(site).vector_stores.search("vs_shop", query="nothing to find")
    return [strictly(found).object, list(found)]


@scenario
def error_denied(site):
    return client(site).chat.completions.create(model="gpt-4o-mini", messages=asked("forbidden"))


@scenario
def error_denied_stream(site):
    return client(site).chat.completions.create(model="gpt-4o-mini", messages=asked("forbidden"), stream=True)
