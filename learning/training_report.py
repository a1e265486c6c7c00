"""How training ran, for the log and never for results: device, type, threads, back-end, chunk, clients per second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TrainingReport:
    """Sums over all cohorts that were trained with this report, and the setting of the last one.

    Attributes:
        device: name of the device, as ``cpu (AMD EPYC)``.
        dtype: type of the weights, as ``float32``.
        threads: CPU threads that one operation may use.
        backend: the back-end that trained.
        chunk: owners trained together, after any halving.
        clients: owners trained.
        steps: SGD steps, all owners together.
        seconds: wall time of training, drawing of batches and privacy included.
        halvings: how often the device had too little memory and the chunk was halved.
    """

    device: str = ""
    dtype: str = ""
    threads: int = 0
    backend: str = ""
    chunk: int = 0
    clients: int = 0
    steps: int = 0
    seconds: float = 0.0
    halvings: int = 0

    @property
    def clients_per_second(self) -> float:
        """Owners trained per second of training; 0 before anything was trained."""
        return self.clients / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        """One line for the log."""
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        memory = f", chunk halved {self.halvings} times for want of memory" if self.halvings else ""
        return (
            f"{self.device}, {self.dtype}, {threads}: back-end {self.backend}, {self.chunk} owners at once, "
            f"{self.clients_per_second:,.0f} clients/s ({self.clients:,} clients, {self.steps:,} steps){memory}"
        )
