"""The clients of scenarios whose answers the SDKs' own types must hold."""

import anthropic
from google import genai
from google.genai import types
from openai import OpenAI


def client(site):
    return OpenAI(base_url=site.base_url, api_key="sk-test", max_retries=0)


def claude(site):
    return anthropic.Anthropic(base_url=site.origin, api_key="sk-test", max_retries=0)


def google(site):
    return genai.Client(api_key="sk-test", http_options=types.HttpOptions(base_url=site.origin))


def strictly(answer):
    """The answer, held by every type of the SDK without a warning."""
    answer.model_dump(warnings="error")
    return answer
