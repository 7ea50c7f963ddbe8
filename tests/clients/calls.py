"""What the two clients of gRPC have in common: a call, and how what came of it is told."""

import grpc
from google.protobuf import json_format


def ask(call, method, request_class, invoke):
    """Makes a call of `method` with `invoke`: its responses as JSON and, where it failed, its code and message."""
    requests = [json_format.ParseDict(json_of, request_class()) for json_of in call["requests"]]
    answer = {"method": call["method"], "responses": []}
    try:
        sent = iter(requests) if method.client_streaming else requests[0]
        got = invoke(sent, timeout=10)
        for response in got if method.server_streaming else [got]:
            answer["responses"].append(json_format.MessageToDict(response))
            if len(answer["responses"]) == call.get("take"):
                got.cancel()
                break
    except grpc.RpcError as error:
        answer["code"] = error.code().name
        answer["message"] = error.details()
    return answer
