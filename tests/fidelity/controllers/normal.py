"""What differs between two servers by nature (uids, times, made-up names, hashes, addresses) is given names that both have in common."""
import json
import re

TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z')
DROP = {'resourceVersion', 'managedFields', 'selfLink'}
UID = re.compile('[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}')
PEM = re.compile(r'-----BEGIN [A-Z ]+-----[^-]*-----END [A-Z ]+-----\n?')
VOLUME = re.compile(r'kube-api-access-[a-z0-9]{5}')
# Pods' and Services' addresses, nodes' ranges.
ADDRESS = re.compile(r'\b10\.(77|9[6-9]|10\d|11[01]|244)\.\d+\.\d+\b')


# A name that was made up for a pod that was then refused.
TRIED = re.compile('pods "([a-z0-9.-]*-)[bcdfghjklmnpqrstvwxz2456789]{5}"')
SUFFIX = re.compile('[bcdfghjklmnpqrstvwxz2456789]{5}')


class Names:
    """Replacements for the text of one namespace's objects."""

    def __init__(self, cache, objects, ns):
        self.map, self.uids, self.ns = {}, {}, ns
        per_owner = {}
        for o in sorted(objects, key=lambda o: cache.seen[o['metadata']['uid']]):
            m = o['metadata']
            owner = next((r['uid'] for r in m.get('ownerReferences', []) if r.get('controller')), None)
            self.uids[m['uid']] = o.get('kind', '?') + '/' + m['name']
            h = self.hash_of(o)
            if h and h not in self.map:
                n = per_owner.setdefault((owner, o.get('kind')), [])
                n.append(h)
                self.map[h] = '%s%d' % ('H' if o['kind'] == 'ReplicaSet' else 'R', len(n))
            gen = m.get('generateName')
            if gen and m['name'].startswith(gen) and SUFFIX.fullmatch(m['name'][len(gen):]):
                self.map[m['name']] = gen + '#'
        # A generated name holds a hash: its replacement too.
        for k, v in list(self.map.items()):
            for h, short in list(self.map.items()):
                if h != k and h in v:
                    v = v.replace(h, short)
            self.map[k] = v
        words = sorted(self.map, key=len, reverse=True)
        self.pattern = re.compile('|'.join(r'(?<![a-z0-9])' + re.escape(w) + r'(?![a-z0-9])' for w in words)) if words else None

    @staticmethod
    def hash_of(o):
        """A hash is named by the object that carries it in its own name."""
        m = o['metadata']
        labels = m.get('labels', {})
        h = {'ReplicaSet': labels.get('pod-template-hash'),
             'ControllerRevision': labels.get('controller.kubernetes.io/hash') or labels.get('controller-revision-hash')}.get(o.get('kind'))
        return h if h and m['name'].endswith('-' + h) and len(h) > 4 else None

    def plain(self, s):
        return self.pattern.sub(lambda m: self.map[m.group(0)], s) if self.pattern else s

    def text(self, s):
        s = s.replace(self.ns, 'NS')
        s = TRIED.sub(r'pods "\1#"', s)
        if self.pattern:
            s = self.pattern.sub(lambda m: self.map[m.group(0)], s)
        s = UID.sub(lambda m: 'uid of ' + self.plain(self.uids[m.group(0)]) if m.group(0) in self.uids else 'UID', s)
        s = PEM.sub('PEM', TIME.sub('TIME', s))
        s = VOLUME.sub('kube-api-access-#', s)
        return ADDRESS.sub('ADDR', s).replace(self.ns, 'NS')

    def value(self, v, key=''):
        if isinstance(v, dict):
            r = {}
            for k, x in v.items():
                if k not in DROP:
                    r[self.text(k)] = self.value(x, k)
            return r
        if isinstance(v, list):
            r = [self.value(x) for x in v]
            if key in ('endpoints', 'addresses', 'notReadyAddresses', 'env', 'succeeded', 'failed', 'active', 'conditions', 'ownerReferences'):
                r.sort(key=lambda x: json.dumps(x, sort_keys=True))
            return r
        if isinstance(v, str):
            return self.text(v)
        return v


def managers(o):
    return sorted({'%s %s %s' % (f.get('manager'), f.get('operation'), f.get('subresource', '')) for f in o['metadata'].get('managedFields', [])})


def event(e, names):
    src = e.get('source') or {}
    about = e.get('involvedObject', {})
    ref = {k: about.get(k, '') for k in ('kind', 'namespace', 'name', 'apiVersion', 'fieldPath')}
    ref['uid'] = bool(about.get('uid'))
    r = names.value({'about': ref, 'reason': e.get('reason'), 'message': e.get('message'), 'type': e.get('type'),
                     'component': src.get('component'), 'host': src.get('host'), 'reportingComponent': e.get('reportingComponent'),
                     'reportingInstance': e.get('reportingInstance'), 'action': e.get('action'), 'related': bool(e.get('related')),
                     'series': bool(e.get('series')), 'eventTime': bool(e.get('eventTime')), 'first': bool(e.get('firstTimestamp'))})
    r['uid'] = ref['uid']
    if (r['message'] or '').startswith('(combined'):
        r['message'] = '(combined from similar events)'     # which of them comes last is chance
    return r


def normal(cache, resource, o, names):
    if resource == 'events':
        return event(o, names)
    r = names.value(o)
    r.pop('apiVersion', None)
    m = r['metadata']
    if resource == 'certificatesigningrequests':
        r['spec'] = {k: v for k, v in r['spec'].items() if k in ('signerName', 'usages', 'expirationSeconds')}
        r.get('status', {})['certificate'] = bool(r.get('status', {}).get('certificate'))
    if resource == 'endpointslices':
        m.pop('generation', None)       # how many changes one write takes together is chance
    m['managers'] = managers(o)
    if resource == 'pods':
        r['spec'].pop('nodeName', None)
        for k in ('hostIP', 'hostIPs', 'podIP', 'podIPs'):
            r.get('status', {}).pop(k, None)
    return r
