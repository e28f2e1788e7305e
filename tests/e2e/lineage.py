"""A receiver of OpenLineage events, and a check of what it received.

Usage: lineage.py serve FOLDER    answers POST requests; FOLDER/answer holds the status, FOLDER/port gets the port
       lineage.py check FOLDER    compares each event with the classes that OpenLineage generates from its JSON schema

The receiver appends what it accepts to FOLDER/events, one object a line: path, authorization, event.
"""

import importlib
import json
import os
import pkgutil
import sys
import uuid
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attr
from openlineage.client import generated
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState


def serve(folder):
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            with open(f"{folder}/answer") as answer:
                status = int(answer.read())
            if status < 300:
                assert self.headers["content-type"] == "application/json"
                kept = {"path": self.path, "authorization": self.headers["authorization"], "event": json.loads(body)}
                with open(f"{folder}/events", "a") as events:
                    events.write(json.dumps(kept) + "\n")
            else:
                with open(f"{folder}/refused", "a") as refused:
                    refused.write("x\n")
            said = b"{}" if status < 300 else b"not now"
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    with open(f"{folder}/port.new", "w") as port:
        port.write(str(server.server_address[1]))
    os.rename(f"{folder}/port.new", f"{folder}/port")
    server.serve_forever()


def facets():
    """The classes of all facets, by the address of their schema."""
    found = {}
    for module in pkgutil.iter_modules(generated.__path__):
        module = importlib.import_module(f"{generated.__name__}.{module.name}")
        for item in vars(module).values():
            if attr.has(item) and hasattr(item, "_get_schema"):
                found[item._get_schema()] = item
    return found


FACETS = facets()

# The schema of each facet says by which name it goes.
NAMES = {
    "errorMessage": "ErrorMessageRunFacet",
    "inputStatistics": "InputStatisticsInputDatasetFacet",
    "jobType": "JobTypeJobFacet",
    "outputStatistics": "OutputStatisticsOutputDatasetFacet",
    "processing_engine": "ProcessingEngineRunFacet",
    "schema": "SchemaDatasetFacet",
    "version": "DatasetVersionDatasetFacet",
}


def instance(kind, facts):
    """Makes an object of a generated class: unknown names, missing ones and wrong values are errors."""
    names = {field.name.removeprefix("_") for field in attr.fields(kind) if field.init}
    unknown = set(facts) - names
    assert not unknown, f"{kind.__name__} has no {unknown}"
    return kind(**facts)


def check_facets(of, facts):
    for name, facet in facts.items():
        kind = FACETS[facet["_schemaURL"]]
        assert facet["_producer"], name
        assert kind.__name__ == NAMES[name], f"{name} of {of} is a {kind.__name__}"
        facts = {key: value for key, value in facet.items() if not key.startswith("_")}
        made = instance(kind, facts)
        for field in attr.fields(kind):
            value = getattr(made, field.name)
            if value is not None and str(field.type).split(" ")[0] in ("int", "str"):
                assert type(value).__name__ == str(field.type).split(" ")[0], f"{name}.{field.name} is {value!r}"


def check(folder):
    count = 0
    for line in open(f"{folder}/events"):
        event = json.loads(line)["event"]
        assert event["schemaURL"] == RunEvent._get_schema(), event["schemaURL"]
        facts = {**event, "eventType": RunState(event["eventType"])}
        del facts["schemaURL"]
        instance(RunEvent, facts)
        assert datetime.fromisoformat(event["eventTime"].replace("Z", "+00:00")).tzinfo
        uuid.UUID(event["run"]["runId"])
        for kind, things in [
            (Run, [event["run"]]),
            (Job, [event["job"]]),
            (InputDataset, event["inputs"]),
            (OutputDataset, event["outputs"]),
        ]:
            for thing in things:
                instance(kind, thing)
                for key in ("facets", "inputFacets", "outputFacets"):
                    check_facets(kind.__name__, thing.get(key, {}))
        count += 1
    print(f"ok: {count}")


{"serve": serve, "check": check}[sys.argv[1]](sys.argv[2])
