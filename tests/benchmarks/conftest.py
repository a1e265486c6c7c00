import sys
from pathlib import Path

# ``python -m pytest`` has the root on its path, plain ``pytest`` does not; the benchmarks are no installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))
