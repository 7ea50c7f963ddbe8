"""A stock gRPC client that knows nothing but reflection.

Usage: by_reflection.py HOST:PORT CALLS.json

CALLS is a list of {"method": "pkg.Service/Method", "requests": [{...}, ...]}. Each is called, and a line of JSON for it says
what came back: {"method", "responses": [...]} or, with what came before it, {"method", "responses", "code", "message"}. The
first line lists what there is: {"services": {"pkg.Service": ["Method", ...]}}.
"""

import json
import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


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
        print(json.dumps(ask(channel, pool, call)))


def ask(channel, pool, call):
    service, name = call["method"].split("/")
    method = pool.FindServiceByName(service).FindMethodByName(name)
    request_class = message_factory.GetMessageClass(method.input_type)
    response_class = message_factory.GetMessageClass(method.output_type)
    requests = [json_format.ParseDict(json_of, request_class()) for json_of in call["requests"]]
    streams = ("stream" if method.client_streaming else "unary", "stream" if method.server_streaming else "unary")
    invoke = getattr(channel, "_".join(streams))(
        f"/{call['method']}",
        request_serializer=request_class.SerializeToString,
        response_deserializer=response_class.FromString,
    )
    answer = {"method": call["method"], "responses": []}
    metadata = [tuple(pair) for pair in call.get("metadata", [])]
    try:
        sent = iter(requests) if method.client_streaming else requests[0]
        got = invoke(sent, timeout=call.get("timeout", 10), metadata=metadata)
        for response in got if method.server_streaming else [got]:
            answer["responses"].append(json_format.MessageToDict(response))
            if len(answer["responses"]) == call.get("take"):
                got.cancel()
                break
    except grpc.RpcError as error:
        answer["code"] = error.code().name
        answer["message"] = error.details()
    return answer


if __name__ == "__main__":
    main(sys.argv[1], json.loads(open(sys.argv[2], encoding="utf-8").read()))
