"""All endpoints but chat."""

from openai import AsyncOpenAI

from openai_table import MODEL, RESPONSE_TOOL, USAGE, client, scenario


@scenario
def completion(site):
    return client(site).completions.create(model="gpt-3.5-turbo-instruct", prompt=["Once", "Twice"], max_tokens=6)


@scenario
def completion_stream(site):
    create = client(site).completions.create
    return list(create(model="gpt-3.5-turbo-instruct", prompt="Thrice", stream=True, stream_options=USAGE))


@scenario
def response(site):
    return client(site).responses.create(model=MODEL, input="Respond", instructions="Be brief.", store=False)


@scenario
def response_stored(site):
    return client(site).responses.create(model=MODEL, input="Respond and store")


@scenario
def response_tool(site):
    return client(site).responses.create(model=MODEL, input="Rain?", tools=[RESPONSE_TOOL], store=False)


@scenario
def response_limit(site):
    return client(site).responses.create(model=MODEL, input="sim:words=90", max_output_tokens=16, store=False)


@scenario
def response_stream(site):
    return list(client(site).responses.create(model=MODEL, input="Respond live", stream=True, store=False))


@scenario
def response_stream_tool(site):
    create = client(site).responses.create
    return list(create(model=MODEL, input="Live rain?", tools=[RESPONSE_TOOL], stream=True, store=False))


@scenario
def response_stream_helper(site):
    with client(site).responses.stream(model=MODEL, input="Help me respond", store=False) as events:
        kinds = [event.type for event in events]
        return {"kinds": kinds, "text": events.get_final_response().output_text}


@scenario
def embedding_string(site):
    return client(site).embeddings.create(model="text-embedding-3-small", input="blue")


@scenario
def embedding_list(site):
    texts = ["blue", "red", "أزرق", "blue"]
    return client(site).embeddings.create(model="text-embedding-3-small", input=texts, dimensions=16)


@scenario
def embedding_tokens(site):
    create = client(site).embeddings.create
    one = create(model="text-embedding-3-small", input=[1, 2, 3], dimensions=16)
    many = create(model="text-embedding-3-small", input=[[1, 2, 3], [4]], dimensions=16)
    return [one, many]


@scenario
def embedding_float(site):
    create = client(site).embeddings.create
    return create(model="text-embedding-3-large", input="float", encoding_format="float")


@scenario
def embedding_base64(site):
    create = client(site).embeddings.create
    return create(model="text-embedding-3-small", input="coded", encoding_format="base64", dimensions=16)


@scenario
def moderation(site):
    return client(site).moderations.create(input=["I will kill him", "kind words"])


@scenario
def models(site):
    return client(site).models.list()


@scenario
def vector_store_search(site):
    found = client(site).vector_stores.search("vs_shop", query="tax", max_num_results=2)
    empty = client(site).vector_stores.search("vs_empty", query=["tax", "refund"])
    return [found, empty]


@scenario
def file_upload(site):
    content = b'{"custom_id": "a"}\n' * 200_000
    file = client(site).files.create(file=("batch.jsonl", content), purpose="batch")
    # Its length and hash cover the multipart boundary, which is random.
    return {"filename": file.filename, "purpose": file.purpose, "whole": file.bytes > len(content)}


@scenario
async def async_embedding(site):
    caller = AsyncOpenAI(base_url=site.base_url, api_key="sk-test", max_retries=0)
    return await caller.embeddings.create(model="text-embedding-3-small", input="async", dimensions=8)
