#!/usr/bin/env python3
"""Asks sobre-grpc where a pod would go, and follows decisions as they are made.

The messages come from proto/sobre/v1. On Debian 12, in a checkout of Sobre:

  apt install python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc
  protoc -I. --python_out=stubs --grpc_out=stubs --plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin \\
    proto/sobre/v1/decision.proto proto/sobre/v1/service.proto     # into a folder `stubs` that exists
  kubectl get pod web-0 -o json > pod.json
  PYTHONPATH=stubs examples/grpc_client.py localhost:8092 --ca ca.pem --certificate tls.crt --key tls.key score pod.json
"""
import argparse
import pathlib
import sys

import grpc
from proto.sobre.v1 import service_pb2, service_pb2_grpc


def connect(options: argparse.Namespace) -> grpc.Channel:
    if not options.ca:
        return grpc.insecure_channel(options.address)
    read = lambda name: pathlib.Path(name).read_bytes() if name else None
    credentials = grpc.ssl_channel_credentials(read(options.ca), read(options.key), read(options.certificate))
    if options.token_file:
        token = grpc.access_token_call_credentials(pathlib.Path(options.token_file).read_text().strip())
        credentials = grpc.composite_channel_credentials(credentials, token)
    return grpc.secure_channel(options.address, credentials)


def score(sobre: service_pb2_grpc.SobreStub, options: argparse.Namespace) -> None:
    request = service_pb2.ScoreRequest(pod_json=pathlib.Path(options.pod).read_text(), most_candidates=options.most)
    decision = sobre.Score(request, timeout=options.seconds)
    print(decision.reason)
    for candidate in decision.candidates:
        placement = candidate.placement
        grams = f"{placement.gco2e_per_unit.mid:.3g}" if placement.HasField("gco2e_per_unit") else "?"
        euros = f"{placement.eur_per_unit:.3g}" if placement.HasField("eur_per_unit") else "?"
        print(f"{candidate.score:3}  {candidate.node}  {grams} gCO2e and {euros} EUR per {decision.unit}  {candidate.refused}".rstrip())


def watch(sobre: service_pb2_grpc.SobreStub, options: argparse.Namespace) -> None:
    request = service_pb2.WatchDecisionsRequest(namespace=options.namespace, with_recent=True)
    # A stream without an end has no deadline.
    for event in sobre.WatchDecisions(request):
        if event.HasField("decision"):
            d = event.decision
            print(f"{d.time}  {d.namespace}/{d.pod}  {d.verb}  {d.best or 'nowhere'}  {d.reason}", flush=True)
        elif event.HasField("skipped"):
            print(f"({event.skipped} decisions were not told)", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="asks sobre-grpc where a pod would go, and follows decisions")
    parser.add_argument("address", help="HOST:PORT")
    parser.add_argument("--ca", help="PEM file of the authority of its certificate; without it, no TLS")
    parser.add_argument("--certificate", help="PEM file of one's own certificate, where it asks for one")
    parser.add_argument("--key", help="PEM file of its key")
    parser.add_argument("--token-file", help="file with one's token of the API server, where it asks for one (`kubectl create token`)")
    parser.add_argument("--seconds", type=float, default=5, help="how long an answer may take (5)")
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("score", help="where a pod would go")
    one.add_argument("pod", help="what `kubectl get pod NAME -o json` prints")
    one.add_argument("--most", type=int, default=10, help="so many nodes, the best first (10)")
    one.set_defaults(do=score)
    follow = commands.add_parser("watch", help="decisions, as they are made")
    follow.add_argument("--namespace", default="", help="of this namespace alone")
    follow.set_defaults(do=watch)
    options = parser.parse_args()
    try:
        with connect(options) as channel:
            options.do(service_pb2_grpc.SobreStub(channel), options)
    except grpc.RpcError as error:
        print(f"grpc_client: {error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
