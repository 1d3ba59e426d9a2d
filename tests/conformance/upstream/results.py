#!/usr/bin/env python3
"""What ginkgo's reports say of upstream's conformance specs, as lines "passed|failed<TAB>spec<TAB>reason", and whether the table is true of them.

usage: results.py TABLE RESULTS REPORT...   (a spec that is in two reports counts as the last one says)
"""
import json
import os
import sys


def name_of(spec):
    return " ".join([*(t for t in spec["ContainerHierarchyTexts"] or [] if t), spec["LeafNodeText"]])


def results_of(reports):
    found = {}
    for path in reports:
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as f:
            for spec in (s for suite in json.load(f) for s in suite["SpecReports"] or []):
                if spec["LeafNodeType"] != "It" or spec["State"] in ("skipped", "pending"):
                    continue
                lines = ((spec.get("Failure") or {}).get("Message") or "").strip().split("\n")
                state = "passed" if spec["State"] == "passed" else "failed"
                found[name_of(spec)] = (state, "" if state == "passed" else " ".join(lines[:3])[:200].replace("\t", " "))
    return found


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        table = {row[1]: row[0] for row in (line.rstrip("\n").split("\t") for line in f)}
    found = results_of(sys.argv[3:])
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        for name, (state, why) in sorted(found.items()):
            f.write(f"{state}\t{name}\t{why}\n" if why else f"{state}\t{name}\n")
    wrong = [n for n, (state, _) in found.items() if state == "failed" and table.get(n) == "passed"]
    better = [n for n, (state, _) in found.items() if state == "passed" and table.get(n) != "passed"]
    for name in sorted(wrong):
        print(f"FAILED: {name}: the table says passed: {found[name][1]}")
    for name in sorted(better):
        print(f"now passes: {name}")
    print(f"{sum(state == 'passed' for state, _ in found.values())} of {len(found)} specs pass")
    return 1 if wrong or not found else 0


sys.exit(main())
