"""HorizontalPodAutoscalers over metrics that are told (--metrics ADDRESS): what they ask for, what holds them, what fails."""
from scenarios.make import deployment, statefulset

REQUESTS = {'resources': {'requests': {'cpu': '100m', 'memory': '100Mi'}}}
FAST = {'policies': [{'type': 'Pods', 'value': 100, 'periodSeconds': 1}], 'stabilizationWindowSeconds': 0}


def web(n, name='web', **more):
    return deployment(name, n, pod={'containers': [dict({'name': 'app', 'image': 'app:1'}, **REQUESTS)]}, **more)


def hpa(name, *metrics, least=1, most=8, target=('apps/v1', 'Deployment', 'web'), **more):
    spec = {'scaleTargetRef': dict(zip(('apiVersion', 'kind', 'name'), target)), 'minReplicas': least, 'maxReplicas': most, 'metrics': list(metrics)}
    return {'kind': 'HorizontalPodAutoscaler', 'metadata': {'name': name}, 'spec': dict(spec, **more)}


def target(kind, value):
    return {'type': kind, {'Utilization': 'averageUtilization', 'AverageValue': 'averageValue', 'Value': 'value'}[kind]: value}


def resource(name, kind='Utilization', value=50):
    return {'type': 'Resource', 'resource': {'name': name, 'target': target(kind, value)}}


def container(name, which='app', kind='Utilization', value=50):
    return {'type': 'ContainerResource', 'containerResource': {'name': name, 'container': which, 'target': target(kind, value)}}


def metric(name, labels=None):
    return dict({'name': name}, **({'selector': labels} if labels else {}))


def pods(name, value, labels=None):
    return {'type': 'Pods', 'pods': {'metric': metric(name, labels), 'target': target('AverageValue', value)}}


def thing(name, kind, value, about=('v1', 'Service', 'shop'), labels=None):
    return {'type': 'Object', 'object': {'describedObject': dict(zip(('apiVersion', 'kind', 'name'), about)), 'metric': metric(name, labels),
                                         'target': target(kind, value)}}


def external(name, kind, value, labels=None):
    return {'type': 'External', 'external': {'metric': metric(name, labels), 'target': target(kind, value)}}


def looked(s, name='a', label=None, replicas=None, reason=None, resource='deployments', of='web'):
    """Until the autoscaler has come to that number (and, with reason, says so), and nothing changes."""
    def there(s):
        o = s.get('horizontalpodautoscalers', name)
        said = [c['reason'] for c in o.get('status', {}).get('conditions', [])]
        return (replicas is None or s.get(resource, of)['spec']['replicas'] == replicas) and (said if reason is None else reason in said)
    s.until(there)
    s.step(label or 'looked', quiet=3)


def hpa_cpu(s):
    s.tell('cpu', ['50m'])
    s.create(web(2))
    s.step('two')
    s.create(hpa('a', resource('cpu')))
    looked(s, label='on target')
    s.tell('cpu', ['54m'])
    looked(s, label='within tolerance')
    s.tell('cpu', ['100m', '100m', '0'])
    looked(s, label='twice', replicas=4)
    s.tell('cpu', ['1', '1', '0'])
    looked(s, label='very much', replicas=8)
    s.tell('cpu', ['100m', '100m', '0'])
    looked(s, label='less', replicas=4)
    s.tell('cpu', ['0'])
    looked(s, label='nothing', replicas=1)


def hpa_memory(s):
    s.tell('memory', ['64Mi'])
    s.create(web(3))
    s.step('three')
    s.create(hpa('a', resource('memory', 'AverageValue', '64Mi')))
    looked(s, label='a value')
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [resource('memory', value=90)]}})
    looked(s, label='a share')
    s.tell('memory', ['100000k', None, '50Mi'])
    looked(s, label='one is not told')
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [resource('memory', value=40)]}})
    looked(s, label='one is not told, and more are needed', replicas=4)


def hpa_container(s):
    two = [dict({'name': n, 'image': 'app:1'}, **REQUESTS) for n in ('app', 'side')]
    s.tell('cpu/app', ['10m'])
    s.tell('cpu/side', ['90m', '90m', '0'])
    s.create(deployment('web', 2, pod={'containers': two}))
    s.step('two')
    s.create(hpa('a', container('cpu', 'side', value=90)))
    looked(s, label='one container')
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [container('cpu', 'side', 'AverageValue', '30m')]}})
    looked(s, label='its value', replicas=6)
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [container('cpu', 'none', value=90)]}})
    looked(s, label='none of that name', reason='FailedGetContainerResourceMetric')


def hpa_requests(s):
    s.tell('cpu', ['50m'])
    s.create(deployment('web', 2))
    s.step('two')
    s.create(hpa('a', resource('cpu')))
    looked(s, label='no requests', reason='FailedGetResourceMetric')
    s.delete('horizontalpodautoscalers', 'a')
    s.create(deployment('level', 2, pod={'resources': {'requests': {'cpu': '200m'}}}))
    s.step('requests of the pod')
    s.create(hpa('b', resource('cpu'), target=('apps/v1', 'Deployment', 'level')))
    looked(s, 'b', 'of the pod', of='level', replicas=1)


def hpa_pods(s):
    s.tell('hits', ['5'])
    s.create(web(2))
    s.step('two')
    s.create(hpa('a', pods('hits', '5')))
    looked(s, label='on target')
    s.tell('hits', ['10', '10', '0'])
    looked(s, label='twice', replicas=4)
    s.tell('hits', ['1500m', '1500m', '0'])
    looked(s, label='less', replicas=1)
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [pods('hits', '1', {'matchLabels': {'path': 'x'}, 'matchExpressions': [
        {'key': 'verb', 'operator': 'In', 'values': ['GET', 'PUT']}]})]}})
    looked(s, label='with labels', replicas=3)
    s.tell('hits', [None])
    looked(s, label='of no pod', reason='FailedGetPodsMetric')
    s.tell('hits', (403, 'pods.custom.metrics.k8s.io "*" is forbidden: no'))
    looked(s, label='forbidden', reason='FailedGetPodsMetric')


def hpa_object(s):
    s.tell('queue', '20')
    s.create(web(2))
    s.step('two')
    s.create(hpa('a', thing('queue', 'Value', '20')))
    looked(s, label='a value')
    s.tell('queue', '40')
    looked(s, label='twice', replicas=8)
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [thing('queue', 'AverageValue', '10')]}})
    looked(s, label='per pod', replicas=4)
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [thing('queue', 'AverageValue', '20', labels={'matchLabels': {'x': 'y'}})]}})
    looked(s, label='per pod, with labels', replicas=2)
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [thing('queue', 'Value', '40', ('v1', 'Namespace', 'any'))]}})
    looked(s, label='of the namespace')
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [thing('queue', 'Value', '40', ('shop.example/v1', 'Basket', 'any'))]}})
    looked(s, label='of a kind that is not there', reason='FailedGetObjectMetric')
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [thing('none', 'Value', '40')]}})
    looked(s, label='of a metric that is not there', reason='FailedGetObjectMetric')
    s.tell('queue', '')
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [thing('queue', 'Value', '40')]}})
    looked(s, label='an empty answer', reason='FailedGetObjectMetric')


def hpa_outside(s):
    s.tell('jobs', ['20', '10'])
    s.create(web(3))
    s.step('three')
    s.create(hpa('a', external('jobs', 'AverageValue', '10')))
    looked(s, label='per pod')
    s.tell('jobs', ['47500m'])
    looked(s, label='more', replicas=5)
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [external('jobs', 'Value', '50', {'matchLabels': {'queue': 'q'}})]}})
    looked(s, label='as a whole, with labels')
    s.tell('jobs', ['75'])
    looked(s, label='more as a whole', replicas=8)
    s.tell('jobs', [])
    looked(s, label='an empty answer', reason='FailedGetExternalMetric')
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [external('jobs', 'AverageValue', '10')]}})
    s.tell('jobs', (500, 'the queue is away'))
    looked(s, label='an error', reason='FailedGetExternalMetric')


def hpa_several(s):
    s.tell('cpu', ['50m'])
    s.tell('jobs', ['60'])
    s.create(web(2))
    s.step('two')
    s.create(hpa('a', resource('cpu'), external('jobs', 'AverageValue', '10'), pods('none', '1')))
    looked(s, label='one fails, one wants more', replicas=6)
    s.tell('jobs', ['10'])
    s.tell('cpu', ['10m'])
    looked(s, label='one fails, the others want less', reason='FailedGetPodsMetric')
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'metrics': [resource('cpu'), external('jobs', 'AverageValue', '10')]}})
    looked(s, label='none fails', replicas=2)


def hpa_limits(s):
    s.tell('jobs', ['100'])
    s.create(web(2))
    s.step('two')
    s.create(hpa('a', external('jobs', 'AverageValue', '10'), least=2, most=20))
    looked(s, label='not so fast', replicas=10)
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'maxReplicas': 6}})
    looked(s, label='too many', replicas=6)
    s.tell('jobs', ['0'])
    looked(s, label='too few', replicas=2)
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'minReplicas': 3}})
    looked(s, label='fewer than the least', replicas=3)
    s.scale('deployments', 'web', 0)
    looked(s, label='none', reason='ScalingDisabled')
    s.scale('deployments', 'web', 1)
    looked(s, label='again', replicas=3)


def hpa_behavior(s):
    s.tell('jobs', ['20'])
    s.create(web(2))
    s.step('two')
    slow = {'policies': [{'type': 'Pods', 'value': 1, 'periodSeconds': 600}], 'stabilizationWindowSeconds': 0}
    s.create(hpa('a', external('jobs', 'AverageValue', '10'), most=20, behavior={'scaleUp': slow, 'scaleDown': slow}))
    looked(s, label='at rest')
    s.tell('jobs', ['60'])
    looked(s, label='one up', replicas=3)
    s.tell('jobs', ['10'])
    looked(s, label='down by what came, and one', replicas=1)
    half = {'policies': [{'type': 'Percent', 'value': 50, 'periodSeconds': 1}, {'type': 'Pods', 'value': 1, 'periodSeconds': 1}], 'stabilizationWindowSeconds': 0}
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'behavior': {'scaleUp': dict(half, selectPolicy='Min'), 'scaleDown': dict(half, selectPolicy='Disabled')}}})
    s.tell('jobs', ['50'])
    looked(s, label='step by step', replicas=5)
    s.tell('jobs', ['20'])
    looked(s, label='never down', reason='ScaleDownLimit')
    s.patch('horizontalpodautoscalers', 'a', {'spec': {'behavior': {'scaleUp': dict(FAST, stabilizationWindowSeconds=300),
                                                                    'scaleDown': dict(FAST, stabilizationWindowSeconds=300)}}})
    looked(s, label='recently more was wanted', reason='ScaleDownStabilized')
    s.tell('jobs', ['90'])
    looked(s, label='recently less was wanted', reason='ScaleUpStabilized')


def hpa_tolerance(s):
    s.tell('jobs', ['24'])
    s.create(web(2))
    s.step('two')
    s.create(hpa('a', external('jobs', 'AverageValue', '10'), behavior={'scaleUp': dict(FAST, tolerance='0.5'), 'scaleDown': dict(FAST, tolerance='0.2')}))
    looked(s, label='tolerated')
    s.tell('jobs', ['31'])
    looked(s, label='not tolerated', replicas=4)
    s.tell('jobs', ['33'])
    looked(s, label='tolerated on the way down')
    s.tell('jobs', ['29'])
    looked(s, label='not tolerated on the way down', replicas=3)


def hpa_targets(s):
    s.tell('jobs', ['20'])
    s.create(statefulset('db', 1))
    s.step('one')
    s.create(hpa('a', external('jobs', 'AverageValue', '10'), target=('apps/v1', 'StatefulSet', 'db')))
    looked(s, label='a set', replicas=2, resource='statefulsets', of='db')
    s.create(hpa('b', external('jobs', 'AverageValue', '10'), target=('batch/v1', 'Job', 'db')))
    looked(s, 'b', label='a kind without a scale')
    s.create(hpa('c', external('jobs', 'AverageValue', '10'), target=('shop.example/v1', 'Basket', 'db')))
    looked(s, 'c', label='a kind that is not there')
    s.create(hpa('d', external('jobs', 'AverageValue', '10'), target=('a/b/c', 'Basket', 'db')))
    looked(s, 'd', label='a version that is none')


SCENARIOS = [hpa_cpu, hpa_memory, hpa_container, hpa_requests, hpa_pods, hpa_object, hpa_outside, hpa_several, hpa_limits, hpa_behavior, hpa_tolerance, hpa_targets]
