"""Installs pinned agent CLIs from npm into a cache folder, for the tests beside this file.

    python tests/e2e/real_agents/install.py [AGENT ...]      all of them when none is named

The folder is SK_ORCH_E2E_CLI_CACHE, else .cache/agent-clis in the checkout. What is there already stays.
Standard library only: it runs before anything else is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Agent → npm package and version, the one that its record in the catalogue was verified on.
PACKAGES = {
    "claude-code": "@anthropic-ai/claude-code@2.1.330",
    "codex": "@openai/codex@0.169.0",
    "gemini": "@google/gemini-cli@0.61.0",
    "opencode": "opencode-ai@1.18.33",
    "qwen": "@qwen-code/qwen-code@0.24.4",
    "pi": "@earendil-works/pi-coding-agent@0.87.1",
    "srt": "@anthropic-ai/sandbox-runtime@0.0.83",  # no agent, but what some of them are put into
}
NODE = "node@22"
NODE_MAJOR = 22  # the oldest that all of these run on


def cache_folder() -> Path:
    """Where the CLIs are, whether they are there or not."""
    checkout = Path(__file__).resolve().parents[3]
    return Path(os.environ.get("SK_ORCH_E2E_CLI_CACHE") or checkout / ".cache" / "agent-clis")


def bin_folder(name: str) -> Path:
    """Where the programs of one agent are, or of `node`."""
    return cache_folder() / name / "node_modules" / ".bin"


def node_is_new_enough() -> bool:
    """The system's Node can run the agents."""
    node = shutil.which("node")
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout if node else ""
    found = re.match(r"v(\d+)", said)
    return bool(found) and int(found.group(1)) >= NODE_MAJOR


def main(agents: list[str]) -> int:
    """Installs them; 1 when something could not be."""
    if unknown := set(agents) - set(PACKAGES):
        print(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(PACKAGES)}", file=sys.stderr)
        return 2
    if shutil.which("npm") is None:
        print("npm was not found; install Node", file=sys.stderr)
        return 1
    wanted = {} if node_is_new_enough() else {"node": NODE}
    wanted |= {agent: PACKAGES[agent] for agent in agents or PACKAGES}
    failed = [name for name, package in wanted.items() if not install(name, package)]
    if failed:
        print(f"not installed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def install(name: str, package: str) -> bool:
    """Installs one package, unless that version is there already."""
    folder = cache_folder() / name
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == package:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"private": true}\n')
    print(f"installing {package}", flush=True)
    # Some of them fetch or link their program in a script of the package.
    argv = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", package]
    if subprocess.run(argv, cwd=folder).returncode != 0:
        return False
    stamp.write_text(package)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
