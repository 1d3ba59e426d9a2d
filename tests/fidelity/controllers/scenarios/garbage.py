"""Owners and dependents, namespaces that go, accounts and the CA, finished things."""
from scenarios.make import pod


def config(name, *owners, **meta):
    m = dict({'name': name}, **meta)
    if owners:
        m['ownerReferences'] = [o for o in owners]
    return {'kind': 'ConfigMap', 'metadata': m, 'data': {'a': 'b'}}


def ref(o, block=None, controller=None):
    r = {'apiVersion': 'v1', 'kind': o.get('kind', 'ConfigMap'), 'name': o['metadata']['name'], 'uid': o['metadata']['uid']}
    if block is not None:
        r['blockOwnerDeletion'] = block
    if controller is not None:
        r['controller'] = controller
    return r


def gc_tree(s):
    for how in ('Background', 'Foreground', 'Orphan'):
        a = s.create(config('a'))
        b = s.create(config('b', ref(a, True)))
        s.create(config('c', ref(b, True)))
        s.create(config('d', ref(a)))
        s.step('tree for ' + how)
        s.delete('configmaps', 'a', how)
        s.step(how, quiet=3)
        for x in 'bcd':
            s.delete('configmaps', x)
        s.step('clean', quiet=3)


def gc_several(s):
    a, b = s.create(config('a')), s.create(config('b'))
    s.create(config('both', ref(a), ref(b)))
    s.delete('configmaps', 'a')
    s.step('one of two owners has gone', quiet=3)
    s.delete('configmaps', 'b')
    s.step('both have', quiet=3)


def gc_cycle(s):
    a = s.create(config('a'))
    b = s.create(config('b', ref(a, True)))
    s.patch('configmaps', 'a', {'metadata': {'ownerReferences': [ref(b, True)]}})
    s.step('a cycle', quiet=3)
    s.delete('configmaps', 'a', 'Foreground')
    s.step('deleted in the foreground', quiet=3)


def gc_absent(s):
    o = {'metadata': {'name': 'nobody', 'uid': '00000000-1111-2222-3333-444444444444'}}
    s.create(config('lost', ref(o)))
    s.step('the owner was never there', quiet=4)
    a = s.create(config('a'))
    r = ref(a)
    r['uid'] = '00000000-1111-2222-3333-444444444444'
    s.create(config('other', r))
    s.step('the owner is another of that name', quiet=4)
    n = s.create({'kind': 'ReplicaSet', 'metadata': {'name': 'set'}, 'spec': {'replicas': 0, 'selector': {'matchLabels': {'q': 'r'}}, 'template': {
        'metadata': {'labels': {'q': 'r'}}, 'spec': {'containers': [{'name': 'app', 'image': 'app:1'}]}}}})
    s.create(config('wrong-kind', {'apiVersion': 'v1', 'kind': 'Pod', 'name': 'set', 'uid': n['metadata']['uid']}))
    s.step('the kind is wrong', quiet=4)
    s.create(config('no-kind', {'apiVersion': 'example.org/v1', 'kind': 'Nothing', 'name': 'set', 'uid': n['metadata']['uid']}))
    s.step('the kind does not exist', quiet=4)


def gc_cluster_owner(s):
    other = s.ns + '-other'
    s.create({'kind': 'Namespace', 'metadata': {'name': other}})
    far = s.create(config('far'), ns=other)
    s.create(config('near', ref(far)))
    s.step('an owner in another namespace', quiet=6)
    s.c.call('DELETE', '/api/v1/namespaces/' + other)
    v = s.create({'kind': 'PersistentVolume', 'metadata': {'name': s.ns + '-pv'}, 'spec': {'capacity': {'storage': '1Gi'}, 'accessModes': ['ReadWriteOnce'],
                  'hostPath': {'path': '/x'}, 'storageClassName': 'none'}})
    s.create(config('of-pv', ref(dict(v, kind='PersistentVolume'))))
    s.step('an owner without a namespace', quiet=3)
    s.c.call('DELETE', '/api/v1/persistentvolumes/' + s.ns + '-pv')
    s.step('it goes', quiet=4)


def gc_finalizer(s):
    a = s.create(config('a', finalizers=['example.org/a']))
    s.create(config('b', ref(a, True), finalizers=['example.org/b']))
    s.delete('configmaps', 'a', 'Foreground')
    s.step('both wait', quiet=3)
    s.patch('configmaps', 'b', {'metadata': {'finalizers': None}})
    s.step('the dependent goes', quiet=3)
    s.patch('configmaps', 'a', {'metadata': {'finalizers': None}})
    s.step('the owner goes', quiet=3)


def gc_upgrade(s):
    a = s.create(config('a', finalizers=['example.org/a']))
    s.create(config('b', ref(a)))
    s.delete('configmaps', 'a', 'Orphan')
    s.step('orphaned, waits', quiet=3)
    s.patch('configmaps', 'a', {'metadata': {'finalizers': None}})
    s.step('goes', quiet=3)


def ns_order(s):
    s.create(config('held', finalizers=['example.org/held']))
    s.create(pod('slow', image='stop:1'))
    s.create({'kind': 'Secret', 'metadata': {'name': 'x'}, 'stringData': {'a': 'b'}})
    s.create({'kind': 'Service', 'metadata': {'name': 'svc'}, 'spec': {'ports': [{'port': 80}], 'selector': {'a': 'b'}}})
    s.step('full')
    s.skip = {'events'}
    s.c.call('DELETE', '/api/v1/namespaces/' + s.ns)
    s.step('pods first', quiet=6)
    for p in s.pods():
        s.gone(p)
    s.until(lambda s: not s.pods())
    s.step('what has a finalizer is left', quiet=8)
    s.patch('configmaps', 'held', {'metadata': {'finalizers': None}})
    s.until(lambda s: not s.cache.list('namespaces', s.ns))
    s.step('gone', quiet=3)


def ns_accounts(s):
    s.delete('serviceaccounts', 'default')
    s.delete('configmaps', 'kube-root-ca.crt')
    s.step('they come back', quiet=3)
    s.patch('configmaps', 'kube-root-ca.crt', {'data': {'ca.crt': 'x', 'more': 'y'}})
    s.step('it is put right', quiet=3)
    s.patch('configmaps', 'kube-root-ca.crt', {'metadata': {'annotations': {'kubernetes.io/description': None}}})
    s.step('its annotation', quiet=3)


def account_token(s):
    s.create({'kind': 'ServiceAccount', 'metadata': {'name': 'bot'}})
    s.create({'kind': 'Secret', 'metadata': {'name': 'bot-token', 'annotations': {'kubernetes.io/service-account.name': 'bot'}},
              'type': 'kubernetes.io/service-account-token'})
    s.until(lambda s: s.get('secrets', 'bot-token').get('data', {}).get('token'))
    x = s.get('secrets', 'bot-token')
    s.say('what it holds', [sorted(x.get('data', {})), sorted(x['metadata'].get('annotations', {})), x['metadata'].get('labels')])
    s.delete('secrets', 'bot-token')
    s.create({'kind': 'Secret', 'metadata': {'name': 'ghost', 'annotations': {'kubernetes.io/service-account.name': 'ghost'}},
              'type': 'kubernetes.io/service-account-token'})
    s.step('a token of nobody', quiet=4)


def quota(s):
    s.create({'kind': 'ResourceQuota', 'metadata': {'name': 'q'}, 'spec': {'hard': {
        'pods': '5', 'configmaps': '4', 'count/secrets': '3', 'requests.cpu': '2', 'limits.memory': '1Gi', 'services.nodeports': '1', 'count/deployments.apps': '2'}}})
    s.create({'kind': 'ResourceQuota', 'metadata': {'name': 'best'}, 'spec': {'hard': {'pods': '2'}, 'scopes': ['BestEffort']}})
    s.step('empty', quiet=4)
    s.create(config('one'))
    s.create(pod('p', containers=[{'name': 'app', 'image': 'app:1', 'resources': {'requests': {'cpu': '500m'}, 'limits': {'cpu': '1', 'memory': '100Mi'}}}]))
    s.create({'kind': 'Service', 'metadata': {'name': 'np'}, 'spec': {'type': 'NodePort', 'ports': [{'port': 80, 'nodePort': 31000 + sum(map(ord, s.ns)) % 700}], 'selector': {'a': 'b'}}})
    s.step('some', quiet=4)
    s.delete('configmaps', 'one')
    s.delete('services', 'np')
    s.step('less', quiet=6)
    s.finish(s.pods()[0], 0)
    s.step('a finished pod does not count', quiet=6)
    s.patch('resourcequotas', 'q', {'spec': {'hard': {'pods': '7', 'configmaps': None}}})
    s.step('another limit', quiet=4)


SCENARIOS = [gc_tree, gc_several, gc_cycle, gc_absent, gc_cluster_owner, gc_finalizer, gc_upgrade, ns_order, ns_accounts, account_token, quota]
