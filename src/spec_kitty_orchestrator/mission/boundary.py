"""The boundary of a work package's task: whatever goes wrong in its life becomes an outcome of it alone."""

from __future__ import annotations

from ..errors import HostError, OrchestratorError, StateFileError
from ..host.errors import HostRefused
from .bugs import record_bug
from .context import RunContext
from .outcome import Ended, Outcome
from .work_package import WorkPackage


async def outcome_of(run: RunContext, work_package: WorkPackage) -> Outcome:
    """Has a work package live, and says what came of it.

    Raises:
        StateFileError: what happens can no longer be recorded, which concerns all of them.
    """
    standing = work_package.standing
    try:
        return await work_package.live()
    except StateFileError:
        raise
    except HostRefused as refusal:
        return Outcome(Ended.REFUSED_FOR_NOW, standing.lane, str(refusal))
    except HostError as broken:
        return Outcome(Ended.BROKEN, standing.lane, str(broken), standing.lost)
    except (OrchestratorError, OSError) as problem:  # the latter: no space, or no descriptor is to be had
        return Outcome(Ended.REFUSED_FOR_NOW, standing.lane, str(problem))
    except Exception as bug:  # noqa: BLE001 - the task's boundary: recorded, and the siblings go on
        return Outcome(Ended.INTERNAL, standing.lane, record_bug(run, work_package.wp_id, bug))
