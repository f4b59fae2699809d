"""How the fake host reads what it is sent: the policy, the review result, the evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from .rules import BANNED, COORDINATED, MISSION_TYPE, POLICY_STRINGS, SECRETS, Refused

Options = Mapping[str, str]
Record = dict[str, Any]


def reject(message: str) -> NoReturn:
    raise Refused("TRANSITION_REJECTED", message)


def about(mission: Record) -> Record:
    return {
        "mission_slug": mission["slug"],
        "mission_number": mission["number"],
        "mission_type": MISSION_TYPE if has_metadata(mission) else "",
    }


def has_metadata(mission: Record) -> bool:
    """Measured: the real host looks in the coordination worktree, where they are only after the merge."""
    return mission["topology"] not in COORDINATED or mission["merged"]


def require_actor(options: Options) -> None:
    if not options["--actor"].strip():
        reject("Transition requires actor identity")


def policy_checked(command: str, options: Options, when: str = "") -> None:
    """Refuses a policy that is missing, malformed, holds what looks like a secret, or a banned flag."""
    given = options.get("--policy")
    if not given:
        raise Refused("POLICY_METADATA_REQUIRED", f"--policy is required {when or 'for ' + command}")
    try:
        policy = json.loads(given)
    except ValueError as why:
        raise Refused("POLICY_VALIDATION_FAILED", f"Invalid JSON in --policy: {why}") from None
    wrong = _policy_problem(policy)
    if wrong:
        raise Refused("POLICY_VALIDATION_FAILED", wrong)


def _policy_problem(policy: Any) -> str:
    if not isinstance(policy, dict):
        return "Policy must be a JSON object"
    missing = [name for name in (*POLICY_STRINGS, "dangerous_flags") if name not in policy]
    if missing:
        return f"Missing required policy fields: {', '.join(missing)}"
    if any(not isinstance(policy[name], str) for name in POLICY_STRINGS):
        return "Policy fields must be strings"
    flags = policy["dangerous_flags"]
    if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
        return "dangerous_flags must be a list of strings"
    if set(flags) & set(BANNED):
        return f"Disallowed flags: {', '.join(sorted(set(flags) & set(BANNED)))}"
    if any(word in text.lower() for text in _strings(policy) for word in SECRETS):
        return "Policy metadata contains secret-like values"
    return ""


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in _strings(item)]


def review_of(options: Options) -> Record | None:
    given = _json_option(options, "--review-result-json")
    if given is None:
        return None
    review = _three(given)
    if review is None:
        message = "--review-result-json requires non-empty reviewer, verdict, and reference strings"
        raise Refused("USAGE_ERROR", message)
    if review["verdict"] not in ("approved", "changes_requested"):
        message = "--review-result-json verdict must be 'approved' or 'changes_requested'"
        raise Refused("USAGE_ERROR", message)
    return review


def evidence_of(options: Options) -> Record | None:
    given = _json_option(options, "--evidence-json")
    if given is None:
        return None
    evidence = _three(given.get("review"))
    if evidence is None:
        reject("Moving to done requires evidence with review.reviewer review.verdict, and review.reference")
    return evidence


def _three(value: Any) -> Record | None:
    names = ("reviewer", "verdict", "reference")
    if not isinstance(value, dict) or not all(isinstance(value.get(n), str) and value[n] for n in names):
        return None
    return {name: value[name] for name in names}


def _json_option(options: Options, name: str) -> Record | None:
    if not options.get(name):
        return None
    try:
        value = json.loads(options[name])
    except ValueError as why:
        raise Refused("USAGE_ERROR", f"Invalid JSON in {name}: {why}") from None
    if not isinstance(value, dict):
        raise Refused("USAGE_ERROR", f"{name} must decode to a JSON object")
    return value
