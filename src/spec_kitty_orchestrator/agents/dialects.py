"""What each sort of event of each CLI says, as data: for `logs` and the board, never for a verdict.

From the captures, unless it says otherwise. What stands in none of these tables is found by the places of
the record's Output (final text, errors), and is shown as it is when there is none either.
"""

from __future__ import annotations

from .places import at
from .speech import Extent, came_back, on, ran, said, silent, thought, told

_TEXT = said(at("text", type="text"))
_CONTENT = (
    _TEXT,
    thought(at("thinking", type="thinking")),
    thought(at(type="redacted_thinking")),
    ran(at("input", type="tool_use"), "name"),
    ran(at("input", type="server_tool_use"), "name"),  # documentation
)

_LIMIT = (told(at("rate_limit_info.status"), lead="its limit"),)

# qwen and cursor took claude's events over.
CLAUDE = (
    on(told(at("model"), lead="model"), type="system", subtype="init"),
    on(told(at("error"), lead="tries again after"), type="system", subtype="api_retry"),
    on(*_CONTENT, type="assistant", inside="message.content"),
    on(
        came_back(at("content", type="tool_result"), failed=at(is_error=True)),
        told(at("text", type="text"), lead="is told"),
        type="user",
        inside="message.content",
    ),
    # Pieces of what comes as a whole, if somebody asked for them; and qwen's state.
    on(
        said(at("event.delta.text"), Extent.DRAFT),
        thought(at("event.delta.thinking"), Extent.DRAFT),
        type="stream_event",
    ),
    # The rest from its documentation. With a subscription every run begins with such a limit.
    *silent("tool_progress"),
    on(type="rate_limit_event", rate_limit_info__status="allowed"),
    on(*_LIMIT, type="rate_limit_event", rate_limit_info__status="allowed_warning"),
    on(*_LIMIT, type="rate_limit_event", rate_limit_info__status="rejected"),
    on(told(at("status")), type="system", subtype="status"),
    on(told(at("compact_metadata.trigger"), lead="compacts"), type="system", subtype="compact_boundary"),
)

_COMMAND = {"item__type": "command_execution"}
CODEX = (
    *silent("thread.started", "turn.started", "turn.completed"),
    on(ran(at("item.command")), type="item.started", **_COMMAND),
    on(
        came_back(at("item.aggregated_output"), failed=at(item__status="failed"), code="item.exit_code"),
        type="item.completed",
        **_COMMAND,
    ),
    on(told(at("item.message")), type="item.completed", item__type="error"),
    # The rest from its source.
    on(thought(at("item.text")), type="item.completed", item__type="reasoning"),
    on(type="item.started", item__type="file_change"),
    on(ran(at("item.changes"), lead="changes files"), type="item.completed", item__type="file_change"),
    on(ran(at("item.arguments"), "item.tool"), type="item.started", item__type="mcp_tool_call"),
    on(
        came_back(at("item.error.message", "item.result"), failed=at(item__status="failed")),
        type="item.completed",
        item__type="mcp_tool_call",
    ),
    on(type="item.started", item__type="web_search"),
    on(ran(at("item.query"), lead="searches the web"), type="item.completed", item__type="web_search"),
    on(ran(at("item.items"), lead="plans"), type="item.started", item__type="todo_list"),
    on(ran(at("item.items"), lead="plans"), type="item.updated", item__type="todo_list"),
    on(type="item.completed", item__type="todo_list"),
)

COPILOT = (
    *silent(
        "session.skills_loaded",
        "session.mcp_servers_loaded",
        "session.background_tasks_changed",
        "user.message",  # the prompt
        "assistant.turn_start",
        "assistant.turn_end",
        "assistant.message_start",
        "assistant.tool_call_delta",
        "assistant.idle",
        "model.call_start",
        "model.call_finished",
        "model.call_final_result",
        "tool.execution_start",  # the message before it tells what it runs
        "result",
    ),
    on(told(at("data.model"), lead="model"), type="session.tools_updated"),
    on(told(at("data.message")), type="session.info"),
    on(said(at("data.deltaContent"), Extent.DRAFT), type="assistant.message_delta"),
    on(thought(at("data.deltaContent"), Extent.DRAFT), type="assistant.reasoning_delta"),  # documentation
    on(thought(at("data.content")), type="assistant.reasoning"),  # documentation
    on(said(at("data.content")), type="assistant.message"),
    on(ran(at("arguments"), "name"), type="assistant.message", inside="data.toolRequests"),
    on(came_back(at("data.partialOutput"), extent=Extent.DRAFT), type="tool.execution_partial_result"),
    on(
        came_back(at("data.result.content", "data.error.message"), failed=at(data__success=False)),
        type="tool.execution_complete",
    ),
    on(told(at("data.errorMessage"), lead="its model refused"), type="model.call_failure"),
    on(told(at("data.reason"), lead="tries again after"), type="assistant.turn_retry"),
)

GEMINI = (
    on(told(at("model"), lead="model"), type="init"),
    on(type="message", role="user"),  # the prompt
    on(ran(at("parameters"), "tool_name"), type="tool_use"),
    on(came_back(at("output", "error.message"), failed=at(status="error")), type="tool_result"),
    on(type="result", status="success"),
    on(said(at("response"))),  # its one-document form
)

_TOOL = {"part__type": "tool"}
OPENCODE = (
    *silent("step_start", "step_finish"),
    on(thought(at("part.text")), type="reasoning"),  # its source
    on(
        ran(at("part.state.input"), "part.tool"),
        came_back(at("part.state.output", "part.state.error"), failed=at(part__state__status="error")),
        type="tool_use",
    ),
)

_SAYS = {"type": "message_end", "message__role": "assistant"}
PI = (
    *silent(
        "session",
        "agent_start",
        "agent_end",
        "agent_settled",
        "turn_start",
        "turn_end",  # says its messages again
        "message_start",
        "tool_execution_start",
    ),
    on(said(at("assistantMessageEvent.delta"), Extent.DRAFT), assistantMessageEvent__type="text_delta"),
    on(
        thought(at("assistantMessageEvent.delta"), Extent.DRAFT), assistantMessageEvent__type="thinking_delta"
    ),
    on(type="message_update"),
    on(
        _TEXT,
        thought(at("thinking", type="thinking")),
        ran(at("arguments", type="toolCall"), "name"),
        inside="message.content",
        **_SAYS,
    ),
    on(told(at("message.errorMessage")), message__stopReason="error", **_SAYS),
    *(on(type="message_end", message__role=role) for role in ("system", "user", "toolResult")),
    on(type="entry_appended", entry__type="context_edit"),
    on(told(at("errorMessage"), lead="tries again after"), type="auto_retry_start"),
    on(told(at("finalError"), lead="tried again"), type="auto_retry_end"),
    on(came_back(at("partialResult.content"), extent=Extent.DRAFT), type="tool_execution_update"),
    on(came_back(at("result.content"), failed=at(isError=True)), type="tool_execution_end"),
)
