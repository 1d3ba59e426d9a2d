"""The metrics APIs (metrics.k8s.io, custom.metrics.k8s.io, external.metrics.k8s.io) as one aggregated server per side, which says what a scenario wants."""
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

GROUPS = {'metrics.k8s.io': 'v1beta1', 'custom.metrics.k8s.io': 'v1beta2', 'external.metrics.k8s.io': 'v1beta1'}


def status(code, message):
    reason = {404: 'NotFound', 403: 'Forbidden', 500: 'InternalError', 503: 'ServiceUnavailable'}.get(code, '')
    return code, {'kind': 'Status', 'apiVersion': 'v1', 'metadata': {}, 'status': 'Failure', 'message': message, 'reason': reason, 'code': code}


class Metrics:
    """said[ns, metric]: a list of quantities for the pods (in the order of their coming; the last one for all others, None: not told), one quantity, a list of
    them (external), or (code, message). For metrics.k8s.io the metric is "cpu" or "memory", or "cpu/container"."""

    def __init__(self, address, client, cache):
        self.client, self.cache, self.said = client, cache, {}
        folder = tempfile.mkdtemp()
        cert, key = os.path.join(folder, 'crt'), os.path.join(folder, 'key')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-subj', '/CN=metrics', '-days', '2'],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server = ThreadingHTTPServer((address, 0), self.handler())
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.register(address, self.server.server_port)

    def register(self, address, port):
        base = '/api/v1/namespaces/kube-system/services'
        self.replace(base, {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 'fidelity-metrics'}, 'spec': {'ports': [{'port': 443, 'targetPort': port}]}})
        self.replace('/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices', {
            'apiVersion': 'discovery.k8s.io/v1', 'kind': 'EndpointSlice', 'addressType': 'IPv4', 'endpoints': [{'addresses': [address]}],
            'metadata': {'name': 'fidelity-metrics', 'labels': {'kubernetes.io/service-name': 'fidelity-metrics'}}, 'ports': [{'name': '', 'port': port}]})
        for group, version in GROUPS.items():
            self.replace('/apis/apiregistration.k8s.io/v1/apiservices', {
                'apiVersion': 'apiregistration.k8s.io/v1', 'kind': 'APIService', 'metadata': {'name': version + '.' + group},
                'spec': {'group': group, 'version': version, 'groupPriorityMinimum': 100, 'versionPriority': 100, 'insecureSkipTLSVerify': True,
                         'service': {'name': 'fidelity-metrics', 'namespace': 'kube-system'}}})
        for group, version in GROUPS.items():
            for _ in range(300):
                r = self.client.call('GET', '/apis/apiregistration.k8s.io/v1/apiservices/%s.%s' % (version, group))
                if any(c['type'] == 'Available' and c['status'] == 'True' for c in r.get('status', {}).get('conditions', [])):
                    break
                time.sleep(0.2)

    def replace(self, base, o):
        self.client.call('DELETE', base + '/' + o['metadata']['name'], ok=(404,))
        self.client.call('POST', base, o)

    # --- answers ---

    def answer(self, path, query):
        parts = [unquote(p) for p in path.strip('/').split('/')[1:]]          # without "apis"
        if len(parts) == 2:
            return 200, {'kind': 'APIResourceList', 'apiVersion': 'v1', 'groupVersion': '/'.join(parts), 'resources': []}
        if len(parts) < 5:
            return status(404, 'nothing here')
        group, ns, rest = parts[0], parts[3], parts[4:]
        if group == 'metrics.k8s.io':
            return self.resource(ns)
        if group == 'external.metrics.k8s.io':
            return self.external(ns, rest[0], query)
        if len(rest) < 2:
            return status(404, 'nothing here')
        if rest[0] == 'metrics':
            return self.one(ns, rest[1], query, {'kind': 'Namespace', 'name': ns, 'apiVersion': '/v1'})
        if len(rest) < 3:
            return status(404, 'nothing here')
        if rest[1] == '*':
            return self.of_pods(ns, rest[2], query)
        return self.one(ns, rest[2], query, {'kind': rest[0], 'namespace': ns, 'name': rest[1], 'apiVersion': 'v1'})

    def values(self, ns, metric):
        """(pod, quantity) of all pods of which something is told."""
        said = self.said.get((ns, metric))
        for i, pod in enumerate(self.cache.list('pods', ns) if isinstance(said, list) else []):
            if said[min(i, len(said) - 1)] is not None:
                yield pod, said[min(i, len(said) - 1)]

    def resource(self, ns):
        items, now = {}, time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
        for key, said in list(self.said.items()):
            if key[0] == ns and key[1].split('/')[0] in ('cpu', 'memory'):
                if isinstance(said, tuple):
                    return status(*said)
                name, _, container = key[1].partition('/')
                for pod, quantity in self.values(*key):
                    one = items.setdefault(pod['metadata']['name'], {'metadata': {'name': pod['metadata']['name'], 'namespace': ns}, 'timestamp': now,
                                                                     'window': '0s', 'containers': {}})
                    one['containers'].setdefault(container or 'app', {})[name] = quantity
        for one in items.values():
            one['containers'] = [{'name': k, 'usage': v} for k, v in one['containers'].items()]
        return 200, {'kind': 'PodMetricsList', 'apiVersion': 'metrics.k8s.io/v1beta1', 'metadata': {}, 'items': list(items.values())}

    def find(self, ns, metric, query):
        labels = query.get('metricLabelSelector', query.get('labelSelector', ['']))[0]
        return self.said.get((ns, metric + '{' + labels + '}'), self.said.get((ns, metric)))

    def external(self, ns, metric, query):
        said = self.find(ns, metric, query)
        if isinstance(said, tuple):
            return status(*said)
        now = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
        return 200, {'kind': 'ExternalMetricValueList', 'apiVersion': 'external.metrics.k8s.io/v1beta1', 'metadata': {},
                     'items': [{'metricName': metric, 'metricLabels': {}, 'timestamp': now, 'value': q} for q in said or []]}

    def custom(self, items):
        now = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
        return 200, {'kind': 'MetricValueList', 'apiVersion': 'custom.metrics.k8s.io/v1beta2', 'metadata': {},
                     'items': [{'describedObject': about, 'metric': {'name': 'm'}, 'timestamp': now, 'value': q} for about, q in items]}

    def one(self, ns, metric, query, about):
        said = self.find(ns, metric, query)
        if isinstance(said, tuple):
            return status(*said)
        if said is None:
            return status(404, 'the server could not find the metric %s for %s' % (metric, about['name']))
        return self.custom([(about, said)] if said != '' else [])

    def of_pods(self, ns, metric, query):
        said = self.find(ns, metric, query)
        if isinstance(said, tuple):
            return status(*said)
        if said is None:
            return status(404, 'the server could not find the metric %s for pods' % metric)
        self.said[ns, metric] = said
        return self.custom([({'kind': 'Pod', 'namespace': ns, 'name': p['metadata']['name'], 'apiVersion': '/v1'}, q) for p, q in self.values(ns, metric)])

    def handler(self):
        metrics = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *a):
                pass

            def do_GET(self):
                u = urlsplit(self.path)
                if u.path.startswith('/openapi') or u.path == '/apis':
                    code, body = status(404, 'not here')
                else:
                    code, body = metrics.answer(u.path, parse_qs(u.query))
                data = json.dumps(body).encode()
                self.send_response(code)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)
        return Handler
