"""Nodes and their taints, pods of nodes that have gone, certificates, roles that add up, service ranges, device claims."""
import base64
import os
import subprocess
import tempfile

from scenarios.make import pod


def node_lifecycle(s):
    s.cluster = {'nodes': s.ns}
    s.nodes(2, labels={'silent': 'yes'})
    s.create(pod('p', tolerations=[]))
    s.create(pod('q', tolerations=[{'key': 'node.kubernetes.io/not-ready', 'operator': 'Exists'}, {'key': 'node.kubernetes.io/unreachable', 'operator': 'Exists'}]))
    s.step('two nodes', quiet=4)
    n = s.ns + '-n0'
    s.c.call('PATCH', '/api/v1/nodes/%s/status' % n, {'status': {'conditions': [
        {'type': 'MemoryPressure', 'status': 'True', 'reason': 'r', 'message': 'm'}, {'type': 'DiskPressure', 'status': 'True', 'reason': 'r', 'message': 'm'},
        {'type': 'PIDPressure', 'status': 'True', 'reason': 'r', 'message': 'm'}, {'type': 'NetworkUnavailable', 'status': 'True', 'reason': 'r', 'message': 'm'}]}},
        'application/strategic-merge-patch+json')
    s.step('under pressure', quiet=7)
    s.c.call('PATCH', '/api/v1/nodes/%s/status' % n, {'status': {'conditions': [{'type': 'Ready', 'status': 'False', 'reason': 'r', 'message': 'm'}]}},
             'application/strategic-merge-patch+json')
    s.step('not ready', quiet=7)
    s.until(lambda s: all(c['status'] == 'Unknown' for c in s.c.call('GET', '/api/v1/nodes/' + s.ns + '-n1')['status']['conditions']), 120)
    s.step('silent', quiet=8)


def node_gone(s):
    s.cluster = {'nodes': s.ns}
    s.nodes(2)
    s.create(pod('p', image='stop:1'))
    s.create(pod('q', image='stop:1'))
    s.step('two')
    s.c.call('DELETE', '/api/v1/nodes/%s-n0' % s.ns)
    s.until(lambda s: len(s.pods()) == 1, 120)
    s.step('the node has gone', quiet=4)


def node_taint(s):
    s.cluster = {'nodes': s.ns}
    s.nodes(1)
    s.nodes_used = [s.ns + '-n0']
    s.create(pod('leaves'))
    s.create(pod('stays', tolerations=[{'key': 'out', 'operator': 'Exists', 'effect': 'NoExecute'}]))
    s.create(pod('later', tolerations=[{'key': 'out', 'operator': 'Exists', 'effect': 'NoExecute', 'tolerationSeconds': 4}]))
    s.step('three')
    s.patch('nodes', s.ns + '-n0', {'spec': {'taints': [{'key': 'out', 'value': 'x', 'effect': 'NoExecute'}]}})
    s.step('one leaves', quiet=1)
    s.until(lambda s: len(s.pods()) == 1)
    s.step('another later', quiet=3)


def node_taint_taken_back(s):
    s.cluster = {'nodes': s.ns}
    s.nodes(1)
    s.nodes_used = [s.ns + '-n0']
    s.create(pod('for-a-while', tolerations=[{'key': 'out', 'operator': 'Exists', 'effect': 'NoExecute', 'tolerationSeconds': 300}]))
    s.create(pod('for-ever', tolerations=[{'key': 'out', 'operator': 'Exists', 'effect': 'NoExecute'}]))
    s.step('two')
    s.patch('nodes', s.ns + '-n0', {'spec': {'taints': [{'key': 'out', 'value': 'x', 'effect': 'NoExecute'}]}})
    s.step('one is to leave later', quiet=3)
    s.patch('nodes', s.ns + '-n0', {'spec': {'taints': []}})
    s.step('and stays', quiet=3)
    s.patch('nodes', s.ns + '-n0', {'spec': {'taints': [{'key': 'out', 'value': 'x', 'effect': 'NoExecute'}]}})
    s.step('again', quiet=3)
    s.patch('nodes', s.ns + '-n0', {'spec': {'taints': [{'key': 'out', 'value': 'x', 'effect': 'NoExecute'}, {'key': 'more', 'effect': 'NoExecute'}]}})
    s.until(lambda s: not s.pods())
    s.step('both at once', quiet=3)


def node_out_of_service(s):
    s.cluster = {'nodes': s.ns}
    s.node(0, labels={'silent': 'yes'})
    s.nodes_used = [s.ns + '-n0']
    s.create(pod('p', image='stop:1', tolerations=[{'operator': 'Exists'}]))
    s.step('one')
    s.delete('pods', 'p')
    s.patch('nodes', s.ns + '-n0', {'spec': {'taints': [{'key': 'node.kubernetes.io/out-of-service', 'value': 'nodeshutdown', 'effect': 'NoExecute'}]}})
    s.c.call('PATCH', '/api/v1/nodes/%s-n0/status' % s.ns, {'status': {'conditions': [{'type': 'Ready', 'status': 'False', 'reason': 'r', 'message': 'm'}]}},
             'application/strategic-merge-patch+json')
    s.until(lambda s: not s.pods(), 60)
    s.step('forced', quiet=4)


def request(subject, key=None):
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['openssl', 'req', '-newkey', 'rsa:2048', '-nodes', '-keyout', os.path.join(d, 'k'), '-out', os.path.join(d, 'r'), '-subj', subject],
                       check=True, capture_output=True)
        with open(os.path.join(d, 'r'), 'rb') as f:
            return base64.b64encode(f.read()).decode()


def certificates(s):
    s.cluster = {'certificatesigningrequests': s.ns}
    body = request('/O=team/CN=jane')

    def csr(name, signer, usages, **more):
        return s.create({'kind': 'CertificateSigningRequest', 'metadata': {'name': s.ns + '-' + name}, 'spec': dict({
            'request': body, 'signerName': signer, 'usages': usages}, **more)})

    def approve(name, kind='Approved'):
        s.c.call('PUT', '/apis/certificates.k8s.io/v1/certificatesigningrequests/%s-%s/approval' % (s.ns, name), dict(
            s.c.call('GET', '/apis/certificates.k8s.io/v1/certificatesigningrequests/%s-%s' % (s.ns, name)),
            status={'conditions': [{'type': kind, 'status': 'True', 'reason': 'Because', 'message': 'said'}]}))

    client = ['digital signature', 'key encipherment', 'client auth']
    csr('good', 'kubernetes.io/kube-apiserver-client', client, expirationSeconds=3600)
    csr('denied', 'kubernetes.io/kube-apiserver-client', client)
    csr('usages', 'kubernetes.io/kube-apiserver-client', ['server auth'])
    csr('kubelet', 'kubernetes.io/kube-apiserver-client-kubelet', client)
    csr('serving', 'kubernetes.io/kubelet-serving', ['digital signature', 'key encipherment', 'server auth'])
    csr('other', 'example.org/other', client)
    s.step('asked', quiet=3)
    for n in ('good', 'usages', 'kubelet', 'serving', 'other'):
        approve(n)
    approve('denied', 'Denied')
    s.step('approved', quiet=3)


def roles(s):
    s.cluster = {'clusterroles': s.ns}
    s.create({'kind': 'ClusterRole', 'metadata': {'name': s.ns + '-sum'}, 'aggregationRule': {'clusterRoleSelectors': [{'matchLabels': {s.ns: 'yes'}}]}, 'rules': []})
    s.step('empty')
    for n in ('b', 'a'):
        s.create({'kind': 'ClusterRole', 'metadata': {'name': s.ns + '-' + n, 'labels': {s.ns: 'yes'}},
                  'rules': [{'apiGroups': [''], 'resources': [n], 'verbs': ['get']}, {'apiGroups': [''], 'resources': ['same'], 'verbs': ['get']}]})
    s.step('two', quiet=3)
    s.c.call('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterroles/%s-a' % s.ns)
    s.step('one', quiet=3)
    for n in ('b', 'sum'):
        s.c.call('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterroles/%s-%s' % (s.ns, n))


def service_cidr(s):
    s.cluster = {'servicecidrs': s.ns}
    s.create({'kind': 'ServiceCIDR', 'metadata': {'name': s.ns}, 'spec': {'cidrs': ['10.97.%d.0/24' % (sum(map(ord, s.ns)) % 200)]}})
    s.step('a range', quiet=4)
    s.c.call('DELETE', '/apis/networking.k8s.io/v1/servicecidrs/' + s.ns)
    s.step('gone', quiet=14)


def claims(s):
    s.create({'kind': 'ResourceClaimTemplate', 'metadata': {'name': 't'}, 'spec': {'metadata': {'labels': {'a': 'b'}}, 'spec': {
        'devices': {'requests': [{'name': 'r', 'exactly': {'deviceClassName': 'none'}}]}}}})
    s.create(pod('p', image='unbound:1', resourceClaims=[{'name': 'dev', 'resourceClaimTemplateName': 't'}],
                 containers=[{'name': 'app', 'image': 'unbound:1', 'resources': {'claims': [{'name': 'dev'}]}}]))
    s.create(pod('lost', image='unbound:1', resourceClaims=[{'name': 'dev', 'resourceClaimTemplateName': 'nothing'}]))
    s.create(pod('own', image='unbound:1', resourceClaims=[{'name': 'dev', 'resourceClaimName': 'nothing'}]))
    s.step('made for the pod', quiet=4)
    s.delete('pods', 'p', grace=0)
    s.step('the pod has gone', quiet=4)


def pods_collected(s):
    s.nodes(1)
    s.create(pod('lost', image='unbound:1'))
    s.step('one')
    s.bind_to('lost', 'no-such-node')
    s.until(lambda s: not s.pods(), 90)
    s.step('bound to no node', quiet=3)


SCENARIOS = [node_lifecycle, node_gone, node_taint, node_taint_taken_back, node_out_of_service, certificates, roles, service_cidr, claims, pods_collected]
