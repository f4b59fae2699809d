"""Settings come from four places in a fixed order; whatever is wrong is told at once, with its place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.settings.test_reading import NO_NUMBERS

from spec_kitty_orchestrator.errors import ConfigError
from spec_kitty_orchestrator.host.contract.lanes import Lane
from spec_kitty_orchestrator.settings.loading import FILE_NAME, load_settings
from spec_kitty_orchestrator.settings.values import Flags, Settings

RELEASE_1_0_0 = Path(__file__).parents[2] / "data" / "release-1.0.0"

A_YEAR = "31622400"

FULL = """\
max_concurrent_wps: 3
approval_lane: approved
grace_seconds: 5
refresh_seconds: 60
max_log_mb: 100
max_cost_usd: 12.5
max_runtime_seconds: 3600
wait_for_people: true
allow_sleep: true
on_attention: [[notify, --urgent]]
on_finish: [[notify], [post, https://example.org]]
otel: true
agents:
  implementation: [claude-code, mine]
  review: [codex]
  max_retries: 1
  timeout_seconds: 1800
  idle_timeout_seconds: 300
  single_agent_mode: false
  settings:
    codex:
      model: some-model
      extra_args: [-c, x=1]
      env: {CODEX_HOME: somewhere}
      timeout_seconds: 60.5
    mine:
      max_cost_usd: 2
  custom:
    mine:
      command: {implementation: [my-agent, --write], review: [my-agent]}
      output: jsonl
      final_text: message.text
      input_tokens: usage.input
      output_tokens: usage.output
      cost_usd: usage.cost
      usage_adds: true
      family: mine
      litter: [.mine/]
      state: [~/.mine, /var/lib/mine]
policy: {approval_mode: full_auto, sandbox_mode: none, network_mode: open}
launcher: {use: local, slurm: {partition: batch, cpus: 2}, silence_seconds: 30}
host: {binary: /opt/host/spec-kitty, timeout_seconds: 90}
"""


def load(
    tmp_path: Path, text: str | None = None, environ: dict[str, str] | None = None, **flags: object
) -> Settings:
    if text is not None:
        (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    return load_settings(tmp_path, environ or {}, Flags(**flags))  # type: ignore[arg-type]


def refused(tmp_path: Path, text: str, environ: dict[str, str] | None = None, **flags: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, environ, **flags)
    return caught.value.message.splitlines()


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings == Settings()
    assert (settings.max_concurrent_wps, settings.approval_lane) == (4, Lane.DONE)
    assert settings.agents.implementation == settings.agents.review == ("claude-code",)
    assert (settings.agents.max_retries, settings.agents.timeout_seconds) == (2, 3600.0)


def test_every_setting_can_stand_in_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL)
    assert settings.agents.implementation == ("claude-code", "mine")
    assert settings.agents.settings["codex"].extra_args == ("-c", "x=1")
    assert settings.agents.settings["codex"].timeout_seconds == 60.5
    assert settings.agents.custom["mine"].final_text == "message.text"
    assert settings.approval_lane is Lane.APPROVED
    assert settings.host.binary == "/opt/host/spec-kitty"
    assert settings.policy.network_mode == "open"
    assert settings.agents.custom["mine"].litter == (".mine/",)
    assert (settings.max_cost_usd, settings.max_runtime_seconds) == (12.5, 3600.0)
    assert settings.agents.settings["mine"].max_cost_usd == 2.0
    assert settings.agents.custom["mine"].usage_adds
    assert (settings.wait_for_people, settings.allow_sleep) == (True, True)
    assert settings.on_attention == (("notify", "--urgent"),)
    assert settings.on_finish == (("notify",), ("post", "https://example.org"))


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "agents: {}\n"])
def test_an_empty_file_changes_nothing(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == Settings()


def test_the_settings_of_release_1_0_0_still_load(tmp_path: Path) -> None:
    text = (RELEASE_1_0_0 / FILE_NAME).read_text(encoding="utf-8")
    (line,) = refused(tmp_path, text)  # its example told the host of a sandbox that was none
    assert line.startswith("orchestrator.yaml:28:3: policy.sandbox_mode: workspace_write is more")
    settings = load(tmp_path, text.replace("sandbox_mode: workspace_write", "sandbox_mode: none"))
    assert settings.agents.review == ("codex", "claude-code")
    assert settings.agents.settings["codex"].timeout_seconds == 7200
    assert settings.agents.custom["my-agent"].family == "mine"


def test_variables_outrank_the_file_and_flags_outrank_both(tmp_path: Path) -> None:
    environ = {"SK_ORCH_MAX_CONCURRENT_WPS": "7", "SK_ORCH_AGENTS_REVIEW": "codex, gemini"}
    settings = load(tmp_path, FULL, environ, max_concurrent=9)
    assert settings.max_concurrent_wps == 9
    assert settings.agents.review == ("codex", "gemini")
    assert settings.agents.implementation == ("claude-code", "mine")
    assert load(tmp_path, FULL, environ, review_agent="pi").agents.review == ("pi",)


def test_a_flag_that_is_not_given_never_beats_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, FULL, impl_agent=None, max_concurrent=None).max_concurrent_wps == 3


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("SK_ORCH_GRACE_SECONDS", "2.5", "grace_seconds", 2.5),
        ("SK_ORCH_APPROVAL_LANE", "approved", "approval_lane", Lane.APPROVED),
        ("SK_ORCH_AGENTS_SINGLE_AGENT_MODE", "true", "agents.single_agent_mode", True),
        ("SK_ORCH_AGENTS_IDLE_TIMEOUT_SECONDS", "60", "agents.idle_timeout_seconds", 60.0),
        ("SK_ORCH_HOST_BINARY", "7", "host.binary", "7"),
        ("SK_ORCH_POLICY_SANDBOX_MODE", "none", "policy.sandbox_mode", "none"),
    ],
)
def test_a_variable_is_read_as_what_the_setting_is(
    tmp_path: Path, name: str, value: str, attribute: str, expected: object
) -> None:
    found: object = load(tmp_path, environ={name: value})
    for step in attribute.split("."):
        found = getattr(found, step)
    assert found == expected


WRONG = {
    "an unknown agent": (
        "agents:\n  review:\n    - claude-code\n    - gemni\n",
        ["orchestrator.yaml:4:7: agents.review[1]: unknown agent 'gemni'; did you mean 'gemini'?"],
    ),
    "an unknown key": (
        "agnets: {}\n",
        ["orchestrator.yaml:1:1: agnets: unknown key; did you mean 'agents'?"],
    ),
    "an unknown key further down": (
        "host:\n  binry: x\n",
        ["orchestrator.yaml:2:3: host.binry: unknown key; did you mean 'binary'?"],
    ),
    "a wrong type": (
        "max_concurrent_wps: four\n",
        ["orchestrator.yaml:1:1: max_concurrent_wps: expected a whole number, got a string ('four')"],
    ),
    "a string for a list": (
        "agents:\n  review: codex\n",
        [
            "orchestrator.yaml:2:3: agents.review: expected a list, got a string ('codex'); for example "
            "review: [codex, claude-code]"
        ],
    ),
    "out of range": (
        "max_concurrent_wps: 0\n",
        ["orchestrator.yaml:1:1: max_concurrent_wps: expected 1 or more, up to 200"],
    ),
    "no agent": (
        "agents: {implementation: []}\n",
        ["orchestrator.yaml:1:10: agents.implementation: expected at least one agent"],
    ),
    "an agent twice": (
        "agents: {review: [pi, pi]}\n",
        ["orchestrator.yaml:1:23: agents.review[1]: 'pi' is named twice"],
    ),
    "a lane that is no approval": (
        "approval_lane: blocked\n",
        ["orchestrator.yaml:1:1: approval_lane: expected done or approved"],
    ),
    "a word that the policy does not know": (
        "policy: {network_mode: some}\n",
        ["orchestrator.yaml:1:10: policy.network_mode: expected one of open, allowlist, none"],
    ),
    "settings for nobody": (
        "agents: {settings: {codx: {}}}\n",
        ["orchestrator.yaml:1:21: agents.settings.codx: unknown agent 'codx'; did you mean 'codex'?"],
    ),
    "a custom agent under a known name": (
        "agents: {custom: {pi: {command: {implementation: [x]}}}}\n",
        ["orchestrator.yaml:1:19: agents.custom.pi: is a known agent; give yours another name"],
    ),
    "a variable that cannot be": (
        "agents: {settings: {codex: {env: {A=B: x, '': y, C: z}}}}\n",
        [
            "orchestrator.yaml:1:35: agents.settings.codex.env.A=B: no variable can have this name",
            "orchestrator.yaml:1:43: agents.settings.codex.env.'': no variable can have this name",
        ],
    ),
    "a model without a name": (
        "agents: {settings: {codex: {model: ' '}}}\n",
        ["orchestrator.yaml:1:29: agents.settings.codex.model: expected the name of a model"],
    ),
    "a merge that the host does not know": (
        "merge: {strategy: octopus, target: ' '}\n",
        [
            "orchestrator.yaml:1:9: merge.strategy: expected one of merge, squash, rebase",
            "orchestrator.yaml:1:28: merge.target: expected the name of a branch",
        ],
    ),
    "an agent without a name": (
        "agents: {custom: {' ': {command: {review: [x]}}, 'a,b': {command: {review: [x]}}}}\n",
        [
            "orchestrator.yaml:1:19: agents.custom.' ': expected a name without commas and colons, "
            "and without blanks around it",
            "orchestrator.yaml:1:50: agents.custom.a,b: expected a name without commas and colons, "
            "and without blanks around it",
        ],
    ),
    "an agent without a program": (
        "agents:\n  custom:\n    mine: {}\n    yours:\n      command: {review: ['', x]}\n",
        ["orchestrator.yaml:3:5: agents.custom.mine.command: missing"],
    ),
    "a program without a name": (
        "agents: {custom: {mine: {command: {review: ['', x]}}}}\n",
        [
            "orchestrator.yaml:1:36: agents.custom.mine.command.review: expected a list of words, the "
            "program first"
        ],
    ),
    "a family that the host would take for a secret": (
        "agents: {custom: {mine: {command: {review: [x]}, family: monkeys}}}\n",
        ["orchestrator.yaml:1:50: agents.custom.mine.family: the host refuses whatever holds the word 'key'"],
    ),
    "litter that is everything, or not in the workspace": (
        "agents: {custom: {mine: {command: {review: [x]}, litter: [./, a/../.., /tmp, .mine/]}}}\n",
        [
            f"orchestrator.yaml:1:{column}: agents.custom.mine.litter[{index}]: expected a path inside the "
            "workspace"
            for index, column in enumerate((59, 63, 72))
        ],
    ),
    "figures that plain text does not hold": (
        "agents: {custom: {mine: {command: {review: [x]}, cost_usd: cost}}}\n",
        [
            "orchestrator.yaml:1:50: agents.custom.mine.cost_usd: is for `output: json` and `jsonl`; in "
            "plain text nothing is looked for"
        ],
    ),
    "a limit to an attempt's cost that nobody can hold": (
        "agents:\n  settings:\n    codex:\n      max_cost_usd: 2\n    mine: {max_cost_usd: 2}\n"
        "  custom:\n    mine: {command: {review: [x]}, output: json, cost_usd: cost}\n"
        "    yours: {command: {review: [x]}, output: jsonl, cost_usd: cost}\n",
        [
            f"orchestrator.yaml:{place}: agents.settings.{agent}.max_cost_usd: {agent} cannot be held to it: "
            "it has no such limit, and does not tell its cost while it is at work; these can: claude-code, "
            "opencode, kilocode, pi, yours"
            for agent, place in (("codex", "4:7"), ("mine", "5:12"))
        ],
    ),
    "a place of an agent's own that is none": (
        "agents: {custom: {mine: {command: {review: [mine]}, state: [.mine, ~/.mine]}}}\n",
        [
            "orchestrator.yaml:1:61: agents.custom.mine.state[0]: expected an absolute path, or one that "
            "begins with ~/, without .."
        ],
    ),
    "walls that nobody knows": (
        "sandbox: {use: docker}\nagents: {settings: {codex: {sandbox: strong}}}\n",
        [
            "orchestrator.yaml:2:29: agents.settings.codex.sandbox: expected one of off, bwrap, srt, got a "
            "string ('strong')",
            "orchestrator.yaml:1:11: sandbox.use: expected one of off, bwrap, srt, got a string ('docker')",
        ],
    ),
    "paths and domains that no wall can take": (
        "sandbox:\n  use: srt\n  writable: [here, /a/../b]\n  hidden: ['~other/x']\n"
        "  allowed_domains: ['*', 'http://a.b', a.b]\n",
        [
            *(
                f"orchestrator.yaml:{place}: sandbox.{at}: expected an absolute path, or one that begins "
                "with ~/, without .."
                for place, at in (("3:14", "writable[0]"), ("3:20", "writable[1]"), ("4:12", "hidden[0]"))
            ),
            *(
                f"orchestrator.yaml:{place}: sandbox.allowed_domains[{index}]: expected a domain, such as "
                "example.com, *.example.com or localhost:8080"
                for place, index in (("5:21", 0), ("5:26", 1))
            ),
        ],
    ),
    "domains that nobody holds an agent to": (
        "sandbox: {use: bwrap, allowed_domains: [a.b]}\n",
        [
            "orchestrator.yaml:1:23: sandbox.allowed_domains: only srt holds an agent to them; set "
            "sandbox.use: srt, or leave the key out"
        ],
    ),
    "agents that cannot work inside srt": (
        "sandbox: {use: srt}\nagents:\n  implementation: [codex]\n  review: [pi]\n"
        "  settings: {pi: {sandbox: srt}}\n",
        [
            "orchestrator.yaml:1:11: sandbox.use: codex does nothing inside srt, as it has a sandbox of its "
            "own; agents.settings.codex.sandbox: off leaves it to that one, with an open network",
            "orchestrator.yaml:5:19: agents.settings.pi.sandbox: pi could talk to nobody inside srt; name "
            "where its model is in sandbox.allowed_domains",
        ],
    ),
    "not a mapping": ("- a\n", ["orchestrator.yaml:1:1: expected a mapping, got a list"]),
    "not YAML": ("a: [1\nb: 2\n", ["orchestrator.yaml:2:2: not YAML: expected ',' or ']', but got ':'"]),
}


@pytest.mark.parametrize(("text", "lines"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_in_the_file_is_told_with_its_place(
    tmp_path: Path, text: str, lines: list[str]
) -> None:
    assert refused(tmp_path, text) == lines


CODEX_ALONE = "agents: {implementation: [codex], review: [codex]}\n"
MORE_THAN_IS_SO = {
    "an implementer without a sandbox": (
        "agents: {review: [codex]}\npolicy: {sandbox_mode: workspace_write}\n",
        "2:10: policy.sandbox_mode: workspace_write is more than is enforced: nothing keeps claude-code"
        " (implementation) to it; for implementation codex or sandbox.use: bwrap or sandbox.use: srt would;",
    ),
    "a reviewer whose own rules keep it from writing": (
        "agents: {implementation: [codex], review: [codex, claude-code]}\n"
        "policy: {sandbox_mode: workspace_write}\n",
        "2:10: policy.sandbox_mode: workspace_write is more than is enforced: nothing keeps claude-code"
        " (review) to it; for review codex or sandbox.use: bwrap or sandbox.use: srt would;",
    ),
    "an implementer that would have to read only": (
        f"{CODEX_ALONE}policy: {{sandbox_mode: read_only}}\n",
        "2:10: policy.sandbox_mode: read_only is more than is enforced: nothing keeps codex"
        " (implementation) to it; for implementation nothing would;",
    ),
    "a sandbox that the user's own arguments lift": (
        "agents: {implementation: [codex], review: [codex],"
        " settings: {codex: {extra_args: [-c, sandbox_mode=danger-full-access]}}}\n"
        "policy: {sandbox_mode: workspace_write}\n",
        "2:10: policy.sandbox_mode: workspace_write is more than is enforced: nothing keeps codex"
        " (implementation, by its extra_args), codex (review, by its extra_args) to it;",
    ),
    "an agent of one's own": (
        "agents: {custom: {mine: {command: {review: [mine]}}}, implementation: [mine],"
        " single_agent_mode: true}\n"
        "policy: {sandbox_mode: workspace_write}\n",
        "2:10: policy.sandbox_mode: workspace_write is more than is enforced: nothing keeps mine"
        " (implementation), mine (review) to it;",
    ),
    "a network that nothing closes": (
        f"{CODEX_ALONE}policy: {{network_mode: none}}\n",
        "2:10: policy.network_mode: none is more than is enforced: nothing keeps codex (implementation),"
        " codex (review) to it; for implementation nothing would, for review nothing would;",
    ),
    "a network that bwrap leaves open": (
        "policy: {network_mode: allowlist}\nsandbox: {use: bwrap}\n",
        "1:10: policy.network_mode: allowlist is more than is enforced: nothing keeps claude-code"
        " (implementation), claude-code (review) to it; for implementation sandbox.use: srt would,",
    ),
    "walls that one agent is left outside of": (
        "policy: {sandbox_mode: workspace_write}\nsandbox: {use: bwrap}\n"
        "agents: {settings: {claude-code: {sandbox: off}}}\n",
        "1:10: policy.sandbox_mode: workspace_write is more than is enforced: nothing keeps claude-code"
        " (implementation), claude-code (review) to it;",
    ),
    "approvals that nobody gives": (
        f"{CODEX_ALONE}policy: {{approval_mode: supervised}}\n",
        "2:10: policy.approval_mode: supervised is more than is enforced: in an unattended run nobody",
    ),
}


@pytest.mark.parametrize(("text", "line"), MORE_THAN_IS_SO.values(), ids=MORE_THAN_IS_SO)
def test_a_policy_that_declares_more_than_is_enforced_is_refused(
    tmp_path: Path, text: str, line: str
) -> None:
    (told,) = refused(tmp_path, text)
    assert told.startswith(f"orchestrator.yaml:{line}")
    assert told.endswith("; or leave the key out, and the host is told what is so")


def test_a_policy_that_is_enforced_or_less_is_taken(tmp_path: Path) -> None:
    for mode in ("none", "workspace_write"):
        assert load(tmp_path, f"{CODEX_ALONE}policy: {{sandbox_mode: {mode}}}\n").policy.sandbox_mode == mode
    # Whoever does everything is the first implementer: the reviewers do not count.
    single = "agents: {implementation: [codex, pi], review: [pi], single_agent_mode: true}\n"
    load(tmp_path, f"{single}policy: {{sandbox_mode: workspace_write}}\n")


def test_a_variable_that_declares_too_much_is_named_and_flags_count(tmp_path: Path) -> None:
    environ = {"SK_ORCH_POLICY_SANDBOX_MODE": "workspace_write"}
    load(tmp_path, CODEX_ALONE, environ)
    (line,) = refused(tmp_path, CODEX_ALONE, environ, impl_agent="pi")
    assert line.startswith("SK_ORCH_POLICY_SANDBOX_MODE: policy.sandbox_mode: workspace_write is more")
    assert "pi (implementation)" in line


def test_a_policy_beside_agents_that_are_wrong_themselves_is_no_second_error(tmp_path: Path) -> None:
    text = "agents: {implementation: [gemni], review: [mine], custom: {mine: {command: {review: []}}}}\n"
    lines = refused(tmp_path, text + "policy: {sandbox_mode: read_only}\n")
    assert [line.split(": ")[1] for line in lines] == [
        "agents.implementation[0]",
        "agents.custom.mine.command",
    ]


@pytest.mark.parametrize(
    ("setting", "least", "below", "most", "above"),
    [
        ("agents.settings.codex.launcher.silence_seconds", "5", "4.9", "3600", "3601"),
        ("launcher.silence_seconds", "5", "4.9", "3600", "3601"),
        ("launcher.start_within_seconds", "1", "0", "2592000", "2592001"),
        ("launcher.slurm.cpus", "1", "0", "4096", "4097"),
        ("grace_seconds", "0", "-0.5", "600", "600.5"),
        ("refresh_seconds", "1", "0.5", A_YEAR, ".inf"),
        ("patience_seconds", "0", "-1", A_YEAR, ".inf"),
        ("check_timeout_seconds", "1", ".nan", A_YEAR, "1e308"),
        ("max_log_mb", "1", "0.5", "1048576", "1048577"),
        ("max_cost_usd", "0.01", "0", "1000000", ".inf"),
        ("max_runtime_seconds", "1", "0.5", A_YEAR, ".nan"),
        ("agents.settings.pi.max_cost_usd", "0.01", "-1", "1000000", "1000001"),
        ("agents.max_retries", "0", "-1", "100", "101"),
        ("agents.timeout_seconds", "1", ".nan", A_YEAR, ".inf"),
        ("agents.idle_timeout_seconds", "1", "-.inf", A_YEAR, "1e999"),
        ("agents.settings.codex.timeout_seconds", "1", "0.5", A_YEAR, "31622400.5"),
        ("host.timeout_seconds", "5", "4.5", A_YEAR, ".inf"),
    ],
)
def test_a_number_may_reach_its_bounds_and_not_pass_them(
    tmp_path: Path, setting: str, least: str, below: str, most: str, above: str
) -> None:
    *sections, name = setting.split(".")
    opening, closing = "".join(f"{section}: {{" for section in sections), "}" * len(sections)

    def text(number: str) -> str:
        return f"{opening}{name}: {number}{closing}\n"

    for within in (least, most):
        load(tmp_path, text(within))
    for beyond in (below, above):
        (line,) = refused(tmp_path, text(beyond))
        assert line.endswith(f"{setting}: expected {least} or more, up to {most}")


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, "grace_seconds: 1\ngrace_seconds: 2\n")
    assert line == "orchestrator.yaml:2:1: the key 'grace_seconds' stands twice"


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = "max_concurrent_wps: four\nfoo: 1\nagents:\n  review: [gemni]\n  max_retries: -1\n"
    lines = refused(tmp_path, text, {"SK_ORCH_GRACE": "1"}, impl_agent="cluade-code")
    assert len(lines) == 6
    assert any(line.startswith("orchestrator.yaml:4:") and "gemni" in line for line in lines)
    assert any(line.startswith("orchestrator.yaml:5:3: agents.max_retries") for line in lines)
    assert any(line.startswith("environment: SK_ORCH_GRACE: no setting") for line in lines)
    assert any(line.startswith("--impl-agent: ") and "did you mean 'claude-code'" in line for line in lines)


def test_a_variable_that_is_wrong_is_named(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, "", {"SK_ORCH_MAX_CONCURRENT_WPS": "many"})
    assert line.startswith("SK_ORCH_MAX_CONCURRENT_WPS: max_concurrent_wps: expected a whole number")


def test_the_variables_of_the_test_suite_are_no_settings(tmp_path: Path) -> None:
    assert load(tmp_path, environ={"SK_ORCH_E2E_SPEC_KITTY_BIN": "/x"}) == Settings()


def test_a_variable_is_the_place_of_what_it_overrides(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, "agents: {review: [codex, codex]}", {"SK_ORCH_AGENTS_REVIEW": "codex,gemni"})
    assert line.startswith("SK_ORCH_AGENTS_REVIEW: agents.review[1]: unknown agent 'gemni'")


@pytest.mark.parametrize("value", [*NO_NUMBERS, "\udcff"])
def test_a_variable_that_is_no_number_in_whatever_way_is_named(tmp_path: Path, value: str) -> None:
    (line,) = refused(tmp_path, "", {"SK_ORCH_GRACE_SECONDS": value})
    assert line.startswith("SK_ORCH_GRACE_SECONDS: grace_seconds: ")


def test_a_variable_whose_bytes_are_no_utf_8_is_named(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, "", {"SK_ORCH_HOST_BINARY": "/opt/\udcff"})
    assert line == "SK_ORCH_HOST_BINARY: host.binary: its bytes are no UTF-8"


@pytest.mark.parametrize("name", ["SK_ORCH_AGENTS_SETTINGS", "SK_ORCH_AGENTS", "SK_ORCH_", "SK_ORCH_\udcff"])
def test_a_variable_for_which_there_is_no_setting_is_named(tmp_path: Path, name: str) -> None:
    (line,) = refused(tmp_path, "", {name: "{}"})
    assert line.startswith(f"environment: {name.encode('ascii', 'backslashreplace').decode()}: no setting")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "not a file"),
    "a pipe that nobody writes to": (_pipe, "not a file"),
    "a device that never ends": (lambda path: path.symlink_to("/dev/zero"), "not a file"),
    "a link to itself": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "a link to nothing": (lambda path: path.symlink_to("gone.yaml"), "a link to a file that is not there"),
    "something far too large": (lambda path: path.write_bytes(b"#" * 2**20), "larger than 256 KiB"),
}


@pytest.mark.parametrize(("make", "why"), NO_FILES.values(), ids=NO_FILES)
def test_what_stands_in_the_place_of_the_file_is_named(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    make(tmp_path / FILE_NAME)
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path, {}, Flags())
    assert caught.value.message.startswith(f"{tmp_path / FILE_NAME} cannot be read: {why}")


@pytest.mark.parametrize(
    ("data", "place"),
    [(b"a: 1\nb: \xe9", "2:4"), ("a: \u00e9 1".encode() + b"\xff", "1:7"), ("a: 1".encode("utf-16"), "1:1")],
)
def test_bytes_that_are_no_utf_8_are_told_with_their_place(tmp_path: Path, data: bytes, place: str) -> None:
    (tmp_path / FILE_NAME).write_bytes(data)
    with pytest.raises(ConfigError, match=f"^orchestrator.yaml:{place}: not UTF-8: the byte 0x"):
        load_settings(tmp_path, {}, Flags())


def test_a_file_that_is_something_else_altogether_is_not_told_in_full(tmp_path: Path) -> None:
    lines = refused(tmp_path, "\n".join(f'"k{n}\\n{"x" * 90}": 1' for n in range(900)))
    assert len(lines) == 51
    assert lines[-1] == "orchestrator.yaml: and 850 problems more"
    assert max(map(len, refused(tmp_path, f"agents: {{review: [{'x' * 9000}]}}"))) < 2100


# Whatever stands there: settings, or lines with a place each.

A_LINE = re.compile(r"orchestrator\.yaml:\d+:\d+: \S.*|SK_ORCH_\w+: \S.*|environment: SK_ORCH_\S*: \S.*")
WORDS = [
    *(
        "agents",
        "settings",
        "custom",
        "codex",
        "mine",
        "env",
        "command",
        "implementation",
        "review",
        "litter",
    ),
    *("checks", "setup", "grace_seconds", "timeout_seconds", "extra_args", "policy", "network_mode", "host"),
    *("model", "max_retries", "output", "json", "family", "A=B", "", "1", "01", "0x1F", "0o8", "._", "1e999"),
    *(".inf", "-.nan", "9" * 400, "9" * 5000, "0x" + "f" * 5000, "1:30", "2026-13-45", "2026-01-01", "null"),
    *("~", "true", "yes", "<<", "=", "*a", "&a x", "!!int x", "!!binary aGk=", "!!set {a}", "!!timestamp x"),
    *(
        '"\\0"',
        '"\\ud800"',
        '"\\U99999999"',
        "!!python/object:os.system {}",
        "[",
        "{",
        "- ",
        "? ",
        "|",
        ">",
        "%",
    ),
    *("\t", "\0", "\x85", "\ufeff", "\u2028", "\r", "---", "...", "%YAML 1.1\n---\n", "'", '"', "#", "a: b"),
]
SCALARS = st.sampled_from(WORDS) | st.text(max_size=6) | st.integers().map(str) | st.floats().map(str)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(SCALARS, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
        inner.map(lambda text: f"&a {text}"),
        inner.map(lambda text: f"!!map {text}"),
    ),
    max_leaves=12,
)
LIKE_YAML = st.lists(
    st.tuples(st.sampled_from(["", " ", "  ", "- "]), SCALARS, NESTED).map(
        lambda parts: f"{parts[0]}{parts[1]}: {parts[2]}\n"
    ),
    max_size=8,
).map("".join)
ANYTHING = st.one_of(
    LIKE_YAML.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(max_size=200).map(lambda text: text.encode()),
    st.binary(max_size=200),
)
VARIABLES = st.dictionaries(
    st.sampled_from(["GRACE_SECONDS", "CHECKS", "AGENTS_REVIEW", "AGENTS_SETTINGS", "HOST_BINARY", ""]).map(
        "SK_ORCH_{}".format
    ),
    (NESTED | st.sampled_from(["\udcff"])).filter(lambda value: "\0" not in value),
    max_size=2,
)


@settings(max_examples=400, deadline=5000)
@given(ANYTHING, VARIABLES)
def test_whatever_is_written_there_makes_settings_or_lines_with_a_place_each(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, environ: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / FILE_NAME).write_bytes(data)
    try:
        load_settings(folder, environ, Flags())
    except ConfigError as problem:
        for line in problem.message.split("\n"):
            assert A_LINE.fullmatch(line), line
            assert line.isprintable()
