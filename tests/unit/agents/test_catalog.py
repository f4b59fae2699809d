"""The eleven records, and the command lines that are made of them."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from attrs import evolve

import spec_kitty_orchestrator
from spec_kitty_orchestrator.agents import all_agent_ids, detect_installed_agents, find_binary, get_agent
from spec_kitty_orchestrator.agents.agent import Agent, CommandLine
from spec_kitty_orchestrator.agents.custom import CustomAgent, as_spec
from spec_kitty_orchestrator.agents.spec import AgentSettings, OutputFormat, Role
from spec_kitty_orchestrator.agents.transcript import Usage
from spec_kitty_orchestrator.errors import ConfigError, UsageError
from spec_kitty_orchestrator.host.workspace import Workspace
from spec_kitty_orchestrator.mission.context import policy_for

IDS = (
    "claude-code",
    "codex",
    "copilot",
    "gemini",
    "qwen",
    "opencode",
    "kilocode",
    "augment",
    "cursor",
    "pi",
    "letta",
)
BANNED = {
    "--full-auto",
    "--yolo",
    "--dangerously-bypass-approvals-and-sandbox",
    "--dangerously-skip-permissions",
}
SECRET_WORDS = ("token", "secret", "key", "password", "credential")
WORKSPACE = Workspace(
    path=Path("/p/.worktrees/m-lane-a"),
    git_dir=Path("/p/.git/worktrees/m-lane-a"),
    common_git_dir=Path("/p/.git"),
    branch="kitty/mission-m-lane-a",
    base="main",
    prompt_file=Path("/p/kitty-specs/m/tasks/WP01.md"),
)
ATTEMPT_DIR = Path("/p/.kittify/logs/r/WP01-review-1")
PROGRAM = Path("/bin/agent")
EVERY_CALL = [(agent_id, role) for agent_id in IDS for role in Role]


def line(agent_id: str, role: Role, **settings: object) -> CommandLine:
    agent = Agent(get_agent(agent_id), PROGRAM, AgentSettings(**settings))  # type: ignore[arg-type]
    return agent.command_line(role, WORKSPACE, ATTEMPT_DIR)


def test_the_ids_are_those_of_the_specification() -> None:
    assert all_agent_ids() == IDS


@pytest.mark.parametrize(("agent_id", "role"), EVERY_CALL)
def test_no_call_holds_what_the_host_refuses(agent_id: str, role: Role) -> None:
    call = line(agent_id, role, model="m")
    assert not BANNED & set(call.argv)
    for told in (*call.policy_flags, get_agent(agent_id).family):
        assert told not in BANNED
        assert not [word for word in SECRET_WORDS if word in told.lower()]


@pytest.mark.parametrize(("agent_id", "role"), EVERY_CALL)
def test_what_is_told_to_the_host_is_really_passed(agent_id: str, role: Role) -> None:
    call = line(agent_id, role)
    for told in call.policy_flags:
        assert told.split()[0].rstrip(":") in " ".join(call.argv)


@pytest.mark.parametrize(("agent_id", "role"), EVERY_CALL)
def test_model_and_arguments_of_the_user_come_after_ours(agent_id: str, role: Role) -> None:
    call = line(agent_id, role, model="some/model", extra_args=("--x", "$HOME"), env={"A": "b"})
    plain = line(agent_id, role)
    last = get_agent(agent_id).command(role).last
    ours = plain.argv[: len(plain.argv) - len(last)]
    assert call.argv == (*ours, "--model", "some/model", "--x", "$HOME", *last)
    assert call.env == {**plain.env, "A": "b"}


@pytest.mark.parametrize("role", list(Role))
def test_claude_is_told_what_an_attempt_may_cost(role: Role) -> None:
    plain = line("claude-code", role).argv
    limited = line("claude-code", role, max_cost_usd=1234567.5, extra_args=("--x",)).argv
    assert limited == (*plain, "--max-budget-usd", "1234567.5", "--x")


@pytest.mark.parametrize("agent_id", ["opencode", "kilocode", "pi"])
def test_one_that_tells_its_cost_as_it_goes_needs_no_argument(agent_id: str) -> None:
    assert line(agent_id, Role.REVIEW, max_cost_usd=1.0).argv == line(agent_id, Role.REVIEW).argv


def test_who_can_be_held_to_a_cost() -> None:
    assert [each for each in IDS if get_agent(each).can_limit_cost] == [
        *("claude-code", "opencode", "kilocode", "pi")
    ]


@pytest.mark.parametrize(("agent_id", "role"), EVERY_CALL)
def test_files_lie_in_the_folder_of_the_attempt(agent_id: str, role: Role) -> None:
    call = line(agent_id, role)
    for path in call.files:
        assert path.parent == ATTEMPT_DIR
        assert str(path) in call.argv


def test_codex_may_write_where_a_commit_and_a_marked_subtask_do_and_nowhere_else() -> None:
    argv = line("codex", Role.IMPLEMENTATION).argv
    assert argv[:4] == ("/bin/agent", "exec", "--json", "--ignore-rules")
    assert argv[4::2] == ("-c", "-c", "-c", "-c", "-")
    config = dict(each.split("=", 1) for each in argv[5::2])
    assert list(config) == [
        "sandbox_mode",
        "sandbox_workspace_write.writable_roots",
        "default_permissions",
        "permissions.spec-kitty",
    ]
    roots = [
        "/p/.git/objects",
        "/p/.git/refs/heads",
        "/p/.git/logs/refs/heads",
        "/p/.git/spec-kitty-locks",
        "/p/.git/worktrees/m-lane-a",
        "/p/kitty-specs/m",
    ]
    assert json.loads(config["sandbox_workspace_write.writable_roots"]) == roots
    table = ",".join(f'"{root}"="write"' for root in roots)
    assert config["permissions.spec-kitty"] == f'{{extends=":workspace",filesystem={{{table}}}}}'


def test_codex_is_kept_from_the_files_that_say_where_git_looks(tmp_path: Path) -> None:
    (tmp_path / "commondir").touch()
    place = evolve(WORKSPACE, git_dir=tmp_path)
    argv = Agent(get_agent("codex"), PROGRAM).command_line(Role.IMPLEMENTATION, place, ATTEMPT_DIR).argv
    assert argv[11].endswith(f'"/p/kitty-specs/m"="write","{tmp_path}/commondir"="read"}}}}')


def test_codex_gets_odd_folder_names_quoted() -> None:
    odd = evolve(WORKSPACE, prompt_file=Path('/p/ki"tty $x/ü/tasks/WP01.md'))
    line = Agent(get_agent("codex"), PROGRAM).command_line(Role.IMPLEMENTATION, odd, ATTEMPT_DIR)
    roots = line.argv[7].partition("=")[2]
    assert json.loads(roots)[-1] == '/p/ki"tty $x/ü'
    assert line.argv[11].endswith(r'"/p/ki\"tty $x/\u00fc"="write"}}')


def test_codex_reviews_in_a_read_only_sandbox() -> None:
    argv = line("codex", Role.REVIEW).argv
    assert argv[1:] == ("exec", "--json", "--ignore-rules", "--sandbox", "read-only", "-")


SANDBOXED = {("codex", Role.IMPLEMENTATION): "workspace_write", ("codex", Role.REVIEW): "read_only"}


@pytest.mark.parametrize(("agent_id", "role"), EVERY_CALL)
def test_the_host_is_told_of_a_sandbox_only_where_there_is_one(agent_id: str, role: Role) -> None:
    told = policy_for(Agent(get_agent(agent_id), PROGRAM), role)
    assert told.sandbox_mode == SANDBOXED.get((agent_id, role), "none")
    assert (told.approval_mode, told.network_mode) == ("full_auto", "open")


def test_the_host_is_told_of_no_sandbox_around_an_agent_of_ones_own() -> None:
    spec = as_spec("mine", CustomAgent({Role.IMPLEMENTATION: ("mine",)}))
    assert {policy_for(Agent(spec, PROGRAM), role).sandbox_mode for role in Role} == {"none"}


LIFTING = [
    ("--sandbox", "danger-full-access"), ("--sandbox=danger-full-access",), ("-s", "danger-full-access"),
    ("-c", 'sandbox_mode="danger-full-access"'), ("-c", 'default_permissions=":danger-full-access"'),
    ("-c", 'permissions.spec-kitty.filesystem={"/"="write"}'), ("--add-dir", "/"), ("--approve-for-me",),
    ("-c", 'approval_policy="on-request"'), ("-C", "/"), ("--cd=/",), ("--trust",), ("--worktree",),
    ("-c", 'sandbox_workspace_write.writable_roots=["/"]'),
]  # fmt: skip
HARMLESS = [
    (), ("-c", "model_reasoning_effort=high"), ("-m", "some-model"), ("--color", "never"),
    ("-c", "permissions.spec-kitty.network.enabled=true"), ("-c", 'model_provider="mine"'),
]  # fmt: skip


@pytest.mark.parametrize("args", LIFTING)
def test_arguments_that_lift_a_sandbox_are_no_secret(args: tuple[str, ...]) -> None:
    agent = Agent(get_agent("codex"), PROGRAM, AgentSettings(extra_args=args))
    assert {policy_for(agent, role).sandbox_mode for role in Role} == {"none"}


@pytest.mark.parametrize("args", HARMLESS)
def test_other_arguments_leave_it_where_it_is(args: tuple[str, ...]) -> None:
    agent = Agent(get_agent("codex"), PROGRAM, AgentSettings(extra_args=args))
    assert policy_for(agent, Role.IMPLEMENTATION).sandbox_mode == "workspace_write"


def test_litter_is_what_an_agents_own_cli_leaves_in_the_workspace() -> None:
    found = {spec.agent_id: spec.litter for spec in map(get_agent, IDS) if spec.litter}
    assert found == {"kilocode": (".kilo/",), "letta": (".letta/",)}
    mine = as_spec("mine", CustomAgent({Role.REVIEW: ("mine",)}, litter=(".mine/", "mine.log")))
    assert mine.litter == (".mine/", "mine.log")


def test_widening_arguments_of_the_user_are_told_too() -> None:
    call = line("codex", Role.REVIEW, extra_args=("--color", "never", "--sandbox", "danger-full-access"))
    assert call.policy_flags == ("danger-full-access",)


def test_secrets_in_the_environment_do_not_show() -> None:
    assert "hush" not in repr(line("codex", Role.REVIEW, env={"OPENAI_API_KEY": "hush"}))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("claude", "did you mean 'claude-code'"),
        ("gemni", "did you mean 'gemini'"),
        ("zzz", "unknown agent 'zzz'"),
    ],
)
def test_an_unknown_agent_is_named_with_its_neighbour(asked: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        get_agent(asked)
    assert said in caught.value.message
    assert "kilocode" in caught.value.remedy


def test_installed_is_what_stands_on_path(tmp_path: Path) -> None:
    for name in ("kilocode", "auggie", "codex"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "claude").write_text("not executable")
    environ = {"PATH": str(tmp_path)}
    assert detect_installed_agents(environ) == ["codex", "kilocode", "augment"]
    assert find_binary(get_agent("kilocode"), environ) == tmp_path / "kilocode"
    assert find_binary(get_agent("claude-code"), environ) is None


def test_a_custom_agent_becomes_a_record() -> None:
    command = {Role.IMPLEMENTATION: ("mine", "--do", "$x"), Role.REVIEW: ("other", "--look")}
    spec = as_spec("my-agent", CustomAgent(command, output="jsonl", final_text="a.b", family="me"))  # type: ignore[arg-type]
    agent = Agent(spec, PROGRAM)
    assert agent.command_line(Role.IMPLEMENTATION, WORKSPACE, ATTEMPT_DIR).argv == (
        "/bin/agent",
        "--do",
        "$x",
    )
    assert agent.command_line(Role.REVIEW, WORKSPACE, ATTEMPT_DIR).argv == ("other", "--look")
    assert spec.binaries == ("mine",)
    assert spec.output.final.paths == ("a.b",)


def test_what_an_agent_of_ones_own_tells_is_read_where_it_tells_it() -> None:
    told = {"input_tokens": "usage.in", "output_tokens": "usage.out", "cost_usd": "cost"}
    lines = [
        {"cost": 0.5, "usage": {"in": 10, "out": 1}},
        {"cost": 0.75, "usage": {"in": 20, "out": 2}, "result": "x"},
    ]
    for adds, usage in ((False, Usage(20, 2, 0.75)), (True, Usage(30, 3, 1.25))):
        mine = CustomAgent({Role.REVIEW: ("mine",)}, OutputFormat.JSONL, usage_adds=adds, **told)  # type: ignore[arg-type]
        spec = as_spec("my-agent", mine)
        assert (spec.reports_cost, spec.can_limit_cost) == (True, True)
        reader = Agent(spec, PROGRAM, AgentSettings(max_cost_usd=1.0)).open_reader()
        for each in lines:
            reader.feed_stdout(json.dumps(each).encode() + b"\n")
        assert (reader.is_too_dear, reader.finish().usage) == (adds, usage)


def test_one_that_tells_its_cost_at_the_end_alone_can_be_held_to_none() -> None:
    for output, path, reports in ((OutputFormat.JSON, "cost", True), (OutputFormat.JSONL, None, False)):
        spec = as_spec("my-agent", CustomAgent({Role.REVIEW: ("mine",)}, output, cost_usd=path))
        assert (spec.reports_cost, spec.can_limit_cost) == (reports, False)


def test_a_custom_agent_with_one_command_has_it_for_both_roles() -> None:
    spec = as_spec("my-agent", CustomAgent({Role.REVIEW: ("mine",)}))
    assert spec.implementation == spec.review


def test_a_custom_agent_needs_a_command() -> None:
    with pytest.raises(ConfigError, match="my-agent: it has no command"):
        as_spec("my-agent", CustomAgent({Role.REVIEW: ()}))


def test_nothing_outside_the_catalogue_asks_for_one_agent() -> None:
    """A twelfth agent is one record: no code may compare with an id."""
    source = Path(spec_kitty_orchestrator.__file__).parent
    found = []
    for path in source.rglob("*.py"):
        if path == source / "agents" / "catalog.py" or path.parent.name == "demo":
            continue  # the demo's scripted agent plays the real ones
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Compare, ast.MatchValue)):
                named = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
                found += [f"{path.name}:{node.lineno}" for _ in named & set(IDS)]
    assert not found
