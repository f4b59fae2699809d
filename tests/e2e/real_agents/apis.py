"""The four model APIs that agent CLIs speak: what a request says, and how an answer is put."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

Json = dict[str, Any]

USAGE_IN, USAGE_OUT = 100, 20
SHELLS = ("exec_command", "run_shell_command", "bash", "Bash", "shell", "launch-process", "ShellCommand")
"""What agents call their shell tool."""
GOES_ON = "All rules of before hold"


@frozen
class Request:
    """One call of the model: what the user said, what the tools answered, which tools there are."""

    said: tuple[str, ...]
    results: tuple[str, ...]
    tools: Mapping[str, Json]
    wanted: Json | None = None

    @property
    def prompt(self) -> str:
        """The last thing said that holds a work package, else the last thing said."""
        ours = [text for text in self.said if "<work-package-" in text]
        return (ours or self.said or ("",))[-1]

    @property
    def goes_on(self) -> bool:
        """The last prompt of ours was one for an agent that knows what it was told before."""
        last = next((text for text in reversed(self.said) if GOES_ON in text or "<work-package-" in text), "")
        return GOES_ON in last

    @property
    def latest(self) -> str:
        """The last thing that was said, by whomever."""
        return (self.said or ("",))[-1]

    @property
    def shell(self) -> str | None:
        return next((name for name in SHELLS if name in self.tools), None)


@frozen
class Answer:
    """A call of a tool, or a text."""

    text: str = ""
    tool: str = ""
    arguments: Json | None = None


def arguments(schema: Json, command: str) -> Json:
    """Fills in a shell tool's parameters, as far as they are required or let a command run for long."""
    made: Json = {}
    for name, kind in (schema.get("properties") or {}).items():
        typed = str(kind.get("type", "string")).lower()
        if name in ("command", "cmd"):
            made[name] = ["bash", "-lc", command] if typed == "array" else command
        elif name in ("yield_time_ms", "timeout", "timeout_ms"):
            made[name] = 120_000
        elif name in (schema.get("required") or ()):
            made[name] = {"boolean": False, "number": 60, "integer": 60}.get(typed, "work")
    return made


def value_for(schema: Json) -> Any:
    """Any value that fits the schema of an answer that is not meant for people (titles, routing)."""
    if schema.get("enum"):
        return schema["enum"][0]
    if "properties" in schema:
        return {name: value_for(kind) for name, kind in schema["properties"].items()}
    return {"array": [], "boolean": False, "number": 1, "integer": 1}.get(
        str(schema.get("type", "string")).lower(), "ok"
    )


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:20]}"


def _texts(content: Any) -> tuple[str, ...]:
    """The texts of a message's content, in any of the forms that it takes."""
    if isinstance(content, str):
        return (content,)
    blocks = content if isinstance(content, list) else []
    return tuple(str(block["text"]) for block in blocks if isinstance(block, dict) and "text" in block)


class Anthropic:
    """Messages."""

    @staticmethod
    def read(body: Json) -> Request:
        said: list[str] = []
        results: list[str] = []
        for message in body.get("messages", []):
            if message["role"] == "user":
                said += _texts(message["content"])
            for block in message["content"] if isinstance(message["content"], list) else []:
                if block.get("type") == "tool_result":
                    results.append("\n".join(_texts(block.get("content"))))
        tools = {tool["name"]: tool.get("input_schema") or {} for tool in body.get("tools") or []}
        wanted = ((body.get("output_config") or {}).get("format") or {}).get("schema")
        return Request(tuple(said), tuple(results), tools, wanted)

    @staticmethod
    def whole(answer: Answer, model: str) -> Json:
        if answer.tool:
            block = {"type": "tool_use", "id": _id("toolu"), "name": answer.tool, "input": answer.arguments}
        else:
            block = {"type": "text", "text": answer.text}
        return {
            "id": _id("msg"), "type": "message", "role": "assistant", "model": model, "content": [block],
            "stop_reason": "tool_use" if answer.tool else "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": USAGE_IN, "output_tokens": USAGE_OUT},
        }  # fmt: skip

    @classmethod
    def stream(cls, answer: Answer, model: str) -> Iterator[tuple[str, Json]]:
        whole = cls.whole(answer, model)
        block = whole["content"][0]
        empty = {**block, "input": {}} if answer.tool else {"type": "text", "text": ""}
        if answer.tool:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            delta = {"type": "text_delta", "text": block["text"]}
        ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        for event in (
            {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": ending, "usage": whole["usage"]},
            {"type": "message_stop"},
        ):
            yield str(event["type"]), event

    @staticmethod
    def error(status: int, message: str) -> Json:
        kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
        return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


class Responses:
    """OpenAI's Responses."""

    @staticmethod
    def read(body: Json) -> Request:
        items = body["input"] if isinstance(body.get("input"), list) else []
        said = [text for item in items if item.get("role") == "user" for text in _texts(item.get("content"))]
        results = [
            "\n".join(_texts(item["output"])) for item in items if str(item.get("type")).endswith("_output")
        ]
        tools = {
            tool["name"]: tool.get("parameters") or {}
            for tool in body.get("tools") or []
            if tool.get("type") == "function"
        }
        wanted = ((body.get("text") or {}).get("format") or {}).get("schema")
        return Request(tuple(said), tuple(results), tools, wanted)

    @staticmethod
    def whole(answer: Answer, model: str) -> Json:
        if answer.tool:
            item: Json = {
                "type": "function_call", "id": _id("fc"), "call_id": _id("call"), "status": "completed",
                "name": answer.tool, "arguments": json.dumps(answer.arguments),
            }  # fmt: skip
        else:
            part = {"type": "output_text", "text": answer.text, "annotations": []}
            item = {"type": "message", "id": _id("msg"), "role": "assistant", "status": "completed"}
            item["content"] = [part]
        usage = {"input_tokens": USAGE_IN, "output_tokens": USAGE_OUT, "total_tokens": USAGE_IN + USAGE_OUT}
        return {
            "id": _id("resp"), "object": "response", "created_at": int(time.time()), "model": model,
            "status": "completed", "output": [item], "error": None, "usage": usage,
        }  # fmt: skip

    @classmethod
    def stream(cls, answer: Answer, model: str) -> Iterator[tuple[str, Json]]:
        whole = cls.whole(answer, model)
        item = whole["output"][0]
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        for number, (kind, more) in enumerate(
            [
                ("response.created", {"response": begun}),
                (
                    "response.output_item.added",
                    {"output_index": 0, "item": {**item, "status": "in_progress"}},
                ),
                ("response.output_item.done", {"output_index": 0, "item": item}),
                ("response.completed", {"response": whole}),
            ]
        ):
            yield kind, {"type": kind, "sequence_number": number, **more}

    @staticmethod
    def error(status: int, message: str) -> Json:
        codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": codes.get(status)}}


class Chat:
    """OpenAI's Chat Completions."""

    @staticmethod
    def read(body: Json) -> Request:
        messages = body.get("messages", [])
        said = [
            text for message in messages if message["role"] == "user" for text in _texts(message["content"])
        ]
        results = ["\n".join(_texts(message["content"])) for message in messages if message["role"] == "tool"]
        functions = [tool["function"] for tool in body.get("tools") or []]
        tools = {function["name"]: function.get("parameters") or {} for function in functions}
        wanted = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
        return Request(tuple(said), tuple(results), tools, wanted)

    @staticmethod
    def _message(answer: Answer) -> Json:
        if not answer.tool:
            return {"role": "assistant", "content": answer.text}
        function = {"name": answer.tool, "arguments": json.dumps(answer.arguments)}
        call = {"index": 0, "id": _id("call"), "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    @staticmethod
    def _envelope(kind: str, model: str, choices: list[Json]) -> Json:
        usage = {
            "prompt_tokens": USAGE_IN,
            "completion_tokens": USAGE_OUT,
            "total_tokens": USAGE_IN + USAGE_OUT,
        }
        return {
            "id": _id("chatcmpl"), "object": kind, "created": int(time.time()), "model": model,
            "choices": choices, "usage": usage,
        }  # fmt: skip

    @classmethod
    def whole(cls, answer: Answer, model: str) -> Json:
        reason = "tool_calls" if answer.tool else "stop"
        choice = {"index": 0, "message": cls._message(answer), "finish_reason": reason}
        return cls._envelope("chat.completion", model, [choice])

    @classmethod
    def stream(cls, answer: Answer, model: str) -> Iterator[tuple[str, Json]]:
        reason = "tool_calls" if answer.tool else "stop"
        for delta, finish in ((cls._message(answer), None), ({}, reason)):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            yield "", {**cls._envelope("chat.completion.chunk", model, [choice]), "usage": None}
        yield "", cls._envelope("chat.completion.chunk", model, [])

    error = Responses.error


class Gemini:
    """Gemini's generateContent."""

    @staticmethod
    def read(body: Json) -> Request:
        said: list[str] = []
        results: list[str] = []
        for content in body.get("contents", []):
            for part in content.get("parts", []):
                if "text" in part and content.get("role") == "user":
                    said.append(part["text"])
                if "functionResponse" in part:
                    response = part["functionResponse"]["response"]
                    results.append(str(response.get("output", response)))
        declared = [
            each for tool in body.get("tools") or [] for each in tool.get("functionDeclarations") or []
        ]
        tools = {
            each["name"]: each.get("parametersJsonSchema") or each.get("parameters") or {}
            for each in declared
        }
        config = body.get("generationConfig") or {}
        wanted = config.get("responseJsonSchema") or config.get("responseSchema")
        return Request(tuple(said), tuple(results), tools, wanted)

    @staticmethod
    def whole(answer: Answer, model: str) -> Json:
        part: Json = {"text": answer.text}
        if answer.tool:
            part = {"functionCall": {"name": answer.tool, "args": answer.arguments}}
        counts = {"promptTokenCount": USAGE_IN, "candidatesTokenCount": USAGE_OUT}
        content = {"role": "model", "parts": [part]}
        return {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {**counts, "totalTokenCount": USAGE_IN + USAGE_OUT},
            "modelVersion": model,
        }

    @classmethod
    def stream(cls, answer: Answer, model: str) -> Iterator[tuple[str, Json]]:
        yield "", cls.whole(answer, model)

    @staticmethod
    def error(status: int, message: str) -> Json:
        kinds = {401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
        return {"error": {"code": status, "message": message, "status": kinds.get(status, "INTERNAL")}}


Api = type[Anthropic] | type[Responses] | type[Chat] | type[Gemini]


def api_of(path: str) -> Api | None:
    """Which API a request's path belongs to."""
    ends: dict[str, Api] = {"/messages": Anthropic, "/responses": Responses, "/chat/completions": Chat}
    known = next((api for end, api in ends.items() if path.endswith(end)), None)
    return known or (Gemini if path.endswith("enerateContent") else None)
