#!/usr/bin/env python3
"""The same steps on this server's controllers and on those of upstream; every object, status and event is compared after each step.

usage: compare.py --oracle KUBECONFIG --ours KUBECONFIG [--only WORD]... [--jobs N] [--random N --seed S] [--metrics ADDRESS] [--managers] [--all]

Without --oracle it says so and succeeds: upstream's binaries are not part of this tree. Both servers need their controllers and no
scheduler and no node: the scenarios play those themselves.
"""
import argparse
import concurrent.futures
import importlib
import json
import os
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import ApiError, Cache, Client  # noqa: E402
from fakemetrics import Metrics  # noqa: E402
from side import Side, stamp  # noqa: E402

MODULES = ('deployments', 'replicasets', 'statefulsets', 'daemonsets', 'jobs', 'cronjobs', 'garbage', 'endpoints', 'cluster', 'budgets', 'volumes', 'wider', 'autoscaling', 'randomly')

# These make their own nodes.
WITH_NODES = ('scenarios.daemonsets', 'scenarios.cluster')


def scenarios(words, n, seed, metrics):
    found = []
    for module in MODULES:
        if module == 'autoscaling' and not metrics:
            continue
        try:
            m = importlib.import_module('scenarios.' + module)
        except ModuleNotFoundError:
            continue
        found += m.made(n, seed) if module == 'randomly' else [(f.__name__, f) for f in m.SCENARIOS]
    return [(k, f) for k, f in found if not words or any(w in k or w == f.__module__.split('.')[-1] for w in words)]


# --- differences ---

def flat(v, path=''):
    if isinstance(v, dict) and v:
        for k in v:
            yield from flat(v[k], path + '.' + k)
    elif isinstance(v, list) and v:
        for i, x in enumerate(v):
            tag = x.get('type') or x.get('name') if isinstance(x, dict) else None
            yield from flat(x, '%s[%s]' % (path, tag if isinstance(tag, str) else i))
    else:
        yield path, json.dumps(v)


def likeness(a, b):
    x, y = set(flat(a)), set(flat(b))
    return len(x & y) - len(x ^ y)


def unmatched(a, b):
    """What only a has, what only b has: as multisets."""
    b = list(b)
    left = []
    for x in a:
        if x in b:
            b.remove(x)
        else:
            left.append(x)
    return left, b


def title(o):
    if 'reason' in o and 'component' in o:
        return 'event'
    return o.get('metadata', {}).get('name', '?') if isinstance(o, dict) else '?'


def differences(resource, theirs, ours):
    theirs, ours = unmatched(theirs, ours)
    if resource == 'events':
        for tag, items in (('-', theirs), ('+', ours)):
            for e in items:
                yield '%s event %s' % (tag, short_event(e))
        return
    while theirs and ours:
        x, y = max(((x, y) for x in theirs for y in ours), key=lambda p: likeness(*p))
        theirs.remove(x)
        ours.remove(y)
        fx, fy = dict(flat(x)), dict(flat(y))
        for k in sorted(set(fx) | set(fy)):
            if fx.get(k) != fy.get(k):
                yield '%s %s%s: upstream %s, ours %s' % (resource, title(x), k, fx.get(k), fy.get(k))
    for x in theirs:
        yield '- %s %s: only upstream has it: %s' % (resource, title(x), json.dumps(x, sort_keys=True)[:700])
    for y in ours:
        yield '+ %s %s: only we have it: %s' % (resource, title(y), json.dumps(y, sort_keys=True)[:700])


def short_event(e):
    about = e['about']
    more = ' '.join('%s=%s' % (k, e[k]) for k in sorted(e) if k not in ('about', 'reason', 'message', 'type', 'component') and e[k])
    return '%s %s %s of %s/%s %s: %s {%s}' % (e.get('type'), e.get('reason'), e.get('component'), about['kind'], about['name'], about['fieldPath'],
                                              e.get('message'), more)


# --- running ---

class Pair:
    def __init__(self, args):
        self.args, self.run_id = args, '%x' % (int(time.time()) & 0xfffff)
        self.sides = []
        for name, path in (('upstream', args.oracle), ('ours', args.ours)):
            client = Client(path)
            cache = Cache(client)
            self.sides.append((name, client, cache, Metrics(args.metrics, client, cache) if args.metrics else None))
            threading.Thread(target=self.heartbeats, args=(client, cache), daemon=True).start()

    @staticmethod
    def heartbeats(client, cache):
        """Nodes whose label "silent" is not set are alive."""
        while True:
            for n in cache.list('nodes'):
                m = n['metadata']
                if 'silent' in m.get('labels', {}):
                    continue
                spec = {'holderIdentity': m['name'], 'leaseDurationSeconds': 40, 'renewTime': stamp().replace('Z', '.000000Z')}
                path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
                lease = {'apiVersion': 'coordination.k8s.io/v1', 'kind': 'Lease', 'metadata': {'name': m['name'], 'namespace': 'kube-node-lease'}, 'spec': spec}
                try:
                    r = client.call('PATCH', path + '/' + m['name'], {'spec': spec}, 'application/merge-patch+json', ok=(404,))
                    if r.get('code') == 404:
                        client.call('POST', path, lease, ok=(409, 404))
                except (ApiError, OSError):
                    pass
            time.sleep(8)

    def one(self, name, f, which):
        label, client, cache, metrics = self.sides[which]
        s = Side(label, client, cache, 'fid-%s-%s' % (name.replace('_', '-'), self.run_id), self.args.quiet, self.args.patience)
        s.metrics = metrics
        try:
            s.create({'kind': 'Namespace', 'metadata': {'name': s.ns}})
            s.until(lambda s: s.get('serviceaccounts', 'default'))
            if f.__module__ not in WITH_NODES:
                s.nodes(3)
            f(s)
        except Exception:
            s.steps.append(('(broke off)', {'said': [traceback.format_exc()]}))
        if not self.args.keep:
            self.clean(s, client)
        return s.steps

    def clean(self, s, client):
        for node in [o['metadata']['name'] for o in s.cache.list('nodes')]:
            if node.startswith(s.ns):
                client.call('DELETE', '/api/v1/nodes/' + node, ok=(404,))
        client.call('DELETE', '/api/v1/namespaces/' + s.ns, ok=(404, 409))
        for pod in s.pods():
            s.gone(pod)

    def run(self, name, f, pool):
        theirs, ours = [x.result() for x in [pool.submit(self.one, name, f, i) for i in (0, 1)]]
        lines, known = [], set()
        for i in range(max(len(theirs), len(ours))):
            a, b = (x[i] if i < len(x) else ('(nothing)', {}) for x in (theirs, ours))
            head = '  step %d: %s%s' % (i + 1, a[0], '' if a[0] == b[0] else ' / ours: ' + b[0])
            found = [] if a[0] == b[0] else [head]
            for resource in sorted(set(a[1]) | set(b[1])):
                if resource == 'said':
                    if a[1].get('said') != b[1].get('said'):
                        found.append('    said: upstream %s, ours %s' % (a[1].get('said'), b[1].get('said')))
                    continue
                x, y = (self.less(resource, s[1].get(resource, [])) for s in (a, b))
                # What has been said of an earlier step is not said again.
                found += ['    ' + d for d in differences(resource, x, y) if self.args.all or (resource, d) not in known]
                known.update((resource, d) for d in differences(resource, x, y))
            if found:
                lines += ([head] if found[0] != head else []) + found
        return name, len(theirs), lines

    def less(self, resource, items):
        if self.args.managers:
            return items
        for o in items:
            if isinstance(o, dict):
                o.get('metadata', {}).pop('managers', None)
        return items


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--oracle')
    p.add_argument('--ours')
    p.add_argument('--only', action='append', default=[])
    p.add_argument('--jobs', type=int, default=6)
    p.add_argument('--random', type=int, default=0)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--quiet', type=float, default=1.5)
    p.add_argument('--patience', type=float, default=1, help='waits are longer by this factor (a busy machine)')
    p.add_argument('--metrics', help='an address of this host that Endpoints may name (not 127.0.0.1): the metrics APIs are told there')
    p.add_argument('--managers', action='store_true')
    p.add_argument('--all', action='store_true')
    p.add_argument('--keep', action='store_true')
    args = p.parse_args()
    if not args.oracle or not args.ours:
        print('skipped: no --oracle KUBECONFIG of an upstream server and --ours KUBECONFIG of this one')
        return 0
    pair = Pair(args)
    todo = scenarios(args.only, args.random, args.seed, args.metrics)
    steps = bad = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs * 3) as inner, concurrent.futures.ThreadPoolExecutor(args.jobs) as outer:
        for f in concurrent.futures.as_completed([outer.submit(pair.run, name, f, inner) for name, f in todo]):
            name, n, lines = f.result()
            steps += n
            bad += bool(lines)
            print('%s %s (%d steps)' % ('DIFFERS' if lines else 'same   ', name, n))
            print('\n'.join(lines) + '\n' * bool(lines), end='', flush=True)
    print('%d scenarios, %d steps compared, %d differ' % (len(todo), steps, bad))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
