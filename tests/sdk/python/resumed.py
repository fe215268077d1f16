"""What applications see of streams that broke off and went on at another provider: one answer, by SDK."""

from clients import claude, client, google, strictly

SCENARIOS = []
TEXT = "one two three four five six seven eight nine ten eleven twelve"
ASKED = f"sim:say={TEXT}"
MESSAGES = [{"role": "user", "content": ASKED}]


def scenario(function):
    SCENARIOS.append((function, False))
    return function


def one_completion(site, model):
    create = client(site).chat.completions.create
    chunks = list(create(model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}))
    said = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert said == TEXT and len({(chunk.id, chunk.model, chunk.created) for chunk in chunks}) == 1, said
    assert chunks[-1].usage.completion_tokens > 5
    return [strictly(chunk).object for chunk in chunks][0]


@scenario
def chat_stream(site):
    return one_completion(site, "gpt-4o-mini")


@scenario
def chat_stream_in_another_api(site):
    return one_completion(site, "o4-mini")


@scenario
def chat_stream_helper(site):
    with client(site).chat.completions.stream(model="gpt-4o-mini", messages=MESSAGES) as events:
        kinds = {event.type for event in events}
        final = strictly(events.get_final_completion())
    assert final.choices[0].message.content == TEXT and {"chunk", "content.delta", "content.done"} <= kinds
    return final.choices[0].finish_reason


@scenario
def responses_stream(site):
    with client(site).responses.stream(model="gpt-4o-mini", input=ASKED, store=False) as events:
        seen = list(events)
        final = strictly(events.get_final_response())
    assert final.output_text == TEXT, final
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[0].type == "response.created" and seen[0].response.id == final.id
    return final.status


@scenario
def messages_stream(site):
    with claude(site).messages.stream(model="claude-sonnet-4-5", max_tokens=99, messages=MESSAGES) as events:
        kinds = [event.type for event in events]
        final = strictly(events.get_final_message())
    assert len(final.content) == 1 and final.content[0].text == TEXT, final
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and final.usage.output_tokens > 5
    return final.stop_reason


@scenario
def generate_stream(site):
    caller = google(site)
    chunks = list(caller.models.generate_content_stream(model="gemini-2.5-flash", contents=ASKED))
    assert "".join(strictly(chunk).text or "" for chunk in chunks) == TEXT
    assert len({chunk.response_id for chunk in chunks}) == 1
    return chunks[-1].candidates[0].finish_reason
