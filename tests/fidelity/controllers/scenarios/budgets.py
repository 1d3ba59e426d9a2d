"""PodDisruptionBudgets with evictions, and HorizontalPodAutoscalers without metrics."""
from scenarios.make import deployment, pod, statefulset


def budget(name, selector=None, **spec):
    return {'kind': 'PodDisruptionBudget', 'metadata': {'name': name}, 'spec': dict({'selector': {'matchLabels': selector or {'app': 'web'}}}, **spec)}


def pdb_evict(s):
    s.create(budget('b', minAvailable=2))
    s.step('no pods', quiet=3)
    s.create(deployment('web', 3))
    s.step('three', quiet=3)
    s.kubelet_on = False
    s.say('first', s.evict(s.pods()[0]['metadata']['name']))
    s.say('second', s.evict(s.pods()[1]['metadata']['name']))
    s.step('evicted', quiet=3)
    s.kubelet_on = True
    s.step('replaced', quiet=3)
    s.patch('poddisruptionbudgets', 'b', {'spec': {'minAvailable': '100%'}})
    s.step('all', quiet=3)
    s.say('third', s.evict(s.pods()[0]['metadata']['name']))
    s.patch('poddisruptionbudgets', 'b', {'spec': {'minAvailable': None, 'maxUnavailable': '50%'}})
    s.step('half', quiet=3)
    s.scale('deployments', 'web', 5)
    s.step('of five', quiet=3)


def pdb_unhealthy(s):
    s.create(budget('b', maxUnavailable=0))
    s.create(deployment('web', 2, image='bad:1'))
    s.step('none is healthy', quiet=3)
    s.say('evict', s.evict(s.pods()[0]['metadata']['name']))
    s.patch('poddisruptionbudgets', 'b', {'spec': {'unhealthyPodEvictionPolicy': 'AlwaysAllow'}})
    s.step('always', quiet=3)
    s.say('evict', s.evict(s.pods()[0]['metadata']['name']))
    s.step('evicted', quiet=3)


def pdb_odd(s):
    s.create(budget('lone', {'app': 'lone'}, maxUnavailable=1))
    s.create(pod('lone', {'app': 'lone'}))
    s.step('a pod of nobody', quiet=3)
    s.create(budget('count', {'app': 'lone'}, minAvailable=1))
    s.step('two budgets', quiet=3)
    s.say('evict', s.evict('lone'))
    s.create(statefulset('db', 2))
    s.create(budget('db', {'app': 'db'}, maxUnavailable=1))
    s.step('a stateful set', quiet=3)
    s.scale('statefulsets', 'db', 3)
    s.step('three', quiet=3)


def hpa_no_metrics(s):
    s.create(deployment('web', 2, pod={'containers': [{'name': 'app', 'image': 'app:1', 'resources': {'requests': {'cpu': '100m'}}}]}))
    s.step('two')
    s.create({'kind': 'HorizontalPodAutoscaler', 'metadata': {'name': 'web'}, 'spec': {
        'scaleTargetRef': {'apiVersion': 'apps/v1', 'kind': 'Deployment', 'name': 'web'}, 'minReplicas': 1, 'maxReplicas': 4,
        'metrics': [{'type': 'Resource', 'resource': {'name': 'cpu', 'target': {'type': 'Utilization', 'averageUtilization': 50}}}]}})
    s.until(lambda s: s.get('horizontalpodautoscalers', 'web')['status'].get('conditions'))
    s.step('no metrics', quiet=2)
    s.create({'kind': 'HorizontalPodAutoscaler', 'metadata': {'name': 'none'}, 'spec': {
        'scaleTargetRef': {'apiVersion': 'apps/v1', 'kind': 'Deployment', 'name': 'none'}, 'maxReplicas': 4}})
    s.until(lambda s: s.get('horizontalpodautoscalers', 'none')['status'].get('conditions'))
    s.step('no target', quiet=2)
    s.delete('horizontalpodautoscalers', 'web')
    s.delete('horizontalpodautoscalers', 'none')
    s.create({'kind': 'HorizontalPodAutoscaler', 'metadata': {'name': 'most'}, 'spec': {
        'scaleTargetRef': {'apiVersion': 'apps/v1', 'kind': 'Deployment', 'name': 'web'}, 'minReplicas': 1, 'maxReplicas': 1}})
    s.until(lambda s: s.get('deployments', 'web')['spec']['replicas'] == 1)
    s.step('more than the most', quiet=2)


def hpa_external(s):
    s.create(deployment('web', 1))
    for kind, body in (('Object', {'describedObject': {'apiVersion': 'v1', 'kind': 'Service', 'name': 'x'}, 'metric': {'name': 'm'}, 'target': {'type': 'Value', 'value': '3'}}),
                       ('Pods', {'metric': {'name': 'm'}, 'target': {'type': 'AverageValue', 'averageValue': '3'}}),
                       ('External', {'metric': {'name': 'm'}, 'target': {'type': 'AverageValue', 'averageValue': '3'}}),
                       ('ContainerResource', {'name': 'cpu', 'container': 'app', 'target': {'type': 'AverageValue', 'averageValue': '3'}})):
        name = kind.lower()
        s.create({'kind': 'HorizontalPodAutoscaler', 'metadata': {'name': name}, 'spec': {
            'scaleTargetRef': {'apiVersion': 'apps/v1', 'kind': 'Deployment', 'name': 'web'}, 'maxReplicas': 4,
            'metrics': [{'type': kind, kind[0].lower() + kind[1:]: body}]}})
        s.until(lambda s: s.get('horizontalpodautoscalers', name)['status'].get('conditions'))
        s.step(kind, quiet=2)
        s.delete('horizontalpodautoscalers', name)
    for n in ('one', 'two'):
        s.create({'kind': 'HorizontalPodAutoscaler', 'metadata': {'name': n}, 'spec': {
            'scaleTargetRef': {'apiVersion': 'apps/v1', 'kind': 'Deployment', 'name': 'web'}, 'maxReplicas': 4}})
    s.until(lambda s: all(s.get('horizontalpodautoscalers', n)['status'].get('conditions') for n in ('one', 'two')))
    s.scale('deployments', 'web', 0)
    s.until(lambda s: s.get('horizontalpodautoscalers', 'one')['status']['conditions'][-1]['reason'] == 'ScalingDisabled', 40)
    s.step('two of one target, and zero', quiet=2)


SCENARIOS = [pdb_evict, pdb_unhealthy, pdb_odd, hpa_no_metrics, hpa_external]
