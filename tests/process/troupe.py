"""An agent of many manners: `troupe.py '{"WP01": "ignore", ...}'` becomes what `agents.py` has for the work
package that its prompt is about; standard library only.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

found = re.search(r"^Work package: (\S+) of mission", sys.stdin.read(), re.MULTILINE)
mode = json.loads(sys.argv[1])[found[1]]
os.execv(sys.executable, [sys.executable, "-S", str(Path(__file__).with_name("agents.py")), *mode.split()])
