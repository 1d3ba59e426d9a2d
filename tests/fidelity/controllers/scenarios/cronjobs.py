"""CronJobs: schedules, zones, what runs at the same time, history, suspension. One minute is the shortest schedule, so these take minutes."""
from scenarios.make import job


def cron(name, schedule='* * * * *', image='exit:0', meta=None, **spec):
    j = job('x', image, backoffLimit=0)
    return {'kind': 'CronJob', 'metadata': {'name': name},
            'spec': dict({'schedule': schedule, 'jobTemplate': {'metadata': meta or {'labels': {'l': 'm'}, 'annotations': {'a': 'b'}}, 'spec': j['spec']}}, **spec)}


def jobs_of(s, n):
    return lambda s: len(s.cache.list('jobs', s.ns)) >= n


def cron_runs(s):
    s.create(cron('c', successfulJobsHistoryLimit=1, failedJobsHistoryLimit=1))
    s.until(jobs_of(s, 1), 130)
    s.until(lambda s: s.get('cronjobs', 'c')['status'].get('lastSuccessfulTime'))
    s.step('ran', quiet=3)
    s.patch('cronjobs', 'c', {'spec': {'suspend': True}})
    s.step('suspended', quiet=3)


def cron_forbid(s):
    s.create(cron('c', image='app:1', concurrencyPolicy='Forbid', timeZone='Europe/Berlin'))
    s.until(jobs_of(s, 1), 130)
    s.step('runs', quiet=3)
    s.until(lambda s: any(e['reason'] == 'JobAlreadyActive' for e in s.cache.list('events', s.ns)), 130)
    s.step('still runs: skipped', quiet=3)


def cron_replace(s):
    s.create(cron('c', image='app:1', concurrencyPolicy='Replace'))
    s.until(jobs_of(s, 1), 130)
    s.step('runs', quiet=3)
    first = s.cache.list('jobs', s.ns)[0]['metadata']['uid']
    s.until(lambda s: [j['metadata']['uid'] for j in s.cache.list('jobs', s.ns)] not in ([], [first]), 130)
    s.step('replaced', quiet=3)


def cron_history(s):
    s.create(cron('c', image='exit:1', failedJobsHistoryLimit=0))
    s.until(lambda s: any(e['reason'] == 'SawCompletedJob' for e in s.cache.list('events', s.ns)), 130)
    s.step('no failed ones are kept', quiet=3)
    s.delete('cronjobs', 'c')
    s.step('gone', quiet=3)


def cron_bad(s):
    s.create(cron('never', '0 0 31 2 *'))
    s.create(cron('late', '0 0 1 1 *', startingDeadlineSeconds=100))
    s.step('nothing to do', quiet=3)
    j = job('by-hand', 'app:1')
    s.create(j)
    s.create(cron('c', image='app:1'))
    s.until(lambda s: s.get('cronjobs', 'c')['status'].get('active'), 130)
    s.step('active', quiet=3)
    s.c.call('DELETE', '/apis/batch/v1/namespaces/%s/jobs' % s.ns, {'kind': 'DeleteOptions', 'apiVersion': 'v1', 'propagationPolicy': 'Background'})
    s.step('its job was deleted', quiet=3)


SCENARIOS = [cron_runs, cron_forbid, cron_replace, cron_history, cron_bad]
