"""Reads requests as a provider got them, one JSON object a line, and prints what its SDK's types say is wrong.

    validate.py < CALLS

Each line is {"path", "body"}. Every member and every value must be one that the SDK's own request types have.
"""

import functools
import importlib
import json
import pkgutil
import sys
import warnings

import anthropic.types
import openai.types.chat
import openai.types.shared_params
import typing_extensions
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from google.genai import types
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import BaseModel, ConfigDict
from pydantic._internal._config import ConfigWrapper
from pydantic._internal._generate_schema import GenerateSchema
from pydantic._internal._namespace_utils import NsResolver
from pydantic.alias_generators import to_camel
from pydantic_core import SchemaValidator, core_schema

TYPES = {
    "/v1/messages": (MessageCreateParamsNonStreaming, MessageCreateParamsStreaming),
    "/v1/chat/completions": (CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming),
}


class Generate(BaseModel):
    """A request to Gemini: Google's SDK has types for all that is in it, but none for the whole."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    contents: list[types.Content]
    system_instruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    tool_config: types.ToolConfig | None = None
    generation_config: types.GenerationConfig | None = None


def close(*packages):
    """Makes every request type of the packages refuse members that it does not have."""
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            for kind in vars(importlib.import_module(module.name)).values():
                if typing_extensions.is_typeddict(kind):
                    kind.__pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


# The pinned pydantic has this class; its warning is about others.
warnings.simplefilter("ignore", UserWarning)


class Lists(GenerateSchema):
    """Judges what the types call an iterable as the list that it is on the wire, and at once."""

    def _iterable_schema(self, kind):
        return core_schema.list_schema(self.generate_schema(self._get_first_arg_or_any(kind)))


@functools.cache
def validator(kind):
    schema = Lists(ConfigWrapper(ConfigDict(arbitrary_types_allowed=True)), NsResolver())
    return SchemaValidator(schema.clean_schema(schema.generate_schema(kind)))


def main():
    close(anthropic.types, openai.types.chat, openai.types.shared_params)
    checked = 0
    for line in sys.stdin:
        call = json.loads(line)
        path, body = call["path"], call["body"]
        try:
            if path.endswith("enerateContent"):
                Generate.model_validate_json(json.dumps(body))
            elif path in TYPES:
                validator(TYPES[path][bool(body.get("stream"))]).validate_python(body)
            else:
                continue
        except ValueError as error:
            print(json.dumps({**call, "wrong": str(error)}))
        checked += 1
    print(f"{checked} checked", file=sys.stderr)


if __name__ == "__main__":
    main()
