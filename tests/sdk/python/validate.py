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
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import ConfigDict
from pydantic._internal._config import ConfigWrapper
from pydantic._internal._generate_schema import GenerateSchema
from pydantic._internal._namespace_utils import NsResolver
from pydantic_core import SchemaValidator, core_schema

TYPES = {
    "/v1/messages": (MessageCreateParamsNonStreaming, MessageCreateParamsStreaming),
    "/v1/chat/completions": (CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming),
}


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
        types = TYPES.get(call["path"])
        if types is None:
            continue
        kind = types[bool(call["body"].get("stream"))]
        try:
            validator(kind).validate_python(call["body"])
        except ValueError as error:
            print(json.dumps({"path": call["path"], "body": call["body"], "wrong": str(error)}))
        checked += 1
    print(f"{checked} checked", file=sys.stderr)


if __name__ == "__main__":
    main()
