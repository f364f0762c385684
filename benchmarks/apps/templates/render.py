"""Renders the page again and again with one engine: `ENGINE JOB LOOP SECONDS`."""

import json
import sys
import time

import page

BATCH = 20


def main() -> None:
    engine, _, _, limit = sys.argv[1:]
    render = page.renderer(engine)
    if page.normal(render()) != page.normal(page.expected()):
        raise SystemExit(f"ValueError: {engine} renders something else")
    for _ in range(BATCH):
        render()
    count, cpu, start = 0, time.process_time(), time.perf_counter()
    while (seconds := time.perf_counter() - start) < float(limit):
        for _ in range(BATCH):
            render()
        count += BATCH
    print(json.dumps({"count": count, "seconds": seconds, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
