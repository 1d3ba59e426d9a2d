"""StatefulSets: order, updates, partitions, claims and their retention, failures."""
from scenarios.make import service, statefulset


def claim(name, size='1Gi'):
    return {'metadata': {'name': name}, 'spec': {'accessModes': ['ReadWriteOnce'], 'storageClassName': 'none', 'resources': {'requests': {'storage': size}}}}


def sts_order(s):
    s.create(service('db', {'app': 'db'}, clusterIP='None'))
    s.create(statefulset('db', 3))
    s.step('created')
    s.scale('statefulsets', 'db', 5)
    s.step('up')
    s.scale('statefulsets', 'db', 2)
    s.step('down')
    s.image('statefulsets', 'db', 'app:2')
    s.step('second template')
    s.image('statefulsets', 'db', 'bad:3')
    s.step('bad')
    s.image('statefulsets', 'db', 'app:2')
    s.step('back, but the bad pod blocks')
    s.delete('pods', 'db-1')
    s.step('unblocked by hand')


def sts_parallel(s):
    s.create(statefulset('db', 3, podManagementPolicy='Parallel', minReadySeconds=2))
    s.step('created', quiet=4)
    s.image('statefulsets', 'db', 'app:2')
    s.step('second template', quiet=4)
    s.scale('statefulsets', 'db', 0)
    s.step('none', quiet=3)


def sts_partition(s):
    s.create(statefulset('db', 4, updateStrategy={'type': 'RollingUpdate', 'rollingUpdate': {'partition': 2}}))
    s.step('created')
    s.image('statefulsets', 'db', 'app:2')
    s.step('half')
    s.delete('pods', 'db-0')
    s.step('an old one comes back old')
    s.patch('statefulsets', 'db', {'spec': {'updateStrategy': {'rollingUpdate': {'partition': 0}}}})
    s.step('all')


def sts_on_delete(s):
    s.create(statefulset('db', 2, updateStrategy={'type': 'OnDelete'}))
    s.step('created')
    s.image('statefulsets', 'db', 'app:2')
    s.step('nothing')
    s.delete('pods', 'db-1')
    s.step('one')
    s.patch('statefulsets', 'db', {'spec': {'revisionHistoryLimit': 0}})
    s.step('no history')
    s.image('statefulsets', 'db', 'app:1')
    s.step('back to the first')


def sts_claims(s):
    s.create(statefulset('db', 2, volumeClaimTemplates=[claim('data')],
                         persistentVolumeClaimRetentionPolicy={'whenScaled': 'Delete', 'whenDeleted': 'Retain'}))
    s.step('created')
    s.scale('statefulsets', 'db', 1)
    s.step('down: the claim goes', quiet=3)
    s.patch('statefulsets', 'db', {'spec': {'persistentVolumeClaimRetentionPolicy': {'whenDeleted': 'Delete'}}})
    s.step('the claim gets an owner')
    s.patch('statefulsets', 'db', {'spec': {'persistentVolumeClaimRetentionPolicy': {'whenScaled': 'Retain', 'whenDeleted': 'Retain'}}})
    s.step('and loses it')
    s.patch('statefulsets', 'db', {'spec': {'persistentVolumeClaimRetentionPolicy': {'whenDeleted': 'Delete'}}})
    s.delete('statefulsets', 'db', 'Foreground')
    s.step('all goes', quiet=3)


def sts_failures(s):
    s.create(statefulset('db', 3, ordinals={'start': 5}))
    s.step('created')
    s.finish(s.pods()[1], 1)
    s.step('failed pods are made anew')
    s.finish(s.pods()[0], 0)
    s.step('succeeded ones too')
    s.policy['db-6'] = 'stop'
    s.delete('pods', 'db-6')
    s.scale('statefulsets', 'db', 5)
    s.step('one ends slowly: nothing is made above')
    del s.policy['db-6']
    s.step('it has gone')


def sts_max_unavailable(s):
    s.create(statefulset('db', 4, updateStrategy={'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': 2}}))
    s.step('created')
    s.image('statefulsets', 'db', 'app:2')
    s.step('two at a time')


def sts_delete(s):
    s.create(statefulset('db', 2))
    s.step('created')
    s.delete('statefulsets', 'db', 'Orphan')
    s.step('orphaned', quiet=3)
    s.create(statefulset('db', 3))
    s.step('adopted', quiet=3)
    s.delete('statefulsets', 'db')
    s.step('gone', quiet=3)


SCENARIOS = [sts_order, sts_parallel, sts_partition, sts_on_delete, sts_claims, sts_failures, sts_max_unavailable, sts_delete]
