"""Claims and volumes: binding, protection, release, retention."""
from scenarios.make import pod


def volume(s, name, size='1Gi', policy='Retain', cls='slow', **more):
    return {'kind': 'PersistentVolume', 'metadata': {'name': s.ns + '-' + name}, 'spec': dict({
        'capacity': {'storage': size}, 'accessModes': ['ReadWriteOnce'], 'hostPath': {'path': '/nowhere'}, 'storageClassName': s.ns + cls,
        'persistentVolumeReclaimPolicy': policy}, **more)}


def claim(s, name, size='1Gi', cls='slow', **more):
    return {'kind': 'PersistentVolumeClaim', 'metadata': {'name': name}, 'spec': dict({
        'accessModes': ['ReadWriteOnce'], 'storageClassName': s.ns + cls if cls is not None else '', 'resources': {'requests': {'storage': size}}}, **more)}


def vol_bind(s):
    s.cluster = {'persistentvolumes': s.ns}
    s.create(volume(s, 'small', '1Gi'))
    s.create(volume(s, 'big', '5Gi'))
    s.create(volume(s, 'fits', '2Gi'))
    s.step('volumes', quiet=4)
    s.create(claim(s, 'huge', '9Gi'))
    s.step('no volume that fits', quiet=4)
    s.create(claim(s, 'c', '2Gi'))
    s.until(lambda s: s.get('persistentvolumeclaims', 'c')['status']['phase'] == 'Bound')
    s.step('the smallest that fits', quiet=4)
    s.create(pod('user', image='app:1', volumes=[{'name': 'v', 'persistentVolumeClaim': {'claimName': 'c'}}]))
    s.step('in use', quiet=4)
    s.delete('persistentvolumeclaims', 'c')
    s.step('protected', quiet=4)
    s.delete('pods', 'user', grace=0)
    s.until(lambda s: not s.cache.list('persistentvolumeclaims', s.ns))
    s.step('released', quiet=4)
    for n in ('small', 'big', 'fits'):
        s.c.call('DELETE', '/api/v1/persistentvolumes/%s-%s' % (s.ns, n))
    s.step('gone', quiet=4)


def vol_given(s):
    s.cluster = {'persistentvolumes': s.ns}
    s.create(volume(s, 'v', claimRef={'namespace': s.ns, 'name': 'c', 'kind': 'PersistentVolumeClaim', 'apiVersion': 'v1'}))
    s.step('reserved', quiet=4)
    s.create(claim(s, 'c', volumeName=s.ns + '-v'))
    s.step('bound', quiet=6)
    s.c.call('DELETE', '/api/v1/persistentvolumes/%s-v' % s.ns)
    s.step('the volume is protected', quiet=4)
    s.delete('persistentvolumeclaims', 'c')
    s.step('both go', quiet=4)
    s.create(claim(s, 'lost', volumeName=s.ns + '-none'))
    s.step('a volume that is not there', quiet=6)


def vol_lost(s):
    s.cluster = {'persistentvolumes': s.ns}
    s.create(volume(s, 'v'))
    s.create(claim(s, 'c'))
    s.until(lambda s: s.get('persistentvolumeclaims', 'c')['status']['phase'] == 'Bound')
    s.step('bound', quiet=4)
    s.c.call('DELETE', '/api/v1/persistentvolumes/%s-v' % s.ns)
    s.c.call('PATCH', '/api/v1/persistentvolumes/%s-v' % s.ns, {'metadata': {'finalizers': None}}, 'application/merge-patch+json', ok=(404,))
    s.step('lost', quiet=6)


def vol_classes(s):
    s.cluster = {'persistentvolumes': s.ns, 'storageclasses': s.ns}
    s.create({'kind': 'StorageClass', 'metadata': {'name': s.ns + 'slow'}, 'provisioner': 'example.org/none', 'reclaimPolicy': 'Delete', 'volumeBindingMode': 'Immediate'})
    s.create({'kind': 'StorageClass', 'metadata': {'name': s.ns + 'late'}, 'provisioner': 'kubernetes.io/no-provisioner', 'volumeBindingMode': 'WaitForFirstConsumer'})
    s.create(claim(s, 'ext'))
    s.step('waits for the provisioner', quiet=6)
    s.create(claim(s, 'late', cls='late'))
    s.step('waits for a pod', quiet=6)
    s.create(pod('user', image='unbound:1', volumes=[{'name': 'v', 'persistentVolumeClaim': {'claimName': 'late'}}]))
    s.step('a pod', quiet=6)
    s.create(claim(s, 'none', cls=None))
    s.create(claim(s, 'unknown', cls='unknown'))
    s.step('no class, unknown class', quiet=6)
    for n in ('slow', 'late'):
        s.c.call('DELETE', '/apis/storage.k8s.io/v1/storageclasses/' + s.ns + n)


def vol_reclaim(s):
    s.cluster = {'persistentvolumes': s.ns}
    for policy in ('Delete', 'Recycle'):
        n = policy.lower()
        s.create(volume(s, n, policy=policy, cls=n))
        s.create(claim(s, n, cls=n))
        s.until(lambda s: s.get('persistentvolumeclaims', n)['status']['phase'] == 'Bound')
        s.step('bound for ' + policy, quiet=4)
        s.delete('persistentvolumeclaims', n)
        s.step(policy, quiet=6)
        s.c.call('DELETE', '/api/v1/persistentvolumes/%s-%s' % (s.ns, n), ok=(404,))


def vol_ephemeral(s):
    s.create(pod('p', image='unbound:1', volumes=[{'name': 'scratch', 'ephemeral': {'volumeClaimTemplate': {'metadata': {'labels': {'a': 'b'}}, 'spec': {
        'accessModes': ['ReadWriteOnce'], 'storageClassName': s.ns + 'none', 'resources': {'requests': {'storage': '1Gi'}}}}}}]))
    s.step('a claim of its own', quiet=4)
    s.create(claim(s, 'q-scratch'))
    s.create(pod('q', image='unbound:1', volumes=[{'name': 'scratch', 'ephemeral': {'volumeClaimTemplate': {'spec': {
        'accessModes': ['ReadWriteOnce'], 'storageClassName': s.ns + 'none', 'resources': {'requests': {'storage': '1Gi'}}}}}}]))
    s.step('a claim of somebody else', quiet=1)
    s.delete('pods', 'p', grace=0)
    s.step('gone', quiet=4)


SCENARIOS = [vol_bind, vol_given, vol_lost, vol_classes, vol_reclaim, vol_ephemeral]
