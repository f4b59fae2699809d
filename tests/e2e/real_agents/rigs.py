"""How each agent CLI is made to talk to the scripted model, and which version of it the tests install."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from spec_kitty_orchestrator.agents.spec import FailureKind

AUTH, NETWORK, RATE_LIMIT = FailureKind.AUTH, FailureKind.NETWORK, FailureKind.RATE_LIMIT

_OPENCODE = {
    "provider": {
        "scripted": {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": "{url}/v1", "apiKey": "dummy"},
            "models": {"scripted-model": {"name": "Scripted"}},
        }
    },
    "model": "scripted/scripted-model",
    "small_model": "scripted/scripted-model",
    "autoupdate": False,
    "share": "disabled",
}
_PI = {
    "providers": {
        "scripted": {
            "baseUrl": "{url}/v1",
            "api": "openai-completions",
            "apiKey": "dummy",
            "models": [{"id": "scripted-model"}],
        }
    }
}
# One try, so that what it does on a 429 is seen within the patience of a test.
_GEMINI = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "general": {"maxAttempts": 1}}


@frozen
class Rig:
    """One agent's way to the scripted model; `{url}` stands for the server's address with the scenario.

    Attributes:
        env, extra_args: go into the agent's settings, as a user's would.
        files: path in the home folder → text.
        failures: scenario → the kind that must come of it, for those that end within a test's patience.
    """

    env: Mapping[str, str] = field(factory=dict)
    extra_args: tuple[str, ...] = ()
    files: Mapping[str, str] = field(factory=dict)
    failures: Mapping[str, FailureKind] = field(factory=dict)

    def at(self, url: str) -> Rig:
        """With the address filled in."""
        return Rig(
            {name: text.replace("{url}", url) for name, text in self.env.items()},
            tuple(arg.replace("{url}", url) for arg in self.extra_args),
            {path: text.replace("{url}", url) for path, text in self.files.items()},
            self.failures,
        )

    def furnish(self, home: Path) -> None:
        """Writes the files."""
        for name, text in self.files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text, encoding="utf-8")


RIGS: Mapping[str, Rig] = {
    "claude-code": Rig(
        env={
            "ANTHROPIC_BASE_URL": "{url}",
            "ANTHROPIC_API_KEY": "dummy",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "1",
        },
        failures={"e401": AUTH, "e429": RATE_LIMIT, "refused": NETWORK},
    ),
    "codex": Rig(
        env={"SCRIPTED_KEY": "dummy"},
        extra_args=(
            *("-c", 'model_provider="scripted"', "-m", "scripted-model", "-c"),
            'model_providers.scripted={name="scripted",base_url="{url}/v1",'
            'wire_api="responses",env_key="SCRIPTED_KEY"}',
        ),
        # With the network down it waits for ever: its last words say for what.
        failures={"e401": AUTH, "e429": RATE_LIMIT, "refused": NETWORK},
    ),
    "gemini": Rig(
        env={"GOOGLE_GEMINI_BASE_URL": "{url}", "GEMINI_API_KEY": "dummy"},
        # A named model: choosing one by itself has retries of its own.
        extra_args=("--model", "gemini-2.5-pro"),
        files={".gemini/settings.json": json.dumps(_GEMINI)},
        failures={"e401": AUTH, "e429": RATE_LIMIT, "refused": NETWORK},
    ),
    "opencode": Rig(
        env={"OPENCODE_DISABLE_MODELS_FETCH": "1"},
        files={".config/opencode/opencode.json": json.dumps(_OPENCODE)},
        # It retries a 429 for two minutes and a refused connection for three.
        failures={"e401": AUTH},
    ),
    "qwen": Rig(
        env={"OPENAI_BASE_URL": "{url}/v1", "OPENAI_API_KEY": "dummy", "OPENAI_MODEL": "scripted-model"},
        extra_args=("--auth-type", "openai"),
        # It retries a 429 for longer than anybody waits.
        failures={"e401": AUTH, "refused": NETWORK},
    ),
    "pi": Rig(
        env={"PI_OFFLINE": "1"},
        extra_args=("--provider", "scripted", "--model", "scripted-model"),
        files={".pi/agent/models.json": json.dumps(_PI)},
        failures={"e401": AUTH, "e429": RATE_LIMIT, "refused": NETWORK},
    ),
}
