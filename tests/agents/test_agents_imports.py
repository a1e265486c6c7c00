from __future__ import annotations

import subprocess
import sys

RULES = "agents.strategies, agents.participation, agents.adaptation, agents.private_types, agents.population"


def test_rules_need_neither_mesa_nor_simpy_nor_torch() -> None:
    code = f"import sys, {RULES}; print(sorted({{'mesa', 'simpy', 'torch'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
