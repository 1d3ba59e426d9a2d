"""Sequences made at random, the same on both servers for one seed."""
import random

from scenarios.make import deployment, statefulset

DEPLOYMENT = ('scale', 'image', 'image', 'pause', 'resume', 'undo', 'fail', 'unready', 'label', 'strategy')
STATEFUL = ('scale', 'image', 'fail', 'delete-pod', 'partition', 'undo')
STRATEGIES = ({'type': 'Recreate', 'rollingUpdate': None}, {'type': 'RollingUpdate', 'rollingUpdate': {'maxSurge': '50%', 'maxUnavailable': '30%'}},
              {'type': 'RollingUpdate', 'rollingUpdate': {'maxSurge': 0, 'maxUnavailable': 2}}, {'type': 'RollingUpdate', 'rollingUpdate': {'maxSurge': 3, 'maxUnavailable': 0}})
IMAGES = ('app:1', 'app:2', 'app:3', 'bad:1', 'hang:1')


def chosen(s, r):
    """A pod, chosen by its place among those that are there: alike on both servers as long as they agree."""
    alive = [p for p in s.pods() if not p['metadata'].get('deletionTimestamp') and p['status'].get('phase') == 'Running']
    alive.sort(key=lambda p: (p['spec']['containers'][0]['image'], s.cache.seen[p['metadata']['uid']]))
    n = r.random()
    return alive[int(n * len(alive))] if alive else None


def act(s, kind, what, r):
    if what == 'scale':
        s.scale(kind, 'web', r.randrange(0, 7))
    elif what == 'image':
        s.image(kind, 'web', r.choice(IMAGES))
    elif what == 'undo':
        s.image(kind, 'web', 'app:1')
    elif what in ('pause', 'resume'):
        s.patch(kind, 'web', {'spec': {'paused': what == 'pause'}})
    elif what == 'strategy':
        s.patch(kind, 'web', {'spec': {'strategy': r.choice(STRATEGIES)}})
    elif what == 'partition':
        s.patch(kind, 'web', {'spec': {'updateStrategy': {'rollingUpdate': {'partition': r.randrange(0, 4)}}}})
    elif what == 'label':
        s.patch(kind, 'web', {'spec': {'template': {'metadata': {'labels': {'n': str(r.randrange(3))}}}}})
    else:
        p = chosen(s, r)
        if p and what == 'fail':
            s.finish(p, 1)
        elif p and what == 'unready':
            s.ready(p, False)
        elif p:
            s.delete('pods', p['metadata']['name'])


def sequence(kind, first, actions, seed):
    def run(s):
        r = random.Random(seed)
        s.create(first)
        s.step('created')
        for _ in range(10):
            what = r.choice(actions)
            act(s, kind, what, r)
            s.step(what, limit=120)
        s.delete(kind, 'web', r.choice(('Background', 'Foreground', 'Orphan')))
        s.step('deleted', quiet=3)
    return run


def made(n, seed):
    found = []
    for i in range(n):
        if i % 3 < 2:
            found.append(('random_deploy_%d' % (seed + i), sequence('deployments', deployment('web', 3), DEPLOYMENT, seed + i)))
        else:
            found.append(('random_sts_%d' % (seed + i), sequence('statefulsets', statefulset('web', 3), STATEFUL, seed + i)))
    return found
