"""A scenario's hands on one server: objects, a kubelet without containers, steps that are remembered."""
import copy
import json
import random
import time

from client import BY_KIND, KINDS, ApiError, path_of
from normal import Names, normal

NAMESPACED = [k for k, v in KINDS.items() if v[2] and k not in ('leases', 'networkpolicies')]


class Late(Exception):
    pass


class Side:
    """quiet: seconds without a change that end a step. cluster: resources without a namespace whose objects are compared too, by name prefix."""

    def __init__(self, name, client, cache, ns, quiet, patience=1):
        self.name, self.c, self.cache, self.ns, self.quiet, self.patience = name, client, cache, ns, quiet, patience
        self.steps, self.policy, self.ips, self.bound, self.cluster, self.grace = [], {}, 0, 0, {}, 0
        self.lockstep, self.nodes_used, self.kubelet_on = True, ['%s-n%d' % (ns, i) for i in range(3)], True
        self.skip, self.metrics = set(), None

    # --- requests ---

    def create(self, o, ns=None):
        o = copy.deepcopy(o)
        base, kind, namespaced = KINDS[BY_KIND[o['kind']]]
        o.setdefault('apiVersion', base.replace('/apis/', '').replace('/api/', ''))
        return self.c.call('POST', path_of(BY_KIND[o['kind']], (ns or self.ns) if namespaced else None), o)

    def get(self, resource, name, sub=None):
        return self.c.call('GET', path_of(resource, self.ns, name, sub))

    def patch(self, resource, name, patch, sub=None, kind='merge', ns=None):
        return self.c.call('PATCH', path_of(resource, ns or self.ns, name, sub), patch,
                           {'merge': 'application/merge-patch+json', 'json': 'application/json-patch+json',
                            'strategic': 'application/strategic-merge-patch+json'}[kind])

    def delete(self, resource, name, propagation=None, grace=None):
        body = {'kind': 'DeleteOptions', 'apiVersion': 'v1'}
        if propagation:
            body['propagationPolicy'] = propagation
        if grace is not None:
            body['gracePeriodSeconds'] = grace
        return self.c.call('DELETE', path_of(resource, self.ns, name), body, ok=(404,))

    def evict(self, pod):
        body = {'apiVersion': 'policy/v1', 'kind': 'Eviction', 'metadata': {'name': pod, 'namespace': self.ns}}
        try:
            self.c.call('POST', path_of('pods', self.ns, pod, 'eviction'), body)
            return 'evicted'
        except ApiError as e:
            return str(e)

    def scale(self, resource, name, n):
        return self.patch(resource, name, {'spec': {'replicas': n}})

    def image(self, resource, name, image):
        return self.patch(resource, name, {'spec': {'template': {'spec': {'containers': [{'name': 'app', 'image': image}]}}}}, kind='strategic')

    def node(self, i, **more):
        name = '%s-n%d' % (self.ns, i)
        o = {'kind': 'Node', 'metadata': {'name': name, 'labels': more.get('labels', {})}, 'spec': more.get('spec', {})}
        o = self.create(o)
        status = {'capacity': {'cpu': '8', 'memory': '16Gi', 'pods': '110'}, 'allocatable': {'cpu': '8', 'memory': '16Gi', 'pods': '110'},
                  'conditions': [{'type': 'Ready', 'status': 'True', 'reason': 'KubeletReady', 'message': 'ready',
                                  'lastHeartbeatTime': stamp(), 'lastTransitionTime': stamp()}],
                  'addresses': [{'type': 'InternalIP', 'address': '192.168.7.%d' % (i + 1)}, {'type': 'Hostname', 'address': name}]}
        self.c.call('PATCH', path_of('nodes', None, name, 'status'), {'status': status}, 'application/merge-patch+json')
        return name

    def nodes(self, n=3, **more):
        return [self.node(i, **more) for i in range(n)]

    def pods(self, **labels):
        """In the order of their numbers, if they have some, and then of their coming."""
        found = [p for p in self.cache.list('pods', self.ns) if all(p['metadata'].get('labels', {}).get(k) == v for k, v in labels.items())]
        return sorted(found, key=lambda p: p['metadata'].get('generateName', ''))

    def tell(self, metric, what):
        """What the metrics APIs say from now on (fakemetrics.py)."""
        self.metrics.said[self.ns, metric] = what

    # --- the kubelet: image "app:1" runs, "bad:x" is never ready, "hang:x" stays Pending, "stop:x" keeps its pods when they are deleted,
    #     "exit:N" ends with that code. policy[pod name] comes before the image ---

    def conduct(self, pod):
        image = pod['spec']['containers'][0]['image']
        return self.policy.get(pod['metadata']['name']) or image.split(':')[0].replace('app', 'run'), image.split(':')[-1]

    def status(self, pod, status):
        try:
            self.c.call('PATCH', path_of('pods', self.ns, pod['metadata']['name'], 'status'), {'status': status}, 'application/strategic-merge-patch+json')
        except ApiError as e:
            if e.status not in (404, 409):
                raise

    def bind(self, pod):
        fixed = None
        for term in (((pod['spec'].get('affinity') or {}).get('nodeAffinity') or {}).get('requiredDuringSchedulingIgnoredDuringExecution')
                     or {}).get('nodeSelectorTerms', []):
            for f in term.get('matchFields', []):
                fixed = f['values'][0]
        if not fixed:
            fixed = self.nodes_used[self.bound % len(self.nodes_used)]
            self.bound += 1
        self.bind_to(pod['metadata']['name'], fixed)

    def bind_to(self, pod, node):
        body = {'apiVersion': 'v1', 'kind': 'Binding', 'metadata': {'name': pod}, 'target': {'kind': 'Node', 'name': node}}
        try:
            self.c.call('POST', path_of('pods', self.ns, pod, 'binding'), body)
        except ApiError as e:
            if e.status not in (404, 409):
                raise

    def ready(self, pod, is_ready=True, reason=None):
        conds = []
        for t, ok in (('PodReadyToStartContainers', True), ('Initialized', True), ('Ready', is_ready), ('ContainersReady', is_ready), ('PodScheduled', True)):
            conds.append({'type': t, 'status': 'True' if ok else 'False', 'lastTransitionTime': stamp(), 'lastProbeTime': None})
            if not ok:
                conds[-1].update(reason='ContainersNotReady', message='containers with unready status: [app]')
        if not pod.get('status', {}).get('podIP'):
            self.ips += 1
        ip = pod.get('status', {}).get('podIP') or '10.77.%d.%d' % (self.ips // 250, self.ips % 250 + 1)
        self.status(pod, {'phase': 'Running', 'hostIP': '192.168.7.1', 'podIP': ip, 'podIPs': [{'ip': ip}], 'startTime': stamp(), 'conditions': conds,
                          'containerStatuses': [{'name': c['name'], 'image': c['image'], 'imageID': '', 'ready': is_ready, 'started': True,
                                                 'restartCount': 0, 'state': {'running': {'startedAt': stamp()}}}
                                                for c in pod['spec']['containers']]})

    def finish(self, pod, code=0, reason=None, conditions=()):
        phase = 'Succeeded' if code == 0 else 'Failed'
        conds = [{'type': t, 'status': 'False', 'reason': 'PodCompleted' if code == 0 else 'PodFailed', 'lastTransitionTime': stamp()}
                 for t in ('Ready', 'ContainersReady')] + list(conditions)
        self.status(pod, {'phase': phase, 'conditions': conds, 'containerStatuses': [
            {'name': c['name'], 'image': c['image'], 'imageID': '', 'ready': False, 'started': False, 'restartCount': 0,
             'state': {'terminated': {'exitCode': code, 'reason': reason or ('Completed' if code == 0 else 'Error'),
                                      'startedAt': stamp(), 'finishedAt': stamp()}}} for c in pod['spec']['containers']]})

    def gone(self, pod):
        try:
            self.c.call('DELETE', path_of('pods', self.ns, pod['metadata']['name']), {'kind': 'DeleteOptions', 'apiVersion': 'v1', 'gracePeriodSeconds': 0,
                        'preconditions': {'uid': pod['metadata']['uid']}})
        except ApiError as e:
            if e.status not in (404, 409):
                raise

    def work(self):
        """One round of the kubelet. Bindings and ends happen at once, readiness one pod after the other: the order of a rollout is then
        the same on every server. True: something was done."""
        did = False
        for pod in self.pods():
            what, _ = self.conduct(pod)
            phase, deleted = pod.get('status', {}).get('phase'), pod['metadata'].get('deletionTimestamp')
            if what == 'ignore':
                continue
            if deleted and what != 'stop':
                if phase not in ('Succeeded', 'Failed') and self.grace:
                    continue
                if pod['metadata'].get('deletionGracePeriodSeconds') != 0 or not pod['metadata'].get('finalizers'):
                    self.gone(pod)
                    did = True
            elif not deleted and not pod['spec'].get('nodeName') and not pod['spec'].get('schedulingGates') and what != 'unbound':
                self.bind(pod)
                did = True
        if did:
            return True
        for pod in self.pods():
            what, n = self.conduct(pod)
            if pod['metadata'].get('deletionTimestamp') or not pod['spec'].get('nodeName') or what in ('ignore', 'hang', 'unbound'):
                continue
            phase = pod.get('status', {}).get('phase')
            if phase == 'Pending':
                self.ready(pod, what != 'bad')
            elif phase == 'Running' and what == 'exit':
                self.finish(pod, int(n))
            else:
                continue
            return True
        return False

    # --- steps ---

    def quiet_now(self, seconds):
        return self.cache.quiet_for([self.ns] + [''] * bool(self.cluster)) >= seconds

    def settle(self, quiet=None, limit=90):
        quiet, end = (quiet or self.quiet) * self.patience, time.monotonic() + limit * self.patience
        while time.monotonic() < end:
            time.sleep(0.05)
            if self.kubelet_on and self.quiet_now(min(0.4 * self.patience, quiet)) and self.work():
                self.poke()
                continue
            if self.quiet_now(quiet):
                return
        raise Late('not quiet after %d s' % limit)

    def poke(self):
        with self.cache.lock:
            self.cache.changed[self.ns] = time.monotonic()

    def until(self, test, limit=60):
        """Waits for test(side); the kubelet works meanwhile."""
        end = time.monotonic() + limit * self.patience
        while time.monotonic() < end:
            if self.kubelet_on and self.quiet_now(0.3 * self.patience):
                self.work()
            try:
                if test(self):
                    return True
            except (ApiError, KeyError, IndexError):
                pass
            time.sleep(0.1)
        self.steps.append(('(waited in vain)', {}))
        return False

    def snapshot(self):
        every = {r: [o for o in self.cache.list(r, self.ns)] for r in NAMESPACED if r not in self.skip}
        every['namespaces'] = self.cache.list('namespaces', self.ns)
        for r, prefix in self.cluster.items():
            every[r] = [o for o in self.cache.list(r) if o['metadata']['name'].startswith(prefix)]
        for r, items in every.items():
            for o in items:
                o.setdefault('kind', KINDS[r][1])
        with self.cache.lock:
            past = {o['metadata']['uid']: o for _, o, _ in self.cache.trace.get(self.ns, [])}
        for items in every.values():
            for o in items:
                past[o['metadata']['uid']] = o
        names = Names(self.cache, past.values(), self.ns)
        return {r: sorted((normal(self.cache, r, o, names) for o in items), key=lambda x: json.dumps(x, sort_keys=True)) for r, items in every.items()}

    def step(self, label, quiet=None, limit=90):
        self.poke()
        try:
            self.settle(quiet, limit)
        except Late as e:
            self.steps.append((label + ' (%s)' % e, self.snapshot()))
            return
        self.steps.append((label, self.snapshot()))

    def say(self, label, value):
        """A value that must be the same on both."""
        self.steps.append((label, {'said': [value]}))


def stamp(offset=0):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + offset))


def rng(seed):
    return random.Random(seed)
