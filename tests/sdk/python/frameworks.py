"""What applications do with embeddings by way of LangChain and LlamaIndex."""

import os
from pathlib import Path

import llama_index.core

# LangChain counts tokens with tiktoken, whose tables are fetched from the network; LlamaIndex brings them.
TABLES = Path(llama_index.core.__file__).parent / "_static/tiktoken_cache"
os.environ["TIKTOKEN_CACHE_DIR"] = str(TABLES)

from langchain_openai import OpenAIEmbeddings
from llama_index.core.schema import TextNode
from llama_index.embeddings.openai import OpenAIEmbedding

SCENARIOS = []
MODEL = "text-embedding-3-small"
TEXTS = ["blue", "red", "أزرق", "blue", "a longer text, with several words in it"]


def scenario(function):
    SCENARIOS.append((function, False))
    return function


def langchain(site, **options):
    options = {"model": MODEL, "dimensions": 16, "max_retries": 0, "api_key": "sk-test", **options}
    return OpenAIEmbeddings(base_url=site.base_url, **options)


def llamaindex(site, **options):
    options = {"model": MODEL, "dimensions": 16, "max_retries": 0, **options}
    return OpenAIEmbedding(api_base=site.base_url, api_key="sk-test", **options)


@scenario
def langchain_documents(site):
    return langchain(site).embed_documents(TEXTS)


@scenario
def langchain_query(site):
    return langchain(site).embed_query("What is blue?")


@scenario
def langchain_texts(site):
    return langchain(site, check_embedding_ctx_length=False).embed_documents(TEXTS)


@scenario
def langchain_full_length(site):
    return langchain(site, dimensions=None).embed_query("full length")


@scenario
def langchain_chunks(site):
    # Longer than the model takes: cut into pieces whose vectors are averaged.
    return langchain(site).embed_documents(["word " * 9000, "short"])


@scenario
def langchain_many(site):
    return langchain(site, chunk_size=7).embed_documents([f"text {at}" for at in range(40)])


@scenario
async def langchain_async(site):
    return await langchain(site).aembed_documents(TEXTS[1:])


@scenario
def langchain_error_key(site):
    return langchain(site, api_key="sk-invalid").embed_query("no")


@scenario
def llamaindex_text(site):
    return llamaindex(site).get_text_embedding("blue")


@scenario
def llamaindex_query(site):
    return llamaindex(site).get_query_embedding("What is blue?")


@scenario
def llamaindex_batch(site):
    return llamaindex(site, embed_batch_size=4).get_text_embedding_batch([f"text {at}" for at in range(10)])


@scenario
async def llamaindex_async(site):
    return await llamaindex(site).aget_text_embedding_batch(TEXTS)


@scenario
def llamaindex_nodes(site):
    nodes = [TextNode(id_=str(at), text=text) for at, text in enumerate(TEXTS)]
    return [node.embedding for node in llamaindex(site)(nodes)]


@scenario
def llamaindex_error_quota(site):
    return llamaindex(site, default_headers={"x-sim-fault": "quota"}).get_text_embedding("no")
