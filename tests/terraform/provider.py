"""A stand-in for Terraform's Google provider where its registry cannot be reached.

It knows the attributes and blocks of the resources that ``terraform/`` uses, as version 6.50.0 of the provider declares
them (``google-6.50.0.json``): enough for ``terraform validate`` and, with a mock of the provider, for ``terraform
test``. What the real provider checks beyond that, such as the form of a value, it does not.

For another version: ``terraform providers schema -json | python -m tests.terraform.provider > google-<version>.json``,
in a folder that was initialised with that version of the real provider.

It speaks the plugin protocol 6 in the few messages that are needed, whose fields are numbered as Terraform's
``tfplugin6.proto`` numbers them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc

VERSION: Final = "6.50.0"
SCHEMA: Final = Path(__file__).with_name(f"google-{VERSION}.json")
ADDRESS: Final = "registry.terraform.io/hashicorp/google"
SERVICE: Final = "tfplugin6.Provider"

NESTING: Final = {"list": 2, "set": 3}


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value) if value else b""


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _attribute(name: str, kind: str, mode: str) -> bytes:
    outer, _, inner = kind.rstrip(")").partition("(")
    given = json.dumps([outer, inner] if inner else outer)
    computed = mode == "computed" or name == "id"
    return (
        _bytes(1, name)
        + _bytes(2, given)
        + _number(4, mode == "required")
        + _number(5, mode == "optional")
        + _number(6, computed)
    )


def _block(block: dict[str, Any]) -> bytes:
    encoded = b"".join(_bytes(2, _attribute(name, *given)) for name, given in block["attributes"].items())
    for name, inner in block["blocks"].items():
        nested = _bytes(1, name) + _bytes(2, _block(inner)) + _number(3, NESTING[inner["nesting"]])
        encoded += _bytes(3, nested + _number(4, inner["min"]) + _number(5, inner["max"]))
    return encoded


def _schemas(field: int, blocks: dict[str, dict[str, Any]]) -> bytes:
    return b"".join(_bytes(field, _bytes(1, name) + _bytes(2, _schema(block))) for name, block in blocks.items())


def _schema(block: dict[str, Any]) -> bytes:
    return _bytes(2, _block(block))


def _answer() -> bytes:
    declared = json.loads(SCHEMA.read_text())
    provider = _bytes(1, _schema(declared["provider"]))
    return provider + _schemas(2, declared["resources"]) + _schemas(3, declared["data"])


def _handler() -> grpc.GenericRpcHandler:
    """The schema for whoever asks; nothing to object to for whoever asks for a check."""
    checks = ("ValidateProviderConfig", "ValidateResourceConfig", "ValidateDataResourceConfig", "StopProvider")
    answers = {"GetProviderSchema": _answer(), **dict.fromkeys(checks, b"")}

    def method(answer: bytes) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)

    return grpc.method_handlers_generic_handler(SERVICE, {name: method(answer) for name, answer in answers.items()})


def reduced(printed: dict[str, Any], resources: Iterable[str], data: Iterable[str]) -> dict[str, Any]:
    """The part of what ``terraform providers schema -json`` prints that the file holds."""
    google = printed["provider_schemas"][ADDRESS]

    def part(block: dict[str, Any]) -> dict[str, Any]:
        return {
            "attributes": {
                name: [_kind(given["type"]), _mode(given)] for name, given in block.get("attributes", {}).items()
            },
            "blocks": {
                name: {
                    **part(given["block"]),
                    "nesting": given["nesting_mode"],
                    "min": given.get("min_items", 0),
                    "max": given.get("max_items", 0),
                }
                for name, given in block.get("block_types", {}).items()
                if name != "timeouts"
            },
        }

    return {
        "provider": part(google["provider"]["block"]),
        "resources": {name: part(google["resource_schemas"][name]["block"]) for name in resources},
        "data": {name: part(google["data_source_schemas"][name]["block"]) for name in data},
    }


def _kind(given: Any) -> str:
    """A type as the file has it; of a collection of objects only that it is one."""
    return given if isinstance(given, str) else f"{given[0]}({given[1] if isinstance(given[1], str) else 'dynamic'})"


def _mode(given: dict[str, Any]) -> str:
    return "required" if given.get("required") else "optional" if given.get("optional") else "computed"


@contextmanager
def serve() -> Iterator[dict[str, str]]:
    """Serve the stand-in on 127.0.0.1; yields the variables that lead Terraform to it."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[_handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    reattach = {
        ADDRESS: {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
        }
    }
    try:
        yield {"TF_REATTACH_PROVIDERS": json.dumps(reattach)}
    finally:
        server.stop(None)


def main() -> None:
    """Print the file that a schema on standard input gives, for the resources of the present file."""
    present = json.loads(SCHEMA.read_text())
    print(json.dumps(reduced(json.load(sys.stdin), present["resources"], present["data"]), indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
