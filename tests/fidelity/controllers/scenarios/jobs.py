"""Jobs: completions, indexes, policies for failure and success, suspension, replacement, managedBy, TTL."""
from scenarios.make import job, pod

QUIET = 3


def done(s, name='j'):
    return any(c['type'] in ('Complete', 'Failed') and c['status'] == 'True' for c in s.get('jobs', name)['status'].get('conditions', []))


def job_plain(s):
    s.create(job('j'))
    s.until(done)
    s.step('one', quiet=QUIET)
    s.create(job('k', completions=5, parallelism=2))
    s.until(lambda s: done(s, 'k'))
    s.step('five, two at a time', quiet=QUIET)
    s.create(job('w', image='app:1', parallelism=3))
    s.step('a queue of work', quiet=QUIET)
    s.finish(s.pods(**{'job-name': 'w'})[0], 0)
    s.step('one says that it is over', quiet=QUIET)
    for p in s.pods(**{'job-name': 'w'}):
        s.finish(p, 0)
    s.step('over', quiet=QUIET)


def job_backoff(s):
    s.create(job('j', image='exit:3', backoffLimit=1))
    s.step('failed once', quiet=QUIET)
    s.until(done)
    s.step('failed twice', quiet=QUIET)
    s.create(job('zero', image='exit:1', backoffLimit=0, completions=2, parallelism=2))
    s.until(lambda s: done(s, 'zero'))
    s.step('no second try', quiet=QUIET)


def job_indexed(s):
    s.create(job('j', image='app:1', completions=3, parallelism=2, completionMode='Indexed'))
    s.step('two of three', quiet=QUIET)
    s.finish(s.pods()[0], 0)
    s.step('an index is done', quiet=QUIET)
    s.finish(s.pods()[1], 0)
    s.step('another', quiet=QUIET)
    s.finish(s.pods()[2], 0)
    s.step('all', quiet=QUIET)


def job_per_index(s):
    s.create(job('j', image='app:1', completions=4, parallelism=4, completionMode='Indexed', backoffLimitPerIndex=0, maxFailedIndexes=1))
    s.step('four', quiet=QUIET)
    s.finish(s.pods()[2], 1)
    s.step('an index has failed', quiet=QUIET)
    s.finish(s.pods()[0], 0)
    s.step('another is done', quiet=QUIET)
    s.finish(s.pods()[1], 1)
    s.until(done)
    s.step('too many failed', quiet=QUIET)


def job_failed_indexes(s):
    s.create(job('j', image='app:1', completions=3, parallelism=3, completionMode='Indexed', backoffLimitPerIndex=0))
    s.step('three', quiet=QUIET)
    s.finish(s.pods()[0], 0)
    s.finish(s.pods()[1], 1)
    s.finish(s.pods()[2], 0)
    s.until(done)
    s.step('failed indexes', quiet=QUIET)


def job_success_policy(s):
    s.create(job('j', image='app:1', completions=4, parallelism=4, completionMode='Indexed',
                 successPolicy={'rules': [{'succeededIndexes': '0,2-3', 'succeededCount': 2}]}))
    s.step('four', quiet=QUIET)
    s.finish(s.pods()[1], 0)
    s.step('one that does not count', quiet=QUIET)
    s.finish(s.pods()[0], 0)
    s.finish(s.pods()[3], 0)
    s.until(done)
    s.step('enough', quiet=QUIET)


def job_failure_policy(s):
    rules = [{'action': 'FailJob', 'onExitCodes': {'containerName': 'app', 'operator': 'In', 'values': [42]}},
             {'action': 'Ignore', 'onPodConditions': [{'type': 'DisruptionTarget', 'status': 'True'}]},
             {'action': 'Count', 'onExitCodes': {'operator': 'NotIn', 'values': [0, 7]}}]
    s.create(job('j', image='app:1', parallelism=2, completions=2, podFailurePolicy={'rules': rules}, backoffLimit=3))
    s.step('two', quiet=QUIET)
    s.finish(s.pods()[0], 1, conditions=[{'type': 'DisruptionTarget', 'status': 'True', 'reason': 'EvictionByEvictionAPI', 'message': 'm'}])
    s.step('disrupted: does not count', quiet=7)
    s.finish([p for p in s.pods() if p['status'].get('phase') == 'Running'][0], 5)
    s.step('counts', quiet=QUIET)
    s.until(lambda s: len([p for p in s.pods() if p['status'].get('phase') == 'Running']) == 2)
    s.step('replaced', quiet=QUIET)
    s.finish([p for p in s.pods() if p['status'].get('phase') == 'Running'][0], 42)
    s.until(done)
    s.step('fails the job', quiet=QUIET)


def job_fail_index(s):
    rules = [{'action': 'FailIndex', 'onExitCodes': {'operator': 'In', 'values': [42]}}]
    s.create(job('j', image='app:1', parallelism=2, completions=2, completionMode='Indexed', backoffLimitPerIndex=2, podFailurePolicy={'rules': rules}))
    s.step('two', quiet=QUIET)
    s.finish(s.pods()[0], 42)
    s.step('an index fails at once', quiet=QUIET)
    s.finish(s.pods()[1], 1)
    s.step('another is tried again', quiet=QUIET)
    s.until(lambda s: len([p for p in s.pods() if p['status'].get('phase') == 'Running']) == 1)
    s.step('its second pod', quiet=QUIET)
    s.finish([p for p in s.pods() if p['status'].get('phase') == 'Running'][0], 0)
    s.until(done)
    s.step('over', quiet=QUIET)


def job_suspend(s):
    s.create(job('j', image='app:1', parallelism=2, completions=3, suspend=True))
    s.step('suspended', quiet=QUIET)
    s.patch('jobs', 'j', {'spec': {'suspend': False}})
    s.step('resumed', quiet=QUIET)
    s.finish(s.pods()[0], 0)
    s.step('one is done', quiet=QUIET)
    s.patch('jobs', 'j', {'spec': {'suspend': True}})
    s.step('suspended again', quiet=QUIET)
    s.patch('jobs', 'j', {'spec': {'suspend': False, 'parallelism': 1}})
    s.step('resumed again', quiet=QUIET)


def job_deadline(s):
    s.create(job('j', image='app:1', parallelism=2, completions=2, activeDeadlineSeconds=4))
    s.step('running', quiet=1)
    s.until(done)
    s.step('too long', quiet=QUIET)


def job_scale(s):
    s.create(job('j', image='app:1', parallelism=3, completions=6))
    s.step('three', quiet=QUIET)
    s.patch('jobs', 'j', {'spec': {'parallelism': 1}})
    s.step('one', quiet=QUIET)
    s.patch('jobs', 'j', {'spec': {'parallelism': 0}})
    s.step('none', quiet=QUIET)
    s.patch('jobs', 'j', {'spec': {'parallelism': 4}})
    s.step('four', quiet=QUIET)


def job_elastic(s):
    s.create(job('j', image='app:1', parallelism=4, completions=4, completionMode='Indexed'))
    s.step('four', quiet=QUIET)
    s.finish(s.pods()[3], 0)
    s.step('the last is done', quiet=QUIET)
    s.patch('jobs', 'j', {'spec': {'parallelism': 2, 'completions': 2}})
    s.step('only two are wanted', quiet=QUIET)


def job_replacement(s):
    s.create(job('j', image='stop:1', parallelism=2, completions=2, podReplacementPolicy='Failed'))
    s.step('two', quiet=QUIET)
    s.delete('pods', s.pods()[0]['metadata']['name'])
    s.step('one is ending: no replacement yet', quiet=QUIET)
    p = [p for p in s.pods() if p['metadata'].get('deletionTimestamp')][0]
    s.finish(p, 1)
    s.step('it has failed', quiet=7)
    s.gone(p)
    s.until(lambda s: len([p for p in s.pods() if not p['metadata'].get('deletionTimestamp')]) == 2)
    s.step('replaced', quiet=QUIET)


def job_deleted_pod(s):
    s.create(job('j', image='app:1', parallelism=1, completions=1, backoffLimit=2))
    s.step('one', quiet=QUIET)
    s.delete('pods', s.pods()[0]['metadata']['name'])
    s.step('deleted', quiet=QUIET)
    s.until(lambda s: len(s.pods()) == 1 and s.pods()[0]['status'].get('phase') == 'Running')
    s.step('replaced', quiet=QUIET)


def job_managed_by(s):
    s.create(job('j', managedBy='example.org/other'))
    s.step('somebody else', quiet=QUIET)


def job_manual_selector(s):
    o = job('j', image='app:1', manualSelector=True, selector={'matchLabels': {'mine': 'yes'}})
    o['spec']['template']['metadata'] = {'labels': {'mine': 'yes'}}
    s.create(o)
    s.step('a selector of its own', quiet=QUIET)
    s.create(pod('lone', {'mine': 'yes'}))
    s.step('a pod that it selects', quiet=QUIET)


def job_ttl(s):
    s.create(job('j', ttlSecondsAfterFinished=3))
    s.until(done)
    s.until(lambda s: not s.cache.list('jobs', s.ns))
    s.step('forgotten', quiet=QUIET)
    s.create(job('k', image='exit:1', ttlSecondsAfterFinished=0, backoffLimit=0))
    s.step('at once', quiet=QUIET)


def job_delete(s):
    for how in ('Background', 'Foreground', 'Orphan'):
        s.create(job(how.lower(), image='app:1', parallelism=2, completions=2))
        s.step('created for ' + how, quiet=QUIET)
        s.delete('jobs', how.lower(), how)
        s.step('deleted ' + how, quiet=QUIET)


def job_on_failure(s):
    s.create(job('j', image='app:1', policy='OnFailure', backoffLimit=1))
    s.step('one', quiet=QUIET)
    p = s.pods()[0]
    s.status(p, {'containerStatuses': [{'name': 'app', 'image': 'app:1', 'imageID': '', 'ready': True, 'restartCount': 2, 'state': {'running': {}}}]})
    s.until(done)
    s.step('restarted too often', quiet=QUIET)


SCENARIOS = [job_plain, job_backoff, job_indexed, job_per_index, job_failed_indexes, job_success_policy, job_failure_policy, job_fail_index, job_suspend,
             job_deadline, job_scale, job_elastic, job_replacement, job_deleted_pod, job_managed_by, job_manual_selector, job_ttl, job_delete, job_on_failure]
