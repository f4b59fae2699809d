"""The eleven agent CLIs, one record each. A twelfth is one record here and one folder of captures.

Every fact was measured on the version that the record names, or is marked as documentation only. No
command line holds a flag that the host bans by name (`--yolo`, `--full-auto` and the like): where a CLI
has no narrower way, its other spelling is used and told to the host as what it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from spec_kitty_orchestrator.agents.spec import (
    AgentSpec,
    At,
    ErrorAt,
    FailureKind,
    Output,
    OutputFormat,
    RoleCommand,
    at,
)

_LOOK = ("git diff", "git log", "git show", "git status")
_NO_CODES: Mapping[str, FailureKind] = {}


def _result_output(
    form: OutputFormat,
    *errors: ErrorAt,
    session: str = "session_id",
    tokens: tuple[str, str] = ("usage.input_tokens", "usage.output_tokens"),
    status_pattern: str | None = None,
) -> Output:
    """The result event of claude, and of those that took it over."""
    failed = ErrorAt(
        at("result", "error.message", "errors.*", "subtype", type="result", is_error=True),
        status=("api_error_status",),
        code=("api_error", "subtype"),
    )
    return Output(
        form,
        final=at("result", type="result", is_error=False),
        session=at(session, type="result"),
        input_tokens=at(tokens[0], type="result"),
        output_tokens=at(tokens[1], type="result"),
        cost_usd=at("total_cost_usd", type="result"),
        errors=(failed, *errors),
        complete=(at(type="result"),),
        status_pattern=status_pattern,
    )


CLAUDE_CODE = AgentSpec(
    agent_id="claude-code",
    family="anthropic",
    binaries=("claude",),
    implementation=RoleCommand(
        # acceptEdits with named tools also works as root, where the wider mode is refused.
        "-p --permission-mode acceptEdits --permission-prompts none"
        " --allowedTools Bash,Edit,Write,Read,Glob,Grep --output-format stream-json --verbose",
        widens=("--permission-mode acceptEdits", "--allowedTools Bash,Edit,Write,Read,Glob,Grep"),
    ),
    review=RoleCommand(
        "-p --permission-mode dontAsk --disallowedTools Edit,Write,NotebookEdit"
        f" --allowedTools 'Read,Glob,Grep,{','.join(f'Bash({look}:*)' for look in _LOOK)}'"
        " --output-format stream-json --verbose",
    ),
    output=_result_output(
        OutputFormat.JSONL,
        ErrorAt(
            at("error", type="system", subtype="api_retry"),
            status=("error_status",),
            code=("error",),
            passing=True,
        ),
        status_pattern=r"^API Error:.*?\b(\d{3})\b",
    ),
    # Its ten retries of a 429 take three minutes; after five (half a minute) the orchestrator parks it.
    env={"CLAUDE_CODE_MAX_RETRIES": "5", "DISABLE_AUTOUPDATER": "1"},
    failure_codes={
        "rate_limit": FailureKind.RATE_LIMIT,
        "authentication_failed": FailureKind.AUTH,
        "connection_failed": FailureKind.NETWORK,
        "error_max_turns": FailureKind.BUDGET,
        "error_max_budget_usd": FailureKind.BUDGET,
    },
    failure_words=(
        (FailureKind.AUTH, r"^Not logged in\b|^Invalid API key\b"),  # captures noauth; agents' own text
        (FailureKind.BAD_MODEL, r"^There's an issue with the selected model\b"),  # capture http404-badmodel
        (FailureKind.RATE_LIMIT, r"\b(usage|session|weekly|5-hour) limit\b.*\b(reached|resets)\b"),  # docs
        (FailureKind.BUDGET, r"^Credit balance is too low\b"),  # docs
    ),
    read_only_review=True,
    reports_cost=True,
    verified="2.1.330",
    note="review may run git diff, log, show and status",
)

CODEX = AgentSpec(
    agent_id="codex",
    family="openai",
    binaries=("codex",),
    implementation=RoleCommand(
        # Its sandbox keeps every .git read-only. A commit in a linked worktree writes objects and refs to
        # the repository's git folder and the index to the worktree's own; marking a subtask commits
        # in the planning folder.
        "exec --json --sandbox workspace-write -c sandbox_workspace_write.writable_roots="
        "'[$json_common_git_dir,$json_git_dir,$json_planning_dir]'",
        last=("-",),
        widens=(
            "--sandbox workspace-write",
            "writable_roots: repository .git, worktree .git, planning folder",
        ),
    ),
    review=RoleCommand("exec --json --sandbox read-only", last=("-",)),
    output=Output(
        OutputFormat.JSONL,
        final=at("item.text", type="item.completed", item__type="agent_message"),
        session=at("thread_id", type="thread.started"),
        input_tokens=at("usage.input_tokens", type="turn.completed"),
        output_tokens=at("usage.output_tokens", type="turn.completed"),
        errors=(
            ErrorAt(at("error.message", type="turn.failed")),
            ErrorAt(at("message", type="error"), passing=True),
        ),
        complete=(at(type="turn.completed"), at(type="turn.failed")),
        status_pattern=r"\b(?:unexpected|last) status:? (\d{3})\b",
    ),
    failure_words=(
        (FailureKind.BUDGET, r"^Quota exceeded\. Check your plan and billing details"),  # http429-quota
        (FailureKind.RATE_LIMIT, r"^You've hit your usage limit\b"),  # docs
        (
            FailureKind.NETWORK,
            r"\bwaiting for network\b|\bstream disconnected before completion\b",
        ),  # noauth2
    ),
    read_only_review=True,
    verified="0.169.0",
    note="sandboxed by the system in both roles",
)

COPILOT = AgentSpec(
    agent_id="copilot",
    family="github",
    binaries=("copilot",),
    implementation=RoleCommand(
        "--allow-all --no-ask-user --output-format json --no-color --no-auto-update", widens=("--allow-all",)
    ),
    review=RoleCommand(
        "--no-ask-user --allow-tool 'shell(git:*)' --deny-tool write --deny-tool 'shell(git push)'"
        " --output-format json --no-color --no-auto-update",
        widens=("--allow-tool shell(git:*)",),
    ),
    output=Output(
        OutputFormat.JSONL,
        final=at("data.content", type="assistant.message"),
        session=at("sessionId", type="result"),
        errors=(
            ErrorAt(
                at("data.message", type="session.error"),
                status=("data.statusCode",),
                code=("data.errorType",),
            ),
        ),
        complete=(at(type="result"),),
    ),
    failure_codes={"authentication": FailureKind.AUTH, "rate_limit": FailureKind.RATE_LIMIT},
    failure_words=((FailureKind.AUTH, r"\bNo authentication information found\b"),),  # capture noauth
    verified="1.0.102",
    note="review cannot edit files or push, but may run any other git command",
)

_GEMINI_REVIEW_POLICY = f"""\
[[rule]]
toolName = "run_shell_command"
commandPrefix = {json.dumps(_LOOK)}
decision = "allow"
priority = 200

[[rule]]
toolName = ["write_file", "replace"]
decision = "deny"
priority = 300
"""

GEMINI = AgentSpec(
    agent_id="gemini",
    family="google",
    binaries=("gemini",),
    implementation=RoleCommand(
        "--approval-mode yolo --output-format json --skip-trust",
        widens=("--approval-mode yolo", "--skip-trust"),
    ),
    review=RoleCommand(
        "--approval-mode default --policy $attempt_dir/gemini-review-policy.toml"
        " --output-format json --skip-trust",
        files={"gemini-review-policy.toml": _GEMINI_REVIEW_POLICY},
        widens=("--skip-trust",),
    ),
    output=Output(
        OutputFormat.JSON,
        final=at("response"),
        session=at("session_id"),
        input_tokens=at("stats.models.*.tokens.prompt"),
        output_tokens=at("stats.models.*.tokens.candidates"),
        errors=(ErrorAt(at("error.message", error__type="Error"), status=("error.code",)),),
    ),
    env={"GEMINI_CLI_NO_RELAUNCH": "true"},  # one process, instead of a parent that starts itself again
    exit_kinds={
        41: FailureKind.AUTH,
        53: FailureKind.BUDGET,
        145: FailureKind.AUTH,
        173: FailureKind.RATE_LIMIT,
    },
    failure_words=(
        (FailureKind.AUTH, r"^Please set an Auth method\b"),  # capture noauth
        (FailureKind.RATE_LIMIT, r"^You have exhausted your (daily quota|capacity)\b"),  # http429-quota
    ),
    read_only_review=True,
    verified="0.61.0",
    note="prints nothing until its end, so a stall cannot be told from work",
)

QWEN = AgentSpec(
    agent_id="qwen",
    family="alibaba",
    binaries=("qwen",),
    implementation=RoleCommand(
        "--approval-mode yolo --output-format stream-json",
        env={"QWEN_CODE_SUPPRESS_YOLO_WARNING": "1"},
        widens=("--approval-mode yolo",),
    ),
    review=RoleCommand(
        "--bare --approval-mode default --exclude-tools edit,write_file,notebook_edit"
        f" --allowed-tools '{','.join(f'run_shell_command({look})' for look in _LOOK)}'"
        " --output-format stream-json",
    ),
    output=_result_output(OutputFormat.JSONL, status_pattern=r"^\[API Error: (\d{3})\b"),
    exit_kinds={53: FailureKind.BUDGET, 55: FailureKind.TIMEOUT},
    failure_words=((FailureKind.AUTH, r"^No auth type is selected\b"),),  # capture noauth
    read_only_review=True,
    verified="0.24.4",
    note="retries a 429 or a 500 without end: only the time limit stops it",
)

# opencode, and kilocode which is built on it.
_OPENCODE_OUTPUT = Output(
    OutputFormat.JSONL,
    final=at("part.text", type="text"),
    session=at("sessionID"),
    input_tokens=at("part.tokens.input", type="step_finish"),
    output_tokens=at("part.tokens.output", type="step_finish"),
    cost_usd=at("part.cost", type="step_finish"),
    usage_adds=True,
    errors=(
        ErrorAt(
            at("error.data.message", "error.name", type="error"),
            status=("error.data.statusCode",),
            retry_after=("error.data.responseHeaders.retry-after",),
        ),
    ),
    complete=(at(type="step_finish", part__reason="stop"),),
)
_OPENCODE_WORDS = (
    (FailureKind.NETWORK, r"^Cannot connect to API\b"),  # capture noauth
    (FailureKind.BAD_MODEL, r"\bProviderModelNotFoundError\b|^Model not found\b"),  # their source
)
# Of its rules the last that fits decides, so what could write through an allowed command comes last.
_OPENCODE_REVIEW = {
    "edit": "deny",
    "bash": {"*": "deny", **{f"{look}*": "allow" for look in _LOOK}, "*>*": "deny", "*--output*": "deny"},
}

OPENCODE = AgentSpec(
    agent_id="opencode",
    family="opencode",
    binaries=("opencode",),
    implementation=RoleCommand("run --auto --agent build --format json", widens=("--auto",)),
    review=RoleCommand(
        "run --agent plan --format json", env={"OPENCODE_PERMISSION": json.dumps(_OPENCODE_REVIEW)}
    ),
    output=_OPENCODE_OUTPUT,
    failure_words=_OPENCODE_WORDS,
    read_only_review=True,
    reports_cost=True,
    verified="1.18.33",
    note="start it once by hand first: several cold starts at the same time can fail",
)

KILOCODE = AgentSpec(
    agent_id="kilocode",
    family="kilocode",
    binaries=("kilo", "kilocode"),
    implementation=RoleCommand("run --auto --format json", widens=("--auto",)),
    review=RoleCommand("run --agent plan --format json"),
    output=_OPENCODE_OUTPUT,
    failure_words=_OPENCODE_WORDS,
    read_only_review=True,
    reports_cost=True,
    verified="7.7.7",
    note="starts slowly (up to 45 s)",
)

AUGMENT = AgentSpec(
    agent_id="augment",
    family="augment",
    binaries=("auggie",),
    implementation=RoleCommand("--print --output-format json --retry-timeout 60"),
    review=RoleCommand(
        "--print --output-format json --retry-timeout 60"
        " --permission save-file:deny --permission launch-process:deny"
        " --remove-tool str-replace-editor --remove-tool remove-files",
    ),
    output=_result_output(OutputFormat.JSON, status_pattern=r"\bHTTP error: (\d{3})\b"),
    env={"AUGMENT_DISABLE_AUTO_UPDATE": "1"},
    failure_words=(
        (FailureKind.AUTH, r"\bNo auth provided\b"),  # capture noauth
        (FailureKind.RATE_LIMIT, r"\bexceeding retry timeout of \S+ Rate limited\b"),  # measured, no capture
    ),
    read_only_review=True,
    verified="0.36.0",
    note="review has no shell: it reads the files, not the diff",
)

CURSOR = AgentSpec(
    agent_id="cursor",
    family="cursor",
    binaries=("cursor-agent",),
    implementation=RoleCommand("-p --force --trust --output-format json", widens=("--force", "--trust")),
    review=RoleCommand("-p --mode ask --trust --output-format json", widens=("--trust",)),
    output=_result_output(OutputFormat.JSON),
    failure_words=((FailureKind.RATE_LIMIT, r"\bYou've hit your usage limit\b"),),  # docs
    read_only_review=True,
    note="from its documentation only, never run here; some users report that it does not end by itself",
)


def _pi_turn(path: str, **where: object) -> At:
    return at(path, type="turn_end", message__role="assistant", **where)


PI = AgentSpec(
    agent_id="pi",
    family="pi",
    binaries=("pi",),
    implementation=RoleCommand("-p --mode json --no-session --tools read,bash,edit,write"),
    review=RoleCommand("-p --mode json --no-session --tools read,grep,find,ls"),
    output=Output(
        # Its exit status is 0 on every API error: only the stop reason of the last turn tells.
        OutputFormat.JSONL,
        final=_pi_turn("message.content", message__stopReason="stop"),
        session=at("id", type="session"),
        input_tokens=_pi_turn("message.usage.input"),
        output_tokens=_pi_turn("message.usage.output"),
        cost_usd=_pi_turn("message.usage.cost.total"),
        usage_adds=True,
        errors=(ErrorAt(_pi_turn("message.errorMessage", message__stopReason="error")),),
        complete=(at(type="agent_settled"),),
        status_pattern=r"^(\d{3}):",
    ),
    failure_words=((FailureKind.AUTH, r"\bNo API key found\b"),),  # capture noauth
    reports_cost=True,
    verified="0.87.1",
)

LETTA = AgentSpec(
    agent_id="letta",
    family="letta",
    binaries=("letta",),
    implementation=RoleCommand(
        "-p --permission-mode bypassPermissions --new-agent --output-format json",
        widens=("--permission-mode bypassPermissions",),
    ),
    review=RoleCommand("-p --permission-mode plan --new-agent --output-format json"),
    output=_result_output(
        OutputFormat.JSON,
        ErrorAt(at("error.error.message")),
        session="conversation_id",
        tokens=("usage.prompt_tokens", "usage.completion_tokens"),
        status_pattern=r"^(\d{3}) ",
    ),
    env={"DISABLE_AUTOUPDATER": "1"},
    failure_words=((FailureKind.AUTH, r"\bMissing LETTA_API_KEY\b"),),  # capture noauth
    read_only_review=True,
    verified="0.25.9",
    note="leaves a .letta folder in the workspace",
)

ALL = (CLAUDE_CODE, CODEX, COPILOT, GEMINI, QWEN, OPENCODE, KILOCODE, AUGMENT, CURSOR, PI, LETTA)
