"""The eleven agent CLIs, one record each (two of them in `opencode.py`). A twelfth is one record here and one
folder of captures.

Every fact was measured on the version that the record names, unless it says otherwise; behind the words of
a failure stands the capture that they come from. No command line holds a flag that the host bans by name
(`--yolo`, `--full-auto` and the like); where a CLI has no narrower way, the policy says so in its words.
"""

from __future__ import annotations

from . import dialects, homes
from .opencode import KILOCODE, OPENCODE
from .places import At, at
from .review_rules import GEMINI_POLICY, PI_EXTENSION, each
from .sessions import TOKENS, Sessions
from .spec import AgentSpec, ErrorAt, FailureKind, Output, OutputFormat, Role, RoleCommand

AUTH, BAD_MODEL, BUDGET = FailureKind.AUTH, FailureKind.BAD_MODEL, FailureKind.BUDGET
NETWORK, RATE_LIMIT, ATTEMPT_LIMIT = FailureKind.NETWORK, FailureKind.RATE_LIMIT, FailureKind.ATTEMPT_LIMIT


def _result_output(
    form: OutputFormat,
    *errors: ErrorAt,
    session: At = at("session_id", type="result"),  # noqa: B008  (a frozen value)
    tokens: tuple[str, str] = ("usage.input_tokens", "usage.output_tokens"),
    status_pattern: str | None = None,
) -> Output:
    """Claude's result event, and that of those who took it over."""
    failed = at("result", "error.message", "errors.*", "subtype", type="result", is_error=True)
    return Output(
        form,
        final=at("result", type="result", is_error=False),
        session=session,
        input_tokens=at(tokens[0], type="result"),
        output_tokens=at(tokens[1], type="result"),
        cost_usd=at("total_cost_usd", type="result"),
        errors=(ErrorAt(failed, status="api_error_status", code="subtype"), *errors),
        complete=(at(type="result"),),
        status_pattern=status_pattern,
        steps=dialects.CLAUDE,
    )


CLAUDE_CODE = AgentSpec("claude-code", "anthropic", ("claude",),
    implementation=RoleCommand(
        # acceptEdits with named tools also works as root, where the wider mode is refused.
        "-p --permission-mode acceptEdits --permission-prompts none"
        " --allowedTools Bash,Edit,Write,Read,Glob,Grep --output-format stream-json --verbose",
        widens=("--permission-mode acceptEdits", "--allowedTools Bash,Edit,Write,Read,Glob,Grep"),
    ),
    review=RoleCommand(
        f"-p --permission-mode dontAsk --allowedTools 'Read,Glob,Grep,{each('Bash({}:*)')}'"
        # git's own --output would let an allowed command write.
        " --disallowedTools 'Edit,Write,NotebookEdit,Bash(*--output*)' --output-format stream-json --verbose"
    ),
    output=_result_output(
        OutputFormat.JSONL,
        ErrorAt(at("error", subtype="api_retry"), status="error_status", code="error", passing=True),
    ),
    # Its ten retries of a 429 take three minutes; after five (20 s) the orchestrator parks it instead.
    env={"CLAUDE_CODE_MAX_RETRIES": "5", "DISABLE_AUTOUPDATER": "1"},
    failure_codes={"rate_limit": RATE_LIMIT,
                   "error_max_turns": ATTEMPT_LIMIT, "error_max_budget_usd": ATTEMPT_LIMIT},
    failure_words=(
        (AUTH, r"^Not logged in\b|^Invalid API key\b"),  # noauth; 401
        (BAD_MODEL, r"^There's an issue with the selected model\b"),  # http404-badmodel
        (RATE_LIMIT, r"\b(usage|session|weekly|5-hour) limit\b.*\b(reached|resets)\b"),  # documentation
        (BUDGET, r"^Credit balance is too low\b"),  # documentation
        (NETWORK, r"^API Error: (Unable to connect|Connection)\b"),  # refused
    ),
    sessions=Sessions(
        begin=("--session-id", "$session"), resume=("--resume", "$session"),
        lost=r"\bNo conversation found with session ID\b", counts_whole=frozenset({"cost_usd"}),
    ),
    home=homes.CLAUDE_CODE, read_only_review=True, reports_cost=True, verified="2.1.330",
    cost_limit_args=("--max-budget-usd", "$max_cost_usd"),
)  # fmt: skip

CODEX = AgentSpec("codex", "openai", ("codex",),
    implementation=RoleCommand(
        # Its sandbox keeps every .git read-only, and all that is not in the workspace. A profile of
        # permissions wins over the older settings, which cannot except a file from a writable folder
        # and stand there for a version that takes no profile from us.
        "exec --json --ignore-rules -c 'sandbox_mode=\"workspace-write\"'"
        " -c 'sandbox_workspace_write.writable_roots=$json_writes' -c 'default_permissions=\"spec-kitty\"'"
        " -c 'permissions.spec-kitty={extends=\":workspace\",filesystem=$toml_access}'",
        last=("-",),
        widens=("sandbox_mode", "writable_roots: what a commit and a marked subtask write to"),
    ),
    # What a person once allowed by a rule would run outside of the sandbox, in both roles.
    review=RoleCommand("exec --json --ignore-rules --sandbox read-only", last=("-",)),
    output=Output(
        OutputFormat.JSONL, steps=dialects.CODEX,
        final=at("item.text", type="item.completed", item__type="agent_message"),
        session=at("thread_id", type="thread.started"),
        input_tokens=at("usage.input_tokens", type="turn.completed"),
        output_tokens=at("usage.output_tokens", type="turn.completed"),
        # Of type `error` are its reconnections; an item of that type is a mere warning.
        errors=(ErrorAt(at("error.message", type="turn.failed")),
                ErrorAt(at("message", type="error"), passing=True)),
        complete=(at(type="turn.completed"), at(type="turn.failed")),
        status_pattern=r"\b(?:unexpected|last) status:? (\d{3})\b",
    ),
    failure_words=(
        (BUDGET, r"^Quota exceeded\. Check your plan and billing details"),  # http429-quota
        (RATE_LIMIT, r"^You've hit your usage limit\b"),  # documentation
        (NETWORK, r"\bwaiting for network\b|\bstream disconnected before completion\b"),  # noauth2
        (NETWORK, r"\bWe're currently experiencing high demand\b"),  # 5xx
        (AUTH, r"\bMissing environment variable: `"),  # no key
    ),
    sessions=Sessions(
        resume=("resume", "$session"),  # what is no UUID it takes for a thread's name, and begins that
        lost=r"\bthread/resume failed\b|\bno rollout found for thread id\b|\bfailed to read thread\b",
        counts_whole=TOKENS,
    ),
    home=homes.CODEX, read_only_review=True, verified="0.169.0", note="sandboxed by the system in both roles",
    confined={Role.IMPLEMENTATION: "workspace_write", Role.REVIEW: "read_only"},
    unconfined_by=r"sandbox|permissions(?!\.spec-kitty\.network\.)|danger|bypass|add-dir|approv|trust"
    r"|writable_roots|^--?(s|C|cd|worktree)\b",
)  # fmt: skip

COPILOT = AgentSpec("copilot", "github", ("copilot",),
    implementation=RoleCommand(
        "--allow-all --no-ask-user --output-format json --no-color --no-auto-update", widens=("--allow-all",)
    ),
    review=RoleCommand(
        "--no-ask-user --allow-tool 'shell(git diff)' --allow-tool 'shell(git log)' --deny-tool write"
        " --allow-tool 'shell(git show)' --allow-tool 'shell(git status)'"
        " --output-format json --no-color --no-auto-update"
    ),
    output=Output(
        OutputFormat.JSONL, steps=dialects.COPILOT,
        final=at("data.content", type="assistant.message"),
        session=at("sessionId", type="result"),
        errors=(ErrorAt(at("data.message", type="session.error"), "data.statusCode", "data.errorType"),),
        complete=(at(type="result"),),
    ),
    failure_codes={"authentication": AUTH, "rate_limit": RATE_LIMIT},
    failure_words=(
        (AUTH, r"\bNo authentication information found\b"),  # noauth
        (NETWORK, r"\bCould not connect to local model provider\b"),  # refused
    ),
    sessions=Sessions(
        begin=("--session-id", "$session"), resume=("--resume=$session",),
        lost=r"\bNo session, task, or name matched\b",
    ),
    home=homes.COPILOT,
    read_only_review=True, verified="1.0.102", note="a reviewer could still write with git diff --output",
)  # fmt: skip

# No sessions: what it goes on with, 0.61.0 sends with every finished tool result twice.
GEMINI = AgentSpec("gemini", "google", ("gemini",),
    implementation=RoleCommand(
        "--approval-mode yolo --output-format stream-json --skip-trust",
        widens=("--approval-mode yolo", "--skip-trust"),
    ),
    review=RoleCommand(
        "--approval-mode default --policy $attempt_dir/gemini-review.toml"
        " --output-format stream-json --skip-trust",
        files={"gemini-review.toml": GEMINI_POLICY},
        widens=("--skip-trust",),
    ),
    output=Output(
        OutputFormat.JSONL, steps=dialects.GEMINI,
        final=at("content", type="message", role="assistant"),
        final_adds=True,
        session=at("session_id"),
        input_tokens=at("stats.input_tokens", type="result"),
        output_tokens=at("stats.output_tokens", type="result"),
        errors=(ErrorAt(at("error.message", type="result", status="error")),
                ErrorAt(at("error.message", error__type="Error"), status="error.code")),  # on stderr
        complete=(at(type="result"),),
        status_pattern=r'"code":\s*(\d{3})\b',
    ),
    env={"GEMINI_CLI_NO_RELAUNCH": "true"},  # one process, instead of a parent that starts itself again
    # Its own two, and HTTP statuses modulo 256.
    exit_kinds={41: AUTH, 53: ATTEMPT_LIMIT,
                145: AUTH, 147: AUTH, 173: RATE_LIMIT, 244: NETWORK, 247: NETWORK},
    failure_words=(
        (AUTH, r"^Please set an Auth method\b"),  # noauth
        (RATE_LIMIT, r"\bYou have exhausted your (daily quota|capacity)\b"),  # http429-quota
    ),
    home=homes.GEMINI, read_only_review=True, verified="0.61.0",
    note="its shell hides your global git settings: set user.name and user.email in the repository",
)  # fmt: skip

QWEN = AgentSpec("qwen", "alibaba", ("qwen",),
    implementation=RoleCommand(
        "--approval-mode yolo --output-format stream-json",
        env={"QWEN_CODE_SUPPRESS_YOLO_WARNING": "1"},
        widens=("--approval-mode yolo",),
    ),
    review=RoleCommand(
        "--bare --approval-mode default --exclude-tools edit,write_file,notebook_edit"
        f" --allowed-tools '{each('run_shell_command({})')}' --output-format stream-json"
    ),
    # The array that some of its versions and errors print stands on one line, which is as good as a line.
    output=_result_output(
        OutputFormat.JSONL, session=at("session_id"), status_pattern=r"^\[API Error: (\d{3})\b"
    ),
    exit_kinds={53: ATTEMPT_LIMIT, 55: ATTEMPT_LIMIT},
    failure_words=((AUTH, r"^No auth type is selected\b"),),  # noauth
    sessions=Sessions(
        begin=("--session-id", "$session"), resume=("--resume", "$session"),
        lost=r"\bNo saved session found with ID\b", counts_whole=TOKENS,
    ),
    home=homes.QWEN,
    read_only_review=True, verified="0.24.4", note="a reviewer could still write with git diff --output",
)  # fmt: skip

AUGMENT = AgentSpec("augment", "augment", ("auggie",),
    implementation=RoleCommand("--print --output-format json --retry-timeout 60"),
    review=RoleCommand(
        "--print --output-format json --retry-timeout 60 --remove-tool str-replace-editor"
        " --remove-tool remove-files --permission save-file:deny --permission launch-process:deny"
    ),
    output=_result_output(OutputFormat.JSON, status_pattern=r"\bHTTP error: (\d{3})\b"),
    env={"AUGMENT_DISABLE_AUTO_UPDATE": "1"},
    failure_words=(
        (AUTH, r"\bNo auth provided\b"),  # noauth
        (RATE_LIMIT, r"\bexceeding retry timeout of \S+ Rate limited\b"),  # 429 with a short retry time
    ),
    sessions=Sessions(  # it tells the id at its end
        resume=("--resume", "$session"), lost=r"\bFailed to (?:resume|read) session\b",
    ),
    home=homes.AUGMENT,
    read_only_review=True, verified="0.36.0", note="a reviewer has no shell: it sees the files, not the diff",
)  # fmt: skip

CURSOR = AgentSpec("cursor", "cursor", ("cursor-agent",),
    implementation=RoleCommand("-p --force --trust --output-format json", widens=("--force", "--trust")),
    review=RoleCommand("-p --mode ask --trust --output-format json", widens=("--trust",)),
    output=_result_output(OutputFormat.JSON),
    failure_words=((RATE_LIMIT, r"\bYou've hit your usage limit\b"),),  # documentation
    home=homes.CURSOR, read_only_review=True, note="from its documentation only: never run by us",
)  # fmt: skip


def _pi(path: str, **where: object) -> At:
    return at(path, type="turn_end", message__role="assistant", **where)


PI = AgentSpec("pi", "pi", ("pi",),
    implementation=RoleCommand("-p --mode json --no-session --tools read,bash,edit,write"),
    review=RoleCommand(
        "-p --mode json --no-session --tools read,bash,grep,find,ls --extension $attempt_dir/pi-review.js",
        files={"pi-review.js": PI_EXTENSION},
    ),
    output=Output(
        # Its exit status is 0 whatever the API answers: only the stop reason of the last turn tells.
        OutputFormat.JSONL, steps=dialects.PI,
        final=_pi("message.content", message__stopReason="stop"),
        session=at("id", type="session"),
        input_tokens=_pi("message.usage.input"), output_tokens=_pi("message.usage.output"),
        cost_usd=_pi("message.usage.cost.total"),
        usage_adds=True,
        errors=(ErrorAt(_pi("message.errorMessage", message__stopReason="error")),),
        complete=(at(type="agent_settled"),),
        status_pattern=r"^(\d{3}):",
    ),
    failure_words=(
        (AUTH, r"\bNo API key found\b"),  # noauth
        (BAD_MODEL, r'\bModel "[^"]*" not found\. Use --list-models\b'),  # on stderr
    ),
    sessions=Sessions(
        # Beside --session, --no-session would give it an empty conversation without a word.
        without=("--no-session",), begin=("--session-id", "$session"), resume=("--session", "$session"),
        lost=r"\bNo session found matching\b|\bSession found in different project\b",
    ),
    home=homes.PI, read_only_review=True, reports_cost=True, tells_cost_midway=True, verified="0.87.1",
)  # fmt: skip

LETTA = AgentSpec("letta", "letta", ("letta",),
    implementation=RoleCommand(
        "-p --permission-mode unrestricted --new-agent --output-format json",
        widens=("--permission-mode unrestricted",),
    ),
    review=RoleCommand("-p --permission-mode plan --new-agent --output-format json"),
    output=_result_output(
        OutputFormat.JSON,
        ErrorAt(at("error.error.message")),
        session=at("conversation_id", type="result"),
        tokens=("usage.prompt_tokens", "usage.completion_tokens"),
        status_pattern=r"^(\d{3}) ",
    ),
    env={"DISABLE_AUTOUPDATER": "1"},
    failure_words=(
        (AUTH, r"\bMissing LETTA_API_KEY\b"),  # noauth
        (BAD_MODEL, r'\bUnknown model "[^"]*" for provider\b'),
    ),
    sessions=Sessions(  # it tells the id at its end
        without_to_resume=("--new-agent",), resume=("--conversation", "$session"),
        lost=r"\bConversation \S+ not found\b",
    ),
    read_only_review=True, verified="0.25.9", note="leaves a .letta folder in the workspace",
    home=homes.LETTA, litter=(".letta/",),
)  # fmt: skip

ALL = (CLAUDE_CODE, CODEX, COPILOT, GEMINI, QWEN, OPENCODE, KILOCODE, AUGMENT, CURSOR, PI, LETTA)
