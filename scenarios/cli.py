"""The command ``datagora``. Every command imports what it needs when it runs, so that help and completion are quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from scenarios.commands import results, runs, studies, systems, tournaments, trials
from scenarios.errors import BadInput

BAD_INPUT = 2

app = typer.Typer(
    name="datagora",
    help="Play markets for federated learning: strategic data owners, real training.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"datagora {version('datagora')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


auction = typer.Typer(help="Neural auctions of privacy budget.", no_args_is_help=True, rich_markup_mode=None)
auction.command("train")(systems.train_auction)

# In the order in which help shows them.
for command in (
    runs.run,
    runs.resume,
    runs.branch,
    studies.batch,
    tournaments.tournament,
    tournaments.fingerprint,
    tournaments.anarchy,
    systems.solve,
    systems.check,
    systems.calibrate,
    trials.detectors,
    systems.reproduce,
    trials.soak,
    results.app,
    results.list_,
    results.report,
    results.analyse,
):
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(auction, name="auction")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 2 after one line about a bad input, 130 when interrupted."""
    try:
        code = app(arguments, prog_name="datagora", standalone_mode=False)
    except typer.TyperException as usage:
        line = usage.format_message().replace("Value error, ", "")  # pydantic's words, not ours
    except BadInput as problem:
        line = str(problem)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left, as `head` does
        return 1
    except OSError as problem:
        line = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem)
    except (MemoryError, RuntimeError) as problem:
        line = _out_of_memory(problem)
    else:
        return code if isinstance(code, int) else 0
    sys.stderr.write(f"{' '.join(line.split())}\n")
    return BAD_INPUT


def _out_of_memory(problem: MemoryError | RuntimeError) -> str:
    """The line about an error that says that memory ran out; any other error is raised again."""
    from learning.memory import is_out_of_memory

    if not is_out_of_memory(problem):
        raise problem
    said = str(problem).partition("\n")[0]
    return said if said.startswith("out of memory") else f"out of memory: {said}".rstrip(": ")


if __name__ == "__main__":
    sys.exit(main())
