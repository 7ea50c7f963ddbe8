"""A stock gRPC client that knows nothing but reflection.

Usage: by_reflection.py HOST:PORT CALLS.json

CALLS is a list of {"method": "pkg.Service/Method", "requests": [{...}, ...]}. Each is called, and a line of JSON for it says
what came back: {"method", "responses": [...]} or, with what came before it, {"method", "responses", "code", "message"}. The
first line lists what there is: {"services": {"pkg.Service": ["Method", ...]}}.
"""

import json
import sys

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from calls import ask


def main(address, calls):
    channel = grpc.insecure_channel(address)
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    services = {}
    for name in database.get_services():
        service = pool.FindServiceByName(name)
        services[name] = [method.name for method in service.methods]
    print(json.dumps({"services": services}))
    for call in calls:
        print(json.dumps(invoke_by_reflection(channel, pool, call)))


def invoke_by_reflection(channel, pool, call):
    service, name = call["method"].split("/")
    method = pool.FindServiceByName(service).FindMethodByName(name)
    request_class = message_factory.GetMessageClass(method.input_type)
    response_class = message_factory.GetMessageClass(method.output_type)
    streams = ("stream" if method.client_streaming else "unary", "stream" if method.server_streaming else "unary")
    invoke = getattr(channel, "_".join(streams))(
        f"/{call['method']}",
        request_serializer=request_class.SerializeToString,
        response_deserializer=response_class.FromString,
    )
    return ask(call, method, request_class, invoke)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(open(sys.argv[2], encoding="utf-8").read()))
