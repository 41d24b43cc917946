"""What tests of several kinds share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from emulators.odre.server import serve

#: Serves a source (``emulators.odre.source.Source``; ``behaviour=`` as for ``serve``) until the test ends.
ServeSource = Callable[..., str]


@pytest.fixture
def standin() -> Iterator[ServeSource]:
    """Serve a source from the test's own process: ``base_url = standin(MemorySource([...]))``.

    Its tables can be changed while it is served (``source.publish``, ``source.withdraw``); ``behaviour=`` sees every
    request and can change every answer.
    """
    with ExitStack() as servers:
        yield lambda source, **options: servers.enter_context(serve(source, **options))
