"""One API server: requests, and a cache that watches keep, so that "nothing has changed for a second" costs no requests."""
import base64
import http.client
import json
import ssl
import tempfile
import threading
import time
import urllib.parse

import yaml

# name: (base path, plural, kind, namespaced)
KINDS = {
    'pods': ('/api/v1', 'Pod', True),
    'replicationcontrollers': ('/api/v1', 'ReplicationController', True),
    'services': ('/api/v1', 'Service', True),
    'endpoints': ('/api/v1', 'Endpoints', True),
    'events': ('/api/v1', 'Event', True),
    'serviceaccounts': ('/api/v1', 'ServiceAccount', True),
    'secrets': ('/api/v1', 'Secret', True),
    'configmaps': ('/api/v1', 'ConfigMap', True),
    'resourcequotas': ('/api/v1', 'ResourceQuota', True),
    'persistentvolumeclaims': ('/api/v1', 'PersistentVolumeClaim', True),
    'namespaces': ('/api/v1', 'Namespace', False),
    'nodes': ('/api/v1', 'Node', False),
    'persistentvolumes': ('/api/v1', 'PersistentVolume', False),
    'deployments': ('/apis/apps/v1', 'Deployment', True),
    'replicasets': ('/apis/apps/v1', 'ReplicaSet', True),
    'statefulsets': ('/apis/apps/v1', 'StatefulSet', True),
    'daemonsets': ('/apis/apps/v1', 'DaemonSet', True),
    'controllerrevisions': ('/apis/apps/v1', 'ControllerRevision', True),
    'jobs': ('/apis/batch/v1', 'Job', True),
    'cronjobs': ('/apis/batch/v1', 'CronJob', True),
    'horizontalpodautoscalers': ('/apis/autoscaling/v2', 'HorizontalPodAutoscaler', True),
    'poddisruptionbudgets': ('/apis/policy/v1', 'PodDisruptionBudget', True),
    'endpointslices': ('/apis/discovery.k8s.io/v1', 'EndpointSlice', True),
    'resourceclaims': ('/apis/resource.k8s.io/v1', 'ResourceClaim', True),
    'resourceclaimtemplates': ('/apis/resource.k8s.io/v1', 'ResourceClaimTemplate', True),
    'deviceclasses': ('/apis/resource.k8s.io/v1', 'DeviceClass', False),
    'storageclasses': ('/apis/storage.k8s.io/v1', 'StorageClass', False),
    'volumeattachments': ('/apis/storage.k8s.io/v1', 'VolumeAttachment', False),
    'certificatesigningrequests': ('/apis/certificates.k8s.io/v1', 'CertificateSigningRequest', False),
    'servicecidrs': ('/apis/networking.k8s.io/v1', 'ServiceCIDR', False),
    'ipaddresses': ('/apis/networking.k8s.io/v1', 'IPAddress', False),
    'networkpolicies': ('/apis/networking.k8s.io/v1', 'NetworkPolicy', True),
    'clusterroles': ('/apis/rbac.authorization.k8s.io/v1', 'ClusterRole', False),
    'leases': ('/apis/coordination.k8s.io/v1', 'Lease', True),
    'priorityclasses': ('/apis/scheduling.k8s.io/v1', 'PriorityClass', False),
}
NOT_WATCHED = {'leases', 'priorityclasses', 'networkpolicies'}
BY_KIND = {v[1]: k for k, v in KINDS.items()}


class ApiError(Exception):
    def __init__(self, status, body):
        Exception.__init__(self, '%d %s' % (status, body))
        self.status, self.body = status, body


class Client:
    def __init__(self, kubeconfig):
        with open(kubeconfig) as f:
            c = yaml.safe_load(f)
        cluster, user = c['clusters'][0]['cluster'], c['users'][0]['user']
        self.host = urllib.parse.urlparse(cluster['server'])
        self.headers = {}
        ca = self.file(cluster, 'certificate-authority')
        self.tls = ssl.create_default_context(cafile=ca) if ca else ssl._create_unverified_context()
        if cluster.get('insecure-skip-tls-verify'):
            self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        if 'token' in user:
            self.headers['Authorization'] = 'Bearer ' + user['token']
        else:
            self.tls.load_cert_chain(self.file(user, 'client-certificate'), self.file(user, 'client-key'))
        self.local = threading.local()

    def file(self, part, name):
        if name in part:
            return part[name]
        if name + '-data' not in part:
            return None
        with tempfile.NamedTemporaryFile(delete=False) as f:
            f.write(base64.b64decode(part[name + '-data']))
        return f.name

    def connect(self, timeout):
        return http.client.HTTPSConnection(self.host.hostname, self.host.port, context=self.tls, timeout=timeout)

    def call(self, method, path, body=None, kind='application/json', ok=()):
        headers = dict(self.headers, **{'Content-Type': kind, 'User-Agent': 'fidelity', 'Accept': 'application/json'})
        data = json.dumps(body) if body is not None else None
        for attempt in range(3):
            conn = getattr(self.local, 'conn', None) or self.connect(60)
            self.local.conn = conn
            try:
                conn.request(method, path, data, headers)
                r = conn.getresponse()
                text = r.read()
                break
            except (http.client.HTTPException, OSError):
                conn.close()
                self.local.conn = None
                if attempt == 2:
                    raise
        answer = json.loads(text) if text[:1] == b'{' else text.decode()
        if r.status >= 300 and r.status not in ok:
            raise ApiError(r.status, answer.get('message') if isinstance(answer, dict) else answer)
        return answer


def path_of(resource, ns=None, name=None, sub=None):
    base, _, namespaced = KINDS[resource]
    p = base + ('/namespaces/' + ns if namespaced and ns else '') + '/' + resource
    if name:
        p += '/' + name
    return p + ('/' + sub if sub else '')


class Cache:
    """Everything that there is, kept by one watch per resource. seen: the order in which objects first came."""

    def __init__(self, client):
        self.client, self.lock = client, threading.Condition()
        self.objects = {k: {} for k in KINDS}
        self.changed, self.seen, self.trace = {}, {}, {}
        self.count, self.stopped = 0, False
        for r in KINDS:
            if r not in NOT_WATCHED:
                threading.Thread(target=self.follow, args=(r,), daemon=True).start()

    def note(self, resource, o, gone):
        m = o['metadata']
        ns = m.get('namespace', '') if resource != 'namespaces' else m['name']
        key = (ns, m['name'])
        with self.lock:
            old = self.objects[resource].pop(key, None) if gone else self.objects[resource].get(key)
            if not gone:
                self.objects[resource][key] = o
            if m['uid'] not in self.seen:
                self.count += 1
                self.seen[m['uid']] = self.count
            if not old or gone or old['metadata']['resourceVersion'] != m['resourceVersion']:
                self.changed[ns] = time.monotonic()
                self.trace.setdefault(ns, []).append((resource, o, gone))
            self.lock.notify_all()

    def follow(self, resource):
        while not self.stopped:
            try:
                self.follow_once(resource)
            except (http.client.HTTPException, OSError, ApiError, ValueError):
                time.sleep(0.5)

    def follow_once(self, resource):
        whole = self.client.call('GET', path_of(resource))
        there = set()
        for o in whole['items']:
            m = o['metadata']
            there.add((m['name'] if resource == 'namespaces' else m.get('namespace', ''), m['name']))
            self.note(resource, o, False)
        with self.lock:
            gone = [o for k, o in self.objects[resource].items() if k not in there]
        for o in gone:
            self.note(resource, o, True)
        conn = self.client.connect(600)
        conn.request('GET', path_of(resource) + '?watch=1&timeoutSeconds=500&resourceVersion=' + whole['metadata']['resourceVersion'],
                     headers=dict(self.client.headers, Accept='application/json'))
        r = conn.getresponse()
        for line in r:
            e = json.loads(line)
            if e['type'] in ('ERROR', 'BOOKMARK'):
                break
            self.note(resource, e['object'], e['type'] == 'DELETED')
        conn.close()

    def list(self, resource, ns=''):
        with self.lock:
            found = [o for k, o in self.objects[resource].items() if k[0] == ns or not ns]
            return sorted(found, key=lambda o: self.seen[o['metadata']['uid']])

    def quiet_for(self, namespaces):
        with self.lock:
            return time.monotonic() - max([self.changed.get(n, 0) for n in namespaces])
