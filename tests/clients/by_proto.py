"""A client that is generated from downloaded .proto files.

Usage: by_proto.py HOST:PORT FOLDER CALLS.json

FOLDER has the files; code is generated into it. CALLS and what is printed are those of by_reflection.py, without the first line.
"""

import importlib
import json
import pathlib
import sys

import grpc
import grpc_tools
from grpc_tools import protoc

from calls import ask


def main(address, folder, calls):
    files = [str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob("*.proto")]
    include = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{folder}", f"-I{include}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(arguments + files) != 0:
        sys.exit("protoc refuses the files")
    sys.path.insert(0, folder)
    modules = [path[: -len(".proto")].replace("/", ".") + "_pb2" for path in files]
    messages = [importlib.import_module(module) for module in modules]
    stubs = [importlib.import_module(module + "_grpc") for module in modules]
    channel = grpc.insecure_channel(address)
    for call in calls:
        service, name = call["method"].split("/")
        package, _, plain = service.rpartition(".")
        module, stub = next(
            (module, stub)
            for module, stub in zip(messages, stubs)
            if module.DESCRIPTOR.package == package and plain in module.DESCRIPTOR.services_by_name
        )
        method = module.DESCRIPTOR.services_by_name[plain].methods_by_name[name]
        request_class = getattr(module, method.input_type.name)
        invoke = getattr(getattr(stub, plain + "Stub")(channel), name)
        print(json.dumps(ask(call, method, request_class, invoke)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(open(sys.argv[3], encoding="utf-8").read()))
