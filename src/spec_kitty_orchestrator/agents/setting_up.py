"""How each agent CLI is installed and signed in, and how that can be told without asking a model; as data."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen


@frozen
class SettingUp:
    """What to do before an agent can work.

    Attributes:
        install: a command.
        sign_in: a command, or what else a person does.
        status: arguments with which it says whether it is signed in, by its exit status, 0 or 1; empty where
            it cannot, or asks its service, or is slow.
        variables: each of them stands for being signed in.
        files: below the home folder, where it keeps who is signed in; there may be other places.
    """

    install: str
    sign_in: str
    status: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def _npm(package: str) -> str:
    return f"npm install --global {package}"


SETTING_UP: Mapping[str, SettingUp] = {
    # 2.1.330: `auth status` says {"loggedIn": ...} and exits with 1 when not; 0.6 s, no request.
    "claude-code": SettingUp(
        _npm("@anthropic-ai/claude-code"),
        "claude auth login",
        status=("auth", "status"),
        variables=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    ),
    # 0.169.0: `login status` says "Not logged in" and exits with 1, also with a key in CODEX_API_KEY, which
    # `exec` takes all the same, and with a provider of the user's own.
    "codex": SettingUp(
        _npm("@openai/codex"), "codex login", status=("login", "status"), variables=("CODEX_API_KEY",)
    ),
    "copilot": SettingUp(
        _npm("@github/copilot"),
        "copilot, and in it: /login",
        variables=("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"),
    ),
    # 0.61.0 names these variables when it has no credentials.
    "gemini": SettingUp(
        _npm("@google/gemini-cli"),
        "gemini, and in it: /auth",
        variables=("GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA"),
        files=(".gemini/oauth_creds.json",),
    ),
    # 0.24.4: `qwen auth` is gone.
    "qwen": SettingUp(
        _npm("@qwen-code/qwen-code"),
        "qwen, and in it: /auth",
        variables=("OPENAI_API_KEY", "BAILIAN_CODING_PLAN_API_KEY", "OPENROUTER_API_KEY"),
        files=(".qwen/oauth_creds.json",),
    ),
    # 1.18.33: `auth list` names this file; without it the vendor's own provider is asked.
    "opencode": SettingUp(
        _npm("opencode-ai"), "opencode auth login", files=(".local/share/opencode/auth.json",)
    ),
    "kilocode": SettingUp(_npm("@kilocode/cli"), "kilo auth login", files=(".local/share/kilo/auth.json",)),
    "augment": SettingUp(
        _npm("@augmentcode/auggie"),
        "auggie login",
        variables=("AUGMENT_SESSION_AUTH",),
        files=(".augment/session.json",),
    ),
    "cursor": SettingUp(
        "curl https://cursor.com/install -fsS | bash", "cursor-agent login", variables=("CURSOR_API_KEY",)
    ),
    # 0.87.1: `auth check` wants a provider, and may ask it for a new token.
    "pi": SettingUp(
        _npm("@earendil-works/pi-coding-agent"), "pi, and in it: /login", files=(".pi/agent/auth.json",)
    ),
    "letta": SettingUp(_npm("@letta-ai/letta-code"), "set LETTA_API_KEY", variables=("LETTA_API_KEY",)),
}
"""By the agent's id. Versions in front of what was measured; the rest is from their documentation."""
