"""``python -m emulators.odre``: serve generated data, or a folder of files, as ODRÉ would."""

from __future__ import annotations

import argparse
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from emulators.files import write_whole
from emulators.odre.faults import ScriptFile
from emulators.odre.folder import FolderSource
from emulators.odre.generate import Effect, generate
from emulators.odre.server import StandIn, honest
from emulators.odre.source import MemorySource, Source, UnreadableFile


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators.odre", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0 takes a free one")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--generated", action="store_true", help="serve generated sample data")
    what.add_argument("--data", type=Path, metavar="FOLDER", help="serve the files of a folder")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="keeps over a restart: with --data its marks, with --generated its present",
    )
    parser.add_argument("--anchor", type=_instant, help="with --generated: its present, ISO 8601 (default: now)")
    parser.add_argument("--years", type=int, default=3, help="with --generated: whole years of history (default 3)")
    parser.add_argument("--seed", type=int, default=0, help="with --generated: another seed gives other figures")
    parser.add_argument("--revision", type=int, default=0, help="with --generated: how often it was restated since")
    parser.add_argument("--rows", type=int, help="with --generated: length of the real-time table, for measuring")
    parser.add_argument(
        "--effect",
        type=Effect.parse,
        action="append",
        default=[],
        metavar="COLUMN:FIGURE=VALUE,…",
        help="with --generated: a production that follows a known rule, such as nucleaire:slope=-300,lag_days=30; "
        "also seasonal, level and noise, in MW; may be repeated",
    )
    parser.add_argument("--faults", type=Path, metavar="FILE", help="misbehave by a script (emulators/odre/faults.py)")
    return parser.parse_args(arguments)


def _kept_present(file: Path | None) -> datetime:
    """The present of generated data: the quarter of an hour of the first start, where a file keeps it.

    Raises:
        UnreadableFile: the file holds no instant.
    """
    if file and file.is_file():
        try:
            return _instant(file.read_text())
        except ValueError as error:
            message = f"{file} does not hold the present of generated data ({error}): remove it for a new one"
            raise UnreadableFile(message) from error
    now = datetime.now(UTC)
    present = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    if file:
        write_whole(file, present.isoformat())
    return present


def _source(options: argparse.Namespace) -> Source:
    if options.data is None:
        anchor = options.anchor or _kept_present(options.state)
        return MemorySource(
            generate(
                anchor,
                years=options.years,
                seed=options.seed,
                revision=options.revision,
                rows=options.rows,
                effects=options.effect,
            )
        )
    source = FolderSource(options.data, options.state)
    if not source.identifiers():
        raise UnreadableFile(f"{options.data} has no file whose name begins with the identifier of a dataset")
    return source


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; 1, with one line, where the source cannot be served."""
    options = _arguments(arguments)
    try:
        source = _source(options)
        datasets = [source.dataset(identifier, refresh=True) for identifier in source.identifiers()]
        behaviour = ScriptFile(source, options.faults) if options.faults else honest
        server = StandIn(source, options.host, options.port, behaviour)
    except (UnreadableFile, ValueError) as error:
        print(f"ODRÉ stand-in: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"ODRÉ stand-in: cannot serve on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    rows = ", ".join(f"{dataset.identifier} ({dataset.table.num_rows:,} rows)" for dataset in datasets if dataset)
    print(f"ODRÉ stand-in on {server.base_url}: {options.data or 'generated data'}: {rows}", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Named, because a process that a shell starts in the background inherits a SIGINT that is ignored.
        signal.signal(number, signal.default_int_handler)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
