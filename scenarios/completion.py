"""What the shell may complete: names of ready-made things and files beside the user."""

from __future__ import annotations

from pathlib import Path


def scenario_names(incomplete: str) -> list[tuple[str, str]]:
    """Ready-made scenarios and YAML files, for the shell's completion."""
    from scenarios.loading import library

    here = Path(incomplete).parent
    files = [(str(path), "file") for suffix in ("yaml", "yml") for path in sorted(here.glob(f"*.{suffix}"))]
    ready_made = [(name, title) for name, (title, _) in library().items()]
    return [(name, title) for name, title in ready_made + files if name.startswith(incomplete)]


def study_names(incomplete: str) -> list[tuple[str, str]]:
    """Ready-made studies, for the shell's completion."""
    from scenarios.studies.ready_made import library

    return [(name, title) for name, (title, _) in library().items() if name.startswith(incomplete)]


def played_mechanisms(incomplete: str) -> list[str]:
    """Mechanisms with a ready-made small market, for the shell's completion."""
    from scenarios.tournament.worlds import arenas

    return [name for name in arenas() if name.startswith(incomplete)]


def mechanism_names(incomplete: str) -> list[str]:
    """Systems with static instances, for the shell's completion."""
    from scenarios.instances import instance_names

    return [name for name in instance_names() if name.startswith(incomplete)]


def network_names(incomplete: str) -> list[str]:
    """Neural auctions that can be trained, for the shell's completion."""
    from scenarios.auctioning import network_names

    return [name for name in network_names() if name.startswith(incomplete)]


def system_names(incomplete: str) -> list[str]:
    """Systems whose experiments can be reproduced, for the shell's completion."""
    from scenarios.reproduce import system_names

    return [name for name in system_names() if name.startswith(incomplete)]
