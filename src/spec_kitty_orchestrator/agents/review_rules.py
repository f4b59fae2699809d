"""What keeps a reviewer from changing anything, for the CLIs that take such rules as text.

Allowed are git diff, log, show and status. Of these git's own `--output` can write, and so can a redirection.
"""

from __future__ import annotations

import json

LOOK = ("git diff", "git log", "git show", "git status")


def each(form: str) -> str:
    """The four commands in a CLI's own notation, `{}` being one of them, with commas between."""
    return ",".join(form.format(look) for look in LOOK)


GEMINI_POLICY = f"""\
[[rule]]
toolName = "run_shell_command"
commandPrefix = {json.dumps(LOOK)}
decision = "allow"
priority = 200

[[rule]]
toolName = "run_shell_command"
argsPattern = "--output"
decision = "deny"
priority = 300

[[rule]]
toolName = ["write_file", "replace"]
decision = "deny"
priority = 300
"""

# Of opencode's rules the last that fits decides, so what could write through an allowed command comes last.
_BASH = {"*": "deny", **{f"{look}*": "allow" for look in LOOK}, "*>*": "deny", "*--output*": "deny"}
OPENCODE_PERMISSION = json.dumps({"edit": "deny", "bash": _BASH})

# pi has no rules for its shell, but asks its extensions before each call of a tool.
PI_EXTENSION = r"""
export default function (pi) {
  pi.on("tool_call", async (event) => {
    const command = event.toolName === "bash" ? String(event.input.command) : "git diff";
    const reads = /^git (diff|log|show|status)( |$)/.test(command);
    if (reads && !/[;&|<>`$\\\n]|--output/.test(command)) return;
    return { block: true, reason: "a review may run one git diff, log, show or status at a time" };
  });
}
"""
