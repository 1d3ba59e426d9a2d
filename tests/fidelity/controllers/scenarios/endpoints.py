"""Services, Endpoints and EndpointSlices: readiness, ports, terminating pods, headless, mirroring, two families."""
from scenarios.make import deployment, pod, service


def ep_readiness(s):
    s.create(service('web', {'app': 'web'}))
    s.step('no pods')
    s.create(deployment('web', 3))
    s.step('three')
    s.ready(s.pods()[0], False)
    s.step('one is not ready')
    s.patch('services', 'web', {'spec': {'publishNotReadyAddresses': True}})
    s.step('published all the same')
    s.patch('services', 'web', {'spec': {'publishNotReadyAddresses': False}, 'metadata': {'labels': {'team': 'x'}, 'annotations': {'note': 'y'}}})
    s.step('a label and an annotation')
    s.patch('services', 'web', {'spec': {'ports': [{'name': 'a', 'port': 80, 'targetPort': 'http'}, {'name': 'b', 'port': 81, 'targetPort': 9000, 'protocol': 'UDP',
                                                   'appProtocol': 'kubernetes.io/h2c'}]}})
    s.step('other ports')
    s.patch('services', 'web', {'spec': {'selector': {'app': 'none'}}})
    s.step('another selector')
    s.delete('services', 'web')
    s.step('gone', quiet=3)


def ep_named_ports(s):
    s.create(service('n', {'app': 'n'}, ports=((80, 'http'),)))
    s.create(pod('one', {'app': 'n'}, containers=[{'name': 'app', 'image': 'app:1', 'ports': [{'name': 'http', 'containerPort': 8080}]}]))
    s.create(pod('two', {'app': 'n'}, containers=[{'name': 'app', 'image': 'app:1', 'ports': [{'name': 'http', 'containerPort': 9090}]}]))
    s.create(pod('three', {'app': 'n'}))
    s.step('a port that is another per pod')


def ep_headless(s):
    s.create(service('h', {'app': 'h'}, clusterIP='None'))
    s.create({'kind': 'Service', 'metadata': {'name': 'no-ports'}, 'spec': {'selector': {'app': 'h'}, 'clusterIP': 'None'}})
    s.create(pod('one', {'app': 'h'}, hostname='first', subdomain='h'))
    s.create(pod('two', {'app': 'h'}, hostname='second', subdomain='other'))
    s.step('headless')
    s.patch('services', 'h', {'spec': {'type': 'ExternalName', 'externalName': 'example.org', 'clusterIP': '', 'clusterIPs': None, 'selector': None}})
    s.step('a name outside', quiet=3)


def ep_terminating(s):
    s.create(service('web', {'app': 'web'}))
    s.create(deployment('web', 2, image='stop:1'))
    s.step('two')
    s.delete('pods', s.pods()[0]['metadata']['name'])
    s.step('one is ending')
    p = [p for p in s.pods() if p['metadata'].get('deletionTimestamp')][0]
    s.ready(p, False)
    s.step('and serves no more')
    s.finish(p, 0)
    s.step('and is over')
    s.gone(p)
    s.step('and has gone')


def ep_tolerate(s):
    s.create(service('web', {'app': 'web'}, publishNotReadyAddresses=True))
    s.create(pod('hang', {'app': 'web'}, image='hang:1'))
    s.create(pod('bad', {'app': 'web'}, image='bad:1'))
    s.create(pod('done', {'app': 'web'}, image='exit:0', restartPolicy='Never'))
    s.step('all kinds of pods')


def ep_mirroring(s):
    s.create(service('m'))
    s.create({'kind': 'Endpoints', 'metadata': {'name': 'm', 'labels': {'x': 'y'}, 'annotations': {'n': 'o'}}, 'subsets': [
        {'addresses': [{'ip': '10.1.1.1'}, {'ip': '10.1.1.2', 'hostname': 'h', 'nodeName': 'n'}], 'notReadyAddresses': [{'ip': '10.1.1.3'}],
         'ports': [{'name': 'a', 'port': 80}, {'name': 'b', 'port': 81, 'protocol': 'UDP'}]},
        {'addresses': [{'ip': '10.2.1.1'}, {'ip': 'fd00::1'}], 'ports': [{'port': 90}]}]})
    s.step('mirrored')
    s.patch('endpoints', 'm', {'subsets': [{'addresses': [{'ip': '10.1.1.9'}], 'ports': [{'name': 'a', 'port': 80}]}]})
    s.step('changed')
    s.patch('endpoints', 'm', {'metadata': {'labels': {'endpointslice.kubernetes.io/skip-mirror': 'true'}}})
    s.step('not mirrored', quiet=3)
    s.patch('endpoints', 'm', {'metadata': {'labels': {'endpointslice.kubernetes.io/skip-mirror': None}}})
    s.step('again', quiet=3)
    s.delete('endpoints', 'm')
    s.step('gone', quiet=3)


def ep_many(s):
    s.create(service('web', {'app': 'web'}))
    s.policy = {}
    s.create(deployment('web', 12))
    s.step('twelve', limit=200)
    s.scale('deployments', 'web', 3)
    s.step('three')


def ep_slices_by_hand(s):
    s.create(service('web', {'app': 'web'}))
    s.create(pod('one', {'app': 'web'}))
    s.step('one')
    x = [e for e in s.cache.list('endpointslices', s.ns)][0]
    s.patch('endpointslices', x['metadata']['name'], {'endpoints': []})
    s.step('emptied by hand', quiet=3)
    s.delete('endpointslices', x['metadata']['name'])
    s.step('deleted by hand', quiet=3)
    s.delete('endpoints', 'web')
    s.step('the other kind too', quiet=3)


SCENARIOS = [ep_readiness, ep_named_ports, ep_headless, ep_terminating, ep_tolerate, ep_mirroring, ep_many, ep_slices_by_hand]
