"""The two records of the catalog that share one code base: opencode, and kilocode, which is built on it."""

from __future__ import annotations

from . import dialects, homes
from .places import at
from .review_rules import OPENCODE_PERMISSION
from .sessions import Sessions
from .spec import AgentSpec, ErrorAt, FailureKind, Output, OutputFormat, RoleCommand

_OPENCODE_OUTPUT = Output(
    OutputFormat.JSONL,
    final=at("part.text", type="text"),
    session=at("sessionID"),
    input_tokens=at("part.tokens.input", type="step_finish"),
    output_tokens=at("part.tokens.output", type="step_finish"),
    cost_usd=at("part.cost", type="step_finish"),
    usage_adds=True,
    errors=(
        ErrorAt(
            at("error.data.message", "error.name", type="error"),
            status="error.data.statusCode",
            retry_after="error.data.responseHeaders.retry-after",
        ),
    ),
    complete=(at(type="step_finish", part__reason="stop"),),
    steps=dialects.OPENCODE,
)
_OPENCODE_WORDS = (
    (FailureKind.NETWORK, r"^Cannot connect to API\b"),  # noauth
    (FailureKind.BAD_MODEL, r"\bProviderModelNotFoundError\b|^Model not found\b"),  # its source
)

# In another folder than that in which it was begun it works in the old one, or never ends.
_SESSIONS = Sessions(resume=("--session", "$session"), lost=r"\bSession not found\b")

OPENCODE = AgentSpec("opencode", "opencode", ("opencode",),
    implementation=RoleCommand("run --auto --agent build --format json", widens=("--auto",)),
    review=RoleCommand(
        "run --agent plan --format json",
        env={"OPENCODE_PERMISSION": OPENCODE_PERMISSION},
    ),
    output=_OPENCODE_OUTPUT,
    failure_words=_OPENCODE_WORDS,
    sessions=_SESSIONS, home=homes.OPENCODE,
    read_only_review=True, reports_cost=True, tells_cost_midway=True, verified="1.18.33",
    note="start it once by hand first: several cold starts at the same time can fail",
)  # fmt: skip

KILOCODE = AgentSpec("kilocode", "kilocode", ("kilo", "kilocode"),
    implementation=RoleCommand("run --auto --format json", widens=("--auto",)),
    review=RoleCommand("run --agent plan --format json"),
    output=_OPENCODE_OUTPUT,
    failure_words=_OPENCODE_WORDS,
    sessions=_SESSIONS, home=homes.KILOCODE,
    read_only_review=True, reports_cost=True, tells_cost_midway=True, verified="7.7.7",
    note="starts slowly (up to 45 s)", litter=(".kilo/",),
)  # fmt: skip
