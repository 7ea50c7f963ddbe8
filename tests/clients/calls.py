"""What the two clients of gRPC have in common: a call, and how what came of it is told."""

import grpc
from google.protobuf import json_format


def ask(call, method, request_class, invoke):
    """Makes a call of `method` with `invoke`: its responses as JSON and, where it failed, its code and message. One that
    sends `metadata`, a list of pairs, has what came back as `initial` and `trailing`."""
    requests = [json_format.ParseDict(json_of, request_class()) for json_of in call["requests"]]
    answer = {"method": call["method"], "responses": []}
    sent = iter(requests) if method.client_streaming else requests[0]
    metadata = [(name, bytes_of(name, value)) for name, value in call.get("metadata", [])]
    got = (invoke if method.server_streaming else invoke.future)(sent, timeout=10, metadata=metadata)
    try:
        for response in got if method.server_streaming else [got.result()]:
            answer["responses"].append(json_format.MessageToDict(response))
            if len(answer["responses"]) == call.get("take"):
                got.cancel()
                break
    except grpc.RpcError as error:
        answer["code"] = error.code().name
        answer["message"] = error.details()
    if metadata:
        answer["initial"] = [[name, text_of(value)] for name, value in got.initial_metadata()]
        answer["trailing"] = [[name, text_of(value)] for name, value in got.trailing_metadata()]
    return answer


def bytes_of(name, value):
    """Binary metadata is hexadecimal in JSON."""
    return bytes.fromhex(value) if name.endswith("-bin") else value


def text_of(value):
    """The same, back."""
    return value.hex() if isinstance(value, bytes) else value
