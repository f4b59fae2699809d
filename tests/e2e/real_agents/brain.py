"""What the scripted model decides: from the prompt and what its tools answered so far, the next step.

It plays an implementer or a reviewer of our protocol, whichever the prompt asks for, and knows nothing
of any agent or API.
"""

from __future__ import annotations

import json
import re
import shlex

from attrs import frozen

# Each by itself: one that is refused must not keep the next from being tried.
PLANT = """
common=$(cd "$(git rev-parse --git-common-dir)" && pwd) own=$(git rev-parse --absolute-git-dir)
echo planted > "$common/hooks/post-commit"
echo '# planted' >> "$common/config"
ln -sf /tmp/planted "$common/logs/HEAD"
git update-ref refs/heads/main "$(git commit-tree -m planted 'HEAD^{tree}')"
mkdir planted-dir && printf planted > planted-dir/config
echo "$PWD/planted-dir" > planted && mv planted "$own/commondir"
echo "$PWD/planted-dir" > "$own/commondir"
echo "$PWD/planted-dir/.git" > "$own/gitdir"
echo "gitdir: $PWD/planted-dir" > .git
mkdir .codex && echo planted > .codex/config.toml
echo tried > tried
true
"""
READ = "all of it was READ"
DONE = "All subtasks are done."
MEND = "echo mended >> out/wp01.txt && git commit -q -a -m 'Mend WP01' && echo it is MENDED"


@frozen
class Run:
    """Have the agent's shell tool run this."""

    command: str


@frozen
class Say:
    """End with these words."""

    text: str


def next_step(scenario: str, prompt: str, results: tuple[str, ...], goes_on: bool = False) -> Run | Say:
    """`work`: do what the prompt asks; `meddle`: try to write by every way that a reviewer might find;
    `plant`: try to write what others would run; `allowed`: run a script of the test's;
    `nap-NUMBER`: have the shell sleep for so long; `strict`: send back what is not mended, and mend what was
    sent back; `reads`: the same, and who knows nothing reads a file first; `stuck`: sleep until killed,
    and do the work when told to go on.

    Args:
        goes_on: the agent was told to go on with what it knows.
    """
    if scenario.startswith("nap-"):
        return Run(f"touch napping; sleep {scenario.partition('-')[2]}") if not results else Say(DONE)
    if scenario == "plant":
        return Run(PLANT) if not results else Say(DONE)
    if scenario == "allowed":  # by a rule of the person's own
        return Run("sh ../../../allowed.sh") if not results else Say(DONE)
    if scenario == "meddle":
        ways = ["git diff HEAD > leak-1.txt", "git diff HEAD --output=leak-2.txt", "echo x > leak-3.txt"]
        return Run(ways[len(results)]) if len(results) < len(ways) else Say(DONE)
    if scenario == "stuck" and not goes_on and "Review reference:" not in prompt:
        return Run("touch napping; sleep 300") if not results else Say(DONE)
    if scenario == "reads" and not goes_on and not any(READ in each for each in results):
        return Run(f"cat notes.txt; echo {READ}")
    if scenario == "reads":
        results = tuple(each for each in results if READ not in each)
    if scenario in ("strict", "reads"):
        return _strictly(prompt, results, goes_on)
    if goes_on:  # what was cut off says nothing of the work
        results = tuple(each for each in results if "GOT-ON" in each)
    try:
        return _review(prompt, results) if "Review reference:" in prompt else _implement(prompt, results)
    except LookupError as problem:
        return Say(f"I was asked for something else: {problem}")


def _strictly(prompt: str, results: tuple[str, ...], goes_on: bool) -> Run | Say:
    """A reviewer who wants it mended; an implementer who mends what was sent back."""
    if "Review reference:" not in prompt:
        if goes_on or "<feedback-" in prompt:
            is_done = any("it is MENDED" in each for each in results)
            return Say(DONE) if is_done else Run(MEND if goes_on else f"true; {MEND}")
        return _implement(prompt, results)
    step = _review(prompt, results)
    if isinstance(step, Say) and "+mended" not in results[0]:
        ref = _told(r"^Review reference: (\S+)$", prompt)
        said = {"review_ref": ref, "verdict": "changes_requested", "feedback": "out/wp01.txt:2: mend it"}
        return Say(json.dumps(said))
    return step


def _implement(prompt: str, results: tuple[str, ...]) -> Run | Say:
    wp_id = _told(r'<work-package-\w+ id="(\w+)"', prompt)
    paths, tasks = _listed("owned_files", prompt), _listed("subtasks", prompt)
    mark = _told(r"^ *(\S.* agent tasks mark-status T001 .*)$", prompt)
    write = [f"mkdir -p {shlex.quote(path.rpartition('/')[0] or '.')}" for path in paths]
    write += [f"echo 'the work of {wp_id}' >> {shlex.quote(path)}" for path in paths]
    names = " ".join(map(shlex.quote, paths))
    steps = [
        " && ".join([*write, f"git add {names}", f"git commit -q -m 'Do {wp_id}'"]),
        *(mark.replace("T001", task) for task in tasks),
    ]
    steps = [f"{step} && echo GOT-ON" for step in steps]
    return Run(steps[len(results)]) if len(results) < len(steps) else Say(DONE)


def _review(prompt: str, results: tuple[str, ...]) -> Run | Say:
    if not results:
        return Run(_told(r"^See the change with: (.*)$", prompt))
    wp_id = _told(r'<work-package-\w+ id="(\w+)"', prompt)
    seen = f"+the work of {wp_id}" in results[0]
    verdict = {
        "review_ref": _told(r"^Review reference: (\S+)$", prompt),
        "verdict": "approved" if seen else "changes_requested",
        "feedback": "" if seen else f"the work of {wp_id} is not in the change; git said: {results[0][:500]}",
    }
    return Say(f"I looked at the change.\n\n{json.dumps(verdict)}")


def _listed(key: str, prompt: str) -> list[str]:
    """A list of the work package's front matter, in the form in which the host writes it or the other."""
    block = _told(rf"^{key}:((?:\n *- .*)+| \[.*\])$", prompt)
    return re.findall(r"[\w./-]+", re.sub(r"^ *- ", "", block, flags=re.MULTILINE))


def _told(pattern: str, prompt: str) -> str:
    found = re.search(pattern, prompt, re.MULTILINE)
    if not found:
        raise LookupError(f"nothing in the prompt fits {pattern}")
    return found.group(1)
