"""What the other families leave out: rollouts that are scaled midway, history, ordinals, claims that are kept or not, missed schedules, zones, budgets of all kinds of owners."""
from scenarios.budgets import budget
from scenarios.make import controller, deployment, job, pod, replicaset, service, statefulset


def deploy_proportional(s):
    s.create(deployment('web', 6, strategy={'type': 'RollingUpdate', 'rollingUpdate': {'maxSurge': 2, 'maxUnavailable': 2}}))
    s.step('six')
    s.image('deployments', 'web', 'bad:2')
    s.step('stuck')
    s.scale('deployments', 'web', 12)
    s.step('twelve, midway', quiet=3)
    s.scale('deployments', 'web', 5)
    s.step('five, midway', quiet=3)
    s.image('deployments', 'web', 'app:3')
    s.step('past it', quiet=3)


def deploy_history(s):
    s.create(deployment('web', 1, revisionHistoryLimit=1))
    s.patch('deployments', 'web', {'metadata': {'annotations': {'kubernetes.io/change-cause': 'first', 'note': 'x'}}})
    s.step('first', quiet=3)
    for n in (2, 3, 4):
        s.patch('deployments', 'web', {'metadata': {'annotations': {'kubernetes.io/change-cause': 'change %d' % n}}})
        s.image('deployments', 'web', 'app:%d' % n)
        s.step('template %d' % n, quiet=3)
    s.image('deployments', 'web', 'app:3')
    s.step('back to the third', quiet=3)
    s.patch('deployments', 'web', {'spec': {'revisionHistoryLimit': 0}})
    s.step('no history', quiet=3)


def sts_ordinals(s):
    s.create(statefulset('db', 3, ordinals={'start': 5}))
    s.step('from five')
    s.patch('statefulsets', 'db', {'spec': {'updateStrategy': {'rollingUpdate': {'partition': 6}}}})
    s.image('statefulsets', 'db', 'app:2')
    s.step('from six on')
    s.patch('statefulsets', 'db', {'spec': {'ordinals': {'start': 4}}})
    s.step('from four', quiet=3)
    s.scale('statefulsets', 'db', 1)
    s.step('one', quiet=3)


def sts_retention(s):
    claim = {'metadata': {'name': 'data'}, 'spec': {'accessModes': ['ReadWriteOnce'], 'storageClassName': 'none', 'resources': {'requests': {'storage': '1Gi'}}}}
    s.create(statefulset('db', 2, volumeClaimTemplates=[claim], persistentVolumeClaimRetentionPolicy={'whenScaled': 'Delete', 'whenDeleted': 'Retain'}))
    s.step('two', quiet=3)
    s.scale('statefulsets', 'db', 1)
    s.step('one', quiet=4)
    s.scale('statefulsets', 'db', 2)
    s.step('two again', quiet=4)
    s.patch('statefulsets', 'db', {'spec': {'persistentVolumeClaimRetentionPolicy': {'whenDeleted': 'Delete'}}})
    s.step('deleted with it', quiet=4)
    s.delete('statefulsets', 'db')
    s.step('gone', quiet=5)


def sts_min_ready(s):
    s.create(statefulset('db', 2, minReadySeconds=3))
    s.step('available', quiet=5)
    s.image('statefulsets', 'db', 'bad:2')
    s.step('stuck', quiet=4)
    s.image('statefulsets', 'db', 'app:3')
    s.step('still stuck', quiet=4)
    s.delete('pods', 'db-1', grace=0)
    s.step('freed by hand', quiet=6)


def job_replacement(s):
    s.create(job('j', image='stop:1', parallelism=2, podReplacementPolicy='Failed', backoffLimit=3))
    s.step('two', quiet=3)
    s.delete('pods', s.pods()[0]['metadata']['name'])
    s.step('one is ending', quiet=3)
    s.patch('jobs', 'j', {'spec': {'parallelism': 1}})
    s.step('one less', quiet=3)
    s.create(dict(job('other', image='app:1'), spec=dict(job('other', image='app:1')['spec'], managedBy='example.org/somebody')))
    s.step('managed by another', quiet=3)


def job_ttl(s):
    s.create(job('j', ttlSecondsAfterFinished=4))
    s.create(job('k', image='exit:1', backoffLimit=0, ttlSecondsAfterFinished=0))
    s.until(lambda s: not s.cache.list('jobs', s.ns), 60)
    s.step('finished and gone', quiet=3)


def cron_missed(s):
    s.create({'kind': 'CronJob', 'metadata': {'name': 'late'}, 'spec': {'schedule': '* * * * *', 'suspend': True, 'startingDeadlineSeconds': 5,
              'jobTemplate': {'spec': {'template': {'spec': {'restartPolicy': 'Never', 'containers': [{'name': 'app', 'image': 'app:1'}]}}}}}})
    s.create({'kind': 'CronJob', 'metadata': {'name': 'many'}, 'spec': {'schedule': '* * * * *', 'suspend': True, 'timeZone': 'America/New_York',
              'jobTemplate': {'spec': {'template': {'spec': {'restartPolicy': 'Never', 'containers': [{'name': 'app', 'image': 'app:1'}]}}}}}})
    s.step('suspended', quiet=3)
    for name in ('late', 'many'):
        s.patch('cronjobs', name, {'status': {'lastScheduleTime': '2026-01-01T00:00:00Z'}}, sub='status')
    s.skip = {'jobs', 'pods'}
    s.patch('cronjobs', 'many', {'spec': {'suspend': False}})
    s.until(lambda s: s.cache.list('jobs', s.ns), 70)
    s.patch('cronjobs', 'many', {'spec': {'suspend': True}})
    s.step('too many missed', quiet=3)


def ep_zones(s):
    for i, zone in enumerate('aab'):
        s.patch('nodes', s.ns + '-n%d' % i, {'metadata': {'labels': {'topology.kubernetes.io/zone': zone}}})
    s.create(service('near', {'app': 'web'}, ports=((80, 8080), (443, 8443)), trafficDistribution='PreferSameZone'))
    s.create(service('node', {'app': 'web'}, trafficDistribution='PreferSameNode'))
    s.create(service('all', {'app': 'web'}, publishNotReadyAddresses=True, trafficDistribution='PreferClose'))
    s.create(deployment('web', 3))
    s.step('three', quiet=3)
    s.patch('services', 'near', {'spec': {'trafficDistribution': None}})
    s.step('anywhere', quiet=3)
    s.ready(s.pods()[0], False)
    s.step('one is not ready', quiet=3)


def pdb_kinds(s):
    s.create(replicaset('rs', 3))
    s.create(controller('rc', 4))
    s.create(statefulset('db', 2))
    s.create(budget('rs', {'app': 'rs'}, maxUnavailable='34%'))
    s.create(budget('rc', {'app': 'rc'}, minAvailable='30%'))
    s.create(budget('db', {'app': 'db'}, minAvailable=1, unhealthyPodEvictionPolicy='IfHealthyBudget'))
    s.create({'kind': 'PodDisruptionBudget', 'metadata': {'name': 'everything'}, 'spec': {'selector': {}, 'maxUnavailable': 2}})
    s.step('all kinds', quiet=4)
    s.create(job('j', image='app:1'))
    s.create(budget('j', {'batch.kubernetes.io/job-name': 'j'}, maxUnavailable=1))
    s.step('of a job', quiet=4)
    s.patch('poddisruptionbudgets', 'j', {'spec': {'maxUnavailable': None, 'minAvailable': 1}})
    s.step('a number', quiet=4)
    s.delete('replicasets', 'rs', 'Orphan')
    s.step('orphans', quiet=4)


def quota_scopes(s):
    def q(name, hard, scopes=None, selector=None):
        spec = {'hard': hard}
        if scopes:
            spec['scopes'] = scopes
        if selector:
            spec['scopeSelector'] = {'matchExpressions': selector}
        s.create({'kind': 'ResourceQuota', 'metadata': {'name': name}, 'spec': spec})
    q('terminating', {'pods': '3', 'limits.cpu': '2'}, ['Terminating'])
    q('lasting', {'pods': '3', 'requests.memory': '1Gi'}, ['NotTerminating', 'NotBestEffort'])
    q('classes', {'pods': '3'}, selector=[{'scopeName': 'PriorityClass', 'operator': 'In', 'values': ['system-node-critical']}])
    q('any-class', {'pods': '3'}, selector=[{'scopeName': 'PriorityClass', 'operator': 'Exists'}])
    q('storage', {'persistentvolumeclaims': '2', 'requests.storage': '5Gi', 'fast.storageclass.storage.k8s.io/requests.storage': '3Gi'})
    q('counts', {'count/jobs.batch': '4', 'count/leases.coordination.k8s.io': '5', 'services': '4', 'services.loadbalancers': '1', 'secrets': '3', 'replicationcontrollers': '2'})
    s.step('empty', quiet=4)
    box = [{'name': 'app', 'image': 'app:1', 'resources': {'requests': {'cpu': '100m', 'memory': '64Mi'}, 'limits': {'cpu': '1', 'memory': '64Mi'}}}]
    s.create(pod('ends', activeDeadlineSeconds=3000, containers=box))
    s.create(pod('lasts', containers=box))
    s.create({'kind': 'PersistentVolumeClaim', 'metadata': {'name': 'c'}, 'spec': {'accessModes': ['ReadWriteOnce'], 'storageClassName': 'fast', 'resources': {'requests': {'storage': '2Gi'}}}})
    s.create(job('j', image='app:1'))
    s.step('some', quiet=5)
    s.delete('pods', 'lasts', grace=0)
    s.delete('persistentvolumeclaims', 'c')
    s.step('less', quiet=6)


SCENARIOS = [deploy_proportional, deploy_history, sts_ordinals, sts_retention, sts_min_ready, job_replacement, job_ttl, cron_missed, ep_zones, pdb_kinds, quota_scopes]
