#!/usr/bin/env python3
"""What upstream's kube-scheduler decides, and what ours does, pod by pod. See README.md.

usage: compare.py --oracle KUBECONFIG --log FILE --ours KUBECONFIG [--seed 1] [--worlds 5] [--nodes 8] [--pods 60] [--priorities] [--verbose]
"""
import argparse
import copy
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'controllers'))
from client import ApiError, Client, path_of  # noqa: E402
import generate  # noqa: E402

SCORE = re.compile(r'"Calculated node\'s final score for pod" pod="([^"]*)" node="([^"]*)" score=(-?\d+)')
PART = re.compile(r'"Plugin scored node for pod" pod="([^"]*)" plugin="([^"]*)" node="([^"]*)" score=(-?\d+)')


def plain(why):
    """A pod that others go for may have been looked at once more since."""
    return re.sub(r' [^.]*, preemption: not eligible due to a terminating pod on the nominated node\.', '', why)


class Log:
    """What kube-scheduler -v=10 says of scores."""

    def __init__(self, path):
        self.file = open(path, errors='replace')
        self.file.seek(0, 2)
        self.scores, self.parts, self.rest = {}, {}, ''

    def lines(self):
        *whole, self.rest = (self.rest + self.file.read()).split('\n')
        return whole

    def of(self, pod):
        for line in self.lines():
            m = SCORE.search(line)
            if m:
                self.scores.setdefault(m.group(1), {})[m.group(2)] = int(m.group(3))
            m = PART.search(line)
            if m:
                self.parts.setdefault(m.group(1), {}).setdefault(m.group(3), {})[m.group(2)] = int(m.group(4))
        return self.scores.get(pod, {}), self.parts.get(pod, {})


class Side:
    def __init__(self, kubeconfig):
        self.c = Client(kubeconfig)

    def create(self, resource, o, ns=None):
        return self.c.call('POST', path_of(resource, ns), copy.deepcopy(o))

    def patch(self, resource, ns, name, patch, sub=None):
        return self.c.call('PATCH', path_of(resource, ns, name, sub), patch, 'application/merge-patch+json')

    def delete(self, resource, ns, name, grace=0):
        self.c.call('DELETE', path_of(resource, ns, name), {'kind': 'DeleteOptions', 'apiVersion': 'v1', 'gracePeriodSeconds': grace}, ok=(404,))

    def node(self, o, status):
        self.create('nodes', o)
        name = o['metadata']['name']
        self.patch('nodes', None, name, {'status': status}, 'status')
        self.patch('nodes', None, name, {'spec': {'taints': o['spec'].get('taints')}})     # without that of a node that is not ready

    def decision(self, ns, name):
        """(node, None) or (None, why)."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            p = self.c.call('GET', path_of('pods', ns, name))
            if p['spec'].get('nodeName'):
                return p['spec']['nodeName'], None
            for c in p.get('status', {}).get('conditions', []):
                if c['type'] == 'PodScheduled' and c['status'] == 'False':
                    return None, c.get('message', '')
            time.sleep(.01)
        raise SystemExit('%s/%s: nothing is decided after a minute' % (ns, name))

    def victims(self, spaces):
        found = set()
        for ns in spaces:
            for p in self.c.call('GET', path_of('pods', ns))['items']:
                if any(c['type'] == 'DisruptionTarget' for c in p.get('status', {}).get('conditions', [])):
                    found.add((ns, p['metadata']['name']))
        return found

    def state(self, spaces):
        """What both must have in common, or what is compared says nothing."""
        found = {}
        for ns in spaces:
            for p in self.c.call('GET', path_of('pods', ns))['items']:
                m = p['metadata']
                found[ns, m['name']] = (p['spec'].get('nodeName'), 'deletionTimestamp' in m, m['labels'])
        return found

    def nominated(self, ns, name):
        return self.c.call('GET', path_of('pods', ns, name)).get('status', {}).get('nominatedNodeName', '')


class World:
    """One seed: nodes, namespaces, and pods one after the other."""

    def __init__(self, args, seed, oracle, ours, log):
        self.args, self.seed, self.oracle, self.ours, self.log = args, seed, oracle, ours, log
        self.r = random.Random(seed)
        self.prefix = 'w%d-%d-' % (seed, int(time.time()) % 100000)
        self.spaces = [self.prefix + x for x in 'abc']
        self.there, self.nodes = [], []
        self.count = dict.fromkeys(('pods', 'placed', 'pending', 'feasible_wrong', 'pending_wrong', 'message_wrong', 'same_node', 'top', 'scored', 'preempted', 'victims_wrong'), 0)

    def both(self, what, *args):
        for side in (self.oracle, self.ours):
            getattr(side, what)(*args)

    def begin(self):
        for i, ns in enumerate(self.spaces):
            self.both('create', 'namespaces', {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': ns, 'labels': {'team': ['red', 'blue', 'green'][i]}}})
        for i in range(self.args.nodes):
            o, status = generate.node(self.r, i, self.prefix)
            self.both('node', o, status)
            self.nodes.append(o['metadata']['name'])
        for ns in self.spaces[:2]:
            self.both('create', 'services', {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 'db'}, 'spec': {'selector': {'app': 'db'}, 'ports': [{'port': 80}]}}, ns)
        time.sleep(.5)

    def end(self):
        for ns, name in self.there:
            self.both('delete', 'pods', ns, name)
        for n in self.nodes:
            self.both('delete', 'nodes', None, n)
        for ns in self.spaces[:2]:
            self.both('delete', 'services', ns, 'db')

    def change(self):
        """Something that is there becomes another, goes, or is on its way."""
        k = self.r.random()
        if self.there and k < .1:
            ns, name = self.there[self.r.randrange(len(self.there))]
            self.both('patch', 'pods', ns, name, {'metadata': {'labels': generate.labels(self.r)}})
        elif self.there and k < .2:
            ns, name = self.there.pop(self.r.randrange(len(self.there)))
            self.both('delete', 'pods', ns, name)
        elif self.there and k < .26:
            ns, name = self.there[self.r.randrange(len(self.there))]
            self.both('delete', 'pods', ns, name, 3600)
        elif k < .32:
            self.both('patch', 'nodes', None, self.r.choice(self.nodes), {'metadata': {'labels': {generate.ZONE: self.r.choice(generate.ZONES + [None]), 'rack': self.r.choice(['r1', 'r2', None])}}})
        elif k < .36:
            self.both('patch', 'namespaces', None, self.r.choice(self.spaces), {'metadata': {'labels': {'team': self.r.choice(['red', 'blue'])}}})
        else:
            return
        time.sleep(.15)                 # both have watches to follow

    def say(self, *words):
        print('seed %d:' % self.seed, *words, flush=True)

    def one(self, i):
        ns = self.r.choice(self.spaces)
        o = generate.pod(self.r, 'p%d' % i, ns, self.spaces, self.args.priorities)
        name = o['metadata']['name']
        self.both('create', 'pods', o, ns)
        (was, why), (is_, because) = self.oracle.decision(ns, name), self.ours.decision(ns, name)
        self.count['pods'] += 1
        scores, parts = self.log.of('%s/%s' % (ns, name))
        if was and is_:
            self.count['placed'] += 1
            self.judge_node(o, was, is_, scores, parts)
            self.settle(o, was, is_)
        elif was or is_:
            self.count['pending_wrong'] += 1
            self.say(name, 'upstream:', was or why, '| ours:', is_ or because, o['spec'])
            self.both('delete', 'pods', ns, name)
        else:
            self.count['pending'] += 1
            if plain(why) != plain(because):
                self.count['message_wrong'] += 1
                self.say(name, 'says\n   %s\n   %s' % (why, because))
            if self.args.priorities:
                self.judge_victims(ns, name)
            self.both('delete', 'pods', ns, name)

    def judge_node(self, o, was, is_, scores, parts):
        self.count['same_node'] += was == is_
        if not scores:                  # the only one
            self.count['feasible_wrong'] += was != is_
            if was != is_:
                self.say(o['metadata']['name'], 'fits on', was, 'alone, ours chose', is_, o['spec'])
            return
        self.count['scored'] += 1
        if is_ not in scores:
            self.count['feasible_wrong'] += 1
            self.say(o['metadata']['name'], 'does not fit on', is_, 'but on', sorted(scores), o['spec'])
        elif scores[is_] == max(scores.values()):
            self.count['top'] += 1
        elif self.args.verbose:
            a, b = self.oracle.state(self.spaces), self.ours.state(self.spaces)
            self.say('states differ:', [(k, a.get(k), b.get(k)) for k in a.keys() | b.keys() if a.get(k) != b.get(k)])
            self.say(o['metadata']['name'], 'on', is_, scores[is_], parts.get(is_), 'not on', was, scores[was], parts.get(was), o['metadata']['labels'], o['spec'])

    def settle(self, o, was, is_):
        ns, name = o['metadata']['namespace'], o['metadata']['name']
        if was != is_:
            self.ours.delete('pods', ns, name)
            o['spec']['nodeName'] = was
            self.ours.create('pods', o, ns)
        self.there.append((ns, name))
        if self.args.priorities:        # who began when decides among equals
            self.both('patch', 'pods', ns, name, {'status': {'startTime': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(1700000000 + 60 * self.r.randrange(10**6)))}}, 'status')

    def judge_victims(self, ns, name):
        time.sleep(1)                   # upstream's go behind the decision
        one, other = self.oracle.victims(self.spaces), self.ours.victims(self.spaces)
        self.count['preempted'] += bool(one or other)
        a, b = self.oracle.nominated(ns, name), self.ours.nominated(ns, name)
        if one != other or a != b:
            self.count['victims_wrong'] += 1
            self.say(name, 'victims', sorted(one), a, '| ours', sorted(other), b)
        for v in one | other:
            self.both('delete', 'pods', *v)
            self.there = [t for t in self.there if t != v]


def main():
    p = argparse.ArgumentParser()
    for name in ('oracle', 'ours', 'log'):
        p.add_argument('--' + name, required=True)
    for name, most in (('seed', 1), ('worlds', 5), ('nodes', 8), ('pods', 60)):
        p.add_argument('--' + name, type=int, default=most)
    p.add_argument('--priorities', action='store_true')
    p.add_argument('--verbose', action='store_true')
    args = p.parse_args()
    oracle, ours, log = Side(args.oracle), Side(args.ours), Log(args.log)
    for side in (oracle, ours):
        for name, value in (('low', 1), ('high', 1000)):
            try:
                side.create('priorityclasses', {'apiVersion': 'scheduling.k8s.io/v1', 'kind': 'PriorityClass', 'metadata': {'name': name}, 'value': value})
            except ApiError as e:
                if e.status != 409:
                    raise
    total = {}
    for seed in range(args.seed, args.seed + args.worlds):
        w = World(args, seed, oracle, ours, log)
        try:
            w.begin()
            for i in range(args.pods):
                w.one(i)
                w.change()
        finally:
            w.end()
        for k, n in w.count.items():
            total[k] = total.get(k, 0) + n
    print(' '.join('%s %d' % kn for kn in total.items()))
    return any(total[k] for k in ('feasible_wrong', 'pending_wrong', 'message_wrong', 'victims_wrong'))


if __name__ == '__main__':
    sys.exit(main())
