"""What each agent CLI keeps outside of a workspace, and whom it talks to: what walls must leave open.

The folders were measured with the versions that the records name, in walls (those of copilot, kilocode,
augment, cursor and letta are from their documentation); the domains are from the vendors' documentation.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class StatePlace:
    """A folder in which a CLI keeps its own: its login, its sessions, its caches.

    Attributes:
        path: where it is, below the home folder; or absolute.
        variable: the environment variable that names another place for it, or for what it lies in.
        below: where it lies in what the variable names.
        kept: names in it that the CLI only reads: what they hold is run, or trusted, the next time that a
            person starts it, outside of all walls.
    """

    path: str
    variable: str = ""
    below: str = ""
    kept: tuple[str, ...] = ()


@frozen
class Home:
    """What a CLI needs of its machine and of the network.

    Attributes:
        places: where it writes. A CLI that finds one of them read-only may die of it.
        domains: where its model and its login are; none where the user chooses the provider.
    """

    places: tuple[StatePlace, ...] = ()
    domains: tuple[str, ...] = ()


def _xdg(name: str, kept: tuple[str, ...] = ()) -> tuple[StatePlace, ...]:
    """The four folders of a CLI that keeps to the XDG base directories."""
    return (
        StatePlace(f".local/share/{name}", "XDG_DATA_HOME", name),
        StatePlace(f".local/state/{name}", "XDG_STATE_HOME", name),
        StatePlace(f".cache/{name}", "XDG_CACHE_HOME", name),
        StatePlace(f".config/{name}", "XDG_CONFIG_HOME", name, kept),
    )


_OPENCODE_KEEPS = (
    *("opencode.json", "opencode.jsonc", "config.json", "AGENTS.md"),
    *("agent", "agents", "command", "commands", "plugin", "plugins", "skill", "skills", "tool", "tools"),
)

# Its .claude.json holds MCP servers and stays read-only: it cannot note there how often it was started. With
# CLAUDE_CONFIG_DIR it lies in that folder, else beside .claude.
CLAUDE_CODE = Home(
    (
        StatePlace(
            ".claude",
            "CLAUDE_CONFIG_DIR",
            kept=(
                *(".claude.json", "settings.json", "settings.local.json", "CLAUDE.md", "keybindings.json"),
                *("agents", "commands", "hooks", "output-styles", "plugins", "skills"),
            ),
        ),
    ),
    ("api.anthropic.com", "platform.claude.com", "claude.ai"),
)
CODEX = Home(
    (
        StatePlace(
            ".codex", "CODEX_HOME", kept=("config.toml", "AGENTS.md", "rules", "prompts", "hooks.json")
        ),
    ),
    ("api.openai.com", "auth.openai.com", "chatgpt.com"),
)
COPILOT = Home(
    (StatePlace(".copilot", "COPILOT_HOME", kept=("config.json", "mcp-config.json", "agents", "hooks")),),
    ("api.github.com", "github.com", "*.githubcopilot.com"),
)
GEMINI = Home(
    (
        StatePlace(
            ".gemini",
            "GEMINI_CLI_HOME",
            ".gemini",
            kept=("settings.json", "GEMINI.md", "commands", "extensions", "hooks", "policies", "skills"),
        ),
    ),
    ("*.googleapis.com", "accounts.google.com"),
)
QWEN = Home(
    (StatePlace(".qwen", kept=("settings.json", "QWEN.md", "commands", "extensions", "hooks", "skills")),),
    ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com", "chat.qwen.ai", "portal.qwen.ai"),
)
OPENCODE = Home(_xdg("opencode", _OPENCODE_KEEPS), ("opencode.ai", "models.dev"))
KILOCODE = Home(_xdg("kilo", _OPENCODE_KEEPS), ("kilo.ai", "*.kilo.ai", "models.dev"))
AUGMENT = Home((StatePlace(".augment", kept=("settings.json", "commands", "rules")),), ("*.augmentcode.com",))
CURSOR = Home(
    (
        StatePlace(".cursor", kept=("mcp.json", "hooks.json", "rules", "commands")),
        StatePlace(".config/cursor", "XDG_CONFIG_HOME", "cursor"),
    ),
    ("*.cursor.sh", "*.cursor.com"),
)
PI = Home(
    (
        StatePlace(
            ".pi/agent",
            "PI_CODING_AGENT_DIR",
            kept=("settings.json", "models.json", "AGENTS.md", "extensions", "prompts", "skills", "themes"),
        ),
    ),
)
LETTA = Home((StatePlace(".letta", kept=("settings.json", "skills", "hooks")),), ("api.letta.com",))
