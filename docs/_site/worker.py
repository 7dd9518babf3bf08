"""One page in one process: a request on standard input, a line of JSON for each block on standard output."""

import json
import os
import sys

from docs._site import pages, sessions


def main():
    request = json.load(sys.stdin)
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what blocks write past sys.stdout must not mix with the report
    page = pages.parse(request["text"], request["path"])
    running = sessions.Sessions(page, request["filename"])
    for number, block in enumerate(page.to_run):
        print(json.dumps({"begins": number}), file=report, flush=True)
        print(json.dumps({"result": running.result(block).to_json()}), file=report, flush=True)


if __name__ == "__main__":
    main()
