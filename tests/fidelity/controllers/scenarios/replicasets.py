"""ReplicaSets and ReplicationControllers without a Deployment."""
from scenarios.make import controller, pod, replicaset


def rs_scale(s):
    s.create(replicaset('web', 3))
    s.step('created')
    s.scale('replicasets', 'web', 6)
    s.step('up')
    s.ready(s.pods()[0], False)
    s.scale('replicasets', 'web', 2)
    s.step('down: who is not ready goes first')
    s.scale('replicasets', 'web', 0)
    s.step('none')


def rs_template(s):
    s.create(replicaset('web', 2))
    s.step('created')
    s.image('replicasets', 'web', 'app:2')
    s.step('another template changes nothing')
    s.delete('pods', s.pods()[0]['metadata']['name'])
    s.step('but new pods')


def rs_failures(s):
    s.create(replicaset('web', 2, minReadySeconds=3))
    s.step('created', quiet=5)
    s.finish(s.pods()[0], 137, 'OOMKilled')
    s.step('a failed pod is replaced and stays', quiet=5)
    s.policy[s.pods()[-1]['metadata']['name']] = 'stop'
    s.delete('pods', s.pods()[-1]['metadata']['name'])
    s.step('a pod that ends slowly', quiet=5)


def rs_adoption(s):
    s.create(pod('lone', {'app': 'web'}))
    s.step('a pod')
    s.create(replicaset('web', 2))
    s.step('adopts it')
    s.patch('pods', 'lone', {'metadata': {'labels': {'app': 'x'}}})
    s.step('releases it')
    s.create(pod('late', {'app': 'web'}))
    s.step('one too many')


def rs_bad_template(s):
    s.create(replicaset('web', 1, pod={'serviceAccountName': 'nobody'}))
    s.until(lambda s: s.get('replicasets', 'web')['status'].get('conditions') and [e for e in s.cache.list('events', s.ns) if e['reason'] == 'FailedCreate'])
    s.step('no such account', quiet=0.1, limit=1)


def rc_scale(s):
    s.create(controller('web', 2))
    s.step('created')
    s.scale('replicationcontrollers', 'web', 4)
    s.step('up')
    s.scale('replicationcontrollers', 'web', 1)
    s.step('down')
    s.finish(s.pods()[0], 1)
    s.step('failed')
    s.patch('pods', s.pods()[-1]['metadata']['name'], {'metadata': {'labels': {'app': 'x'}}})
    s.step('released')
    s.delete('replicationcontrollers', 'web', 'Orphan')
    s.step('orphaned', quiet=3)


def rs_delete(s):
    for how in ('Background', 'Foreground', 'Orphan'):
        name = how.lower()
        s.create(replicaset(name, 2))
        s.step('created for ' + how)
        s.delete('replicasets', name, how)
        s.step('deleted ' + how, quiet=3)


def rs_foreground_slow(s):
    s.create(replicaset('web', 2, image='stop:1'))
    s.step('created')
    s.delete('replicasets', 'web', 'Foreground')
    s.step('waits for its pods', quiet=3)
    for p in s.pods():
        s.gone(p)
    s.step('goes', quiet=3)


SCENARIOS = [rs_scale, rs_template, rs_failures, rs_adoption, rs_bad_template, rc_scale, rs_delete, rs_foreground_slow]
